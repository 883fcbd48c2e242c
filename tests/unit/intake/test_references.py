"""The files that exam JSONs are read and filled by: loaded with every fault, taken up again when they change."""

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest

from router.config.file import parse, shipped
from router.config.sections import Config
from router.correlator.document import sources_of
from router.errors import ConfigurationError
from router.exam.codes import Entry
from router.exam.faults import Findings
from router.exam.fields import FIELDS
from router.exam.fill import fill
from router.exam.validate import validate
from router.intake.exam_reader import ExamReader
from router.reports.hl7.hl7v2 import Message
from support.hl7_messages import oru
from support.sample_exam import exam_document

HOSPITAL = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""
HEADER = "own_code,own_name,code,name\n"


def config(base: Path, text: str = '[codes]\nfolder = "codes"\n') -> Config:
    (base / "codes").mkdir(exist_ok=True)
    return parse(HOSPITAL + text, base=base)


def write(base: Path, name: str, text: str, encoding: str = "utf-8") -> None:
    path = base / "codes" / f"{name}.csv"
    path.write_bytes(text.encode(encoding))
    os.utime(path, ns=(0, 0))


def test_a_table_of_the_folder_replaces_the_shipped_one_and_the_others_stay(tmp_path: Path) -> None:
    settings = config(tmp_path)
    write(tmp_path, "branches", HEADER + "东院,,02,东院区\n")
    found = ExamReader(settings).tables
    assert found["branches"].translated("东院") == Entry("02", "东院区")
    assert found["sex"].translated("男") == Entry("1", "男性")
    assert not found["branches"].complete


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_table_may_be_saved_as_spreadsheets_do(tmp_path: Path, encoding: str) -> None:
    settings = config(tmp_path)
    write(tmp_path, "branches", HEADER + "东院,,02,东院区\r\n", encoding)
    assert ExamReader(settings).tables["branches"].translated("东院") == Entry("02", "东院区")


def test_a_table_that_is_called_complete_is(tmp_path: Path) -> None:
    found = ExamReader(config(tmp_path, '[codes]\ncomplete = ["sex"]\n')).tables
    assert found["sex"].complete
    assert not found["departments"].complete


def test_a_changed_table_is_taken_up_once(tmp_path: Path) -> None:
    settings = config(tmp_path)
    write(tmp_path, "branches", HEADER)
    references = ExamReader(settings)
    assert not references.refresh()
    write(tmp_path, "branches", HEADER + "东院,,02,东院区\n")
    assert references.refresh()
    assert references.tables["branches"].names == {"02": "东院区"}
    assert not references.refresh()
    (tmp_path / "codes" / "branches.csv").unlink()
    assert references.refresh()
    assert references.tables["branches"].names == {}


def test_a_faulty_change_is_told_once_and_what_was_known_stays(tmp_path: Path) -> None:
    settings = config(tmp_path)
    write(tmp_path, "branches", HEADER + ",,02,东院区\n")
    references = ExamReader(settings)
    write(tmp_path, "branches", HEADER + ",,02,\n")
    with pytest.raises(ConfigurationError) as caught:
        references.refresh()
    assert "branches.csv: line 2" in caught.value.faults[0]
    assert not references.refresh()
    assert references.tables["branches"].names == {"02": "东院区"}


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    text = '[codes]\nfolder = "codes"\n[[destination]]\nname = "x"\naccept_empty = ["Patient.IdNo", "Patient.Phone"]\n'
    settings = config(tmp_path, text)
    write(tmp_path, "sex", HEADER + ",,1,\n")
    write(tmp_path, "items", "x\n")
    with pytest.raises(ConfigurationError) as caught:
        ExamReader(settings)
    told = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 3
    assert "Patient.Phone" in told
    assert "Patient.IdNo" not in told


def test_the_mapping_file_is_applied_to_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "ris.toml").write_bytes(b'[fields]\n"no" = "ExamId"\n')
    references = ExamReader(config(tmp_path, '[reports]\nmapping = "ris.toml"\n'))
    assert references.read(b'{"no": "E1"}') == {"ExamId": "E1"}


def test_a_changed_mapping_file_is_taken_up_and_a_faulty_one_is_told(tmp_path: Path) -> None:
    mapping = tmp_path / "ris.toml"
    mapping.write_text('[fields]\n"no" = "ExamId"\n')
    references = ExamReader(config(tmp_path, '[reports]\nmapping = "ris.toml"\n'))
    mapping.write_text('[fields]\n"number" = "ExamId"\n')
    assert references.refresh()
    assert references.read(b'{"number": "E1"}') == {"ExamId": "E1"}
    for fault in ("[fields", '[fields]\n"a" = "b"\n', None):
        mapping.unlink() if fault is None else mapping.write_text(fault)
        with pytest.raises(ConfigurationError) as caught:
            references.refresh()
        assert [told.startswith(f"{mapping}: ") for told in caught.value.faults] == [True]
        assert not references.refresh()
        assert references.read(b'{"number": "E1"}') == {"ExamId": "E1"}


def test_a_changed_mapping_of_hl7_messages_is_taken_up_and_a_faulty_one_is_told(tmp_path: Path) -> None:
    mapping = tmp_path / "hl7.toml"
    mapping.write_text('[fields]\n"ORC-3" = "ExamId"\n')
    references = ExamReader(config(tmp_path, '[reports]\nhl7_mapping = "hl7.toml"\n'))
    assert references.read(oru(accession="A7").encode()) == {"ExamId": "E1"}
    mapping.write_text('[fields]\n"OBR-18" = "ExamId"\n')
    assert references.refresh()
    assert references.read(oru(accession="A7").encode()) == {"ExamId": "A7"}
    mapping.write_text("[fields")
    with pytest.raises(ConfigurationError) as caught:
        references.refresh()
    assert caught.value.faults[0].startswith(f"{mapping}: ")
    assert references.read(oru(accession="A7").encode()) == {"ExamId": "A7"}


def test_another_configuration_is_adopted_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "ris.toml").write_text('[fields]\n"no" = "ExamId"\n')
    references = ExamReader(config(tmp_path))
    references.adopt(ExamReader(config(tmp_path, '[reports]\nmapping = "ris.toml"\n')))
    assert references.read(b'{"no": "E1"}') == {"ExamId": "E1"}
    assert not references.refresh()


def test_the_sex_is_understood_by_the_hospitals_own_table(tmp_path: Path) -> None:
    references = ExamReader(config(tmp_path))
    assert references.key(exam_document({"Patient.Gender": "w"}), "", "01").patient.sex == ""
    write(tmp_path, "sex", HEADER + "m,男士,1,男性\nw,女士,2,女性\n,,9,未说明的性别\n")
    assert references.refresh()
    for written, sex in (("w", "F"), ("女士", "F"), ("m", "M"), ("男性", "M"), ("9", ""), ("F", "F"), ("x", "")):
        assert references.key(exam_document({"Patient.Gender": written}), "", "01").patient.sex == sex


@pytest.mark.parametrize("text", ["[fields", '[fields]\n"a" = "b"\n'])
def test_a_faulty_mapping_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "ris.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"ris\.toml"):
        ExamReader(config(tmp_path, '[reports]\nmapping = "ris.toml"\n'))


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_the_shipped_message_says_what_the_shipped_exam_json_says(tmp_path: Path, end: bytes) -> None:
    settings = config(tmp_path)
    references = ExamReader(settings)
    message = shipped("exam.hl7").read_bytes().replace(b"\n", end)
    given = references.read(message)
    document = fill(given, sources_of(next(settings.hospitals), references.tables, "01")).document
    example: dict[str, Any] = json.loads(shipped("exam.json").read_bytes())
    differ = {
        f"{section}.{key}"
        for section, values in example.items() if isinstance(values, dict)
        for key, value in values.items() if value != cast("dict[str, object]", document[section]).get(key)
    }  # fmt: skip
    of_device = {"Order.DeviceCode", "Order.DeviceName", "Order.ExamRoom"}  # HL7 has no place for these
    assert differ == {*of_device, "Report.IsCritical"}
    assert (Message(message).pdf() or b"").startswith(b"%PDF")


def test_the_shipped_mapping_gives_of_the_shipped_message_every_required_field_but_the_hospitals(
    tmp_path: Path,
) -> None:
    """The hospital's constants are those of the configuration: no RIS is asked for them."""
    settings = config(tmp_path)
    references = ExamReader(settings)
    message = shipped("exam.hl7").read_bytes()
    given, of_hospital = references.read(message), {one.path for one in FIELDS if one.sources == ("hospital",)}
    found = validate(given, tables=references.tables, zone=settings.node.timezone)
    assert {fault.path for fault in found.errors if fault.expected.startswith("missing")} == of_hospital
    required = {one.path for one in FIELDS if one.required == "always"} - of_hospital - {"Order.Procedures"}
    assert required <= references.origins(message).keys()
    filled = fill(given, sources_of(next(settings.hospitals), references.tables, "01"))
    assert validate(filled.document, tables=references.tables, zone=settings.node.timezone) == Findings((), ())
    assert of_hospital == {path for path, source in filled.sources.items() if source == "hospital"}
