"""The statistics as the node counts them: by what has changed, and equal to a full count, on both engines."""

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from router.catalogue import Catalogue
from router.catalogue.queue.outcomes import ExamCount, summed
from router.config.file import parse
from router.config.sections import Config
from router.intake.exam_reader import ExamReader
from router.model import Channel
from router.policy.completeness import Completeness
from router.policy.states import MOVES, State
from router.review.outcomes import OutcomeCounter, PacsStudy, step_of
from router.review.statistics import By, statistics_of
from support.catalogue_rows import CLOUD, NOW, document, driver, instance

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
BUDGETS = {Channel.REPORT: HOUR, Channel.IMAGES: 6 * HOUR}
FIRST, LAST = "2026-01-01", "2026-12-31"
CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
timezone = "Asia/Shanghai"
[[destination]]
name = "cloud"
[destination.dicom]
port = 1
[destination.http]
url = "http://127.0.0.1:1"
allow_plain = true
app = "hospital-1"
signing_key_file = "s"
platform_signing_key_file = "v"
platform_encryption_key_file = "e"
api_key_file = "k"
"""


@pytest.fixture
def config() -> Config:
    return parse(CONFIG, base=Path("/nowhere"))


class Files:
    """Exam JSONs by their place, and how often any was read."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.reads = 0

    def read(self, place: str) -> bytes:
        self.reads += 1
        if place not in self.bodies:
            raise FileNotFoundError(place)
        return self.bodies[place]


class Hospital:
    """Exams as rows, moved by hand."""

    def __init__(self, catalogue: Catalogue, config: Config) -> None:
        self.catalogue = catalogue
        self.files = Files()
        self.counter = OutcomeCounter(config, catalogue, ExamReader(config), self.files.read)

    def study(self, uid: str, at: datetime, modality: str = "CT") -> None:
        new = instance(1, uid, received=at, modality=modality)
        header = replace(new.header, sending_ae="CT1", sending_address="10.1.2.3", study_date=f"{at:%Y%m%d}")
        self.catalogue.instances.add([replace(new, header=header)])

    def exam(
        self, name: str, at: datetime, *, approved: bool = True, images: bool = True, said: dict[str, Any] | None = None
    ) -> int:  # fmt: skip
        """An exam, approved at that time, with its deliveries."""
        exams = self.catalogue.exams
        number = exams.number_of("", "01", name, at)
        if images:
            self.study(f"1.9.{number}", at)
        exams.links.link(number, [f"1.9.{number}"], "listed", at)
        self.catalogue.queue.make(number, [(CLOUD, channel) for channel in Channel], at)
        if said is not None:
            self.json(number, at, said)
        if approved:
            self.approve(number, at)
        return number

    def json(self, number: int, at: datetime, said: dict[str, Any]) -> None:
        place = f"reports/{number}/{len(self.files.bodies)}"
        self.files.bodies[place] = json.dumps({"ExamId": f"E{number}", **said}).encode()
        taken = replace(document("json", place, place), arrived=at)
        self.catalogue.exams.documents.add(taken, place, number, len(self.files.bodies), at)

    def approve(self, number: int, at: datetime | None) -> None:
        with self.catalogue.engine.write():
            value = "NULL" if at is None else int(at.timestamp() * 1e6)
            driver(self.catalogue).execute_sql(
                f"UPDATE exam SET approved_at = {value}, check_at = 0 WHERE id = {number}"
            )
        for one in self.catalogue.queue.of_exam(number):
            due = None if at is None else at + BUDGETS[one.channel]
            self.catalogue.queue.update(one, due=due, legal_due=due, waiting_for="")

    def go(self, number: int, channel: Channel, at: datetime, *way: State, why: str = "so") -> None:
        for to in way:
            (one,) = [one for one in self.catalogue.queue.of_exam(number) if one.channel == channel]
            assert self.catalogue.queue.move(one, to, at, why, changes={"held_by": "identity"} if to == "held" else {})

    def deliver(self, number: int, at: datetime, *channels: Channel) -> None:
        for channel in channels or Channel:
            self.go(number, channel, at, State.READY, State.SENDING, State.DELIVERED)

    def rows(self) -> dict[str, ExamCount]:
        return {one.key: one for one in self.catalogue.outcomes.all(FIRST, LAST)}

    def states(self, now: datetime) -> dict[str, str]:
        self.counter.catch_up(now)
        return {key: one.state for key, one in self.rows().items()}


@pytest.fixture
def hospital(catalogue: Catalogue, config: Config) -> Hospital:
    return Hospital(catalogue, config)


def test_each_exam_and_each_study_without_one_counts_once_and_moves_on_with_what_happens(hospital: Hospital) -> None:
    done, held = hospital.exam("E1", NOW), hospital.exam("E2", NOW)
    draft, away = hospital.exam("E3", NOW, approved=False), hospital.exam("E4", NOW)
    hospital.deliver(done, NOW + 5 * MINUTE)
    hospital.go(held, Channel.REPORT, NOW, State.HELD)
    for channel in Channel:
        hospital.go(away, channel, NOW, State.EXCLUDED, why="rule 'phantoms' of [[share.exclude]]")
    hospital.study("1.7", NOW)
    hospital.study("1.8", NOW, "XX")
    assert hospital.states(NOW + 10 * MINUTE) == {
        f"e{done}": "on time", f"e{held}": "waits for a person", f"e{draft}": "unreported", f"e{away}": "not shared",
        "s1.7": "unreported", "s1.8": "not shared",
    }  # fmt: skip
    assert hospital.rows()[f"e{away}"].reason == "rule 'phantoms' of [[share.exclude]]"
    # the draft is approved and its images never came; the study gets its exam
    named = hospital.exam("E5", NOW, images=False)
    hospital.catalogue.exams.links.link(named, ["1.7"], "listed", NOW)
    hospital.go(named, Channel.REPORT, NOW, State.READY)
    hospital.approve(draft, NOW)
    hospital.go(held, Channel.REPORT, NOW, State.WAITING)
    assert hospital.states(NOW + 20 * MINUTE) == {
        f"e{done}": "on time", f"e{held}": "on its way", f"e{draft}": "on its way", f"e{away}": "not shared",
        f"e{named}": "on its way", "s1.8": "not shared",
    }  # fmt: skip
    # time alone makes late, with no row changed
    assert hospital.states(NOW + 7 * HOUR)[f"e{draft}"] == "late"


def test_the_labels_are_those_of_the_json_that_counts_and_it_is_read_once(hospital: Hospital) -> None:
    said = {"Order": {"ExecDepartmentName": "放射科", "ModalityCode": "CT"}, "Report": {"IsCritical": True}}
    number = hospital.exam("E1", NOW, said=said)
    hospital.states(NOW)
    reads = hospital.files.reads
    found = hospital.rows()[f"e{number}"]
    assert (found.department, found.modality, found.device, found.critical) == ("放射科", "CT", "", 1)
    hospital.go(number, Channel.REPORT, NOW + MINUTE, State.READY)
    hospital.states(NOW + MINUTE)
    assert hospital.files.reads == reads
    hospital.json(number, NOW, {"Order": {"ExecDepartmentName": "超声科"}})
    hospital.states(NOW + MINUTE)
    assert hospital.rows()[f"e{number}"].department == "超声科"
    assert hospital.rows()[f"e{number}"].critical == 0
    hospital.files.bodies.clear()
    with hospital.catalogue.engine.write():
        driver(hospital.catalogue).execute_sql("UPDATE document SET purged = 1")
    hospital.deliver(number, NOW + 2 * MINUTE, Channel.IMAGES)
    hospital.states(NOW + 2 * MINUTE)
    assert hospital.rows()[f"e{number}"].department == "超声科", "labels outlive the file"


def test_a_later_approval_moves_an_exam_to_its_day_and_both_days_are_summed_up_again(hospital: Hospital) -> None:
    number = hospital.exam("E1", NOW)
    hospital.deliver(number, NOW + MINUTE)
    hospital.states(NOW + HOUR)
    hospital.approve(number, NOW + DAY)
    hospital.go(number, Channel.REPORT, NOW + DAY, State.WAITING, State.READY)
    hospital.states(NOW + DAY)
    sums = hospital.catalogue.outcomes.sums(FIRST, LAST)
    assert [(one["day"], one["exams"], one["uploaded"]) for one in sums] == [("2026-03-02", 1, 1)]


def test_what_only_the_pacs_has_never_came_until_it_comes(hospital: Hospital) -> None:
    number = hospital.exam("E1", NOW)
    hospital.states(NOW)
    day = date(2026, 3, 1)
    of_day = [PacsStudy(f"1.9.{number}", "CT"), PacsStudy("1.5", "CT"), PacsStudy("1.6", "MR"), PacsStudy("1.7", "MR")]
    assert hospital.counter.note_pacs(day, of_day) == 3, "one of them is here"
    assert hospital.counter.note_pacs(day, of_day[:3]) == 2, "what the PACS deleted is not missed"
    found = hospital.rows()["p1.5"]
    assert (found.state, found.modality, found.day) == (Completeness.NEVER_CAME, "CT", "2026-03-01")
    hospital.study("1.5", NOW + DAY)
    assert hospital.states(NOW + DAY) == {f"e{number}": "late", "s1.5": "unreported", "p1.6": "never came"}
    hospital.catalogue.exams.links.link(number, ["1.6"], "listed", NOW)
    assert "p1.6" not in hospital.states(NOW + DAY)


def test_what_is_purged_without_ever_having_had_a_report_stays_counted(hospital: Hospital) -> None:
    hospital.study("1.7", NOW)
    hospital.states(NOW)
    (old,) = hospital.catalogue.purge.unmatched(NOW + DAY, 10)
    while hospital.catalogue.purge.take(old, NOW + DAY, NOW + DAY):
        pass
    assert hospital.states(NOW + 2 * DAY) == {"s1.7": "unreported"}


def test_rows_go_with_the_history_they_were_counted_by_and_the_sums_of_their_days_stay(hospital: Hospital) -> None:
    first, second = hospital.exam("E1", NOW), hospital.exam("E2", NOW)
    later = hospital.exam("E3", NOW + 2 * DAY)
    for number in (first, later):
        hospital.deliver(number, NOW + 2 * DAY)
    hospital.states(NOW + 3 * DAY)
    sums = hospital.catalogue.outcomes.sums(FIRST, LAST)
    hospital.catalogue.purge.expire(NOW + DAY)
    assert list(hospital.rows()) == [f"e{later}"]
    assert hospital.catalogue.outcomes.sums(FIRST, LAST) == sums
    # what happens to them from then on does not change a day of which the sums alone are left
    hospital.deliver(second, NOW + 3 * DAY)
    hospital.states(NOW + 4 * DAY)
    assert list(hospital.rows()) == [f"e{later}"]
    assert hospital.catalogue.outcomes.sums(FIRST, LAST) == sums
    hospital.approve(second, NOW + 4 * DAY)
    hospital.go(second, Channel.REPORT, NOW + 4 * DAY, State.WAITING, State.READY)
    assert hospital.states(NOW + 4 * DAY)[f"e{second}"] == "on its way"


def test_through_generated_days_the_sums_equal_a_full_count_and_the_states_sum_up(hospital: Hospital) -> None:
    chance, now, exams, loose = random.Random(7), NOW, list[int](), 0
    for day in range(7):
        with hospital.catalogue.engine.write():  # one commit a day
            _day(hospital, chance, day, now, exams)
            for _ in range(chance.randrange(3)):
                loose += 1
                hospital.study(f"1.3.{loose}", now, chance.choice(["CT", "XX"]))
        now += DAY
        hospital.counter.catch_up(now)
    incremental, sums = hospital.rows(), hospital.catalogue.outcomes.sums(FIRST, LAST)
    assert len(incremental) == len(exams) + loose
    assert sorted(sums, key=repr) == sorted(summed(incremental.values()), key=repr)
    with hospital.catalogue.engine.write():
        for sql in ("DELETE FROM outcome", "DELETE FROM outcome_sum", "DELETE FROM setting WHERE name LIKE 'stat%'"):
            driver(hospital.catalogue).execute_sql(
                sql.replace("%", "%%") if hospital.catalogue.engine.is_shared else sql
            )
    hospital.counter.catch_up(now)
    assert hospital.rows() == incremental
    span = date.fromisoformat(FIRST), date.fromisoformat(LAST)
    found = statistics_of(hospital.catalogue, *span, By.DEPARTMENT)
    assert sum(found.total.states.values()) == found.total.exams == len(exams) + loose
    by_hand = Counter(one.state for one in incremental.values())
    assert {state: n for state, n in found.total.states.items() if n} == by_hand
    for by in By:
        parts = statistics_of(hospital.catalogue, *span, by)
        assert sum(one.due for one in parts.rows) == found.total.due == sum(one.due for one in incremental.values())
        assert sum(one.on_time for one in parts.rows) == found.total.on_time
        assert parts.total.report_took == Counter(
            one.report_took for one in incremental.values() if one.report_took is not None
        )


_WAYS = {state: [end for start, end in MOVES if start == state] for state in State}


def _day(hospital: Hospital, chance: random.Random, day: int, now: datetime, exams: list[int]) -> None:
    """New exams, moves of any that there are, and a pause on some days."""
    for n in range(6):
        at = now + chance.uniform(0, 20) * HOUR
        said = {"Order": {"ExecDepartmentName": chance.choice(["放射科", "超声科"])}}
        exams.append(hospital.exam(f"E{day}-{n}", at, approved=chance.random() < 0.9, images=chance.random() < 0.8,
                                   said=said))  # fmt: skip
    for _ in range(30):
        number, channel = chance.choice(exams), chance.choice(list(Channel))
        (one,) = [one for one in hospital.catalogue.queue.of_exam(number) if one.channel == channel]
        at = max(now + chance.uniform(0, 24) * HOUR, one.changed)
        hospital.go(number, channel, at, chance.choice(_WAYS[one.state]), why="rule x")
    if day == 3:
        hospital.catalogue.pauses.begin(CLOUD, "zhang", "upgrade", now)
    if day == 5:
        hospital.catalogue.pauses.end(CLOUD, "zhang", "done", now)
        hospital.approve(exams[0], now)
        hospital.go(exams[0], Channel.IMAGES, now, *_to_waiting(hospital, exams[0]))


def _to_waiting(hospital: Hospital, number: int) -> list[State]:
    (one,) = [one for one in hospital.catalogue.queue.of_exam(number) if one.channel == Channel.IMAGES]
    return [State.WAITING] if (one.state, State.WAITING) in MOVES else []


def test_a_time_is_kept_in_steps_and_never_shorter_than_it_was() -> None:
    for minutes in (0.2, 1, 59.5, 120, 121, 719, 721, 10_079, 10_081, 99_999):
        step = step_of(minutes * MINUTE)
        assert step is not None
        assert minutes <= step <= max(minutes * 1.15, minutes + 1)
    assert step_of(None) is None
