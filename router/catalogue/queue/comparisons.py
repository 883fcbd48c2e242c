"""Comparisons with destinations: what they confirmed, what they are known to have been given, how comparisons ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from peewee import fn

from router.catalogue.db.engine import RecordedRows, portions
from router.catalogue.db.tables.queue import ComparisonRow as Row
from router.catalogue.db.tables.queue import Delivery, Upload, WithdrawalRow
from router.model import Channel
from router.policy.comparison import Ours
from router.policy.states import State
from router.policy.withdrawal import SETTLED

_STAYS = (State.DELIVERED, State.WITHDRAWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A comparison of the reports, or of exams' images, of a day by the hospital's calendar.

    `whole`: the destination's answer was. `missing` are not there, or there in another state. `strange` reports
    (instances) were never sent from here, as `usual` of them at the first comparison. `hospital` is whose they are.
    """

    destination: str
    hospital: str
    channel: Channel
    day: date
    at: datetime
    ours: int
    theirs: int
    missing: int
    strange: int
    usual: int
    whole: bool


class Comparisons(RecordedRows):
    """One comparison is kept for each destination, hospital, channel and day: the last one."""

    def ours(self, destination: str, hospital: str, begin: datetime, end: datetime) -> list[Ours]:
        """The last confirmed revision of each report whose confirmation lies in that time, the first confirmed first.

        Those of deliveries that a person has cancelled, or that changed their destination's name, are not among them.
        """
        later = Upload.alias()
        newer = later.select(later.id).where(
            (later.delivery == Upload.delivery) & (later.n > Upload.n) & later.confirmed.is_null(False)
        )
        there = (Delivery.destination == destination) & (Delivery.channel == Channel.REPORT)
        mine = there & (Delivery.hospital == hospital) & (Delivery.state != State.CANCELLED)
        within = (Upload.confirmed >= begin) & (Upload.confirmed < end)
        gone = WithdrawalRow.select(fn.MAX(WithdrawalRow.n)).where(
            (WithdrawalRow.delivery == Delivery.id) & WithdrawalRow.ended.in_(sorted(SETTLED))
        )
        columns = (Upload.id, Upload.delivery, Delivery.exam, Upload.n, Upload.idem, Upload.confirmed, Delivery.state)
        query = Upload.select(*columns, gone).join(Delivery).where(within & mine & ~fn.EXISTS(newer))
        return [
            Ours(upload=upload, delivery=delivery, exam=exam, revision=n, idem=idem, confirmed=confirmed,
                 withdrawn=withdrawn is not None and withdrawn >= n, goes_again=state not in _STAYS)
            for upload, delivery, exam, n, idem, confirmed, state, withdrawn
            in self._engine.rows(query.order_by(Upload.confirmed, Upload.id))
        ]  # fmt: skip

    def known(self, destination: str, idems: Iterable[str]) -> set[str]:
        """Those of the idems under which something was ever frozen for the destination, confirmed or not."""
        found: set[str] = set()
        for some in portions(list(idems)):
            query = Upload.select(Upload.idem).join(Delivery).where(Delivery.destination == destination)
            found.update(self._engine.column(query.where(Upload.idem.in_(some))))
        return found

    def begin(self, destination: str, hospital: str) -> datetime | None:
        """When the destination confirmed the first report of the hospital that is still known."""
        mine = (Delivery.destination == destination) & (Delivery.hospital == hospital)
        first: datetime | None = self._engine.value(
            Upload.select(Upload.confirmed).join(Delivery).where(mine & Upload.confirmed.is_null(False))
            .order_by(Upload.confirmed).limit(1)
        )  # fmt: skip
        return first

    def lost(self, upload: int) -> bool:
        """Note that the destination has lost this upload: it is to be confirmed again. False where it is noted."""
        with self._engine.write():
            open_ = (Upload.id == upload) & Upload.confirmed.is_null(False)
            return bool(self._engine.run(Upload.update(confirmed=None).where(open_)))

    def keep(self, found: Iterable[Compared]) -> None:
        """Keep these comparisons, in the place of former ones of their days."""
        with self._engine.write():
            for one in found:
                row = {each.name: getattr(one, each.name) for each in fields(Compared)} | {"day": one.day.isoformat()}
                key = [Row.destination, Row.hospital, Row.channel, Row.day]
                changed = {getattr(Row, name): value for name, value in row.items() if name not in _KEY}
                self._engine.run(Row.insert(row).on_conflict(conflict_target=key, update=changed))

    def of(self, destination: str, hospital: str, channel: Channel) -> list[Compared]:
        """All of a destination's comparisons of the hospital's reports or images, the earliest day first."""
        mine = (Row.destination == destination) & (Row.hospital == hospital) & (Row.channel == channel)
        return self._read(Row.select().where(mine))

    def last(self) -> list[Compared]:
        """The comparison of the last day for each destination, hospital and channel."""
        newest = Row.alias()
        mine = (newest.destination == Row.destination) & (newest.hospital == Row.hospital)
        mine &= newest.channel == Row.channel
        later = newest.select(newest.day).where(mine & (newest.day > Row.day))
        return self._read(Row.select().where(~fn.EXISTS(later)))

    def _read(self, query: Any) -> list[Compared]:
        rows: Sequence[dict[str, Any]] = self._engine.run(
            query.order_by(Row.destination, Row.hospital, Row.channel.desc(), Row.day).dicts()
        )
        return [
            Compared(**{**row, "day": date.fromisoformat(row["day"]), "channel": Row.channel.word(row["channel"], 0)})
            for row in rows
        ]


_KEY = ("destination", "hospital", "channel", "day")
