"""Comparison with a platform: what it forgot is found, and goes again once; doubtful answers send nothing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue import open_catalogue
from router.clock import FakeClock
from router.config.file import parse
from router.errors import DestinationDown, PermanentError, TransientError, Unproven
from router.events import Event, EventBus
from router.forward.inventory import Inventory
from router.policy.comparison import BASELINE, CLOCK, CUT, MANY, SHRUNK, Ours
from router.policy.states import State
from router.review.remote import Found, RemoteComparison, places
from router.upkeep import comparison
from router.upkeep.comparison import ComparisonWatch
from support.catalogue_rows import CLOUD, driver
from support.confirmed_reports import Cloud, confirm

ZONE = "Asia/Shanghai"
MIDNIGHT = datetime(2026, 3, 9, 16, tzinfo=UTC)  # in Beijing, of the tenth
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KEYS = "".join(
    f'{name} = "k"\n'
    for name in ("api_key_file", "signing_key_file", "platform_signing_key_file", "platform_encryption_key_file")
)
HOSPITAL = (
    '[hospital]\nUSCI = "121100004000000001"\nHospitalCode = "H"\nHospitalName = "H"\nHospitalBranchCode = "01"\n'
)


class ComparedNode:
    """A node that has delivered `count` reports in the three days before midnight, and its platform."""

    def __init__(self, folder: Path, count: int, *, resend: bool = False, hospitals: str = HOSPITAL) -> None:
        text = f'{hospitals}[node]\nlanguage = "en"\ndata = "data"\n[[destination]]\nname = "{CLOUD}"\n'
        self.config = parse(f"{text}resend = {str(resend).lower()}\n[destination.http]\n{KEYS}", base=folder)
        self.told: list[Event] = []
        self.bus, self.clock, self.cloud = EventBus(self.told.append), FakeClock(MIDNIGHT + 4 * HOUR), Cloud()
        (folder / "data").mkdir()
        self.catalogue = open_catalogue("", folder / "data", self.bus)
        driver(self.catalogue).execute_sql("PRAGMA synchronous=OFF")
        self.spacing = 3 * DAY / count
        confirm(self.catalogue, count, MIDNIGHT - 3 * DAY, self.spacing)
        self.cloud.take(self.catalogue)
        self.remote = RemoteComparison(self.config, self.catalogue, self.bus, self.clock, ask=self.cloud.ask)

    def compare(self) -> Found:
        return self.remote.compare(places(self.config)[0], MIDNIGHT - 3 * DAY, MIDNIGHT)

    def send_again(self, found: Found) -> int:
        return self.remote.send_again(found.place, found.missing, "lost there", "wang")

    def ready(self) -> list[int]:
        return [one.id for one in self.catalogue.queue.in_state([State.READY])]

    def alarms(self) -> dict[str, str]:
        return {one.alarm: one.text for one in self.catalogue.alarms.standing()}

    def night(self) -> None:
        """The duty's step, at four in the morning."""
        watch = ComparisonWatch(self.config, self.catalogue, self.bus, self.clock, pins=None)  # type: ignore[arg-type]
        watch.step()


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Callable[..., ComparedNode]]:
    made: list[ComparedNode] = []

    def make(count: int = 600, **settings: bool) -> ComparedNode:
        made.append(ComparedNode(tmp_path, count, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.catalogue.engine.close_thread()


@pytest.fixture(autouse=True)
def at_hand(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The duty asks the ward's platform."""
    asked: dict[str, ComparedNode] = {}
    monkeypatch.setattr(comparison, "asking", lambda *_: asked["ward"].cloud.ask)
    request.node.ward_at_hand = asked


def nightly(request: pytest.FixtureRequest, ward: ComparedNode) -> ComparedNode:
    request.node.ward_at_hand["ward"] = ward
    return ward


@pytest.mark.parametrize("count", [3000, pytest.param(100_000, marks=pytest.mark.torture)])
def test_one_in_a_hundred_that_was_forgotten_is_found_and_goes_again_once(
    ward: Callable[..., ComparedNode], count: int
) -> None:
    here = ward(count)
    lost = [f"i{number}" for number in range(7, count + 1, 100)]
    here.cloud.forget(lost)
    found = here.compare()
    assert [one.idem for one in found.missing if isinstance(one, Ours)] == lost
    assert (found.ours, found.there, found.strange, found.difference.otherwise) == (count, count - len(lost), 0, ())
    assert here.send_again(found) == len(lost)
    assert here.send_again(found) == 0
    assert len(here.ready()) == len(lost)
    again = here.compare()
    assert (again.missing, here.send_again(again)) == ((), 0)
    (upload,) = here.catalogue.uploads.of(here.ready()[0])
    assert {one.wanted for one in here.catalogue.queue.in_state([State.READY])} == {upload.wanted}
    assert (upload.confirmed, bool(upload.receipt)) == (None, True)


@pytest.mark.fires("missing-there")
@pytest.mark.ends("missing-there")
def test_the_first_comparison_is_a_baseline_and_the_next_one_raises_the_alarm(
    ward: Callable[..., ComparedNode],
) -> None:
    here = ward()
    here.cloud.forget(["i5"])
    assert here.compare().why_not == BASELINE
    assert here.alarms() == {}
    assert here.compare().why_not == ""
    assert "1 report(s) that cloud confirmed are missing there" in here.alarms()[Alarm.MISSING_THERE]
    here.cloud.forget(["i6"])
    here.compare()
    assert "2 report(s)" in here.alarms()[Alarm.MISSING_THERE]
    here.cloud.take(here.catalogue)
    here.compare()
    assert here.alarms() == {}


@pytest.mark.fires("unknown-there")
@pytest.mark.ends("unknown-there")
def test_what_is_there_beside_is_one_alarm_without_what_was_there_at_the_first_time(
    ward: Callable[..., ComparedNode],
) -> None:
    here = ward()
    gateway = {f"g{number}": MIDNIGHT - HOUR for number in range(5)}
    here.cloud.has |= gateway
    assert here.compare().strange == 0
    here.compare()
    assert here.alarms() == {}
    here.cloud.has |= {"x1": MIDNIGHT - 2 * HOUR, "x2": MIDNIGHT - 3 * HOUR}
    assert here.compare().strange == 2
    assert here.alarms()[Alarm.UNKNOWN_THERE].startswith("2 report(s)")
    here.cloud.forget(["x1", "x2"])
    here.compare()
    assert here.alarms() == {}


def test_before_the_first_report_of_ours_nothing_is_unknown(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    here.compare()
    here.cloud.has |= {f"o{number}": MIDNIGHT - 3 * DAY - HOUR for number in range(50)}
    assert here.compare().strange == 0


def test_what_was_frozen_and_never_confirmed_is_not_unknown(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    here.compare()
    driver(here.catalogue).execute_sql("UPDATE upload SET confirmed = NULL WHERE idem IN ('i1', 'i2')")
    found = here.compare()
    assert (found.strange, len(found.missing), found.ours) == (0, 0, 598)


def _lacks_its_last_page(found: Inventory) -> Inventory:
    return replace(found, exams=found.exams[: len(found.exams) // 2], whole=False)


def _empty(found: Inventory) -> Inventory:
    return replace(found, exams=())


@pytest.mark.parametrize(
    ("spoil", "why"), [(_empty, SHRUNK), (_lacks_its_last_page, CUT)], ids=["empty", "a page missing"]
)
def test_a_doubtful_answer_sends_nothing_by_itself(
    ward: Callable[..., ComparedNode], request: pytest.FixtureRequest, spoil: Callable[[Inventory], Inventory], why: str
) -> None:
    here = nightly(request, ward(resend=True))
    here.night()
    here.cloud.spoil = spoil
    here.clock.advance(86400)
    here.night()
    assert here.ready() == []
    assert any(why in event.text for event in here.told)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_an_hour_off_misses_nothing_and_sends_nothing(
    ward: Callable[..., ComparedNode], request: pytest.FixtureRequest, hours: int
) -> None:
    here = nightly(request, ward(resend=True))
    here.night()
    here.cloud.ahead = timedelta(hours=hours)
    here.cloud.has = {}
    here.cloud.take(here.catalogue)
    found = here.compare()
    assert (found.missing, found.why_not) == ((), CLOCK)
    here.cloud.forget(["i600"])
    here.clock.advance(86400)
    here.night()
    assert here.ready() == []


def test_a_small_loss_goes_again_by_itself_where_that_is_set_and_a_large_one_does_not(
    ward: Callable[..., ComparedNode], request: pytest.FixtureRequest
) -> None:
    here = nightly(request, ward(3000, resend=True))
    here.night()
    here.cloud.forget([f"i{number}" for number in range(2001, 2010)])
    here.clock.advance(86400)
    here.night()
    assert len(here.ready()) == 9
    here.clock.advance(86400)
    here.cloud.forget([f"i{number}" for number in range(2500, 2511)])
    here.night()
    assert len(here.ready()) == 9
    assert here.compare().why_not == MANY


def test_nothing_goes_again_by_itself_where_that_is_not_set(
    ward: Callable[..., ComparedNode], request: pytest.FixtureRequest
) -> None:
    here = nightly(request, ward())
    here.night()
    here.cloud.forget(["i300"])
    here.clock.advance(86400)
    here.night()
    assert (here.ready(), Alarm.MISSING_THERE in here.alarms()) == ([], True)


def test_a_night_is_compared_once_and_a_silent_platform_is_asked_again_after_an_hour(
    ward: Callable[..., ComparedNode], request: pytest.FixtureRequest
) -> None:
    here = nightly(request, ward())
    watch = ComparisonWatch(here.config, here.catalogue, here.bus, here.clock, pins=None)  # type: ignore[arg-type]
    here.cloud.offered = False
    watch.step()
    here.clock.advance(7200)
    watch.step()
    assert len(here.cloud.asked) == 1
    here.cloud.offered = True
    here.clock.advance(86400)
    watch.step()
    asked = len(here.cloud.asked)
    here.clock.advance(7200)
    watch.step()
    assert len(here.cloud.asked) == asked > 1


@pytest.mark.parametrize("error", [PermanentError("400"), TransientError("503"), Unproven("no"), DestinationDown("no")])
def test_a_platform_that_gives_no_answer_is_asked_again_after_an_hour_and_nothing_is_concluded(
    ward: Callable[..., ComparedNode], request: pytest.FixtureRequest, error: Exception
) -> None:
    here = nightly(request, ward(30))

    def fails(found: Inventory) -> Inventory:
        del found
        raise error

    here.cloud.spoil = fails
    watch = ComparisonWatch(here.config, here.catalogue, here.bus, here.clock, pins=None)  # type: ignore[arg-type]
    for _ in range(2):
        watch.step()
    assert (len(here.cloud.asked), here.alarms(), here.catalogue.comparisons.last()) == (1, {}, [])
    here.clock.advance(3601)
    watch.step()
    assert len(here.cloud.asked) == 2
    assert any("was not possible" in event.text for event in here.told)


def test_what_is_withdrawn_there_and_not_here_is_told_and_not_sent_again(ward: Callable[..., ComparedNode]) -> None:
    here = ward()
    here.compare()
    here.cloud.states = {"i9": "withdrawn"}
    found = here.compare()
    assert ([one.idem for one in found.difference.otherwise if isinstance(one, Ours)], found.missing) == (["i9"], ())
    assert "1 are there in another state" in here.alarms()[Alarm.MISSING_THERE]


def test_each_hospital_is_compared_by_itself(tmp_path: Path) -> None:
    hospitals = "".join(
        f'[[hospital]]\nname = "{name}"\nUSCI = "{usci}"\nHospitalCode = "H{name}"\nHospitalName = "{name}"\n'
        'HospitalBranchCode = "01"\n'
        for name, usci in (("a", "121100004000000001"), ("b", "121100004000000027"))
    )
    here = ComparedNode(tmp_path, 3, hospitals=hospitals)
    for name in "ab":
        confirm(here.catalogue, 10, MIDNIGHT - DAY, HOUR, hospital=name)
    here.cloud.take(here.catalogue)
    here.cloud.forget([next(idem for idem in here.cloud.has if idem.startswith("b"))])
    found = {one.hospital: here.remote.compare(one, MIDNIGHT - 3 * DAY, MIDNIGHT) for one in places(here.config)}
    assert {name: len(one.missing) for name, one in found.items()} == {"a": 0, "b": 1}
    assert [one.hospital for one in places(here.config, hospital="b")] == ["b"]
    assert {name: one.place.org for name, one in found.items()} == {
        "a": "121100004000000001", "b": "121100004000000027",
    }  # fmt: skip
    here.catalogue.engine.close_thread()
