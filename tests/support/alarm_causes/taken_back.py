"""Troubles of what a platform has: withdrawals that it does not take or that are too many, and comparisons with it."""

from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from router.alarms import Alarm
from router.model import Channel
from router.reports.pdf.reader import Readers
from router.review.decisions import OperatorReason
from router.review.dismissals import Dismissals
from router.review.remote import RemoteComparison, places
from router.review.withdrawals import WithdrawalsByHand
from support.alarm_causes.causes import Trouble, of
from support.confirmed_reports import Cloud
from support.node_without_sockets import Node
from support.two_exams import DAY, HOUR, S1, pacs, ris, wait
from support.two_exams import E1 as N1

WANG = OperatorReason("wang", "told their operator")


class Withdrawn(Trouble):
    """An exam is delivered, then withdrawn by the RIS's word."""

    at_most: ClassVar[int] = 5

    def made(self, folder: Path, readers: Readers) -> Node:
        del readers
        return Node(folder, of_destination=f'withdraw_after = "10 min"\nwithdraw_at_most = {self.at_most}')

    def cause(self) -> None:
        self.house.cloud.takes_back = "refuses"
        for step in (pacs(S1, 1, 2), ris(N1, S1), wait(HOUR), ris(N1, S1, minute=30, status="Withdrawn")):
            step(self.house)

    def look(self) -> None:
        self.house.wait(HOUR)


@of(Alarm.WITHDRAWAL)
class NoWithdrawalsTaken(Withdrawn):
    def mend(self) -> None:
        Dismissals(self.house.catalogue, self.house.bus, self.house.clock).dismiss_exam("e1", WANG)


@of(Alarm.WITHDRAWAL)
class NoWithdrawalsTakenAndApprovedAgain(Withdrawn):
    def mend(self) -> None:
        ris(N1, S1, minute=50)(self.house)


@of(Alarm.WITHDRAWALS)
class TooManyWithdrawals(Withdrawn):
    at_most = 0

    def mend(self) -> None:
        by_hand = WithdrawalsByHand(self.house.catalogue, self.house.bus, self.house.clock)
        assert by_hand.confirm(by_hand.stops(), WANG) == 1


class Compared(Trouble):
    """A report is delivered, and each look is a comparison with what the platform says."""

    def made(self, folder: Path, readers: Readers) -> Node:
        del readers
        return Node(folder)

    def cause(self) -> None:
        self.cloud = Cloud()
        for step in (pacs(S1, 1, 2), ris(N1, S1), wait(HOUR)):
            step(self.house)
        self.cloud.take(self.house.catalogue)
        self.look()
        self.differ()

    def differ(self) -> None:
        """The platform has something else from now on."""

    def look(self) -> None:
        house, day = self.house, timedelta(seconds=DAY)
        remote = RemoteComparison(house.config, house.catalogue, house.bus, house.clock, ask=self.cloud.ask)
        house.wait(HOUR)
        place = next(one for one in places(house.config) if one.channel == Channel.REPORT)
        remote.compare(place, self.now - day, self.now)

    def mend(self) -> None:
        self.cloud.has = {}
        self.cloud.take(self.house.catalogue)


@of(Alarm.MISSING_THERE)
class ForgottenThere(Compared):
    def differ(self) -> None:
        self.cloud.has = {}


@of(Alarm.UNKNOWN_THERE)
class UnknownThere(Compared):
    def differ(self) -> None:
        self.cloud.has["another"] = self.now
