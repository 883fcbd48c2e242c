"""Proposals that two numbers are of one patient, by HL7 ADT^A40; a person accepts one, or removes it."""

from dataclasses import asdict, dataclass
from datetime import datetime

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.exams import MergeRow as Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Two numbers of one patient of a hospital, as a message had them; they count for nothing by themselves."""

    hospital: str
    old: str
    new: str
    at: datetime


class Proposals(Rows):
    """Those that nobody has accepted or removed."""

    def add(self, proposal: Proposal) -> bool:
        """Keep it; False where it is known."""
        with self._engine.write():
            query = Row.insert(asdict(proposal)).on_conflict_ignore().returning(Row.old)
            return bool(self._engine.run(query))

    def all(self) -> list[Proposal]:
        """The proposals of all hospitals, the oldest first."""
        return [Proposal(**row) for row in self._engine.run(Row.select().order_by(Row.at, Row.old).dicts())]

    def named(self, old: str, new: str) -> list[Proposal]:
        """Those of these two numbers, in any order."""
        return [one for one in self.all() if {one.old, one.new} == {old, new}]

    def remove(self, proposal: Proposal) -> None:
        """Forget it."""
        mine = (Row.hospital == proposal.hospital) & (Row.old == proposal.old) & (Row.new == proposal.new)
        with self._engine.write():
            self._engine.run(Row.delete().where(mine))
