"""The statistics as a table for spreadsheets: one CSV file, the same by the command and at the console."""

from router.policy.completeness import Completeness
from router.review.statistics import PERCENTILES, By, Rates, Statistics, percent, percentile
from router.upkeep.daily import table_of

_HEADINGS = {
    By.DAY: "日期", By.WEEK: "周", By.MONTH: "月份", By.HOSPITAL: "医院", By.BRANCH: "院区", By.DEPARTMENT: "科室",
    By.MODALITY: "检查类型", By.DEVICE: "设备",
}  # fmt: skip
_STATES = {
    Completeness.ON_TIME: "按时完成", Completeness.LATE: "超时", Completeness.ON_ITS_WAY: "上传中",
    Completeness.PAUSED: "已暂停", Completeness.PERSON: "待人工处理", Completeness.NOT_SHARED: "不共享",
    Completeness.UNREPORTED: "未出报告", Completeness.NEVER_CAME: "影像未到",
}  # fmt: skip


def csv_of(found: Statistics, by: By) -> bytes:
    """The rows, and all of them together, as spreadsheets of a Chinese office read them: UTF-8 with BOM."""
    columns = [
        _HEADINGS[by], "应上传数", "已上传数", "上传率", "报告及时数", "影像及时数", "及时数", "及时率",
        "首次合格数", "合格率", "未出报告数", *_STATES.values(), "总数",
        *(f"报告用时P{n}(分钟)" for n in PERCENTILES), *(f"影像用时P{n}(分钟)" for n in PERCENTILES),
    ]  # fmt: skip
    rows = [_cells(one.group, one) for one in found.rows]
    rows += [_cells("合计", found.total), _cells("危急值", found.critical)]
    return table_of(columns, (dict(zip(columns, row, strict=True)) for row in rows))


def _cells(name: str, one: Rates) -> list[object]:
    return [
        name, one.due, one.uploaded, percent(one.upload_rate), one.report_on_time, one.images_on_time, one.on_time,
        percent(one.on_time_rate), one.accepted_first_time, percent(one.first_time_rate), one.unreported,
        *(one.states[state] for state in _STATES), one.exams,
        *(percentile(one.report_took, n) for n in PERCENTILES), *(percentile(one.images_took, n) for n in PERCENTILES),
    ]  # fmt: skip
