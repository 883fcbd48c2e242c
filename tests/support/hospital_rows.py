"""A district's data folder: three hospitals with the same numbers, their deliveries as rows, no node."""

from datetime import datetime, timedelta
from pathlib import Path

from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.exams.exam_rows import description
from router.config.file import load
from router.config.hospitals import UNREGISTERED
from router.config.sections import Config
from router.events import Event, EventBus, Kind, Subscriber
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, key

NAMES = ("fuxing", "renmin", "xiehe")
_COMMON = """
[node]
language = "en"
data = "data"
name = "node"
[receive]
port = 1
[admin]
port = 0
[reports]
folder = "in"
[[destination]]
name = "cloud"
agreement = "a"
purpose = "p"
[destination.dicom]
ae_title = "CLOUD"
port = 1
allow_plain = true
"""
_HOSPITAL = """
USCI = "U{number}"
HospitalCode = "H{number}"
HospitalName = "医院{number}"
HospitalBranchCode = "01"
"""


def configure(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    """The configuration, with a file for each of these hospitals; of one alone as [hospital] without a name."""
    text, data = _COMMON, folder / "data"
    data.mkdir(exist_ok=True)
    if names:
        (folder / "hospitals").mkdir(exist_ok=True)
        for number, name in enumerate(names, 1):
            (folder / "hospitals" / f"{name}.toml").write_text(_HOSPITAL.format(number=number), encoding="utf-8")
    else:
        text += "[hospital]" + _HOSPITAL.format(number=1)
    file = folder / "router.toml"
    file.write_text(text, encoding="utf-8")
    return file


class District:
    """The catalogue of that folder; `now` is when everything was entered."""

    def __init__(self, folder: Path, now: datetime, *subscribers: Subscriber) -> None:
        self.file, self.now = configure(folder), now
        self.bus = EventBus(*subscribers)
        self.catalogue: Catalogue = open_catalogue("", folder / "data", self.bus)
        self.bus.name_hospitals(self.catalogue.exams.hospital_of)

    @property
    def config(self) -> Config:
        return load(self.file)

    def delivery(self, hospital: str, exam_id: str, due: float, *way: State) -> int:
        """An exam's images delivery, due in so many minutes, moved along `way`; the exam's number."""
        like = key()
        exam = self.catalogue.exams.number_of(hospital, "01", exam_id, self.now, description(like))
        self.catalogue.queue.make(exam, [(CLOUD, Channel.IMAGES)], self.now)
        for to in way:
            (one,) = self.catalogue.queue.of_exam(exam)
            changes = {"due": self.now + due * MINUTE, "legal_due": self.now + due * MINUTE}
            assert self.catalogue.queue.move(one, to, self.now, "on the way", changes=changes)
        return exam

    def alarm(self, alarm: Alarm, exam: int | None = None, **fields: str) -> None:
        subject = f"e{exam}" if exam is not None else alarm.value
        self.bus.record(Event(
            self.now, Kind.ALARM, f"{alarm} stands", alarm=alarm, subject=subject, exam=exam, fields=fields
        ))  # fmt: skip

    def close(self) -> None:
        self.catalogue.engine.close_thread()


def ordinary(folder: Path, now: datetime, *subscribers: Subscriber) -> District:
    """Exam A1 of every hospital: late at xiehe, due in a day at renmin, held at fuxing; one that is nobody's."""
    found = District(folder, now, *subscribers)
    found.delivery("xiehe", "A1", -5, State.READY)
    found.delivery("renmin", "A1", timedelta(days=1) / MINUTE, State.READY)
    held = found.delivery("fuxing", "A1", 60, State.READY, State.HELD)
    found.delivery(UNREGISTERED, "A1", 60, State.HELD)
    found.alarm(Alarm.DOUBT, held)
    return found
