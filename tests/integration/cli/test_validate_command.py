"""The command `validate`, called as a person calls it."""

import json
from pathlib import Path
from typing import Any

import pytest

from router.cli import main
from router.config.file import shipped
from router.exam.fields import FIELDS
from support.sample_exam import exam_document


@pytest.fixture(autouse=True)
def _in_english(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path_factory.mktemp("english") / "router.toml"
    file.write_text(shipped("router.toml").read_text("utf-8").replace('language = "zh_CN"', 'language = "en"'), "utf-8")
    monkeypatch.setenv("ROUTER_CONFIG", str(file))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["validate", *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def test_a_valid_exam_answers_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.json", exam_document())
    assert run(capsys, file) == (0, "1 file(s): 1 valid, 0 not valid\n")
    status, out = run(capsys, file, "--json")
    assert (status, json.loads(out)) == (0, {"valid": True, "errors": [], "warnings": []})


def test_faults_are_told_by_path_chinese_name_and_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.json", exam_document({"Order.Procedures[0].CheckItemCode": "", "HospitalCode": "H2"}))
    status, out = run(capsys, file, "--json")
    answer = json.loads(out)
    assert (status, answer["valid"]) == (1, False)
    assert [set(fault) for fault in answer["errors"]] == [{"path", "name", "message"}]
    assert answer["errors"][0]["path"] == "Order.Procedures[0].CheckItemCode"
    assert answer["errors"][0]["name"] == "检查项目编码"
    assert [fault["path"] for fault in answer["warnings"]] == ["HospitalCode"]

    status, out = run(capsys, file)
    assert status == 1
    assert "\terror\tOrder.Procedures[0].CheckItemCode\t检查项目编码\t" in out
    assert "\twarning\tHospitalCode\t医疗机构编码\t" in out


def test_a_draft_and_empty_uids_are_errors_as_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes: dict[str, object] = {"Order.Status": "Draft", "Study.StudyInstanceUIDs": []}
    status, out = run(capsys, write(tmp_path / "a.json", exam_document(changes)), "--json")
    assert status == 1
    assert [fault["path"] for fault in json.loads(out)["errors"]] == list(changes)


def test_a_file_that_is_no_json_is_answered_with_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_bytes(b'{"Name": "secret" oops')
    status, out = run(capsys, tmp_path / "a.json", "--json")
    assert status == 1
    assert [fault["path"] for fault in json.loads(out)["errors"]] == [""]
    assert "secret" not in out


def test_a_folder_is_an_array_with_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sub").mkdir()
    good = write(tmp_path / "good.json", exam_document())
    bad = write(tmp_path / "sub" / "bad.JSON", exam_document({"ExamId": ""}))
    broken = tmp_path / "sub" / "broken.json"
    broken.write_bytes(b"{")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-")
    status, out = run(capsys, tmp_path, "--json")
    assert status == 1
    answers = json.loads(out)
    assert {answer["path"]: answer["valid"] for answer in answers} == {
        str(good): True, str(bad): False, str(broken): False,
    }  # fmt: skip
    assert all(set(answer) == {"path", "valid", "errors", "warnings"} for answer in answers)


def test_a_folder_of_one_file_is_an_array_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "good.json", exam_document())
    status, out = run(capsys, tmp_path, "--json")
    assert (status, [answer["path"] for answer in json.loads(out)]) == (0, [str(file)])


def test_fill_shows_what_the_node_would_add(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.json", exam_document({"USCI": "", "Report.PositiveStatus": None, "Extra": 1}))
    status, out = run(capsys, file, "--fill", "--json")
    assert status == 0
    document = json.loads(out)
    assert document == exam_document({"Report.PositiveStatus": -1})
    assert list(document) == list(exam_document())

    status, out = run(capsys, file, "--fill")
    assert status == 0
    assert '\tadded\tUSCI\t统一社会信用代码\t"121100004000000001"' in out
    assert "\tnote\tExtra\t\t" in out


def test_fill_takes_the_hospital_of_the_configuration_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "router.toml"
    config.write_text(
        '[hospital]\nUSCI = "91350100M000100Y43"\nHospitalCode = "H9"\n'
        'HospitalName = "九院"\nHospitalBranchCode = "9"\n',
        encoding="utf-8",
    )
    file = write(tmp_path / "a.json", exam_document({"HospitalName": None}))
    _, out = run(capsys, file, "--fill", "--json", "--config", config)
    assert json.loads(out)["HospitalName"] == "九院"


def test_the_schema_and_the_fields_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, "--schema")
    schema = json.loads(out)
    assert status == 0
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(schema["properties"]) == list(exam_document())
    assert list(schema["properties"]["Order"]["properties"]) == list(exam_document()["Order"])
    status, out = run(capsys, "--fields", "--json")
    assert (status, len(json.loads(out))) == (0, len(FIELDS))
    assert "departments.csv" in run(capsys, "--fields")[1]


def test_the_hospitals_mapping_and_tables_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ris.toml").write_text('[fields]\n"no" = "ExamId"\n[values."Order.Status"]\n"3" = "Reported"\n')
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "items.csv").write_text("own_code,own_name,code,name\nCT001,,S7,CT\n")
    config = tmp_path / "router.toml"
    config.write_text(
        '[hospital]\nUSCI = "121100004000000001"\nHospitalCode = "H0001"\nHospitalName = "示范医院"\n'
        'HospitalBranchCode = "01"\n[reports]\nmapping = "ris.toml"\n[codes]\nfolder = "codes"\ncomplete = ["items"]\n',
        encoding="utf-8",
    )
    document = exam_document({"Order.Status": 3, "no": "E1"})
    file = write(tmp_path / "exam.json", document)
    status, out = run(capsys, file, "--json", "--config", config)
    assert status == 1
    assert [fault["path"] for fault in json.loads(out)["errors"]] == ["Order.Procedures[0].CheckItemCodeStd"]
    for key in ("CheckItemCodeStd", "CheckItemNameStd"):
        document["Order"]["Procedures"][0][key] = ""
    file = write(tmp_path / "exam.json", document)
    status, out = run(capsys, file, "--json", "--fill", "--config", config)
    assert status == 0
    assert json.loads(out)["Order"]["Procedures"][0]["CheckItemCodeStd"] == "S7"


def test_what_a_destination_takes_empty_is_taken_for_it_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "router.toml"
    config.write_text(
        '[hospital]\nUSCI = "121100004000000001"\nHospitalCode = "H0001"\nHospitalName = "示范医院"\n'
        'HospitalBranchCode = "01"\n[[destination]]\nname = "city"\naccept_empty = ["Patient.IdNo"]\n'
        '[[destination]]\nname = "district"\n',
        encoding="utf-8",
    )
    file = write(tmp_path / "newborn.json", exam_document({"Patient.IdNo": "", "Patient.Telephone": ""}))
    asked = ("validate", file, "--json", "--config", config)[1:]
    for destination, missing in (
        ((), ["Patient.IdNo", "Patient.Telephone"]),
        (("--destination", "district"), ["Patient.IdNo", "Patient.Telephone"]),
        (("--destination", "city"), ["Patient.Telephone"]),
        (("--destination", "city", "--fill"), ["Patient.Telephone"]),
    ):
        status, out = run(capsys, tmp_path, *asked[1:], *destination)
        assert (status, [fault["path"] for fault in json.loads(out)[0]["errors"]]) == (1, missing)
    assert run(capsys, file, "--destination", "province", "--config", config)[0] == 2


def test_a_call_that_names_nothing_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys)[0] == 2


def test_wrong_use_is_told_apart_from_a_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, tmp_path / "absent.json")[0] == 2
    assert run(capsys, tmp_path)[0] == 2
    file = write(tmp_path / "a.json", exam_document())
    assert run(capsys, file, "--config", tmp_path / "absent.toml")[0] == 2


def test_each_field_is_shown_with_where_it_came_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ris.toml").write_text(
        """[fields]
        "v + '_' + i[0].c" = "ExamId"
        "i[].c" = "Order.Procedures[].CheckItemCode"
        "p.@born" = { to = "Patient.DateOfBirth", date = "dd.MM.yyyy" }
        [constants]
        "Patient.IdNoType" = "01"
        """,
        encoding="utf-8",
    )
    config = tmp_path / "router.toml"
    hospital = shipped("router.toml").read_text("utf-8").replace('language = "zh_CN"', 'language = "en"')
    config.write_text(hospital.replace("\n[reports] ", '\n[reports]\nmapping = "ris.toml" ', 1), encoding="utf-8")
    exam = '<e><v>V1</v><i><c>CT1</c></i><p born="31.12.1949"/><Patient><Name>张三</Name></Patient></e>'
    (tmp_path / "exam.xml").write_text(exam, encoding="utf-8")
    status, out = run(capsys, tmp_path, "--mapping", "--json", "--config", config)
    [answer] = json.loads(out)
    came = {each["path"]: (each["value"], each["from"]) for each in answer["fields"]}
    assert status == 1
    assert answer["error"] == ""
    assert came["ExamId"] == ('"x9?xx9"', "v + '_' + i[0].c")
    assert came["Order.Procedures[0].CheckItemCode"] == ('"CT1"', "i[].c")
    assert came["Patient.DateOfBirth"] == ('"9999-99-99"', "p.@born")
    assert came["Patient.IdNoType"] == ('"01"', "[constants]")
    assert came["Patient.Name"] == ('"xx"', "the standard's own place in the export")
    assert came["HospitalCode"] == ('"H0001"', "[hospital] of the configuration")
    assert came["Report.PositiveStatus"] == ('"-1"', "other fields")
    assert came["Patient.Telephone"] == ("", "missing: the standard requires it")
    assert came["Patient.Email"] == ("", "nothing")
    assert len([path for path in came if "[" not in path]) == len([one for one in FIELDS if "[]" not in one.path]) - 1
    status, out = run(capsys, tmp_path / "exam.xml", "--mapping", "--config", config)
    assert status == 1
    assert "v + '_' + i[0].c" in out
    assert "张三" not in out
    (tmp_path / "broken.xml").write_text("<e>", encoding="utf-8")
    status, out = run(capsys, tmp_path / "broken.xml", "--mapping", "--json", "--config", config)
    assert (status, "not XML" in json.loads(out)[0]["error"]) == (1, True)
    assert run(capsys, shipped("exam.json"), "--mapping", "--config", config)[0] == 0


def test_an_xml_is_checked_as_a_json_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.xml").write_text("<exam><ExamId>V1_C1</ExamId></exam>", encoding="utf-8")
    status, out = run(capsys, tmp_path, "--json")
    [answer] = json.loads(out)
    assert status == 1
    assert "ExamId" not in [fault["path"] for fault in answer["errors"]]
    assert "USCI" in [fault["path"] for fault in answer["errors"]]
