"""Which studies without a report count, when there are unusually many, and when a sender or the RIS fell silent."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from router.matching.images.unreported import Reported, Scope, Silence, Waiting, overdue, passed_over, silence, too_many
from router.policy.workdays import WorkClock, Workdays

ZONE = ZoneInfo("Asia/Shanghai")
SCOPE = Scope(modalities=frozenset({"CT", "MR"}), start=None, after=timedelta(days=3), dismissed={})
# 2026-03-02 is a Monday.


def at(text: str) -> datetime:
    return datetime.fromisoformat(text if " " in text else f"{text} 09:00").replace(tzinfo=ZONE)


def clock(now: str, free: Sequence[str] = ()) -> WorkClock:
    return WorkClock(days=Workdays(free=frozenset(map(date.fromisoformat, free))), zone=ZONE, now=at(now))


def waits(came: str, sender: str = "CT1", modality: str = "CT", study_date: str | None = None) -> Waiting:
    day = came[:10].replace("-", "") if study_date is None else study_date
    return Waiting(
        study_uid=f"1.{came}", sender=sender, address="", modality=modality, study_date=day, came=at(came),
        last=at(came),
    )  # fmt: skip


def reported(came: str, after: float = 1, sender: str = "MR1", study_date: str | None = None) -> Reported:
    """One whose report came so many hours after the images."""
    day = came[:10].replace("-", "") if study_date is None else study_date
    return Reported(sender=sender, study_date=day, came=at(came), at=at(came) + timedelta(hours=after))


def three(day: str, sender: str = "CT1", hours: Sequence[int] = (8, 9, 10)) -> list[Waiting]:
    return [waits(f"{day} {hour:02}:00", sender) for hour in hours]


# -- which count


@pytest.mark.parametrize(("one", "why"), [
    (waits("2026-03-02"), ""),
    (waits("2026-03-02", study_date="20260216"), ""),
    (waits("2026-03-02", study_date="20260215"), "a prior"),
    (waits("2026-03-02", study_date="20260317"), "a prior"),
    (waits("2026-03-02", study_date=""), ""),
    (waits("2026-03-02", study_date="2026-3-2"), ""),
    (waits("2026-03-02", modality="US"), "modality US"),
    (waits("2026-03-02", modality=""), ""),
    (waits("2026-03-02", modality="SR"), "no images, only SR"),
])  # fmt: skip
def test_what_should_get_its_report_here_is_told_from_the_rest(one: Waiting, why: str) -> None:
    found = passed_over(one, SCOPE, clock("2026-03-02 12:00"))
    assert found == "" if why == "" else why in found


def test_what_was_made_before_sharing_began_does_not_count() -> None:
    scope = Scope(modalities=frozenset({"CT"}), start=date(2026, 3, 2), after=timedelta(days=3), dismissed={})
    assert "[share] from" in passed_over(waits("2026-03-02", study_date="20260301"), scope, clock("2026-03-03"))
    assert passed_over(waits("2026-03-02", study_date="20260302"), scope, clock("2026-03-03")) == ""


def test_the_day_of_arrival_is_the_hospitals() -> None:
    late = Waiting(
        study_uid="1", sender="CT1", address="", modality="CT", study_date="20260216",
        came=datetime.fromisoformat("2026-03-02T17:00:00+00:00"), last=at("2026-03-03"),
    )  # fmt: skip
    assert "a prior" in passed_over(late, SCOPE, clock("2026-03-03"))


@pytest.mark.parametrize(("came", "now", "free", "count"), [
    ("2026-03-02", "2026-03-05 08:59", (), 0),
    ("2026-03-02", "2026-03-05 09:00", (), 1),
    ("2026-03-07", "2026-03-11 23:59", (), 0),  # a weekend's MR: from Monday on
    ("2026-03-07", "2026-03-12 00:00", (), 1),
    ("2026-03-05", "2026-03-10 09:00", (), 1),
    ("2026-03-05", "2026-03-10 09:00", ("2026-03-09",), 0),
    ("2026-03-05", "2026-03-11 09:00", ("2026-03-09",), 1),
])  # fmt: skip
def test_a_study_is_overdue_after_three_days_of_working_time(
    came: str, now: str, free: Sequence[str], count: int
) -> None:
    assert overdue([waits(came, "MR1", "MR")], SCOPE, clock(now, free)) == count


# -- how many


@pytest.mark.parametrize(("number", "history", "unusual"), [
    (20, [], False),
    (21, [], True),
    (21, [0] * 6, True),
    (20, [0] * 6, False),
    (1, [0] * 7, True),
    (0, [0] * 7, False),
    (10, [5] * 28, False),
    (11, [5] * 28, True),
    (100, [60] * 28, False),
    (9, [4] * 15 + [50] * 13, True),
    (8, [4] * 15 + [50] * 13, False),
    (21, [10] * 7, True),
])  # fmt: skip
def test_a_number_above_twice_the_usual_is_unusual(number: int, history: list[int], unusual: bool) -> None:
    assert bool(too_many(number, history)) is unusual


def test_ordinary_weeks_raise_nothing() -> None:
    numbers = [4, 6, 5, 5, 7, 7, 7, 3, 5, 6, 4, 8, 8, 8, 5, 6, 6, 4, 5, 5, 5, 6, 7, 4, 5, 6, 6, 6]
    assert [day for day in range(7, 28) if too_many(numbers[day], numbers[:day])] == []


def test_500_priors_of_a_prefetch_raise_nothing() -> None:
    priors = [waits("2026-03-02", "PACS", study_date=f"2024{1 + n % 12:02}{1 + n % 28:02}") for n in range(500)]
    assert overdue(priors, SCOPE, clock("2026-03-20")) == 0
    assert heard(priors, [], "2026-03-20") == ({}, False)


# -- who fell silent


def heard(
    waiting: Sequence[Waiting], reports: Sequence[Reported], now: str, free: Sequence[str] = (),
    dismissed: Mapping[str, datetime | None] | None = None,
) -> tuple[dict[str, int], bool]:  # fmt: skip
    scope = Scope(modalities=SCOPE.modalities, start=None, after=SCOPE.after, dismissed=dismissed or {})
    found: Silence = silence(waiting, reports, scope, clock(now, free))
    return {sender: one.studies for sender, one in found.senders.items()}, found.ris is not None


MONDAY = "2026-03-02"
OTHERS = [reported("2026-03-02 08:30"), reported("2026-03-02 15:00")]


@pytest.mark.parametrize(("now", "silent"), [
    ("2026-03-02 18:00", {}), ("2026-03-03 01:59", {}), ("2026-03-03 02:00", {"CT1": 3}), ("2026-03-20", {"CT1": 3}),
])  # fmt: skip
def test_a_sender_none_of_whose_studies_of_a_day_has_its_report_is_told_by_the_end_of_the_day(
    now: str, silent: dict[str, int]
) -> None:
    assert heard(three(MONDAY), OTHERS, now) == (silent, False)


def test_one_report_of_the_sender_is_enough() -> None:
    one = reported("2026-03-02 08:00", sender="CT1")
    assert heard(three(MONDAY), [*OTHERS, one], "2026-03-03") == ({}, False)


def test_two_studies_are_too_few() -> None:
    assert heard(three(MONDAY)[:2], OTHERS, "2026-03-03") == ({}, False)


@pytest.mark.parametrize("strange", [
    {"study_date": "20260226"}, {"modality": "US"}, {"study_date": "20240101"},
])  # fmt: skip
def test_priors_and_what_is_out_of_scope_are_no_studies_of_the_day(strange: dict[str, str]) -> None:
    some = [waits(f"2026-03-02 {hour:02}:00", **strange) for hour in range(8, 18)]
    assert heard(some, OTHERS, "2026-03-05") == ({}, False)


def test_studies_of_a_night_are_sent_after_midnight() -> None:
    night = [waits(f"2026-03-03 00:0{n}", study_date="20260302") for n in range(3)]
    assert heard(night, [reported("2026-03-02 20:00", 2)], "2026-03-04 02:00") == ({"CT1": 3}, False)


def test_what_came_in_the_evening_is_due_by_the_end_of_the_next_day() -> None:
    evening = three(MONDAY, hours=(20, 21, 22))
    assert heard(evening, OTHERS, "2026-03-03 02:00") == ({}, False)
    assert heard(evening, OTHERS, "2026-03-04 02:00") == ({"CT1": 3}, False)


def test_a_weekends_mr_is_due_by_the_end_of_monday() -> None:
    saturday = three("2026-03-07", "MR2")
    emergency = [reported("2026-03-07 08:30", sender="CT1")]
    assert heard(saturday, emergency, "2026-03-09 23:00") == ({}, False)
    assert heard(saturday, emergency, "2026-03-10 02:00") == ({"MR2": 3}, False)


def test_before_a_holiday_evening_studies_wait_until_after_it() -> None:
    evening, others = three("2026-03-03", hours=(19, 20, 21)), [reported("2026-03-03 08:30")]
    holiday = ("2026-03-04", "2026-03-05", "2026-03-06")
    assert heard(evening, others, "2026-03-10 01:59", holiday) == ({}, False)
    assert heard(evening, others, "2026-03-10 02:00", holiday) == ({"CT1": 3}, False)


HABIT = [reported(f"2026-02-{day} 08:00", 1, "CT1") for day in (23, 24, 25, 26, 27)]


def test_a_sender_whose_reports_come_within_the_hour_is_told_after_four() -> None:
    assert heard(three(MONDAY), [*OTHERS, *HABIT], "2026-03-02 13:59") == ({}, False)
    assert heard(three(MONDAY), [*OTHERS, *HABIT], "2026-03-02 14:00") == ({"CT1": 3}, False)


def test_a_sender_whose_reports_come_the_next_day_has_its_time() -> None:
    habit = [reported(f"2026-02-{day} 08:00", 20, "CT1") for day in (23, 24, 25, 26)]
    habit.append(reported("2026-02-20 08:00", 72 + 20, "CT1"))  # over a weekend, which is no working time
    assert heard(three(MONDAY), [*OTHERS, *habit], "2026-03-04 01:59") == ({}, False)
    assert heard(three(MONDAY), [*OTHERS, *habit], "2026-03-04 02:00") == ({"CT1": 3}, False)


def test_the_day_the_ris_is_down_is_one_alarm_and_none_of_its_senders() -> None:
    all_of_them = [*three(MONDAY, "CT1"), *three(MONDAY, "CT2"), *three(MONDAY, "MR1")]
    before = [reported("2026-02-27 15:00", sender=name) for name in ("CT1", "CT2", "MR1")]
    assert heard(all_of_them, before, "2026-03-03 01:59") == ({}, False)
    assert heard(all_of_them, before, "2026-03-03 02:00") == ({}, True)
    back = [reported("2026-03-03 08:00", sender=name) for name in ("CT1", "CT2", "MR1")]
    assert heard(all_of_them, [*before, *back], "2026-03-03 12:00") == ({}, True), "that day's never came"


def test_a_ris_that_comes_back_is_given_two_hours_for_the_rest() -> None:
    all_of_them = [*three(MONDAY, "CT1"), *three(MONDAY, "CT2")]
    back = [reported("2026-03-02 08:00", 26, "MR1")]
    assert heard(all_of_them, back, "2026-03-03 11:59") == ({}, False)
    assert heard(all_of_them, back, "2026-03-03 12:00") == ({"CT1": 3, "CT2": 3}, False)


def test_the_only_sender_there_is_cannot_be_told_from_the_ris() -> None:
    before = [reported("2026-02-27 08:00", sender="PACS")]
    assert heard(three(MONDAY, "PACS"), before, "2026-03-03 02:00") == ({}, True)


def test_the_only_sender_of_a_day_is_told_where_reports_of_others_came_meanwhile() -> None:
    assert heard(three(MONDAY), [reported("2026-02-27 16:00", 72 - 3)], "2026-03-03 02:00") == ({"CT1": 3}, False)


def test_the_first_day_of_a_node_with_one_sender_unmapped() -> None:
    assert heard([*three(MONDAY, "CT1"), *three(MONDAY, "CT2")], OTHERS, "2026-03-03 02:00") == (
        {"CT1": 3, "CT2": 3}, False,
    )  # fmt: skip


def test_a_silent_ris_is_not_told_of_an_afternoon() -> None:
    assert heard(three(MONDAY, hours=(15, 16, 17)), [], "2026-03-03 02:00") == ({}, False)
    assert heard(three(MONDAY, hours=(15, 16, 17)), [], "2026-03-04 02:00") == ({}, True)


def test_what_a_person_has_dismissed_is_not_told_until_it_began_to_be_reported_again() -> None:
    both = [*three(MONDAY), *three("2026-03-04")]
    others = [*OTHERS, reported("2026-03-04 08:30")]
    assert heard(both, others, "2026-03-06", dismissed={"CT1": None}) == ({}, False)
    assert heard(both, others, "2026-03-06", dismissed={"CT1": at("2026-03-03")}) == ({"CT1": 3}, False)
    ended = Scope(modalities=SCOPE.modalities, start=None, after=SCOPE.after, dismissed={"CT1": at("2026-03-03")})
    assert overdue(both, ended, clock("2026-03-20")) == 3
