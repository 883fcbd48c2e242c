"""The console's lists of what has no delivery, over real HTTP: studies without a report, refusals, files."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue.exams.files import FileKind, Lying
from router.catalogue.node.refusals import ASSOCIATIONS, IMAGES, Batch, RefusalCount, RefusedInstance, RefusedSender
from router.cli.queue import refused as refused_command
from router.cli.queue import unreported as unreported_command
from router.config.sections import Admin
from router.errors import TransientError
from router.events import Event, Kind
from router.refusals import Why
from router.reports.pdf.reader import Readers
from support.catalogue_rows import instance
from support.console_site import Site
from support.exam_workflow import ExamWorkflow
from support.intake_folder import exam, printed

PATHS = ("/unreported", "/refused", "/files")
EVIL = '<b title="x">'


@pytest.fixture
def site(tmp_path: Path, readers: Readers) -> Iterator[Site]:
    """A clinic in which something of each kind waits, and its console."""
    clinic = ExamWorkflow(tmp_path, readers)
    clinic.pacs("1.2.9", ae="US7", patient_id="P77", name="王^五")
    clinic.catalogue.refusals.write(Batch(counts=[knock(clinic)], senders=[refused(clinic, ASSOCIATIONS)]))
    clinic.put("a1.json", exam())
    clinic.put("A1.PDF", printed("report"))
    clinic.put("张三/bad 20240506123.json", b"{")
    clinic.put("readme.txt", b"x")
    folder = clinic.pickup()
    for _ in range(4):
        clinic.clock.advance(400)
        folder.step()
    clinic.settle()
    made = Site(clinic, Admin())
    yield made
    made.server.stop()
    clinic.catalogue.engine.close_thread()


def knock(clinic: ExamWorkflow, calling: str = f"MR{EVIL}", **changes: object) -> RefusalCount:
    now = clinic.clock.now()
    one = RefusalCount(
        day=f"{now:%Y-%m-%d}", calling=calling, address="10.1.2.3", called="ROUTER", why=Why.SENDER, study_uid="",
        reason="not a sender", count=3, first=now, last=now,
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]  # the test's own names


def refused(clinic: ExamWorkflow, kind: str, why: str = Why.SENDER) -> RefusedSender:
    now = clinic.clock.now()
    return RefusedSender(
        kind=kind, calling=f"MR{EVIL}", address="10.1.2.3", called="ROUTER", why=why, reason="not a sender", count=3,
        untracked=0, first=now, last=now,
    )  # fmt: skip


def dismiss(site: Site, path: str, chosen: str, **changes: str) -> str:
    form = {"csrf": site.csrf, "chosen": chosen, "why": "it is a phantom"} | changes
    got = site.ask(f"{path}/dismiss", form)
    assert got.status == 303, got.text
    return got.headers["Location"]


def chosen(page: str, row: str) -> str:
    """The mark of the row that has this text."""
    (mark,) = [
        found[1]
        for each in re.findall(r"<tr>(.*?)</tr>", page)
        if row in each and (found := re.search(r'name="chosen" value="(\w+)"', each))
    ]
    return str(mark)


def told(site: Site, kind: Kind) -> list[Event]:
    return [event for event in site.clinic.events if event.kind == kind and event.who == "wang"]


def test_each_list_is_looked_at_without_patient_data_and_names_what_waits(site: Site) -> None:
    pages = {path: site.ask(path) for path in PATHS}
    for got in pages.values():
        assert got.status == 200
        assert "default-src 'none'" in got.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?! src=\"/console.js\" defer></script>)|style=|<b title", got.text)
        assert [word for word in ("张三", "王", "P77", "20240506123") if word in got.text] == []
        assert 'type="radio"' not in got.text
    for path, words in (
        ("/unreported", ("1.2.9", "US7")),
        ("/refused", ("MR&lt;b", "10.1.2.3", "[receive] senders")),
        ("/files", ("f1", "20…23", "its ending is none of", "upper and lower case", "e1")),
    ):
        assert [word for word in words if word not in pages[path].text] == []
        assert site.ask(f"{path}?lang=zh_CN").status == 200


def test_the_lists_have_the_columns_of_the_commands(site: Site) -> None:
    studies, refused, files = (
        re.findall("<th>(.*?)</th>", site.ask(path).text.partition("</table>")[0])
        for path in ("/unreported", "/refused", "/files")
    )
    assert studies == list(unreported_command._COLUMNS)
    below = ("What", "What to do")  # below the table there
    assert [column for column in refused if column not in below] == list(refused_command._COLUMNS)
    assert files == ["File", "Since", "Exam", "Name", "Kind", "Because"]


def test_the_lists_are_linked_from_every_page_and_from_what_waits_for_a_person(site: Site) -> None:
    now = site.clinic.clock.now()
    for alarm in (Alarm.UNREPORTED, Alarm.REFUSED_SENDER, Alarm.REFUSED_IMAGES):
        site.clinic.bus.record(Event(now, Kind.ALARM, f"of {alarm}", alarm=alarm, subject="x"))
    page = site.ask("/").text
    assert [path for path in PATHS if f'<a href="{path}">' not in site.ask("/queue").text] == []
    for path, text in zip(
        ("/unreported", "/refused", "/refused"), ("unreported", "refused-sender", "refused-images"), strict=True
    ):
        assert f'<a href="{path}"><span class="trouble">of {text}</span></a>' in page
    rejected = re.search(r'<a href="/files"><span class="trouble">(.*?)</span></a>', page)
    assert rejected is not None, "the refused file is an alarm by itself"


def test_a_sender_without_reports_is_dismissed_in_the_persons_name(site: Site) -> None:
    site.log_in()
    mark = chosen(site.ask("/unreported").text, "US7")
    site.clinic.pacs("1.2.10", ae="US7")
    assert dismiss(site, "/unreported", mark) == "/unreported?done=1"
    (event,) = told(site, Kind.DECIDED)
    assert event.text == "studies of US7 need no report: it is a phantom"
    assert [one.sender for one in site.clinic.catalogue.unreported.dismissals()] == ["US7"]
    page = site.ask("/unreported?done=1").text
    assert "Done." in page
    assert 'type="radio"' not in page
    assert dismiss(site, "/unreported", "0" * 16) == "/unreported?done=0"


def test_a_refused_sender_is_dismissed_for_the_cause_that_was_shown(site: Site) -> None:
    site.log_in()
    mark, refusals = chosen(site.ask("/refused").text, "MR&lt;b"), site.clinic.catalogue.refusals
    site.clinic.clock.advance(1)
    refusals.write(Batch(senders=[refused(site.clinic, ASSOCIATIONS, Why.CERTIFICATE)]))
    assert dismiss(site, "/refused", mark) == "/refused?done=0"
    assert told(site, Kind.DECIDED) == []
    mark = chosen(site.ask("/refused").text, "MR&lt;b")
    refusals.write(Batch(senders=[refused(site.clinic, ASSOCIATIONS, Why.CERTIFICATE)]))
    subject = f"sender MR{EVIL} (10.1.2.3)"
    alarm = Event(site.clinic.clock.now(), Kind.ALARM, "x", alarm=Alarm.REFUSED_SENDER, subject=subject)
    site.clinic.bus.record(alarm)
    assert dismiss(site, "/refused", mark) == "/refused?done=1", "refused again for the same cause"
    assert [(e.who, e.alarm) for e in told(site, Kind.CLEARED)] == [("wang", Alarm.REFUSED_SENDER)]
    (one,) = refusals.senders()
    assert one.dismissal == "wang: it is a phantom"
    assert "wang: it is a phantom" in site.ask("/refused").text


def test_images_refused_after_the_person_looked_are_not_dismissed(site: Site) -> None:
    site.log_in()
    refusals, calling, address = site.clinic.catalogue.refusals, f"MR{EVIL}", "10.1.2.3"

    def refuse(sop_uid: str) -> None:
        at = site.clinic.clock.now()
        instances = [RefusedInstance(sop_uid, calling, address, at)]
        refusals.write(Batch(senders=[refused(site.clinic, IMAGES, "A700")], instances=instances))

    refuse("1.9.1")
    mark = chosen(site.ask("/refused").text, ">images<")
    refuse("1.9.2")
    assert dismiss(site, "/refused", mark) == "/refused?done=0"
    assert refusals.missing() == {"1.9.1", "1.9.2"}
    assert dismiss(site, "/refused", chosen(site.ask("/refused").text, ">images<")) == "/refused?done=1"
    assert refusals.missing() == frozenset()


def test_names_of_files_are_shown_to_who_asks_and_that_is_recorded_first(site: Site) -> None:
    site.log_in()
    assert "张三" not in site.ask("/files").text
    site.sealing = TransientError("the trail cannot be written")
    got = site.ask("/files/names", {"csrf": site.csrf})
    assert (got.status, "张三" in got.text) == (503, False)
    site.sealing = None
    page = site.ask("/files/names", {"csrf": site.csrf}).text
    for word in ("张三/bad 20240506123.json", "readme.txt", "nearly a1.json"):
        assert word in page
    assert told(site, Kind.VIEWED)[-1].text == "names of the drop folder's files shown at the console"
    assert 'href="/files?lang=zh_CN"' in page


def test_a_file_is_dismissed_as_it_was_shown(site: Site) -> None:
    site.log_in()
    files = site.clinic.catalogue.exams.files
    (other,) = files.listed(FileKind.OTHER)
    mark = chosen(site.ask("/files").text, "other file</span>")
    files.enter(replace(other.found, mark="changed"), site.clinic.clock.now())
    assert dismiss(site, "/files", mark) == "/files?done=0"
    assert dismiss(site, "/files", chosen(site.ask("/files").text, "other file")) == "/files?done=1"
    (event,) = told(site, Kind.DECIDED)
    assert event.text == f"file {other.name} of the drop folder (other) is dismissed: it is a phantom"
    assert "other file</span>" not in site.ask("/files").text


def test_every_file_of_a_kind_is_dismissed_where_no_other_came(site: Site) -> None:
    site.log_in()
    files, now = site.clinic.catalogue.exams.files, site.clinic.clock.now()

    def mark() -> str:
        found = re.search(r'<option value="(\w+)">other file \(\d+\)</option>', site.ask("/files").text)
        assert found is not None
        return found[1]

    shown = mark()
    files.enter(Lying(kind=FileKind.OTHER, path="more.txt", why="ending"), now)
    assert dismiss(site, "/files", shown) == "/files?done=0"
    assert dismiss(site, "/files", mark()) == "/files?done=1"
    assert [one.dismissed is None for one in files.listed(FileKind.OTHER)] == [False, False]
    assert [one for one in files.listed(FileKind.REJECTED) if one.dismissed is not None] == []


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_dismissed_without_reason_login_session_or_audit(site: Site, path: str) -> None:
    site.log_in()
    mark = re.search(r'name="chosen" value="(\w+)"', site.ask(path).text)
    assert mark is not None
    form = {"csrf": site.csrf, "chosen": mark[1], "why": "x"}
    changes: tuple[tuple[dict[str, str], int], ...] = (({"why": " "}, 400), ({"chosen": ""}, 400), ({"csrf": "x"}, 403))
    for each, status in changes:
        assert site.ask(f"{path}/dismiss", form | each).status == status
    assert site.ask(f"{path}/dismiss").status == 405
    site.sealing = TransientError("the trail cannot be written")
    assert site.ask(f"{path}/dismiss", form).status == 503
    site.sealing = None
    cookies, site.cookies = site.cookies, {}
    for act in ("dismiss", "names"):
        assert site.ask(f"/files/{act}", form).headers["Location"] == "/login"
    site.cookies = cookies
    assert dismiss(site, path, mark[1]).endswith("done=1"), "it was there all the time"


def test_long_lists_are_told_in_pages_with_the_count_of_the_rest(site: Site) -> None:
    clinic = site.clinic
    now = clinic.clock.now()
    knocks = [knock(clinic, f"MR{n:03}", last=now - timedelta(seconds=n)) for n in range(420)]
    clinic.catalogue.refusals.write(Batch(counts=knocks))
    lying = [Lying(kind=FileKind.OTHER, path=f"{n:03}.txt", why="ending") for n in range(420)]
    clinic.catalogue.exams.files.keep(FileKind.OTHER, lying, len(lying), now)
    clinic.catalogue.instances.add([instance(n, f"1.2.7.{n}", received=now) for n in range(420)])
    for path in PATHS:
        first, last = site.ask(path).text, site.ask(f"{path}?page=2").text
        whole = re.search(r"rows 1 to 200 of (\d+), (\d+) more", first)
        assert whole is not None
        assert int(whole[1]) - 200 == int(whole[2])
        assert f'href="{path}?page=1"' in first
        assert f"rows 401 to {whole[1]} of {whole[1]}, 0 more" in last
        assert f'href="{path}?page=1"' in last
        assert f'href="{path}?page=3"' not in last
        assert first.count("<tr>") < 250
        assert site.ask(f"{path}?page=9999").status == site.ask(f"{path}?page=x").status == 200
