"""Taking reports from the drop folder: real files, a real database, and every order a RIS may think of."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from router.catalogue.exams.documents import Documents
from router.catalogue.exams.filing import Filings
from router.events import Kind
from router.matching.exam.versions import successive
from router.model import SetAside
from router.reports.folder import originals
from router.reports.folder.settle import Seen
from router.reports.folder.watch import scan
from router.reports.pdf import pdf
from router.storage.reports import Copies
from support.intake_folder import E1, E2, IntakeFolder, OpenDesk, another, exam, printed
from support.sample_exam import exam_document

ONE, TWO = printed(f"report of {E1}"), printed(f"report of {E2}")


# -- pairing


@pytest.mark.parametrize("order", [("r.json", "r.pdf"), ("r.pdf", "r.json")])
@pytest.mark.parametrize("together", [True, False])
def test_json_and_pdf_pair_in_any_order(desk: IntakeFolder, order: tuple[str, str], together: bool) -> None:
    for name in order:
        desk.put(name, exam() if name.endswith("json") else ONE)
        if not together:
            desk.take()
            desk.clock.advance(3 * 86400)
    desk.take()
    assert desk.pdf_of() == ONE
    assert desk.counts() == (1, 1)
    assert desk.left() == {"done/r.json", "done/r.pdf"}
    assert not list((desk.config.node.data / "reports/unpaired").glob("*"))


def test_a_pdf_that_waits_is_durable_before_its_original_is_set_aside(desk: IntakeFolder) -> None:
    desk.drop("r.pdf", ONE)
    assert desk.left() == {"done/r.pdf"}
    (kept,) = (desk.config.node.data / "reports/unpaired").glob("*/report.pdf")
    assert kept.read_bytes() == ONE
    assert "waits for its JSON" in desk.told(Kind.DOCUMENT)[0]


def test_files_of_different_subfolders_do_not_pair(desk: IntakeFolder) -> None:
    desk.drop("a/r.json", exam())
    desk.drop("b/r.pdf", ONE)
    desk.drop("r.pdf", ONE)
    assert desk.pdf_of() is None
    desk.drop("a/r.pdf", ONE)
    assert desk.pdf_of() == ONE


def test_the_branch_of_a_subfolder_tells_equal_exam_ids_apart(desk: IntakeFolder) -> None:
    desk.drop("branch2/r.json", exam(HospitalBranchCode=""))
    desk.drop("branch22/r.json", exam(HospitalBranchCode=""))
    desk.drop("s.json", exam())
    branches = {desk.exams.case(number).branch: len(desk.exams.case(number).jsons) for number in desk.exams.find(E1)}
    assert branches == {"01": 2, "02": 1}


def test_a_file_name_in_gb18030_on_an_old_share_pairs_like_any_other(desk: IntakeFolder) -> None:
    for ending, data in ((".pdf", ONE), (".json", exam())):
        desk.put(os.fsdecode("报告".encode("gb18030")) + ending, data)
    desk.take()
    assert desk.pdf_of() == ONE


# -- the same again, and newer versions


def test_the_same_files_again_change_nothing(desk: IntakeFolder) -> None:
    for hour in (1, 2, 3):
        desk.put("r.json", exam(), hour=hour)
        desk.put("r.pdf", ONE, hour=hour)
        desk.take()
    assert desk.counts() == (1, 1)
    assert "done/r~3.json" in desk.left()


def test_a_pdf_that_waits_and_is_exported_again_waits_once(desk: IntakeFolder) -> None:
    for hour in (1, 2, 3):
        desk.drop("r.pdf", ONE, hour=hour)
    desk.drop("r.json", exam())
    assert desk.counts() == (1, 1)
    assert desk.pdf_of() == ONE


def test_the_same_json_under_another_name_still_takes_the_pdf_of_that_name(desk: IntakeFolder) -> None:
    desk.drop("a.json", exam())
    desk.drop("b.pdf", ONE)
    assert desk.pdf_of() is None
    desk.drop("b.json", exam())
    assert desk.pdf_of() == ONE
    assert desk.counts() == (1, 1)


def test_a_corrected_pdf_follows_the_former_one(desk: IntakeFolder) -> None:
    corrected = printed(f"corrected report of {E1}")
    desk.drop("r.json", exam())
    desk.drop("r.pdf", ONE)
    desk.drop("r.pdf", corrected)
    assert desk.pdf_of() == ONE  # it may be the PDF of a correction whose JSON is on its way
    desk.clock.advance(600)
    assert desk.pdf_of() == corrected


def test_a_changed_report_waits_for_a_pdf_that_came_after_the_former_one(desk: IntakeFolder) -> None:
    corrected = printed(f"corrected report of {E1}")
    desk.drop("r.json", exam())
    desk.drop("r.pdf", ONE)
    desk.drop("r.json", exam(Report__Impression="右肺结节。", Report__ApproveTime="2024-05-06 12:00:00"))
    assert desk.pdf_of() is None
    desk.drop("r.pdf", corrected)
    assert desk.pdf_of() == corrected


def test_an_approval_by_a_second_json_keeps_the_pdf(desk: IntakeFolder) -> None:
    desk.drop("r.json", exam(Order__Status="Registered", Report__ApproveTime=""))
    desk.drop("r.pdf", ONE)
    assert not successive(desk.case().jsons)[-1].approved
    desk.drop("r.json", exam())
    assert successive(desk.case().jsons)[-1].approved
    assert desk.pdf_of() == ONE


def test_a_draft_without_findings_does_not_cost_the_final_report_its_pdf(desk: IntakeFolder) -> None:
    draft = {"Order__Status": "Registered", "Report__ApproveTime": "", "Report__Findings": "", "Report__Impression": ""}
    desk.drop("r.json", exam(**draft))
    desk.drop("r.json", exam())
    desk.drop("r.pdf", ONE)
    assert desk.pdf_of() == ONE


@pytest.mark.parametrize("name", ["r.json", "draft.json"])
def test_an_old_draft_after_the_final_changes_nothing(desk: IntakeFolder, name: str) -> None:
    draft = exam(
        Order__Status="Registered",
        Report__ApproveTime="",
        Report__SubmitTime="2024-05-06 10:00:00",
        Report__Impression="draft",
    )
    desk.drop("r.json", exam())
    desk.drop("r.pdf", ONE)
    desk.drop(name, draft)
    assert desk.document_of()["Report"]["Impression"] != "draft"
    assert desk.pdf_of() == ONE
    assert desk.counts() == (2, 1)  # it is kept all the same


def test_a_nightly_export_of_draft_and_final_makes_no_new_versions(desk: IntakeFolder) -> None:
    draft = exam(Order__Status="Registered", Report__ApproveTime="", Report__SubmitTime="2024-05-06 10:00:00")
    for night in (1, 2, 3):
        desk.put("final.json", exam(), hour=24 * night)
        desk.put("draft.json", draft, hour=24 * night + 1)
        desk.take()
    assert desk.counts() == (2, 0)
    assert desk.document_of()["Order"]["Status"] == "Reported"


def test_a_scan_of_several_versions_is_taken_oldest_first(desk: IntakeFolder) -> None:
    early, late = (exam(Report__ApproveTime="", Order__Note=note) for note in ("early", "late"))
    desk.put("z.json", early, hour=1)
    desk.put("a.json", late, hour=2)
    desk.take()
    assert desk.document_of()["Order"]["Note"] == "late"


# -- a name that the RIS uses again


def test_a_name_used_again_gives_each_exam_its_own_pdf(desk: IntakeFolder) -> None:
    for data in ((exam(), ONE), (another(), TWO)):
        desk.put("r.json", data[0])
        desk.put("r.pdf", data[1])
        desk.take()
    assert (desk.pdf_of(E1), desk.pdf_of(E2)) == (ONE, TWO)


def test_the_pdf_of_a_second_exam_that_comes_first_never_serves_the_first_exam(desk: IntakeFolder) -> None:
    desk.drop("r.json", exam())
    desk.drop("r.pdf", ONE)
    desk.drop("r.pdf", TWO)
    assert desk.pdf_of(E1) == ONE
    desk.drop("r.json", another())
    assert (desk.pdf_of(E1), desk.pdf_of(E2)) == (ONE, TWO)


@pytest.mark.parametrize("settings", ["", 'on_pickup = "keep"\n'])
def test_a_pdf_that_waits_for_a_second_exam_is_not_paired_by_the_first_coming_again(
    open_desk: OpenDesk, settings: str
) -> None:
    desk = open_desk(settings)
    desk.drop("r.json", exam())
    desk.drop("r.pdf", ONE)
    desk.drop("r.pdf", TWO)
    desk.restart()
    desk.take()  # what was kept is seen again
    desk.drop("r.json", exam(Order__Note="corrected"))
    assert desk.pdf_of(E1) == ONE
    desk.drop("r.json", another())
    assert (desk.pdf_of(E1), desk.pdf_of(E2)) == (ONE, TWO)


def test_a_late_pdf_goes_with_the_one_of_its_name_s_exams_that_its_text_names(desk: IntakeFolder) -> None:
    desk.drop("r.json", exam())
    desk.drop("r.json", another())
    desk.drop("r.pdf", ONE)
    desk.drop("r.pdf", TWO)
    assert (desk.pdf_of(E1), desk.pdf_of(E2)) == (ONE, TWO)


def test_a_second_exam_under_the_name_does_not_get_the_pdf_of_the_first(desk: IntakeFolder) -> None:
    desk.drop("r.pdf", ONE)
    desk.drop("r.json", exam())
    desk.drop("r.json", another())
    assert (desk.pdf_of(E1), desk.pdf_of(E2)) == (ONE, None)


# -- the name pattern

PATTERN = "name_pattern = '(?P<accession>A[0-9]+)?(?P<study_uid>1[.][0-9.]+[0-9])?(?P<exam_id>V[0-9A-Z_]+)?'\n"


@pytest.mark.parametrize("name", ["A0001_x.pdf", f"{E1}.pdf", "sub/A0001.pdf"])
def test_a_pdf_without_json_is_joined_by_the_pattern_on_its_name(open_desk: OpenDesk, name: str) -> None:
    desk = open_desk(PATTERN)
    desk.drop("r.json", exam())
    desk.drop("s.json", another())
    desk.drop(name, ONE)
    assert (desk.pdf_of(E1), desk.pdf_of(E2)) == (ONE, None)


@pytest.mark.parametrize("name", ["A0001_x.pdf", f"{E1}.pdf", "sub/A0001.pdf", "1.2.826.0.1.3680043.2.1125.1.pdf"])
@pytest.mark.parametrize("together", [True, False])
def test_a_pdf_that_comes_before_its_json_is_joined_by_the_pattern_then(
    open_desk: OpenDesk, name: str, together: bool
) -> None:
    desk = open_desk(PATTERN)
    desk.put(name, ONE)
    if not together:
        desk.take()
        desk.restart()
    desk.put("s.json", another(Study__StudyInstanceUIDs=["1.2.3"]))
    desk.put("r.json", exam())
    desk.take()
    assert (desk.pdf_of(E1), desk.pdf_of(E2)) == (ONE, None)
    assert not list((desk.config.node.data / "reports/unpaired").glob("*"))


def test_a_pdf_is_joined_by_the_study_that_its_name_holds(open_desk: OpenDesk) -> None:
    desk = open_desk(PATTERN)
    desk.drop("r.json", exam())
    desk.drop("1.2.826.0.1.3680043.2.1125.1.pdf", ONE)
    assert desk.pdf_of() == ONE


def test_a_pattern_that_fits_two_exams_joins_none(open_desk: OpenDesk) -> None:
    desk = open_desk(PATTERN)
    desk.drop("r.json", exam())
    desk.drop("s.json", exam(E2))
    desk.drop("A0001.pdf", ONE)
    assert (desk.pdf_of(E1), desk.pdf_of(E2)) == (None, None)
    assert desk.left() >= {"done/A0001.pdf"}


def test_the_json_of_the_same_name_is_stronger_than_the_pattern(open_desk: OpenDesk) -> None:
    desk = open_desk(PATTERN)
    desk.drop("s.json", exam())
    desk.drop("A0001.json", another())
    desk.drop("A0001.pdf", TWO)
    assert (desk.pdf_of(E1), desk.pdf_of(E2)) == (None, TWO)


def test_a_pattern_that_does_not_fit_leaves_the_pdf_waiting_for_its_json(open_desk: OpenDesk) -> None:
    desk = open_desk("name_pattern = '^(?P<accession>A[0-9]+)_'\n")
    desk.drop("r.json", exam())
    desk.drop("x_A0001.pdf", ONE)
    assert desk.pdf_of() is None
    desk.drop("x_A0001.json", exam(Order__Note="the same exam"))
    assert desk.pdf_of() == ONE


# -- encodings


@pytest.mark.parametrize(
    "data",
    [exam(), b"\xef\xbb\xbf" + exam(), exam().decode().encode("gb18030"),
     json.dumps(exam_document(), indent=2).replace("\n", "\r\n").encode()],
    ids=["UTF-8", "BOM", "GB18030", "ASCII with escapes"],
)  # fmt: skip
def test_every_encoding_of_a_ris_is_read_and_kept_as_it_came(desk: IntakeFolder, data: bytes) -> None:
    desk.drop("r.json", data)
    case = desk.case()
    assert desk.storage.reports.read(case.places[case.jsons[0].document]) == data
    assert desk.exams.pdf_names.identifiers(case.exam) == {E1, "A0001", "张三"}


# -- refused


_REFUSED = [
    ("r.json", b"", "not JSON"),
    ("r.json", b"{", "not JSON"),
    ("r.json", b"[]", "not an object"),
    ("r.json", b"\xff\xfe\x00", "neither UTF-8 nor GB18030"),
    ("r.json", exam(""), "no ExamId"),
    ("r.json", b'{"ExamId": "1", "ExamId": "2"}', "given twice"),
    ("r.pdf", b"no PDF", "does not begin"),
    ("r.pdf", ONE[:-60], "cut off"),
    ("sub/r.json", b"null", "not an object"),
]


@pytest.mark.parametrize(("name", "data", "why"), _REFUSED)
def test_a_file_that_does_not_read_is_rejected_with_its_reason_in_two_languages(
    desk: IntakeFolder, name: str, data: bytes, why: str
) -> None:
    desk.drop(name, data)
    reason = str(Path("rejected") / Path(name).with_suffix(".reason.txt"))
    assert desk.left() == {f"rejected/{name}", reason}
    assert (desk.inbox / "rejected" / name).read_bytes() == data
    told = (desk.inbox / reason).read_text(encoding="utf-8")
    assert why in told
    assert "请更正后重新放入文件夹" in told
    assert why in desk.told(Kind.REFUSED)[0]


def test_a_refusal_tells_no_name_and_no_value(desk: IntakeFolder) -> None:
    desk.drop("张三 P0001.json", b'{"Patient": {"Name": "\xe5\xbc\xa0\xe4\xb8\x89"}, "Order": ')
    desk.drop("张三 P0001.pdf", b"no PDF")
    told = " ".join(f"{event.text} {event.fields}" for event in desk.events)
    assert not {word for word in ("张三", "P0001") if word in told}


def test_a_json_full_of_faults_is_taken_as_long_as_it_has_an_exam_id(desk: IntakeFolder) -> None:
    desk.drop("r.json", b'{"ExamId": "X1", "Order": 7, "Study": {"StudyInstanceUIDs": "../../etc"}}')
    assert desk.counts("X1") == (1, 0)
    assert desk.left() == {"done/r.json"}


def test_a_corrected_file_is_taken_under_the_name_of_the_rejected_one(desk: IntakeFolder) -> None:
    desk.drop("r.json", b"{")
    desk.drop("r.json", exam())
    assert desk.left() == {"rejected/r.json", "rejected/r.reason.txt", "done/r.json"}
    assert desk.counts() == (1, 0)


# -- on_pickup = "keep"


def test_kept_originals_stay_and_are_not_taken_twice_also_after_a_restart(open_desk: OpenDesk) -> None:
    desk = open_desk('on_pickup = "keep"\n')
    desk.put("r.pdf", ONE)
    desk.put("r.json", exam())
    for _ in range(3):
        desk.take()
        desk.restart()
    assert desk.left() == {"r.pdf", "r.json"}
    assert desk.counts() == (1, 1)
    desk.drop("r.json", exam(Order__Note="new"))
    assert desk.counts() == (2, 1)


def test_a_refused_file_that_must_stay_is_kept_in_quarantine_with_its_reason(open_desk: OpenDesk) -> None:
    desk = open_desk('on_pickup = "keep"\n')
    desk.drop("张三.json", b"{")
    assert desk.left() == {"张三.json"}
    (folder,) = (desk.config.node.data / "quarantine").iterdir()
    assert (folder / "file.json").read_bytes() == b"{"
    assert "not JSON" in (folder / "reason.txt").read_text(encoding="utf-8")
    assert folder.name.endswith("-report")


def test_on_a_read_only_share_nothing_needs_to_be_written(open_desk: OpenDesk) -> None:
    desk = open_desk('on_pickup = "keep"\n')
    desk.put("r.json", exam())
    desk.put("bad.json", b"{")
    desk.inbox.chmod(0o500)
    try:
        desk.take()
    finally:
        desk.inbox.chmod(0o700)
    assert desk.counts() == (1, 0)
    assert desk.left() == {"r.json", "bad.json"}


# -- changes under our hands, and crashes


def test_a_file_overwritten_between_scan_and_reading_waits_to_settle_again(desk: IntakeFolder) -> None:
    path = desk.put("r.json", exam())
    state = path.stat()
    desk.put("r.json", another())
    desk.take_one(Seen(path, state.st_size, state.st_mtime_ns))
    assert desk.exams.find(E1) == desk.exams.find(E2) == []
    assert desk.left() == {"r.json"}


def test_a_file_overwritten_while_it_is_taken_stays_and_both_versions_are_known(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = originals.set_aside

    def ris_is_quicker(folder: Path, seen: Seen, into: str) -> SetAside | None:
        monkeypatch.setattr(originals, "set_aside", real)
        desk.put("r.json", exam(Order__Note="the next"))
        return real(folder, seen, into)

    monkeypatch.setattr(originals, "set_aside", ris_is_quicker)
    desk.drop("r.json", exam())
    assert desk.left() == {"r.json"}
    desk.take()
    assert desk.counts() == (2, 0)
    assert desk.document_of()["Order"]["Note"] == "the next"


@pytest.mark.parametrize(
    ("module", "step"),
    [("filings", "write"), ("documents", "add"), ("copies", "keep"), ("copies", "move"), ("copies", "close"),
     ("copies", "forget"), ("pickup", "set_aside")],
)  # fmt: skip
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_step_loses_nothing_and_takes_nothing_twice(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch, module: str, step: str, after: bool
) -> None:
    class PowerLoss(BaseException):
        pass

    owner: Any = {"copies": Copies, "documents": Documents, "filings": Filings, "pickup": originals}[module]
    real = getattr(owner, step)

    def fails(*given: Any, **named: Any) -> Any:
        if after:
            real(*given, **named)
        raise PowerLoss

    for name, data in (("r.pdf", ONE), ("r.json", exam())):
        desk.put(name, data)
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, fails)
            try:
                desk.take()
            except PowerLoss:
                desk.restart()
        desk.take()
    assert desk.pdf_of() == ONE
    assert desk.counts() == (1, 1)
    assert desk.left() >= {"done/r.json", "done/r.pdf"}


def test_the_sample_reports_are_what_they_claim() -> None:
    assert pdf.text(pdf.check(ONE)).strip() == f"report of {E1}"
    assert ONE != TWO


def test_a_mended_mapping_file_counts_for_what_was_taken_before(tmp_path: Path, open_desk: OpenDesk) -> None:
    mapping = tmp_path / "ris.toml"
    mapping.write_text('[values."Order.Status"]\n"已发布" = "Reported"\n', encoding="utf-8")
    desk = open_desk('mapping = "ris.toml"\n')
    desk.drop("r.json", exam(Order__Status="已审核"))
    (version,) = desk.case().jsons
    assert not version.approved

    mapping.write_text('[values."Order.Status"]\n"已审核" = "Reported"\n', encoding="utf-8")
    desk.restart()
    touched = desk.case().touched
    desk.intake.reread([desk.case().exam])
    (mended,) = desk.case().jsons
    assert mended == replace(version, approved=True)
    assert desk.case().touched > touched

    touched = desk.case().touched
    desk.intake.reread([desk.case().exam])
    assert desk.case().touched == touched


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("Order.AccessionNumber", "A7"), ("Patient.Name", "王五"), ("Patient.PatientId", "P7"), ("Patient.Gender", "1"),
        ("Study.StudyInstanceUIDs", ["1.2.7"]),
    ],
)  # fmt: skip
def test_a_mapping_file_that_finds_another_patient_or_study_has_the_exam_evaluated(
    tmp_path: Path, open_desk: OpenDesk, field: str, written: object
) -> None:
    mapping = tmp_path / "ris.toml"
    mapping.write_text("", encoding="utf-8")
    desk = open_desk('mapping = "ris.toml"\n')
    desk.drop("r.json", exam(elsewhere=written))
    before = desk.case()
    mapping.write_text(f'[fields]\n"elsewhere" = "{field}"\n', encoding="utf-8")
    desk.restart()
    desk.intake.reread([before.exam])
    mended = desk.case()
    assert mended.touched > before.touched
    assert mended.jsons == before.jsons
    desk.intake.reread([before.exam])
    assert desk.case().touched == mended.touched


@pytest.mark.parametrize("order", [("r.json", "r.pdf"), ("r.pdf", "r.json")])
def test_a_report_crosses_to_the_catalogue_and_back_a_few_times(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]
) -> None:
    """One snapshot and one write a document, beside the transaction and the originals of the batch."""
    crossings: list[str] = []

    def counted(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*given: Any, **named: Any) -> Any:
            crossings.append(name)
            return real(*given, **named)

        monkeypatch.setattr(owner, name, call)

    exams = desk.exams
    for owner in (exams, exams.snapshots, exams.filings, exams.documents, exams.links, exams.originals, exams.files,
                  exams.pdf_names):  # fmt: skip
        for name in [one for one in dir(owner) if not one.startswith("_") and callable(getattr(owner, one))]:
            counted(owner, name)
    for name in order:
        desk.put(name, exam() if name.endswith("json") else ONE)
    found = desk.intake.read(sorted(scan(desk.inbox).files, key=lambda seen: seen.mtime))
    desk.intake.file(found.documents)
    reads = [name.removeprefix("r.") for name in order]
    assert crossings == ["transaction", reads[0], "write", reads[1], "write", "of_paths", "note"]
