"""Images that no exam JSON names: counted, listed, explained, and alarms about them that come and end."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.clock import FakeClock
from router.config.file import parse
from router.correlator.holidays import Holidays
from router.events import Kind
from router.intake.exam_reader import ExamReader
from router.reports.pdf.reader import Readers
from router.review.database_status import look
from router.review.decisions import OperatorReason
from router.review.reconcile import Reconciliation
from router.review.unreported import dismiss
from router.upkeep.daily import Daily
from router.upkeep.silence import SilenceWatch
from support.catalogue_rows import instance
from support.exam_workflow import CLOUD, ExamWorkflow
from support.harness import command_here
from support.intake_folder import CONFIG, E1

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)  # 08:00 by the hospital's clock
WANG = OperatorReason("wang", "a scanner of the laboratory")


class UnreportedWatch(ExamWorkflow):
    """Senders, a RIS, and the watch over what has no report. The clock begins on Monday, 08:00 of the hospital."""

    def __init__(self, folder: Path, readers: Readers, settings: str = "") -> None:
        super().__init__(folder, readers, settings)
        (folder / "router.toml").write_text(CONFIG + CLOUD + settings, encoding="utf-8")
        self.clock = FakeClock(MONDAY)
        self.restart()

    def _open(self) -> None:
        super()._open()
        self.watch = SilenceWatch(self.config, self.catalogue, self.bus, self.clock)

    def comes(
        self, uid: str, ae: str = "CT1", *, modality: str = "CT", date: str | None = None, number: int = 1
    ) -> None:
        """An instance of a study of the day, or of another date (DA)."""
        self.clock.advance(1)
        now = self.clock.now()
        day = f"{now.astimezone(self.config.node.timezone):%Y%m%d}" if date is None else date
        new = instance(number, uid, accession=f"A{uid}", modality=modality, received=now)
        header = replace(new.header, sending_ae=ae, sending_address="10.1.2.3", study_date=day)
        self.catalogue.instances.add([replace(new, header=header)])

    def is_named(self, *uids: str, hospital: str = "") -> None:
        """Exams list these studies."""
        for uid in uids:
            number = self.catalogue.exams.number_of(hospital, "01", f"X{uid}", self.clock.now())
            self.catalogue.exams.links.link(number, [uid], "listed", self.clock.now())

    def till(self, text: str) -> None:
        """Time goes by until then, by the hospital's clock, and the watch looks."""
        then = datetime.fromisoformat(text).replace(tzinfo=self.config.node.timezone)
        self.clock.advance((then - self.clock.now()).total_seconds())
        self.watch.step()

    def standing(self) -> set[str]:
        return {one.subject for one in self.catalogue.alarms.standing() if one.alarm == Alarm.UNREPORTED}


@pytest.fixture
def wards(tmp_path: Path, readers: Readers) -> Iterator[Callable[..., UnreportedWatch]]:
    made: list[UnreportedWatch] = []

    def opened(settings: str = "") -> UnreportedWatch:
        made.append(UnreportedWatch(tmp_path, readers, settings))
        return made[-1]

    yield opened
    for one in made:
        one.catalogue.engine.close_thread()


@pytest.fixture
def ward(wards: Callable[..., UnreportedWatch]) -> UnreportedWatch:
    return wards()


def unmapped(ward: UnreportedWatch, hospital: str = "") -> None:
    """A day on which CT2's reports do not come and CT1's do; of several hospitals all are this one's."""
    for n in range(3):
        ward.comes(f"1.1.{n}", "CT1")
        ward.comes(f"1.2.{n}", "CT2")
    if hospital:
        brought = {f"1.{sender}.{n}": [hospital] for sender in (1, 2) for n in range(3)}
        ward.catalogue.instances.note_hospitals(brought, ward.clock.now())
    ward.later(hours=2)
    ward.is_named("1.1.0", "1.1.1", "1.1.2", hospital=hospital)


@pytest.mark.ends("unreported")
@pytest.mark.fires("unreported")
def test_a_sender_none_of_whose_studies_has_its_report_is_an_alarm_until_one_has(ward: UnreportedWatch) -> None:
    unmapped(ward)
    ward.till("2026-03-03 01:50")
    assert ward.standing() == set()
    ward.till("2026-03-03 02:00")
    assert ward.standing() == {"sender CT2"}
    assert ward.told(Kind.ALARM)[-1].startswith("none of the 3 studies of 2026-03-02 that CT2 sent")
    ward.till("2026-03-03 02:10")
    assert len([text for text in ward.told(Kind.ALARM) if "CT2" in text]) == 1
    ward.restart()
    ward.is_named("1.2.1")
    ward.till("2026-03-03 02:20")
    assert ward.standing() == set()


def test_of_several_hospitals_the_alarm_is_that_of_the_senders_and_ends_when_it_is_dismissed(
    ward: UnreportedWatch,
) -> None:
    unmapped(ward, "renmin")
    ward.till("2026-03-03 02:00")
    standing = [one for one in ward.catalogue.alarms.standing() if one.alarm == Alarm.UNREPORTED]
    assert [(one.subject, one.hospital) for one in standing] == [("sender CT2 of renmin", "renmin")]
    dismiss(ward.catalogue, ward.bus, ward.clock, "CT2", WANG)
    assert ward.standing() == set()


def test_an_alarm_whose_cause_ended_while_the_node_was_down_ends_at_its_start(ward: UnreportedWatch) -> None:
    unmapped(ward)
    ward.till("2026-03-03 02:00")
    for uid in ("1.2.0", "1.2.1", "1.2.2"):
        (old,) = [one for one in ward.catalogue.purge.unmatched(ward.clock.now(), 10) if one.uid == uid]
        while ward.catalogue.purge.take(old, ward.clock.now(), ward.clock.now()):
            pass
    ward.restart()
    ward.watch.step()
    assert ward.standing() == set()


def test_an_exam_json_takes_its_study_from_the_count_at_once(ward: UnreportedWatch) -> None:
    ward.comes("5.5")
    ward.comes("5.6")
    assert look(ward.config, ward.catalogue, ward.clock.now()).unreported.count == 2
    ward.ris(Study__StudyInstanceUIDs=["5.5"])
    found = look(ward.config, ward.catalogue, ward.clock.now()).unreported
    assert (found.count, found.recent, found.by_sender) == (1, 1, (("CT1", 1),))
    assert found.oldest == ward.catalogue.unreported.waiting()[0].came


@pytest.mark.fires("unreported")
def test_a_ris_that_fell_silent_is_one_alarm_about_the_reports_folder(ward: UnreportedWatch) -> None:
    for n in range(3):
        for number, ae in enumerate(("CT1", "CT2", "MR1")):
            ward.comes(f"1.{number}.{n}", ae)
    ward.till("2026-03-03 02:00")
    assert ward.standing() == {"reports folder"}
    ward.is_named("1.0.0", "1.1.0", "1.2.0")
    ward.till("2026-03-03 02:10")
    assert ward.standing() == set()


@pytest.mark.fires("unreported")
def test_more_overdue_studies_than_usual_are_an_alarm_until_there_are_fewer(ward: UnreportedWatch) -> None:
    for n in range(21):
        ward.comes(f"1.{n}", f"CT{n}")
    ward.till("2026-03-05 08:00")
    assert ward.standing() == set()
    ward.till("2026-03-05 08:10")
    assert ward.standing() == {"studies"}
    assert "21 studies lack their report after 3 working days, more than 20" in ward.told(Kind.ALARM)[-1]
    ward.is_named("1.0")
    ward.till("2026-03-05 08:20")
    assert ward.standing() == set()


def test_after_a_week_the_usual_number_counts_and_not_twenty(ward: UnreportedWatch) -> None:
    for n in range(21):
        ward.comes(f"1.{n}", f"CT{n}")
    for day in range(5, 13):
        ward.till(f"2026-03-{day:02} 12:00")
    assert ward.standing() == set(), "21 are usual here by now"
    for n in range(22):
        ward.comes(f"2.{n}", f"CT{n}")
    ward.till("2026-03-18 12:00")
    assert ward.standing() == {"studies"}


def test_priors_other_modalities_and_studies_of_before_the_start_raise_nothing(
    wards: Callable[..., UnreportedWatch],
) -> None:
    ward = wards('[share]\nfrom = "2026-03-02"\n')
    for n in range(30):
        ward.comes(f"1.{n}", "PACS", date="20240101")
        ward.comes(f"2.{n}", "US1", modality="US")
        ward.comes(f"3.{n}", "CT1", date="20260301")
    ward.till("2026-03-20 12:00")
    assert ward.standing() == set()
    found = look(ward.config, ward.catalogue, ward.clock.now()).unreported
    assert (found.count, found.recent) == (90, 0)


def test_phantoms_that_a_rule_keeps_back_raise_nothing(wards: Callable[..., UnreportedWatch], tmp_path: Path) -> None:
    rules = (
        '[[share.exclude]]\nname = "phantoms"\nAccessionNumber = "^A1[.]1"\n'
        '[[share.exclude]]\nname = "staff"\nAccessionNumber = "A"\n"Visit.PatientType" = "^$"\n'
    )
    ward = wards(rules)
    unmapped(ward)
    for n in range(30):
        ward.comes(f"1.1.9{n}", f"QA{n}")
    assert look(ward.config, ward.catalogue, ward.clock.now()).unreported.recent == 3
    ward.till("2026-03-06 12:00")
    assert ward.standing() == {"sender CT2"}
    assert "raises no alarm: rule 'phantoms'" in told(tmp_path, "queue", "explain", "1.1.91")


def test_a_holiday_of_the_file_beside_the_configuration_counts_as_soon_as_it_is_there(
    ward: UnreportedWatch, tmp_path: Path
) -> None:
    for n in range(21):
        ward.comes(f"1.{n}", f"CT{n}")
    (tmp_path / "holidays.txt").write_text("2026-03-03\n2026-03-04\n", encoding="utf-8")
    ward.till("2026-03-05 12:00")
    assert ward.standing() == set()
    (tmp_path / "holidays.txt").write_text("2026-03-03 # only this\n", encoding="utf-8")
    ward.till("2026-03-06 12:00")
    assert ward.standing() == {"studies"}


def test_a_line_that_is_no_date_is_an_alarm_until_it_is_corrected(ward: UnreportedWatch, tmp_path: Path) -> None:
    (tmp_path / "holidays.txt").write_text("2026-03-03\nnext Monday\n", encoding="utf-8")
    ward.watch.step()
    assert "these lines are no date and are left out: 2" in ward.told(Kind.ALARM)[-1]
    (tmp_path / "holidays.txt").write_text("2026-03-03\n", encoding="utf-8")
    ward.restart()
    ward.watch.step()
    assert not ward.catalogue.alarms.stands(Alarm.SETTINGS, "holidays")


@pytest.mark.parametrize("data", [
    "2026-03-03\r\n# 休\r\n".encode(), "\ufeff2026-03-03\n".encode(), "2026-03-03 休\n".encode("gb18030"),
    "2026-03-03 休\n".encode("utf-16"), b"2026-03-03\0",
])  # fmt: skip
def test_the_file_is_read_whatever_editor_wrote_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "holidays.txt").write_bytes(data)
    found = Holidays(tmp_path / "holidays.txt").reading()
    assert (len(found.days.free), found.faults) == (1, ())


def test_without_a_file_the_shipped_one_counts_and_one_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    holidays = Holidays(tmp_path / "holidays.txt")
    shipped = holidays.reading()
    assert len(shipped.days.free) == 33
    (tmp_path / "holidays.txt").mkdir()
    assert holidays.reading() == shipped


# -- as people see it


def told(folder: Path, *arguments: str) -> str:
    answer = command_here(*arguments, "--config", folder / "router.toml")
    assert answer.returncode == (1 if arguments[0] == "status" else 0), answer.stderr  # no node runs here
    return answer.stdout


def now_is(ward: UnreportedWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands see the ward's clock."""
    monkeypatch.setattr("router.clock.SystemClock.now", lambda _: ward.clock.now())


def test_the_list_says_where_each_study_came_from_and_how_old_it_is(
    ward: UnreportedWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_is(ward, monkeypatch)
    ward.comes("1.2.3", "CT1")
    came = ward.clock.now()
    ward.comes("1.2.3", "CT1", number=2, modality="SR")
    last = ward.clock.now()
    ward.comes("1.2.4", "PACS", date="20240101")
    ward.comes("1.2.5", "CT1")
    ward.is_named("1.2.5")
    ward.later(days=6)
    first, prior = json.loads(told(tmp_path, "queue", "unreported", "--json"))
    assert first == {
        "study": "1.2.3", "sender": "CT1", "address": "10.1.2.3", "modalities": ["CT", "SR"],
        "study_date": "20260302", "instances": 2, "came": came.isoformat(), "last": last.isoformat(),
        "working_days": 4.7, "recent": True, "hospital": "",
    }  # fmt: skip
    assert (prior["study"], prior["sender"], prior["recent"]) == ("1.2.4", "PACS", False)
    text = told(tmp_path, "queue", "unreported")
    assert [line.split() for line in text.splitlines() if line.startswith("1.2.")] == [
        ["1.2.3", "CT1", "10.1.2.3", "CT+", "20260302", "2", "03-02", "4.7"],
        ["1.2.4", "PACS", "10.1.2.3", "CT", "20240101", "1", "03-02", "4.7*"],
    ]
    assert ["CT1", "10.1.2.3", "1", "1", "2", "4.7"] in [line.split() for line in text.splitlines()]


def test_the_list_can_be_narrowed_by_sender_and_age(
    ward: UnreportedWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_is(ward, monkeypatch)
    ward.comes("1.1")
    ward.later(days=2)
    ward.comes("1.2")
    ward.comes("1.3", "MR1")

    def found(*more: str) -> list[str]:
        return [one["study"] for one in json.loads(told(tmp_path, "queue", "unreported", "--json", *more))]

    assert found() == ["1.1", "1.2", "1.3"]
    assert found("--sender", "MR1") == ["1.3"]
    assert found("--older", "2d") == ["1.1"]
    assert found("--older", "3 d") == []
    assert "no study lacks its report" in told(tmp_path, "queue", "unreported", "--older", "3d")
    assert command_here("queue", "unreported", "--older", "soon", "--config", tmp_path / "router.toml").returncode == 2


def test_the_table_fits_80_columns_with_the_longest_names(ward: UnreportedWatch, tmp_path: Path) -> None:
    uid = "1.2.826.0.1.3680043.8.498.12345678901234567890123456789012345678"
    for number, address in enumerate(("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "192.168.100.200")):
        for n, modality in enumerate(("CT", "SR")):
            new = instance(n, f"{uid[:-1]}{number}", received=ward.clock.now(), modality=modality)
            header = replace(
                new.header, sending_ae="A" * 15 + str(number), sending_address=address, study_date="20240101"
            )
            ward.catalogue.instances.add([replace(new, header=header)])
    dismiss(ward.catalogue, ward.bus, ward.clock, "A" * 15 + "1", WANG)
    text = told(tmp_path, "queue", "unreported")
    assert max(map(len, text.splitlines())) <= 80
    assert "…" in text
    assert "dismissed" in text
    assert "192.168.100.200" in text
    assert not re.search("[张三]|Zhang|P1", text), "patient data"


def test_a_dismissed_sender_raises_no_alarm_until_one_of_its_studies_is_reported(
    ward: UnreportedWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_is(ward, monkeypatch)
    unmapped(ward)
    ward.till("2026-03-03 02:00")
    answer = told(tmp_path, "queue", "unreported", "--dismiss", "CT2", "--why", "research", "--who", "wang")
    assert "3 studies of CT2" in answer
    assert ward.standing() == set()
    ward.watch.step()
    assert ward.standing() == set()
    assert "dismissed" in told(tmp_path, "queue", "unreported")
    (one,) = ward.catalogue.unreported.dismissals()
    assert (one.who, one.why, one.until) == ("wang", "research", None)

    ward.till("2026-03-03 08:00")
    ward.comes("2.2.0", "CT2")
    ward.later(hours=2)
    ward.is_named("2.2.0")
    ward.later(hours=2)
    ward.watch.step()
    assert ward.standing() == set(), "what was dismissed stays so"
    ward.till("2026-03-04 08:00")
    for n in range(3):
        ward.comes(f"3.1.{n}", "CT1")
        ward.comes(f"3.2.{n}", "CT2")
    ward.is_named("3.1.0")
    ward.till("2026-03-05 02:00")
    assert ward.standing() == {"sender CT2"}


def test_dismissing_is_recorded_with_who_and_why_and_wants_a_reason_and_a_sender(
    ward: UnreportedWatch, tmp_path: Path
) -> None:
    ward.comes("1.1", "CT2")
    config = ["--config", tmp_path / "router.toml"]
    assert command_here("queue", "unreported", "--dismiss", "CT2", *config).returncode == 2
    refused = command_here("queue", "unreported", "--dismiss", "CT9", "--why", "x", *config)
    assert refused.returncode == 1
    assert "no study of this sender lacks its report" in refused.stderr
    assert dismiss(ward.catalogue, ward.bus, ward.clock, "CT2", WANG) == 1
    (event,) = [event for event in ward.events if event.kind == Kind.DECIDED]
    assert (event.who, event.subject) == ("wang", "sender CT2")
    assert "a scanner of the laboratory" in event.text


def test_explain_says_since_when_from_where_and_that_it_counts(
    ward: UnreportedWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_is(ward, monkeypatch)
    ward.comes("5.5", "CT1")
    ward.comes("5.6", "PACS", date="20240101")
    ward.later(days=1)
    text = told(tmp_path, "queue", "explain", "5.5")
    assert "no report since 2026-03-02 08:00:01, 1 working days; it came from CT1 (10.1.2.3)" in text
    assert "counts as unreported" in text
    assert "raises no alarm: a prior" in told(tmp_path, "queue", "explain", "5.6")
    (found,) = json.loads(told(tmp_path, "queue", "explain", "5.5", "--json"))
    assert found["unreported"]["sender"] == "CT1"
    ward.ris(E1, Study__StudyInstanceUIDs=["5.5"])
    assert "counts as unreported" not in told(tmp_path, "queue", "explain", "5.5")


def test_status_and_the_daily_report_have_a_line(ward: UnreportedWatch, tmp_path: Path) -> None:
    assert "Without a report: no study" in told(tmp_path, "status")
    ward.comes("5.5", "CT1")
    came = ward.clock.now()
    ward.comes("5.6", "PACS", date="20240101")
    ward.comes("5.7", "PACS", date="20240101")
    line = next(line for line in told(tmp_path, "status").splitlines() if line.startswith("Without a report"))
    assert line == "Without a report: 3 (1 recent), the oldest since 03-02 08:00: `scripts/queue unreported`"
    found = json.loads(told(tmp_path, "status", "--json"))
    assert found["unreported"] == {"count": 3, "recent": 1, "oldest": came.isoformat()}
    ward.later(days=1)
    accounts = Reconciliation(ward.catalogue, ExamReader(ward.config), ward.storage.reports.read)
    known = (ward.config, ward.catalogue, ward.bus, ward.clock)
    Daily(*known, reconciliation=accounts, dailies=ward.storage.dailies).step()
    (text,) = ward.storage.dailies.folder.glob("*.txt")
    lines = text.read_text().splitlines()
    assert "Studies that no exam names: 3, of which 1 should get their report" in lines
    assert lines[-2:] == ["- 2 sent by PACS", "- 1 sent by CT1"]


def test_a_changed_configuration_counts_from_the_next_look(ward: UnreportedWatch, tmp_path: Path) -> None:
    for n in range(21):
        ward.comes(f"1.{n}", f"CT{n}")
    ward.till("2026-03-04 08:30")
    assert ward.standing() == set()
    text = (CONFIG + CLOUD).replace("[study]", '[study]\nunreported_after = "2 d"')
    ward.watch.reconfigure(parse(text, base=tmp_path))
    ward.watch.step()
    assert ward.standing() == {"studies"}
