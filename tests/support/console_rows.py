"""Rows and records that pages of the console show: how exams count, and an exchange with a platform."""

from dataclasses import replace
from datetime import date

from router.catalogue.queue.outcomes import ExamCount
from router.policy.completeness import Completeness

EXCHANGE = [
    {
        "call": "exam", "at": 1772445600000, "idem": "ab", "piece": None,
        "request": {
            "method": "POST", "path": "/api/v2/exams/V2024",
            "headers": {"Content-Type": "application/json", "X-Sign": "<64 characters>"},
            "body": {"Patient": {"Name": "ZHANGSAN", "Age": 45, "Note": None}, "Items": ["<text of 9 characters>"]},
        },
        "keys": [{"done": "HMAC-SM3", "by": "api_key", "length": 120}],
        "answer": {"status": 200, "headers": {}, "body": {"code": "0"}},
        "verdict": "Accepted", "rule": "code 0", "why": "of ZHANGSAN", "receipt": "R-77",
    }
]  # fmt: skip


def row(number: int, day: date, **about: object) -> ExamCount:
    """An exam that was delivered in time at the first try, or as `about` says."""
    one = ExamCount(
        key=f"e{number}", day=day.isoformat(), hospital="", branch="01", department="放射科", modality="CT",
        device="CT1", critical=0, state=Completeness.ON_TIME, due=1, uploaded=1, report_on_time=1, images_on_time=1,
        on_time=1, first_time=1, report_took=12, images_took=80,
    )  # fmt: skip
    return replace(one, **about)  # type: ignore[arg-type]  # by the names of ExamCount


def late(number: int, day: date, **about: object) -> ExamCount:
    """An exam that was late, by a fault of ours or as `about` says."""
    why = {"miss": "it stood in the queue", "whose": "ours"} | about
    return row(number, day, state=Completeness.LATE, on_time=0, images_on_time=0, **why)
