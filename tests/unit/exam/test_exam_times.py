"""Times of a RIS's export: read where they are certain, none where a program wrote "no time", else a fault."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.config.sections import Hospital
from router.exam.faults import Fault
from router.exam.fill import Sources, fill
from router.exam.key import ExamKey, key_of
from router.exam.times import instant, is_no_time
from router.exam.validate import validate
from support.sample_exam import exam_document, shipped_tables

ZONE = ZoneInfo("Asia/Shanghai")
HOSPITAL = Hospital(
    USCI="121100004000000001", HospitalCode="H0001", HospitalName="示范医院", HospitalBranchCode="01"
)  # fmt: skip
AT = datetime(2026, 11, 29, 14, 5, tzinfo=ZONE)
TIMES = (
    "Order.ApplyTime", "Order.CheckInTime", "Order.RegisterTime", "Report.ApproveTime", "Report.SubmitTime",
    "Study.StudyDate",
)  # fmt: skip


def key(path: str, value: object) -> ExamKey:
    return key_of(
        exam_document({path: value}), zone=ZONE, hospital="", default_branch="01", sexes=shipped_tables()["sex"]
    )


def faults(path: str, value: object) -> list[Fault]:
    sources = Sources(hospital=HOSPITAL, branch="01", zone=ZONE, tables=shipped_tables())
    filled = fill(exam_document({path: value}), sources).document
    errors = validate(filled, tables=shipped_tables(), zone=ZONE).errors
    return [fault for fault in errors if fault.path == path]


@pytest.mark.parametrize("written", [
    "2026-11-29 14:05:00", "2026-11-29T14:05", "2026-11-29T06:05:00Z", "2026-11-29 14:05:00.1234567+08:00",
    "2026-11-29 14:05:00+08", "2026/11/29 14:05", "2026.11.29 14:05:00", "20261129140500", "20261129 1405",
    "2026年11月29日 14:05:00", "2026年11月29日14时5分", "2026年11月29日 14时05分00秒", "2026年11月29日 下午2:05",
    "2026/11/29 下午 02:05:00", "2026-11-29 2:05:00 PM", "2026-11-29 02:05 p.m.", "2026年11月29日 星期日 下午2时5分",
    "２０２６－１１－２９ １４：０５", "11/29/2026 2:05:00 PM", "29/11/2026 14:05", "29.11.2026 14:05:00",
    "Nov 29 2026  2:05PM", "29-Nov-2026 14:05:00", "November 29, 2026 14:05", "Sun, 29 Nov 2026 06:05:00 GMT",
    "/Date(1795932300000)/", "/Date(1795932300000+0800)/", 1795932300, "1795932300", 1795932300000, "1795932300000",
    1795932300.0, " 2026-11-29  14:05:00 ", "2026-11-29 14:05:00 星期日", "2026-11-29 星期日 14:05:00",
    "2026-11-29 14:05 周日", "2026/11/29 周日 14:05", "2026-11-29(星期日)14:05:00", "星期日 2026-11-29 14:05:00",
    "2026-11-29 Sunday 14:05", "2026-11-29 14:05:00 Sun", "Sun 29/11/2026 14:05", "2026年11月29日星期天下午2时5分",
    "Sun Nov 29 14:05:00 2026", "Nov 29 14:05:00 2026", "Sun Nov 29 06:05:00 GMT 2026", "Sun Nov 29 06:05:00 UTC 2026",
    "Sun Nov 29 14:05:00 +0800 2026", "20261129 14:05:00 星期日".replace(":", ""),
])  # fmt: skip
def test_the_forms_that_exports_have_are_one_instant(written: object) -> None:
    assert instant(written, ZONE) == AT


@pytest.mark.parametrize("written", [
    "2026-11-29", "20261129", "2026年11月29日", "05/06/2026 10:00", "05/06/2026 10:00:00 AM", "11/29/26 10:00",
    "29-11月-26 10.00.00 上午", "2026112910", 2026112910, 46355.586, "46355.586", 46355,
    "2026-11-29 25:00", "13/32/2026 10:00",
    "2026-11-29 14:05 AM", "2026-11-29 0:05 PM", "2026-02-30 10:00:00", "2026-11-29 24:00:00", "10:05", "昨天 10:05",
    "9999-12-31 23:59:59", "1850-01-01 10:00:00", True, None, [], {}, "x" * 200, 1e300, float("nan"), 179593230,
    "2026年11月29日晚上12:05", "Sun Nov 29 14:05:00 CST 2026", "2026-11-29 星期日",
    "星期日 14:05:00", "Sun Nov 31 14:05:00 2026", "2026-11-29 14:05:00 星期日 星期日", "2026-11-29 14:05:00 -99:99",
])  # fmt: skip
def test_what_is_not_certain_is_not_guessed(written: object) -> None:
    assert instant(written, ZONE) is None
    assert not is_no_time(written, ZONE)


_NONE = [
    "0001-01-01", "0001-01-01T00:00:00", "0001-01-01 00:00:00", "0001/1/1 0:00:00", "00010101000000",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+08:05", "1900-01-01", "1900-01-01 00:00:00", "1900/1/1 0:00:00", "19000101", "19000101000000",
    "1970-01-01", "1970-01-01 00:00:00", "1970-01-01 08:00:00", "1970-01-01T00:00:00Z", "1970/1/1 8:00:00",
    "1899-12-30 00:00:00", "1753-01-01 00:00:00", "0000-00-00 00:00:00", "/Date(-62135596800000)/", "/Date(0)/",
    "/Date(-62135596800000+0800)/", "/Date(-28800000+0800)/", 0, "0", "1900年1月1日 00:00:00",
]  # fmt: skip


@pytest.mark.parametrize("written", _NONE)
def test_what_programs_write_for_no_time_is_none(written: object) -> None:
    assert is_no_time(written, ZONE)
    assert instant(written, ZONE) is None


@pytest.mark.parametrize("written", ["1970-01-01 09:30:00", "1970-01-02 00:00:00", "1901-01-01 00:00:00"])
def test_a_time_near_the_first_day_of_a_program_is_a_time(written: str) -> None:
    assert instant(written, ZONE) is not None


@pytest.mark.parametrize("path", TIMES)
@pytest.mark.parametrize("written", ["0001-01-01T00:00:00", "1900-01-01", "1970-01-01 08:00:00"])
def test_no_time_counts_as_absent_in_every_time_of_the_exam(path: str, written: str) -> None:
    found = key(path, written)
    assert None in (found.approve_time, found.submit_time, found.study_date) or path.startswith("Order.")
    assert not found.unread_approval
    assert all("missing" in fault.expected for fault in faults(path, written))


@pytest.mark.parametrize("born", ["1900-01-01", "1970-01-01", "19000101", "0001-01-01"])
def test_a_date_of_birth_is_what_it_says(born: str) -> None:
    assert key("Patient.DateOfBirth", born).patient.birth_date == f"{born[:4]}-01-01"
    sources = Sources(hospital=HOSPITAL, branch="01", zone=ZONE, tables=shipped_tables())
    patient = fill(exam_document({"Patient.DateOfBirth": born}), sources).document["Patient"]
    assert isinstance(patient, dict)
    assert patient["DateOfBirth"] == f"{born[:4]}-01-01"


@pytest.mark.parametrize(("written", "shape"), [
    ("2026-11-29", '"9999-99-99", a day without its time'),
    ("05/06/2026 10:00", '"99/99/9999 99:99", of which day and month cannot be told apart'),
    ("2026-02-30 10:00:00", '"9999-99-99 99:99:99" that is on no calendar'),
    ("昨天 10:05", '"xx 99:99"'), (46355, "a number"), ("29-11月-26", '"99-99x-99"'),
])  # fmt: skip
@pytest.mark.parametrize("path", ["Report.ApproveTime", "Study.StudyDate"])
def test_a_time_that_does_not_read_is_a_fault_that_names_its_shape(path: str, written: object, shape: str) -> None:
    (fault,) = faults(path, written)
    assert fault.found == shape
    assert str(written) not in fault.message
    assert key("Report.ApproveTime", written).unread_approval


def test_what_is_read_is_sent_in_the_form_of_the_standard() -> None:
    assert not faults("Report.ApproveTime", "2026年11月29日 下午2:05")
    sources = Sources(hospital=HOSPITAL, branch="01", zone=ZONE, tables=shipped_tables())
    report = fill(exam_document({"Report.ApproveTime": "/Date(1795932300000)/"}), sources).document["Report"]
    assert isinstance(report, dict)
    assert report["ApproveTime"] == "2026-11-29 14:05:00"


_MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 30))  # noqa: DTZ001  # local ones


@given(
    _MOMENTS,
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y/%m/%d %I:%M:%S %p", "%Y年%m月%d日 %H时%M分%S秒", "%Y%m%d%H%M%S"]),
)
@settings(deadline=None)
def test_every_moment_is_read_back_as_it_was_written(moment: datetime, form: str) -> None:
    assert instant(moment.strftime(form), ZONE) == moment.replace(microsecond=0, tzinfo=ZONE)


_ZONES = st.sampled_from(["Asia/Shanghai", "UTC", "Pacific/Kiritimati", "Pacific/Niue", "America/New_York"])
_PIECES = st.lists(st.sampled_from([
    "2026", "1970", "0001", "9999", "0000", "-", "/", ".", " ", "T", ":", "11", "29", "05", "上午", "PM", "年", "月",
    "日", "时", "分", "Z", "+14:00", "-23:59", "/Date(", ")/", "-62135596800000", "253402300799999", "Nov", "GMT",
]), max_size=12).map("".join)  # fmt: skip


@given(st.one_of(_PIECES, st.integers(-(10**15), 10**15), st.floats()), _ZONES)
@settings(deadline=None)
def test_whatever_is_written_gives_a_time_that_every_zone_can_show_or_none(written: object, name: str) -> None:
    found = instant(written, ZoneInfo(name))
    if found is not None:
        assert 1900 <= found.astimezone(UTC).year <= 2200
        assert not is_no_time(written, ZoneInfo(name))
