"""Files of the drop folder that no exam comes of: which are listed, which are alarms, and when that ends."""

import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from router.alarms import Alarm
from router.catalogue.exams.files import FileKind, FolderFile
from router.events import Kind
from router.intake.pickup import Pickup
from router.reports.folder import directory, originals, watch
from router.review.decisions import OperatorReason
from router.review.dismissals import Dismissals
from support.hl7_messages import oru
from support.intake_folder import E1, E2, IntakeFolder, OpenDesk, another, exam, printed

REJECTED, UNCLAIMED, NEAR, OTHER = FileKind
BROKEN = b'{"ExamId": '
KEEP = 'on_pickup = "keep"\n'


def steps(desk: IntakeFolder, loop: Pickup, seconds: float = 31, count: int = 3) -> None:
    """So many scans, with a pause before each."""
    for _ in range(count):
        desk.clock.advance(seconds)
        loop.step()


def listed(desk: IntakeFolder, kind: FileKind | None = None) -> list[FolderFile]:
    return [one for one in desk.exams.files.open() if kind in (None, one.found.kind)]


def paths(desk: IntakeFolder, kind: FileKind) -> list[str]:
    return sorted(one.found.path for one in listed(desk, kind))


def standing(desk: IntakeFolder) -> list[tuple[Alarm, str]]:
    return [(one.alarm, one.subject) for one in desk.catalogue.alarms.standing()]


def cleared(desk: IntakeFolder) -> list[str]:
    return desk.told(Kind.CLEARED)


# -- refused files


@pytest.mark.ends("rejected-file")
@pytest.mark.fires("rejected-file")
@pytest.mark.parametrize("keep", ["", KEEP], ids=["move", "keep"])
@pytest.mark.parametrize(("name", "data", "why"), [
    ("a.json", BROKEN, "json"),
    ("a.pdf", b"no PDF", "pdf"),
    ("a.hl7", b"MSH|no", "hl7"),
    ("a.json", b"{}", "exam-id"),
])  # fmt: skip
def test_a_refused_file_is_an_alarm_until_one_of_its_name_is_taken(
    open_desk: OpenDesk, name: str, data: bytes, why: str, keep: str
) -> None:
    desk = open_desk(keep)
    loop = desk.pickup()
    desk.put(f"branch2/{name}", data)
    steps(desk, loop)
    (one,) = listed(desk)
    assert (one.found.kind, one.found.path, one.found.why, one.found.branch) == (REJECTED, f"branch2/{name}", why, "02")
    assert one.found.text
    assert standing(desk) == [(Alarm.REJECTED_FILE, f"file {one.name}")]
    assert len(desk.told(Kind.ALARM)) == 1
    desk.restart()
    loop = desk.pickup()
    steps(desk, loop)
    assert standing(desk) == [(Alarm.REJECTED_FILE, f"file {one.name}")]
    good = {"a.json": exam(), "a.pdf": printed("report"), "a.hl7": oru().encode()}[name]
    desk.put(f"branch2/{name}", good)
    steps(desk, loop, 3)
    assert listed(desk, REJECTED) == []
    assert (Alarm.REJECTED_FILE, f"file {one.name}") not in standing(desk)
    assert any("was replaced by one that is taken" in text for text in cleared(desk))


def test_neither_alarms_nor_events_hold_a_file_name(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("张三.json", BROKEN)
    desk.put("张三.pdf", printed("report"))
    desk.put("张三.doc", b"x")
    desk.put("李四 - 副本.pdf", printed("report"))
    steps(desk, loop, 400, 4)
    assert len(listed(desk)) == 4
    assert not any("张三" in f"{event}" or "李四" in f"{event}" for event in desk.events)


@pytest.mark.parametrize("keep", ["", KEEP], ids=["move", "keep"])
@pytest.mark.parametrize("running", [True, False])
def test_the_alarm_of_a_refused_file_ends_when_a_person_removes_it_also_while_the_node_is_down(
    open_desk: OpenDesk, keep: str, running: bool
) -> None:
    desk = open_desk(keep)
    loop = desk.pickup()
    desk.put("sub/a.json", BROKEN)
    steps(desk, loop)
    assert len(standing(desk)) == 1
    if keep:
        shutil.rmtree(next((desk.config.node.data / "quarantine").iterdir()))
    else:
        (desk.inbox / "rejected/sub/a.json").unlink()
    if not running:
        desk.restart()
        loop = desk.pickup()
    steps(desk, loop)
    assert (standing(desk), listed(desk)) == ([], [])
    assert "file f1, a file that had been refused, was removed" in cleared(desk)


def test_with_keep_a_refused_file_that_is_removed_from_the_folder_is_no_alarm_any_more(open_desk: OpenDesk) -> None:
    desk = open_desk(KEEP)
    loop = desk.pickup()
    path = desk.put("a.json", BROKEN)
    desk.put("b.json", exam())
    steps(desk, loop)
    path.unlink()
    steps(desk, loop)
    assert standing(desk) == []


def test_all_of_rejected_removed_ends_every_alarm_and_a_folder_that_is_away_none(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    for name in "abc":
        desk.put(f"{name}.json", BROKEN)
    steps(desk, loop)
    assert len(standing(desk)) == 3
    away = desk.inbox.rename(desk.inbox.with_name("away"))
    steps(desk, loop)
    desk.inbox.mkdir()  # the mount point of a share
    steps(desk, loop)
    desk.restart()
    loop = desk.pickup()
    steps(desk, loop)
    assert len([one for one in standing(desk) if one[0] == Alarm.REJECTED_FILE]) == 3
    desk.inbox.rmdir()
    away.rename(desk.inbox)
    shutil.rmtree(desk.inbox / "rejected")
    (desk.inbox / "x.doc").touch()
    steps(desk, loop)
    assert standing(desk) == []


def test_a_branch_folder_whose_mount_is_away_ends_no_alarm(desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    mount, mounted = desk.inbox / "branch2", [True]

    def device(handle: int) -> int:
        here = Path(f"/proc/self/fd/{handle}").readlink()
        return 2 if mounted and here.is_relative_to(mount) else 1

    monkeypatch.setattr(directory, "device", device)
    monkeypatch.setattr(watch, "device", device)
    loop = desk.pickup()
    desk.put("branch2/a.json", BROKEN)
    steps(desk, loop)
    shutil.move(mount, desk.inbox.with_name("share"))
    mount.mkdir()
    mounted.clear()
    (desk.inbox / "x.doc").touch()
    steps(desk, loop)
    assert len(standing(desk)) == 1
    mount.rmdir()
    shutil.move(desk.inbox.with_name("share"), mount)
    mounted.append(True)
    (mount / "rejected/a.json").unlink()
    steps(desk, loop)
    assert standing(desk) == []


def test_rejected_as_a_link_or_a_file_swapped_for_one_gains_nothing(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("a.json", BROKEN)
    steps(desk, loop)
    secret = desk.config.node.data / "a.json"
    secret.write_bytes(b"key")
    lying = desk.inbox / "rejected/a.json"
    lying.unlink()
    lying.symlink_to(secret)
    steps(desk, loop)
    assert standing(desk) == []  # what was refused is gone
    assert secret.read_bytes() == b"key"


def test_a_file_refused_again_is_one_alarm_and_another_reason_is_told(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    for data in (BROKEN, BROKEN, b"{}"):
        desk.put("a.json", data)
        steps(desk, loop, 3)
    assert [one.name for one in listed(desk)] == ["f1"]
    assert [one.found.why for one in listed(desk)] == ["exam-id"]
    assert len(desk.told(Kind.ALARM)) == 2
    assert "no ExamId" in desk.catalogue.alarms.standing()[0].text


@pytest.mark.parametrize("keep", ["", KEEP], ids=["move", "keep"])
def test_a_dismissed_file_comes_back_when_it_changes_and_not_before(open_desk: OpenDesk, keep: str) -> None:
    desk = open_desk(keep)
    loop = desk.pickup()
    desk.put("a.json", BROKEN, hour=-1)
    steps(desk, loop)
    _dismiss(desk, "f1")
    assert standing(desk) == []
    desk.restart()
    loop = desk.pickup()
    steps(desk, loop)
    assert (standing(desk), listed(desk)) == ([], [])
    desk.put("a.json", b"[", hour=-2)
    steps(desk, loop)
    assert standing(desk) == [(Alarm.REJECTED_FILE, "file f1")]


def test_with_keep_content_that_was_refused_and_replaced_is_refused_anew_when_it_comes_back(
    open_desk: OpenDesk,
) -> None:
    desk = open_desk(KEEP)
    loop = desk.pickup()
    for data in (BROKEN, exam(), BROKEN):
        desk.put("a.json", data)
        steps(desk, loop)
    assert len(standing(desk)) == 1


def test_a_crash_between_the_move_and_its_row_leaves_an_alarm(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = originals.reject

    def dies(*given: Any) -> Any:
        real(*given)
        raise SystemExit

    monkeypatch.setattr(originals, "reject", dies)
    monkeypatch.setattr(desk.intake.leftovers, "take_back", lambda _: None)  # nothing runs after the end
    loop = desk.pickup()
    desk.put("a.json", BROKEN)
    with pytest.raises(SystemExit):
        steps(desk, loop)
    monkeypatch.undo()
    desk.restart()
    steps(desk, desk.pickup())
    assert standing(desk) == [(Alarm.REJECTED_FILE, "file f1")]


def test_a_trouble_right_after_the_move_leaves_an_alarm(desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = originals.reject

    def fails(*given: Any) -> Any:
        real(*given)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(originals, "reject", fails)
    loop = desk.pickup()
    desk.put("a.json", BROKEN)
    steps(desk, loop, 3)
    monkeypatch.undo()
    steps(desk, loop)
    assert standing(desk) == [(Alarm.REJECTED_FILE, "file f1")]


def test_a_file_that_cannot_be_moved_is_not_listed_as_refused(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(originals, "reject", closed)
    loop = desk.pickup()
    desk.put("a.json", BROKEN)
    steps(desk, loop)
    assert (paths(desk, REJECTED), paths(desk, OTHER)) == ([], ["a.json"])
    assert [alarm for alarm, _ in standing(desk)] == [Alarm.DROPPED_FILE]


@pytest.mark.parametrize(("name", "data"), [
    ("r1.pdf", b"no PDF"),  # by the name of its JSON
    ("else.json", b'{"ExamId": "' + E1.encode() + b'", "Report": {"Findi'),  # by what it says, cut off as it is
    ("R1 - 副本.pdf", b"no PDF"),  # by a near name
])  # fmt: skip
def test_a_refused_file_is_told_with_the_exam_that_it_seems_to_be_of(
    desk: IntakeFolder, name: str, data: bytes
) -> None:
    loop = desk.pickup()
    desk.put("r1.json", exam())
    steps(desk, loop)
    desk.put(name, data)
    steps(desk, loop)
    (number,) = desk.exams.find(E1)
    (one,) = listed(desk, REJECTED)
    assert one.found.exam == number
    assert desk.exams.files.of_exam(number) == [one]
    assert [alarm.exam for alarm in desk.catalogue.alarms.standing(number)] == [number]


# -- PDFs that no exam claims


@pytest.mark.ends("unclaimed-pdf")
@pytest.mark.fires("unclaimed-pdf")
@pytest.mark.parametrize("keep", ["", KEEP], ids=["move", "keep"])
def test_a_pdf_that_no_exam_claims_in_its_time_is_an_alarm_until_one_does(open_desk: OpenDesk, keep: str) -> None:
    desk = open_desk(keep)
    loop = desk.pickup()
    desk.put("a.pdf", printed(f"report of {E1}"))
    steps(desk, loop, 100)
    assert listed(desk) == []
    steps(desk, loop, 200)
    (one,) = listed(desk)
    assert (one.found.kind, one.found.path) == (UNCLAIMED, "a.pdf")
    assert standing(desk) == [(Alarm.UNCLAIMED_PDF, f"file {one.name}")]
    desk.restart()
    loop = desk.pickup()
    steps(desk, loop)
    assert len(desk.told(Kind.ALARM)) == 1
    desk.put("a.json", exam())
    steps(desk, loop, 3)
    assert (standing(desk), listed(desk)) == ([], [])
    assert desk.counts() == (1, 1)


def test_a_dismissed_pdf_stays_so_until_another_one_comes_under_its_name(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("a.pdf", printed("one"))
    steps(desk, loop, 400, 4)
    _dismiss(desk, "a.pdf")
    steps(desk, loop, 400)
    assert standing(desk) == []
    desk.put("a.pdf", printed("two"))
    steps(desk, loop, 400, 4)
    assert standing(desk) == [(Alarm.UNCLAIMED_PDF, "file f1")]


def test_the_alarm_of_a_pdf_ends_with_the_time_for_which_what_nobody_names_is_kept(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("a.pdf", printed("one"))
    steps(desk, loop, 86400, 29)
    assert len(standing(desk)) == 1
    steps(desk, loop, 86400, 5)
    assert (standing(desk), listed(desk)) == ([], [])
    assert len(desk.told(Kind.ALARM)) == 1
    desk.put("a.json", exam())
    steps(desk, loop, 3)
    assert desk.counts() == (1, 1)


def test_a_pdf_that_a_dicom_instance_brought_has_three_days(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.intake.take_encapsulated("1.2.3", printed("report"), desk.clock.now())
    steps(desk, loop, 86000)
    assert listed(desk) == []
    steps(desk, loop, 86000)
    assert paths(desk, UNCLAIMED) == ["dicom:1.2.3"]


def test_the_time_of_a_pdf_is_that_of_a_reloaded_configuration(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("a.pdf", printed("report"))
    steps(desk, loop, 3)
    reports = desk.config.reports.model_copy(update={"pair_within": desk.config.reports.settle})
    desk.intake.reconfigure(desk.config.model_copy(update={"reports": reports}))
    steps(desk, loop)
    assert paths(desk, UNCLAIMED) == ["a.pdf"]


# -- names that nearly pair


@pytest.mark.parametrize(("json", "pdf", "why"), [
    ("a1.json", "A1.PDF", "case"),
    ("José.json", unicodedata.normalize("NFD", "José") + ".pdf", "form"),
    ("a1.json", "a1 .pdf", "blank"),
    ("a1.json", "a1 - 副本.pdf", "copy"),
    ("a1.json", "a1 (1).pdf", "copy"),
    ("a1.json", "a1 - Copy.pdf", "case copy"),
    ("a1.json", "ａ1.pdf", "width"),
    ("a1.json", "a1.pdf.pdf", "ending"),
    ("a1.json.json", "a1.pdf", "ending"),
    ("院区/a1.json", "院区/A1.pdf", "case"),
])  # fmt: skip
@pytest.mark.parametrize("first", ["json", "pdf"])
def test_a_json_and_a_pdf_of_nearly_one_name_are_shown_and_never_paired(
    desk: IntakeFolder, json: str, pdf: str, why: str, first: str
) -> None:
    loop = desk.pickup()
    both = [(json, exam()), (pdf, printed(f"report of {E1}"))]
    for name, data in both if first == "json" else reversed(both):
        desk.put(name, data)
        steps(desk, loop)
    (number,) = desk.exams.find(E1)
    (one,) = listed(desk, NEAR)
    assert (one.found.near, one.found.exam) == (json, number)
    assert set(one.found.why.split()) <= set(why.split())
    assert one in desk.exams.files.of_exam(number)
    assert desk.counts() == (1, 0)
    steps(desk, loop, 400)
    assert [alarm for alarm, _ in standing(desk)] == [Alarm.UNCLAIMED_PDF]
    desk.put(json.removesuffix(".json") + ".pdf", printed(f"report of {E1}, again"))
    steps(desk, loop)
    assert desk.counts() == (1, 1)


@pytest.mark.parametrize("name", ["a1.json.txt", "A1.json.txt", "a1.html", "a1.JSON.bak", "a1.docx", "a1"])
def test_another_file_whose_name_nearly_pairs_with_a_pdf_that_waits_is_shown_with_it(
    desk: IntakeFolder, name: str
) -> None:
    loop = desk.pickup()
    desk.put("a1.pdf", printed("report"))
    desk.put(name, exam())
    steps(desk, loop)
    (one,) = listed(desk, NEAR)
    assert (one.found.path, one.found.near, one.found.exam) == (name, "a1.pdf", None)
    assert paths(desk, OTHER) == []
    assert (desk.inbox / name).exists()


@pytest.mark.parametrize("name", ["a1.pdf.txt", "a1.html", "A1.ofd"])
def test_another_file_whose_name_nearly_pairs_with_a_json_without_pdf_is_shown_with_its_exam(
    desk: IntakeFolder, name: str
) -> None:
    loop = desk.pickup()
    desk.put("a1.json", exam())
    desk.put(name, b"x")
    steps(desk, loop)
    (number,) = desk.exams.find(E1)
    (one,) = listed(desk, NEAR)
    assert (one.found.near, one.found.exam) == ("a1.json", number)
    desk.put("a1.pdf", printed("report"))
    steps(desk, loop)
    assert (paths(desk, NEAR), paths(desk, OTHER)) == ([], [name])  # a RIS that writes three files of each


def test_of_two_exams_with_near_names_the_one_without_a_pdf_is_told(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("a1.json", exam())
    desk.put("a1.pdf", printed(f"report of {E1}"))
    desk.put("A1.json", another())
    steps(desk, loop)
    desk.put("A1 (1).pdf", printed(f"report of {E2}"))
    steps(desk, loop)
    assert [one.found.near for one in listed(desk, NEAR)] == ["A1.json"]


# -- other files


def test_other_files_that_stay_are_listed_and_those_of_a_writer_or_of_the_system_are_not(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("in/readme.txt", b"x")
    for name in ("a.json.tmp", "b.part", "~c.pdf", ".d.json.Xy12", "Thumbs.db", ".hidden", "~$e.docx", "desktop.ini"):
        desk.put(name, b"x")
        os.utime(desk.inbox / name, (desk.clock.now().timestamp(),) * 2)
    (desk.inbox / "link.pdf").symlink_to("/etc/passwd")
    (desk.inbox / "folder").symlink_to("/etc")
    os.mkfifo(desk.inbox / "pipe.json")
    steps(desk, loop)
    assert {one.found.path: one.found.why for one in listed(desk, OTHER)} == {
        "in/readme.txt": "ending", "link.pdf": "link", "folder": "link", "pipe.json": "special",
    }  # fmt: skip
    steps(desk, loop, 1300)
    assert set(paths(desk, OTHER)) >= {"a.json.tmp", "b.part", "~c.pdf", ".d.json.Xy12"}
    assert not {"Thumbs.db", ".hidden", "~$e.docx", "desktop.ini"} & set(paths(desk, OTHER))
    assert standing(desk) == []
    shutil.rmtree(desk.inbox)
    desk.inbox.mkdir()
    desk.put("x.json", exam())
    steps(desk, loop)
    assert listed(desk) == []


def test_a_link_with_the_name_of_a_report_is_told_as_a_link_with_its_exam(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("a1.json", exam())
    (desk.inbox / "a1.pdf").symlink_to("/etc/passwd")
    steps(desk, loop)
    (one,) = listed(desk)
    assert (one.found.kind, one.found.why, one.found.exam) == (OTHER, "link", desk.exams.find(E1)[0])


def test_a_temporary_file_that_is_still_written_is_left_alone_whatever_time_it_has(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    for size in range(1, 9):
        desk.put("a.json.tmp", b"x" * size, hour=5)  # a writer whose clock is ahead
        steps(desk, loop, 900, count=1)
    assert listed(desk) == []
    steps(desk, loop, 900, count=5)
    assert paths(desk, OTHER) == ["a.json.tmp"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_listed(desk: IntakeFolder) -> None:
    _unreadable(desk)


def test_a_folder_that_lies_too_deep_is_listed(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("/".join(["n"] * 66) + "/a.json", exam())
    steps(desk, loop)
    (one,) = listed(desk)
    assert (one.found.kind, one.found.why) == (OTHER, "unreadable")


def _unreadable(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("closed/a.json", exam())
    (desk.inbox / "closed").chmod(0)
    try:
        steps(desk, loop)
        assert {one.found.path: one.found.why for one in listed(desk)} == {"closed": "unreadable"}
    finally:
        (desk.inbox / "closed").chmod(0o700)


def test_of_very_many_other_files_a_thousand_are_named_and_all_are_counted(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    for number in range(1300):
        (desk.inbox / f"{number}.csv").touch()
    steps(desk, loop)
    assert desk.exams.files.counts()[OTHER] == 1300
    assert len(listed(desk, OTHER)) == 1000


def test_while_nothing_changes_nothing_is_written(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("readme.txt", b"x")
    desk.put("a.json", BROKEN)
    desk.put("b.pdf", printed("report"))
    steps(desk, loop, 400, 4)
    before = list(desk.events), desk.exams.files.open()
    changes = desk.catalogue.engine.execute("SELECT total_changes()", ())
    steps(desk, loop, 400)
    assert desk.catalogue.engine.execute("SELECT total_changes()", ()) == changes
    assert (list(desk.events), desk.exams.files.open()) == before


def test_names_of_an_older_share_are_listed_as_they_read(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    for name in ("报告.doc".encode("gb18030"), b"\xff\xfe.doc"):
        Path(os.fsdecode(os.fsencode(desk.inbox) + b"/" + name)).write_bytes(b"x")
    steps(desk, loop)
    assert set(paths(desk, OTHER)) == {"报告.doc", "\\xff\\xfe.doc"}


def _dismiss(desk: IntakeFolder, name: str) -> None:
    Dismissals(desk.catalogue, desk.bus, desk.clock).dismiss(name, OperatorReason("wang", "asked the RIS"))
