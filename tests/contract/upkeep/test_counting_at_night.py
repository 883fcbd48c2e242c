"""The node counts as exams go on, and asks the PACS once a night, again where it does not answer."""

from datetime import UTC, date, datetime
from pathlib import Path

from router.catalogue import Catalogue
from router.clock import FakeClock
from router.config.file import parse
from router.config.sections import Config
from router.errors import TransientError
from router.events import Event, EventBus
from router.intake.exam_reader import ExamReader
from router.review.outcomes import OutcomeCounter, PacsStudy
from router.upkeep.counting import Counting

CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
timezone = "Asia/Shanghai"
[query]
ae_title = "PACS"
"""
AFTERNOON = datetime(2026, 3, 2, 7, tzinfo=UTC)  # 15:00 by the hospital's clock


class Pacs:
    """Has one study a day, and is down for so many questions."""

    def __init__(self, down: int = 0) -> None:
        self.down = down
        self.asked: list[date] = []

    def ask(self, _: Config, day: date) -> list[PacsStudy]:
        if self.down:
            self.down -= 1
            raise TransientError("no route")
        self.asked.append(day)
        return [PacsStudy(f"1.2.{day:%Y%m%d}", "CT")]


def counting(catalogue: Catalogue, pacs: Pacs, told: list[Event], text: str = CONFIG) -> tuple[Counting, FakeClock]:
    config, clock = parse(text, base=Path("/nowhere")), FakeClock(AFTERNOON)
    counter = OutcomeCounter(config, catalogue, ExamReader(config), lambda _: b"")
    return Counting(config, counter, pacs.ask, EventBus(told.append), clock), clock


def test_the_pacs_is_asked_once_a_night_for_the_last_seven_days(catalogue: Catalogue) -> None:
    pacs, told = Pacs(), list[Event]()
    duty, clock = counting(catalogue, pacs, told)
    duty.step()
    assert pacs.asked == []
    clock.advance(8 * 3600)  # 23:00
    for _ in range(12):
        duty.step()
        clock.advance(1800)
    assert pacs.asked == [date(2026, 3, 2 - n) if n < 2 else date(2026, 2, 30 - n) for n in range(7)]
    assert told[-1].text.endswith("7 never came here")
    found = catalogue.outcomes.all("2026-01-01", "2026-12-31")
    assert {one.state for one in found} == {"never came"}
    clock.advance(20 * 3600)
    duty.step()
    assert len(pacs.asked) == 14, "the next night"


def test_a_pacs_that_is_down_is_asked_again_in_the_same_night(catalogue: Catalogue) -> None:
    pacs, told = Pacs(down=1), list[Event]()
    duty, clock = counting(catalogue, pacs, told)
    clock.advance(8 * 3600)
    duty.step()
    duty.step()
    assert pacs.asked == []
    assert len(told) == 1, "not asked again at once"
    clock.advance(1800)
    duty.step()
    assert len(pacs.asked) == 7


def test_without_a_pacs_nothing_is_asked(catalogue: Catalogue) -> None:
    pacs = Pacs()
    duty, clock = counting(catalogue, pacs, [], CONFIG.replace('[query]\nae_title = "PACS"\n', ""))
    clock.advance(8 * 3600)
    duty.step()
    assert pacs.asked == []
