"""No instant enters the database that it cannot give back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.catalogue import Catalogue
from router.catalogue.db.tables.exams import Exam
from support.catalogue_rows import NOW, driver, exam

FIRST, LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
_OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_EDGES = st.sampled_from([
    datetime.min, datetime.max, datetime(1, 1, 1, 8), datetime(9999, 12, 31, 23, 59, 59), datetime(1970, 1, 1),  # noqa: DTZ901, DTZ001
    datetime(1969, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
])  # fmt: skip


@given(st.builds(lambda moment, zone: moment.replace(tzinfo=zone), st.one_of(_EDGES, st.datetimes()), _OFFSETS))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_instant_comes_back_or_the_nearest_that_can_be_shown(catalogue: Catalogue, moment: datetime) -> None:
    number = catalogue.exams.number_of("", "01", "E1", NOW)
    catalogue.engine.run(Exam.update(approved_at=moment).where(Exam.id == number))
    ((found,),) = catalogue.engine.run(Exam.select(Exam.approved_at).where(Exam.id == number).tuples())
    assert found == min(max(moment, FIRST), LAST)
    found.astimezone(timezone(timedelta(hours=14)))
    found.astimezone(timezone(timedelta(hours=-12)))


@pytest.mark.parametrize("stored", [-62135625600 * 10**6, 253402329600 * 10**6, -(2**62), 2**62])
def test_an_instant_that_was_stored_before_it_was_bounded_can_be_read(catalogue: Catalogue, stored: int) -> None:
    number = exam(catalogue)
    driver(catalogue).execute_sql(f"UPDATE exam SET approved_at = {stored} WHERE id = {number}")
    ((found,),) = catalogue.engine.run(Exam.select(Exam.approved_at).where(Exam.id == number).tuples())
    assert found in (FIRST, LAST)
