"""A district: three hospitals of one node whose numbers are all alike, a fourth that comes later, and one platform.

Branch codes, ExamIds, accession numbers and PatientIDs are the same in each for different patients. Two have a folder
and a sender of their own, the others share PACS and folder: of one a rule knows the images, of the other nothing does.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread

from router.catalogue.queue.queue import Delivery
from router.config.file import load
from router.crypto.keys import key_id, load_public, new_folder
from router.dicom.dataset.header import digest
from router.policy.states import State
from router.trial.demo.studies import read_studies
from support.harness import Exam, Site, make_exam, send_all

_SLICES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A hospital; `folder`: of its own. `ae` sends its images, `patient` is the one of every exam of it."""

    name: str
    org: str
    folder: str
    ae: str
    patient: str
    born: str
    rule: str = ""

    @property
    def spoken(self) -> str:
        """The patient's name as the RIS writes it."""
        return self.patient.partition("=")[2].replace("^", "")


MEMBERS = (
    Member(
        name="renmin", org="121100004000000001", folder="renmin", ae="CT_RM", patient="Li^Yi=李^仪", born="19600501"
    ),
    Member(
        name="zhongyi", org="121100004000000027", folder="zhongyi", ae="CT_ZY", patient="Wang^Er=王^尔",
        born="19710612",
    ),
    Member(
        name="fuyou", org="12110000400000003A", folder="", ae="PACS", patient="Zhao^San=赵^珊", born="19820723",
        rule='study = [{ InstitutionName = "fuyou.*" }]\n',
    ),
)  # fmt: skip
LATER = Member(
    name="laonian", org="12110000400000004D", folder="", ae="PACS", patient="Qian^Si=钱^思", born="19930804"
)  # fmt: skip
_EVERY = (*MEMBERS, LATER)
_REGISTERED = """
USCI = "{org}"
HospitalCode = "H0001"
HospitalName = "{name}"
HospitalBranchCode = "01"
{more}
[[account]]
destination = "cloud"
app = "app-{name}"
api_key_file = "../keys-{name}/api.key"
signing_key_file = "../keys-{name}/hospital-sign.pem"
"""
_OWN = """senders = [{{ ae_title = "{ae}" }}]
[reports]
folder = "../{folder}"
settle = "200 ms"
rescan = "1 s"
"""


class District:
    """The node of the hospitals, up, and what was made for it. `stop` leaves nothing running."""

    def __init__(self, folder: Path) -> None:
        for one in _EVERY:
            new_folder(folder / f"keys-{one.name}")
            (folder / one.folder).mkdir(exist_ok=True)
        (folder / "hospitals").mkdir()
        apps = [f"app-{one.name}:{one.org}={folder / f'keys-{one.name}'}" for one in _EVERY]
        self.site = Site(
            folder, stable_after="300 ms", hospital="", receive_settings='senders = [{ ae_title = "PACS" }]', apps=apps
        )  # fmt: skip
        self._made: dict[tuple[str, str], list[Exam]] = {}
        for one in MEMBERS:
            self.register(one)
        self.site.start()

    def stop(self) -> None:
        self.site.stop()

    # -- the registry

    def register(self, one: Member) -> None:
        """Write the hospital's file."""
        own = _OWN.format(ae=one.ae, folder=one.folder) if one.folder else ""
        text = _REGISTERED.format(name=one.name, org=one.org, more=one.rule + own)
        self._file(one).write_text(text, encoding="utf-8")

    def remove(self, one: Member) -> None:
        """Take the hospital's file away."""
        self._file(one).unlink()

    def reload(self) -> str:
        """Have the node read its configuration; what it says that it did."""
        told = self._told()
        self.site.node.hang_up()
        self.site.wait_until(lambda: len(self._told()) > len(told), "the node says what it made of it")
        return self._told()[-1]

    def _file(self, one: Member) -> Path:
        return self.site.folder / "hospitals" / f"{one.name}.toml"

    def _told(self) -> list[str]:
        return [line for line in self.site.log.splitlines() if "configuration read again" in line]

    # -- exams

    def exam(self, one: Member, number: int) -> Exam:
        """The hospital's exam of this number; its ExamId, accession number and PatientID are every hospital's."""
        made = make_exam(self.site, 10 * number + _EVERY.index(one), instances=_SLICES, side=16)
        for file in made.study.files:
            image = dcmread(file.path)
            image.PatientID, image.PatientName, image.PatientBirthDate = f"P{number}", one.patient, one.born
            image.AccessionNumber, image.InstitutionName = f"A{number}", f"{one.name} 1"
            image.save_as(file.path)
        own = next(each for each in load(self.site.config_file).hospital if each.name == one.name)
        config = made.config.model_copy(update={"hospital": (own,)})
        exam = Exam(f"E{number}", read_studies([file.path for file in made.study.files])[0], config, made.made)
        self._made.setdefault((one.org, exam.id), []).append(exam)
        return exam

    def exams(self, number: int, members: Iterable[Member] = MEMBERS) -> list[tuple[Member, Exam]]:
        """One of each hospital."""
        return [(one, self.exam(one, number)) for one in members]

    def send(self, one: Member, exam: Exam) -> None:
        """The images, as the hospital's modality or PACS does."""
        send_all(self.site.port, exam.study.files, calling=one.ae)

    def report(self, one: Member, exam: Exam, **changes: Any) -> None:
        """JSON and PDF in the hospital's folder; in the shared one their names tell the hospitals apart."""
        folder = self.site.folder / one.folder if one.folder else self.site.drop_folder
        name = exam.id if one.folder else f"{one.name}-{exam.id}"
        for ending, data in (("json", exam.json(**changes)), ("pdf", exam.pdf(self.site.folder))):
            hidden = folder / f".{name}.{ending}"
            hidden.write_bytes(data)
            hidden.rename(folder / f"{name}.{ending}")

    # -- what became of them

    def deliveries(self, exam_id: str, hospital: str | None = None) -> list[Delivery]:
        """Of the exams of this ExamId, of one hospital or of all."""
        found = [line.delivery for line in self.site.lines(exam_id) if line.exam_id == exam_id]
        return [one for one in found if hospital in (None, one.hospital)]

    def wait_for(self, exam_id: str, hospitals: Sequence[str], state: State = State.DELIVERED) -> None:
        """Wait until both deliveries of each hospital's exam are in this state."""
        wanted = {(name, channel): state for name in hospitals for channel in ("report", "images")}

        def there() -> bool:
            now = {(one.hospital, str(one.channel)): one.state for one in self.deliveries(exam_id)}
            return all(now.get(place) == state for place in wanted)

        self.site.wait_until(there, f"{exam_id} of {', '.join(hospitals)} is {state}", 40)

    def assert_nothing_is_mixed(self) -> None:
        """Everything at the platform is its own hospital's, whole and signed by its own key, and nothing else is."""
        for org in (self.site.platform_data / "exams").iterdir():
            [one] = [one for one in _EVERY if one.org == org.name]
            for kept in org.glob("01/*/*"):
                self._is_of(one, self._made[one.org, kept.parent.name], kept)
        self._images_are_whole()
        self._signatures_are_own()

    def _is_of(self, one: Member, exams: Sequence[Exam], kept: Path) -> None:
        """A revision of an exam at the platform."""
        document = json.loads((kept / "exam.json").read_bytes())
        assert (document["USCI"], document["Patient"]["Name"]) == (one.org, one.spoken)
        assert document["Study"]["StudyInstanceUIDs"] in [[exam.study.uid] for exam in exams]
        assert document["Study"]["ImageCount"] == _SLICES
        assert (kept / "report.pdf").read_bytes() in [exam.pdf(self.site.folder) for exam in exams]

    def _images_are_whole(self) -> None:
        made = {file.sop_instance: file for exams in self._made.values() for exam in exams for file in exam.study.files}
        for path in (self.site.platform_data / "dicom").rglob("*.dcm"):
            assert digest(path) == digest(made[path.stem].path)

    def _signatures_are_own(self) -> None:
        for path in (self.site.data / "reports").glob("*/sent/cloud/*/receipt.json"):
            receipt = json.loads(path.read_bytes())
            [one] = [one for one in _EVERY if one.name == receipt["hospital"]]
            signer = key_id(load_public(self.site.folder / f"keys-{one.name}" / "hospital-sign.pub.pem"))
            assert (receipt["org"], receipt["app"]) == (one.org, f"app-{one.name}")
            assert receipt["request_keys"]["signing"] == signer

    def at_platform(self, exam_id: str) -> dict[str, list[int]]:
        """The revisions of the exams of this ExamId, by hospital."""
        folders = {one.name: self.site.platform_data / "exams" / one.org / "01" / exam_id for one in _EVERY}
        return {
            name: sorted(int(path.name) for path in folder.iterdir())
            for name, folder in folders.items()
            if folder.exists()
        }
