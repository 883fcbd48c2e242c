"""Each of several hospitals by its own files, names and keys: readers, pairing, what a reload takes up, salvage."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.catalogue.exams.filing import Filing
from router.catalogue.exams.snapshots import Candidate, JsonSnapshot, LostCopy, PdfSnapshot, WaitingPdf
from router.config.changes import compare, stamps
from router.config.file import parse
from router.config.salvage import salvage
from router.config.sections import Config
from router.errors import ConfigurationError
from router.exam.key import ExamKey, ExamPatient
from router.intake.document import ReadDocument
from router.intake.exam_reader import ExamReader
from router.intake.numbered import registry_of
from router.intake.pairing import Names, Rules, json_filing, pdf_filing, study_filings
from router.intake.report_pdfs import source_of
from router.matching.exam.institution import UNREGISTERED
from router.matching.report_pdf.naming import Bearer
from support.hl7_messages import oru
from support.sample_exam import exam_document

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
TABLE = "own_code,own_name,code,name\n"


def hospital(name: str, number: int, more: str = "") -> str:
    return f"""
[[hospital]]
name = "{name}"
USCI = "U{number}"
HospitalCode = "H{number}"
HospitalName = "医院{number}"
HospitalBranchCode = "0{number}"
{more}
"""


def config(base: Path, *hospitals: str, more: str = "") -> Config:
    return parse(more + "".join(hospitals), base=base)


def given(**changes: object) -> bytes:
    codes = {"USCI": "", "HospitalCode": "", "HospitalBranchCode": ""}
    paths = {name.replace("__", "."): value for name, value in changes.items()}
    return json.dumps(exam_document(codes | paths), ensure_ascii=False).encode()


# -- readers


@pytest.fixture
def reader(tmp_path: Path) -> ExamReader:
    """Of a, whose RIS has words of its own, and of b, whose is as the standard says."""
    (tmp_path / "a.toml").write_text('[fields]\n"no" = "ExamId"\n', encoding="utf-8")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "sex.csv").write_text(f"{TABLE}w,女士,2,女性\n", encoding="utf-8")
    own = '[hospital.reports]\nmapping = "a.toml"\n[hospital.codes]\nfolder = "a"'
    return ExamReader(config(tmp_path, hospital("a", 1, own), hospital("b", 2)))


def test_a_document_is_read_by_the_files_of_the_hospital_whose_way_it_came_by(reader: ExamReader) -> None:
    data = b'{"no": "E1", "Patient": {"Gender": "w"}}'
    opened = reader.open(data, "a")
    assert (opened.hospital, opened.document["ExamId"]) == ("a", "E1")
    key = reader.key_in(opened.document, "a", "@a/E1")
    assert (key.hospital, key.branch, key.exam_id, key.patient.sex) == ("a", "01", "E1", "F")
    assert "ExamId" not in reader.open(data, "b").document
    assert reader.key_in({"ExamId": "E1", "Patient": {"Gender": "w"}}, "b", "@b/E1").patient.sex == ""
    assert reader.of("b") is reader
    assert reader.of(UNREGISTERED) is reader


def test_on_a_shared_way_the_codes_tell_the_hospital_whose_files_read_it_then(reader: ExamReader) -> None:
    opened = reader.open(b'{"USCI": "U1", "no": "E7", "Patient": {"Gender": "w"}}', None)
    assert (opened.hospital, opened.document["ExamId"]) == ("a", "E7")
    assert reader.open(given(HospitalCode="H2"), None).hospital == "b"
    assert reader.open(given(), None).hospital == UNREGISTERED
    assert reader.open(given(USCI="U1", HospitalCode="H2"), None).hospital == UNREGISTERED


def test_a_contradiction_is_filed_by_its_way_and_a_wrong_sender_under_nobody(reader: ExamReader) -> None:
    assert reader.open(given(USCI="U2"), "b").hospital == "b"
    both = reader.open_message(oru().replace("|HOSPITAL|", "|医院2^h1^ISO|").encode(), "b")
    assert (both.hospital, both.sender) == ("b", None)
    one = oru().replace("|HOSPITAL|", "|ward^h2|").encode()
    assert (reader.open_message(one, None).hospital, reader.open_message(one, None).sender) == ("b", "b")
    assert reader.open_message(one, "a").hospital == UNREGISTERED
    assert reader.open_message(oru().encode(), "a").hospital == "a"


def test_exams_of_two_unregistered_institutions_are_two(reader: ExamReader) -> None:
    keys = [reader.stored(given(ExamId="E1", USCI=code, HospitalBranchCode="01"), "E1")[1] for code in ("X1", "X2", "")]
    assert [(key.hospital, key.branch) for key in keys] == [("?", "X1/01"), ("?", "X2/01"), ("?", "01")]


def test_a_stored_document_is_read_as_the_one_that_was_filed(reader: ExamReader) -> None:
    data = b'{"no": "E1", "HospitalBranchCode": "09"}'
    for stem, filed in (("@a/E1", ""), ("E1", "a")):
        _, key = reader.stored(data, stem, filed)
        assert (key.hospital, key.branch, key.exam_id) == ("a", "09", "E1")


def test_faults_of_all_hospitals_files_are_named_with_the_hospital(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[fields", encoding="utf-8")
    own = '[hospital.reports]\nmapping = "bad.toml"'
    wrong = '[[hospital.share.exclude]]\nname = "x"\nwhy = "y"\n"Patient.Nme" = "1"'
    with pytest.raises(ConfigurationError) as caught:
        ExamReader(config(tmp_path, hospital("a", 1, own), hospital("b", 2, wrong)))
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["hospital a", "hospital b"]


def test_a_changed_file_of_a_hospital_is_taken_up_and_a_faulty_one_changes_nothing(
    reader: ExamReader, tmp_path: Path
) -> None:
    before = reader.read_by
    assert not reader.refresh()
    (tmp_path / "a.toml").write_text('[fields]\n"number" = "ExamId"\n', encoding="utf-8")
    assert reader.refresh()
    assert reader.read_by != before
    assert reader.open(b'{"number": "E2"}', "a").document["ExamId"] == "E2"
    (tmp_path / "a.toml").write_text("[fields", encoding="utf-8")
    with pytest.raises(ConfigurationError):
        reader.refresh()
    assert reader.open(b'{"number": "E2"}', "a").document["ExamId"] == "E2"


# -- pairing

RULES = Rules(registry_of(parse(hospital("a", 1) + hospital("b", 2), base=Path("/x"))), Names(""))
PDF = WaitingPdf(document=7, place="unpaired/7", stem="E1", vouched=False, said=frozenset())


def key(name: str) -> ExamKey:
    patient = ExamPatient({"Patient.PatientId": "P1"}, "张三")
    return ExamKey(
        hospital=name, branch="01", exam_id="V1000", accession_number="", study_uids=(), patient=patient,
        status="Reported", approve_time=NOW, submit_time=None, image_count=None, study_date=None, reported=("f", "i"),
        modality="CT",
    )  # fmt: skip


def filed(found: JsonSnapshot, name: str = "a") -> Filing:
    document = ReadDocument(
        seen=None, form="json", stem="E1", data=b"", digest="j", file_time=NOW, key=key(name)
    )  # fmt: skip
    return json_filing(found, document, key(name), RULES, NOW)


def dropped(found: PdfSnapshot, stem: str) -> Filing:
    document = ReadDocument(seen=None, form="pdf", stem=stem, data=b"", digest="p", file_time=NOW, words=frozenset())
    return pdf_filing(found, document, RULES, NOW)


def bearer_of(exam: int, name: str) -> Bearer:
    return Bearer(exam=exam, hospital=name, branch="01", exam_id="V1000", own=frozenset({"V1000"}), lacks=True)


def test_a_pdf_under_a_name_that_two_hospitals_use_waits_for_a_person() -> None:
    both = [Candidate(exam=n, own=frozenset(), latest="", hospital=name) for n, name in ((1, "a"), (2, "b"))]
    assert dropped(PdfSnapshot(of_name=both[:1]), "E1").exam == 1
    assert dropped(PdfSnapshot(of_name=both), "E1").exam is None
    assert len(filed(JsonSnapshot(of_name=[PDF], hospitals=frozenset({"a"}))).binds) == 1
    assert not filed(JsonSnapshot(of_name=[PDF], hospitals=frozenset({"b"}))).binds


def test_no_json_takes_a_pdf_from_another_hospitals_exam() -> None:
    owned = replace(PDF, owner=2, owner_hospital="b", said=frozenset({"V1000"}))
    filing = filed(JsonSnapshot(of_name=[owned]))
    assert not filing.binds
    assert filing.evaluates == {2}
    assert [one.pdf for one in filed(JsonSnapshot(of_name=[owned]), "b").binds] == [owned]


@pytest.mark.parametrize(
    ("stem", "others", "exam"),
    [
        ("x/V1000", ["a"], 1), ("x/V1000", ["a", "b"], None), ("@a/V1000", ["a", "b"], 1), ("@b/V1000", ["a"], None),
    ],
)  # fmt: skip
def test_a_number_is_an_exams_within_its_hospital_and_on_a_shared_way_if_one_alone_has_it(
    stem: str, others: list[str], exam: int | None
) -> None:
    having = [(bearer_of(number, name), "") for number, name in enumerate(others, 1)]
    assert dropped(PdfSnapshot(bearers=having), stem).exam == exam


@pytest.mark.parametrize(("stem", "others", "bound"), [("x/V1000", [], 1), ("x/V1000", ["b"], 0), ("@b/V1000", [], 0)])
def test_a_waiting_pdf_of_this_number_is_the_exams_by_the_same_rule(stem: str, others: list[str], bound: int) -> None:
    having = {"V1000": [bearer_of(9, name) for name in others]}
    found = JsonSnapshot(of_number=[replace(PDF, stem=stem)], bearers=having)
    assert len(filed(found).binds) == bound


def test_a_copy_that_is_lost_comes_again_by_its_own_way_only() -> None:
    lost = LostCopy(document=3, exam=1, place="", stem="@a/E1")
    assert dropped(PdfSnapshot(lost=lost), "@a/E2").restores == lost
    assert dropped(PdfSnapshot(lost=lost), "@b/E2").restores is None


def test_a_pdf_of_a_study_is_of_an_exam_whose_hospital_sends_reports_so() -> None:
    exams = [Candidate(exam=n, own=frozenset(), latest="", hospital=name) for n, name in ((1, "a"), (2, "b"))]
    assert [filing.exam for filing in study_filings([(PDF, exams)], lambda name: name == "b")] == [2]
    assert study_filings([(PDF, exams)]) == []


def test_a_name_is_read_by_the_pattern_of_its_way() -> None:
    names = Names("(?P<exam_id>V[0-9]+)", {"a": "(?P<accession>[0-9]+)"})
    assert (names.of("x_V12"), names.of("@a/x_V12"), names.of("@b/V12")) == (
        {"exam_id": "V12"}, {"accession": "12"}, {},
    )  # fmt: skip


def test_sources_of_pdfs_are_a_hospitals_own() -> None:
    registry = RULES.registry
    stems = {"a": ["E1", "@a/E1", "@a/mllp/01/E1", "dicom:1.2"], "b": ["E1"], "": ["E1"]}
    found = {name: [source_of(registry.get(name), name, stem) for stem in each] for name, each in stems.items()}
    assert found == {"a": ["@a/folder", "@a/folder", "@a/mllp", "@a/dicom"], "b": ["@b/folder"], "": ["folder"]}


# -- configuration


def test_hospitals_are_taken_up_by_name_and_key() -> None:
    base = Path("/x")
    running = config(base, hospital("a", 1), hospital("b", 2), more='[reports]\nfolder = "in"\n')
    own = 'senders = [{ ae_title = "CT" }]\n[hospital.reports]\nfolder = "a"\n[hospital.reports.hl7]\nport = 7\n'
    wanted = config(base, hospital("a", 1, own), hospital("c", 3), more='[reports]\nfolder = "other"\n')
    found = compare(running, wanted)
    assert found.taken == (
        "hospital a.senders", "hospital a.reports.folder", "hospital a.reports.hl7", "hospital c (new)",
        "hospital b (gone)",
    )  # fmt: skip
    assert found.waiting == ("reports.folder",)
    assert found.config.hospital == wanted.hospital
    assert "hospital a.reports.hl7.tls" in stamps(wanted)


def test_the_only_hospital_waits_for_a_restart_and_so_do_the_first_others() -> None:
    base, sole = Path("/x"), hospital("", 1).replace("[[hospital]]", "[hospital]")
    renamed = sole.replace("医院1", "新医院")
    assert compare(config(base, sole), config(base, renamed)).waiting == ("hospital.HospitalName",)
    found = compare(config(base, sole), config(base, hospital("a", 1), hospital("b", 2)))
    assert (found.taken, found.waiting) == ((), ("hospital a (new)", "hospital b (new)", "hospital (gone)"))


def test_senders_of_hospitals_may_be_all_that_a_listener_has() -> None:
    more = '[receive]\nhost = "0.0.0.0"\nallow_plain = true\n'
    named = config(Path("/x"), hospital("a", 1, 'senders = [{ ae_title = "CT" }]'), more=more)
    assert [one.ae_title for one in named.senders] == ["CT"]
    with pytest.raises(ConfigurationError, match=r"receive: senders: anyone may send on loopback only"):
        config(Path("/x"), hospital("a", 1), more=more)
    with pytest.raises(ConfigurationError) as refused:
        compare(named, config(Path("/x"), hospital("a", 1)))
    assert "senders" in refused.value.faults[0]


def test_a_hospitals_file_is_salvaged_as_far_as_it_reads(tmp_path: Path) -> None:
    (tmp_path / "hospitals").mkdir()
    (tmp_path / "router.toml").write_text('[node]\nname = "n"\nbad = 1\n', encoding="utf-8")
    constants = 'USCI = "1"\nHospitalCode = "{0}"\nHospitalName = "n"\nHospitalBranchCode = "01"\n'
    files = {
        "a": '[reports]\nfolder = "in"\n[[account]]\ndestination = "x"\n', "b": "senders = 5\n", "c": "[reports\n",
    }  # fmt: skip
    for name, more in files.items():
        (tmp_path / "hospitals" / f"{name}.toml").write_text(constants.format(name) + more, encoding="utf-8")
    (tmp_path / "hospitals" / "d.toml").write_text("USCI = 1", encoding="utf-8")
    found = salvage(tmp_path / "router.toml")
    assert ([one.name for one in found.hospital], found.node.owner) == (["a", "b", "c"], "n")
    a = found.for_hospital("a")
    assert a is not None
    assert a.reports.folder == tmp_path / "hospitals" / "in"
