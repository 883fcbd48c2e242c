"""Comparison of images with what a destination's archive answers, study by study; doubtful answers send nothing."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from router.alarms import Alarm
from router.catalogue import open_catalogue
from router.catalogue.images.ledger import Fate
from router.clock import FakeClock
from router.config.file import parse
from router.delivery.commitment import CommitmentReports
from router.dicom.ul.commitment import Report
from router.errors import NotOffered, TransientError
from router.events import Event, EventBus
from router.model import Channel
from router.policy.comparison import (
    AGAIN,
    BASELINE,
    CUT,
    ELSEWHERE,
    FEWER,
    MANY,
    SHRUNK,
    UNCOMMITTED,
    OurImages,
    StudyThere,
)
from router.policy.states import State
from router.review import committed_there
from router.review.committed_there import CommittedThere
from router.review.remote import Found, RemoteComparison, places
from router.upkeep import comparison
from router.upkeep.comparison import ComparisonWatch
from support.catalogue_rows import CLOUD, driver, lay_tables
from support.committing_destination import cloud
from support.confirmed_images import INSTANCES, ImageArchive, deliver, sops_of, study_of, took
from support.confirmed_reports import Cloud
from support.dicom_peers import CT_CLASS

MIDNIGHT = datetime(2026, 3, 9, 16, tzinfo=UTC)  # in Beijing, of the tenth
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
HOSPITAL = (
    '[hospital]\nUSCI = "121100004000000001"\nHospitalCode = "H"\nHospitalName = "H"\nHospitalBranchCode = "01"\n'
)


class ComparedNode:
    """A node whose destination took the images of `count` exams, four minutes apart, on the day before midnight."""

    def __init__(self, folder: Path, count: int = 6, *, resend: bool = False, dicom: str = "port = 1") -> None:
        text = f'{HOSPITAL}[node]\nlanguage = "en"\ndata = "data"\n[[destination]]\nname = "{CLOUD}"\n'
        self.config = parse(f"{text}resend = {str(resend).lower()}\n[destination.dicom]\n{dicom}\n", base=folder)
        self.told: list[Event] = []
        self.bus, self.clock, self.archive = EventBus(self.told.append), FakeClock(MIDNIGHT + 4 * HOUR), ImageArchive()
        (folder / "data").mkdir()
        lay_tables(folder / "data")
        self.catalogue = open_catalogue("", folder / "data", self.bus)
        driver(self.catalogue).execute_sql("PRAGMA synchronous=OFF")
        took(self.catalogue, count, MIDNIGHT - DAY, 4 * MINUTE)
        self.archive.take(*range(1, count + 1))
        self.remote = RemoteComparison(
            self.config, self.catalogue, self.bus, self.clock, ask=Cloud().ask, open_archive=self.archive.open
        )

    def compare(self) -> Found:
        return self.remote.compare(places(self.config)[0], MIDNIGHT - 3 * DAY, MIDNIGHT)

    def send_again(self, found: Found) -> int:
        return self.remote.send_again(found.place, found.missing, "lost there", "wang")

    def selected(self) -> int:
        """How many instances are to go again."""
        rows = driver(self.catalogue).execute_sql(f"SELECT COUNT(*) FROM ledger WHERE state = '{Fate.SELECTED}'")
        return int(rows.fetchone()[0])

    def ready(self) -> list[int]:
        return [one.exam for one in self.catalogue.queue.in_state([State.READY])]

    def alarms(self) -> dict[str, str]:
        return {one.alarm: one.text for one in self.catalogue.alarms.standing()}

    def watch(self) -> ComparisonWatch:
        return ComparisonWatch(self.config, self.catalogue, self.bus, self.clock, pins=None)  # type: ignore[arg-type]

    def night(self) -> None:
        """The duty's step, at four in the morning; then a day passes."""
        self.watch().step()
        self.clock.advance(86400)


@pytest.fixture
def ward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ComparedNode]]:
    made: list[ComparedNode] = []

    def make(count: int = 6, *, resend: bool = False, dicom: str = "port = 1") -> ComparedNode:
        made.append(ComparedNode(tmp_path, count, resend=resend, dicom=dicom))
        monkeypatch.setattr(comparison, "finding", lambda peer, _: made[-1].archive.open(peer))
        return made[-1]

    yield make
    for one in made:
        one.catalogue.engine.close_thread()


def lost(found: Found) -> dict[int, tuple[int, str]]:
    """By exam how many instances are not found, and why they do not go again."""
    differing = [*found.difference.missing, *found.difference.otherwise]
    return {one.exam: (len(one.lost), one.why) for one in differing if isinstance(one, OurImages)}


def test_a_study_that_has_as_many_is_asked_for_its_count_alone_and_one_that_has_fewer_names_what_it_lacks(
    ward: Callable[..., ComparedNode],
) -> None:
    here = ward()
    here.archive.forget(2, 3)
    here.archive.forget(5)
    found = here.compare()
    assert (found.ours, found.there, lost(found)) == (6, 4, {2: (1, ""), 5: (INSTANCES, "")})
    assert [one for one in here.archive.asked if one.startswith("series")] == [f"series {study_of(2)}.1"]
    assert here.send_again(found) == 2
    assert (here.ready(), here.selected()) == ([2, 5], 1 + INSTANCES)
    assert here.send_again(found) == 0
    assert lost(here.compare()) == {}  # on its way again


def test_one_that_is_still_not_found_after_it_went_again_does_not_go_a_third_time(
    ward: Callable[..., ComparedNode],
) -> None:
    here = ward()
    here.archive.forget(2, 3)
    here.send_again(here.compare())
    deliver(here.catalogue, 2, MIDNIGHT - HOUR)
    found = here.compare()
    assert (lost(found), found.missing) == ({2: (1, AGAIN)}, ())
    assert here.alarms()[Alarm.MISSING_THERE].endswith("of 1 they are not found")
    # found meanwhile, and lost once more, it goes again
    here.archive.take(2)
    assert lost(here.compare()) == {}
    assert Alarm.MISSING_THERE not in here.alarms()
    here.archive.forget(2, 1, 3)
    found = here.compare()
    assert (lost(found), here.send_again(found), here.selected()) == ({2: (2, "")}, 1, 2)


def test_an_archive_that_does_not_count_is_asked_for_instances(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    here.archive.counts = False
    here.archive.forget(4, 1)
    here.archive.forget(6)
    assert lost(here.compare()) == {4: (1, ""), 6: (INSTANCES, "")}


def test_images_of_others_are_no_loss_and_no_alarm_and_do_not_hide_one(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    here.compare()
    here.archive.has[study_of(1)] |= {f"{study_of(1)}.1.{n}" for n in (7, 8)}
    here.archive.has[study_of(2)] |= {f"{study_of(2)}.2.{n}" for n in (7, 8)}
    found = here.compare()
    assert (lost(found), found.strange, found.well, here.alarms()) == ({}, 4, True, {})
    here.archive.forget(2, 2)
    assert lost(here.compare()) == {2: (1, "")}


@pytest.mark.parametrize("counts", [True, False])
def test_an_archive_that_bounds_its_answers_misses_nothing_and_hides_nothing(
    ward: Callable[..., ComparedNode], counts: bool
) -> None:
    here = ward()
    here.archive.counts, here.archive.most = counts, 1
    assert lost(here.compare()) == {}
    here.archive.forget(3, 2)
    assert lost(here.compare()) == {3: (1, "")}


def test_a_study_or_instances_under_another_uid_are_said_and_do_not_go_again(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    here.archive.forget(1)
    here.archive.has["1.9"], here.archive.accessions["1.9"] = {"1.9.1", "1.9.2", "1.9.3"}, "A1"
    here.archive.forget(2)  # another study of the same number, which came here, explains nothing
    here.archive.accessions[study_of(3)] = "A2"
    here.archive.has[study_of(4)] = {f"1.9.4.{n}" for n in range(INSTANCES)} | {"1.9.4.9"}
    found = here.compare()
    assert lost(found) == {1: (INSTANCES, ELSEWHERE), 2: (INSTANCES, ""), 4: (INSTANCES, ELSEWHERE)}
    assert [one.exam for one in found.missing] == [2]


def test_an_archive_that_names_no_instances_says_that_fewer_are_there(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    here.archive.lists = False
    here.archive.forget(3, 1)
    here.archive.forget(4)
    found = here.compare()
    assert lost(found) == {3: (INSTANCES, FEWER), 4: (INSTANCES, "")}
    here.archive.counts = False
    assert (here.compare().why_not, here.compare().well) == (CUT, False)


def test_what_is_rejected_withdrawn_or_not_approved_any_more_is_not_expected(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    key = next(one.key for one in here.catalogue.compared_images.sent(CLOUD, study_of(1)) if one.sop_uid.endswith(".1"))
    here.catalogue.references.remark([key], "sent; a rejection note refers to it")
    here.archive.forget(1, 1)
    here.archive.forget(2)
    driver(here.catalogue).execute_sql("UPDATE exam SET approved_at = NULL WHERE id = 2")
    here.catalogue.queue.make(3, [(CLOUD, Channel.REPORT)], MIDNIGHT)
    driver(here.catalogue).execute_sql("UPDATE delivery SET state = 'withdrawn' WHERE exam_id = 3 AND channel='report'")
    here.archive.forget(3)
    assert lost(here.compare()) == {}


@pytest.mark.fires("missing-there")
@pytest.mark.ends("missing-there")
def test_a_small_loss_goes_again_by_itself_after_the_baseline_and_its_alarm_lasts_until_it_is_there(
    ward: Callable[..., ComparedNode],
) -> None:
    here = ward(240, resend=True)
    here.archive.forget(9, 1)
    here.night()
    assert (here.ready(), here.alarms()) == ([], {})  # the first comparison
    here.night()
    assert (here.ready(), here.selected(), here.alarms()) == ([9], 1, {})
    deliver(here.catalogue, 9, here.clock.now() - DAY)
    here.night()
    assert "of 1 they are not found" in here.alarms()[Alarm.MISSING_THERE]
    for _ in range(5):  # longer than the days that are looked at
        here.night()
    assert Alarm.MISSING_THERE in here.alarms()
    here.archive.take(9)
    here.night()
    assert here.alarms() == {}


def test_an_alarm_lasts_longer_than_the_days_that_are_looked_at(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    here.night()
    here.archive.forget(2)
    for _ in range(5):
        here.night()
    assert "images of 1 exam(s)" in here.alarms()[Alarm.MISSING_THERE]
    here.archive.take(2)
    here.night()
    assert here.alarms() == {}


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda archive: archive.has.clear(), SHRUNK),
        (lambda archive: [archive.forget(number) for number in range(1, 80)], SHRUNK),
        (lambda archive: [archive.forget(number, 1) for number in range(1, 5)], MANY),
    ],
    ids=["empty", "a day's first hours are missing", "more than one in a hundred"],
)
def test_an_answer_that_lacks_much_sends_nothing_by_itself(
    ward: Callable[..., ComparedNode], spoil: Callable[[ImageArchive], object], why: str
) -> None:
    here = ward(240, resend=True)
    here.night()
    spoil(here.archive)
    here.night()
    assert here.ready() == []
    assert any(why in event.text for event in here.told)
    assert Alarm.MISSING_THERE in here.alarms()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_an_hour_off_sends_nothing_again(ward: Callable[..., ComparedNode], hours: int) -> None:
    here = ward(resend=True)
    here.night()
    driver(here.catalogue).execute_sql(f"UPDATE delivery SET delivered_at = delivered_at + {hours * 3_600_000_000}")
    here.clock.advance(hours * 3600.0)
    here.night()
    assert (here.ready(), here.alarms(), here.compare().missing) == ([], {}, ())


@pytest.mark.parametrize(
    ("trouble", "asks"), [(NotOffered("no C-FIND"), 1), (TransientError("no answer"), 3)], ids=["refuses", "silent"]
)
def test_an_archive_that_does_not_answer_is_said_once_and_concludes_nothing(
    ward: Callable[..., ComparedNode], trouble: Exception, asks: int
) -> None:
    here = ward(resend=True)
    here.archive.trouble = trouble
    watch = here.watch()
    for _ in range(3):
        watch.step()
        here.clock.advance(3601)
    assert (len(here.archive.asked), here.alarms(), here.catalogue.comparisons.last()) == (asks, {}, [])
    assert sum("the comparison of images with cloud was not possible" in one.text for one in here.told) == asks


def test_an_exam_that_went_again_later_is_of_that_day_and_not_a_shrunken_answer(
    ward: Callable[..., ComparedNode],
) -> None:
    here = ward()
    assert here.compare().why_not == BASELINE
    driver(here.catalogue).execute_sql(
        f"UPDATE delivery SET delivered_at = delivered_at + {86_400_000_000} WHERE id < 3"
    )
    assert (here.compare().ours, here.compare().why_not) == (4, "")


def test_images_of_a_study_of_two_exams_go_again_once(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    here.catalogue.exams.links.link(1, [study_of(2)], "listed", MIDNIGHT)
    here.archive.forget(2, 1)
    found = here.compare()
    assert (lost(found), here.send_again(found), here.selected()) == ({1: (1, ""), 2: (1, "")}, 2, 1)


def committing(port: int, wait: str = "5 s") -> str:
    """The destination's section: it answers no C-FIND, and commits."""
    return f'port = {port}\ncommitment = true\ncommitment_wait = "{wait}"'


def items(here: ComparedNode) -> int:
    """How many instances some request still asks for."""
    return int(driver(here.catalogue).execute_sql("SELECT COUNT(*) FROM commitment_item").fetchone()[0])


def test_a_destination_without_c_find_is_asked_which_images_it_commits_to(ward: Callable[..., ComparedNode]) -> None:
    with cloud(same=True) as there:
        here = ward(dicom=committing(there.port))
        here.remote = RemoteComparison(here.config, here.catalogue, here.bus, here.clock, ask=Cloud().ask)
        there.reasons = dict.fromkeys([f"{study_of(2)}.1.3", *sops_of(5)], 0x0112)
        there.reasons |= {f"{study_of(4)}.1.1": 0x0110, f"{study_of(5)}.1.1": 0x0110}
        found = here.compare()
        assert lost(found) == {2: (1, ""), 4: (1, UNCOMMITTED), 5: (2, "")}
        assert (found.ours, found.there, found.strange) == (6, 4, 0)
        assert [len(one.items) for one in there.asked] == [6 * INSTANCES]
        assert {sop_class for sop_class, _ in there.asked[0].items} == {CT_CLASS}
        assert (here.send_again(found), here.ready(), here.selected()) == (2, [2, 5], 3)
        deliver(here.catalogue, 2, MIDNIGHT - HOUR)
        assert lost(here.compare()) == {2: (1, AGAIN), 4: (1, UNCOMMITTED), 5: (1, UNCOMMITTED)}
        there.reasons = {}
        deliver(here.catalogue, 5, MIDNIGHT - HOUR)
        assert (lost(here.compare()), here.alarms(), items(here)) == ({}, {}, 0)
        assert there.statuses == [0, 0, 0]


def test_reports_on_associations_of_its_own_count_and_one_that_leaves_out_an_instance_concludes_nothing(
    ward: Callable[..., ComparedNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    with cloud() as there:
        here = ward(dicom=committing(there.port, "0 s"))
        here.archive.trouble = NotOffered("no C-FIND")
        reports, left = CommitmentReports(here.catalogue, here.bus, here.clock, lambda: 0.0), [""]

        def report(_: float) -> None:
            """What the node's listener does, while the comparison waits."""
            lost_there = f"{study_of(3)}.1.2"
            for one in there.asked[-2:]:
                uids = [uid for _, uid in one.items]
                failed = [(uid, 0x0112) for uid in uids if uid == lost_there]
                kept = [uid for uid in uids if uid not in (lost_there, *left)]
                assert reports.take(Report(one.transaction, tuple(kept), tuple(failed))) == 0

        monkeypatch.setattr(committed_there, "MOST", 10)
        # The comparison's own pauses alone: the peer sleeps, too.
        monkeypatch.setattr(committed_there, "time", SimpleNamespace(monotonic=time.monotonic, sleep=report))
        found = here.compare()
        assert (lost(found), found.why_not, here.send_again(found)) == ({3: (1, "")}, BASELINE, 1)
        deliver(here.catalogue, 3, MIDNIGHT - HOUR)
        left = [f"{study_of(3)}.1.1"]
        found = here.compare()
        assert (lost(found), found.why_not, items(here)) == ({}, CUT, 0)
        left = [""]
        assert [len(one.items) for one in there.asked[:2]] == [10, 8]
        assert lost(here.compare()) == {3: (1, AGAIN)}  # what says nothing of it has not found it


def test_a_destination_that_reports_on_nothing_or_refuses_to_be_asked_concludes_nothing(
    ward: Callable[..., ComparedNode],
) -> None:
    with cloud() as there:
        here = ward(dicom=committing(there.port, "0 s"))
        dicom = here.config.destination[0].dicom
        assert dicom is not None

        def look(*, stop: bool = False) -> dict[str, StudyThere]:
            one = CommittedThere(dicom, here.catalogue, CLOUD, here.clock, lambda: stop, late=0)
            return one.look(dict.fromkeys([study_of(1), study_of(2)], INSTANCES))

        with pytest.raises(NotOffered, match="does not report"):
            look()
        late = Report(there.asked[0].transaction, (), tuple((uid, 0x0112) for _, uid in there.asked[0].items))
        assert CommitmentReports(here.catalogue, here.bus, here.clock, lambda: 0.0).take(late) == 0
        assert (here.selected(), here.alarms()) == (0, {})
        there.answer = 0x0213
        with pytest.raises(TransientError, match="0213"):
            look()
        with pytest.raises(TransientError, match="the node stops"):
            look(stop=True)
        assert (len(there.asked), items(here)) == (2, 0)
