"""Lines of the log: what they call things."""

import logging
from datetime import UTC, datetime

import pytest

from router.alarms import Alarm
from router.events import Event, Kind, log_event


def test_the_log_calls_an_exam_and_a_delivery_by_the_names_that_commands_take(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with caplog.at_level(logging.INFO, "router"):
        log_event(Event(now, Kind.ALARM, "late", exam=17, delivery=85, alarm=Alarm.MISSED, subject="d85"))
        log_event(Event(now, Kind.STARTED, "up"))
    first, last = (record.getMessage() for record in caplog.records)
    assert first.endswith(" alarm=missed of=d85 exam=e17 delivery=d85")
    assert last == "started: up"
