"""What a hostile exam JSON costs, and what one may list."""

import json
from zoneinfo import ZoneInfo

import pytest

from router.config.sections import Hospital
from router.errors import InvalidData
from router.exam.codes import Table
from router.exam.fill import Sources, fill
from router.exam.key import MOST_STUDIES, key_of
from router.exam.read import read
from support.resource_costs import cost
from support.sample_exam import exam_document

HOSPITAL = Hospital(USCI="121100004000000001", HospitalCode="H0001", HospitalName="示范医院", HospitalBranchCode="01")
CHINA = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    "data",
    [
        'b"[" + b"[]," * 2_700_000 + b"0]"',
        "b'{\"a\":[' + b'{},' * 2_700_000 + b'0]}'",
        "b'{\"a\":[' + b'10,' * 2_700_000 + b'0]}'",
        "b'{' + b','.join(b'\"k%d\":1' % n for n in range(600_000)) + b'}'",
        "b'{\"a\":' * 900_000 + b'1' + b'}' * 900_000",
        "b'[' * 8_000_000",
        "('{\"a\":\"' + '张' * 2_700_000 + '\"}').encode()",
        "('{\"a\":\"' + '张' * 4_000_000 + '\"}').encode('gb18030')",
    ],
)
def test_an_exam_json_costs_a_few_times_its_size(data: str) -> None:
    found = cost(f"""
        from router.exam.read import read
        data = {data}
        def work():
            read(data)
    """)
    assert (found.memory < 150, found.seconds < 5) == (True, True), found


def test_nesting_ends_long_before_anything_that_reads_on_does() -> None:
    assert read(b'{"a":' * 20 + b"1" + b"}" * 20)
    with pytest.raises(InvalidData, match="nested too deeply"):
        read(b'{"a":' * 40 + b"1" + b"}" * 40)
    with pytest.raises(InvalidData, match="nested too deeply"):
        read(b'{"a":' + b"[" * 800 + b"]" * 800 + b"}")


def test_a_list_of_every_image_reads_and_one_longer_than_any_study_does_not() -> None:
    read(json.dumps({"images": [{"uid": f"1.2.{n}"} for n in range(10_000)]}).encode())
    with pytest.raises(InvalidData, match="a list of more than"):
        read(json.dumps({"images": list(range(30_000))}).encode())


@pytest.mark.parametrize("written", ["list", "text", "texts"])
def test_an_exam_lists_no_more_studies_than_one_can_have(written: str) -> None:
    def key(count: int) -> object:
        listed: object = [f"1.2.{n % 10_000}" for n in range(count)]
        listed = {"list": listed, "text": "\\".join(listed), "texts": [",".join(listed)]}[written]  # type: ignore[arg-type]
        document = exam_document({"Study.StudyInstanceUIDs": listed})
        return key_of(document, zone=CHINA, hospital="", default_branch="01", sexes=Table())

    key(MOST_STUDIES)
    with pytest.raises(InvalidData, match="more than 1000 studies"):
        key(MOST_STUDIES + 1)


def test_filling_takes_time_in_proportion_to_what_is_listed() -> None:
    found = cost("""
        sys.path.insert(0, "tests/unit/exam")
        from test_exam_costs import HOSPITAL
        from support.sample_exam import exam_document
        from router.exam.fill import Sources, fill
        document = exam_document({"Study.StudyInstanceUIDs": [f"1.2.{n}" for n in range(20_000)]})
        def work():
            fill(document, Sources(hospital=HOSPITAL, branch="01"))
    """)
    assert found.said == "done"
    assert found.seconds < 2, found


def test_a_uid_that_is_listed_twice_is_sent_once_and_what_is_no_text_stays() -> None:
    document = exam_document({"Study.StudyInstanceUIDs": ["1.2.3", "1.2.4", "1.2.3", 7, [8], 7]})
    filled = fill(document, Sources(hospital=HOSPITAL, branch="01")).document
    assert filled["Study"]["StudyInstanceUIDs"] == ["1.2.3", "1.2.4", 7, [8]]  # type: ignore[index]
