"""The ledger: what became of each instance version at each destination."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from peewee import Select, fn

from router.catalogue.db.engine import Engine, Rows, portions
from router.catalogue.db.fields import instant
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.exams import ExamStudy
from router.catalogue.db.tables.images import Instance, LedgerRow, Study
from router.catalogue.images.fate import Fate as Fate  # noqa: PLC0414  # a word of the ledger, to others
from router.catalogue.images.ledger_rows import ABOUT, NEW_ROWS, answer
from router.catalogue.images.tombstones import packed, summaries
from router.model import InstanceUids, SeriesClass

CUT_OFF = "cut off"

_PLACE = (LedgerRow.study, LedgerRow.destination, LedgerRow.state)
_COUNTED = Prepared(
    lambda studies: (
        LedgerRow.select(*_PLACE, fn.COUNT(LedgerRow.id)).where(LedgerRow.study.in_(studies)).group_by(*_PLACE)
    )
)
_FATES = frozenset(Fate)
_IN_STATE = Prepared(
    lambda study, state: (
        LedgerRow.select(LedgerRow.id).where((LedgerRow.study == study) & (LedgerRow.state == state)).limit(1)
    )
)
_OLDER = Prepared(lambda studies: Instance.select(Instance.id).where(Instance.study.in_(studies) & ~Instance.newest))
_LINKED = Prepared(
    lambda exams: (
        ExamStudy.select(ExamStudy.exam, Study.id)
        .join(Study, on=ExamStudy.study_uid == Study.uid)
        .where(ExamStudy.exam.in_(exams))
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """An instance's newest version without a row for a destination; `key` and `cut` are the instance's."""

    key: int
    study_uid: str
    series_uid: str
    sop_uid: str
    facts: int
    version: int
    received: datetime
    cut: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSend:
    """A selected instance. `key`, `tries`: its row's; `checksum`: XXH3-128, else SHA-256; `since`: last decided.

    `refused` is the status of its refusal, if a person has it sent again after one.
    """

    key: int
    uids: InstanceUids
    version: int
    sop_class: str
    transfer_syntax: str
    instance: int
    checksum: str
    tries: int
    since: datetime
    refused: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Answer to a ledger row; without a `status`, `reason` says why; `ask_at`: when to ask for its commitment."""

    key: int
    fate: Fate
    status: int | None
    association: str
    reason: str = ""
    ask_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of an exam's instances at a destination; `selected`: all chosen but the `late`, `cut` and `withheld`.

    `gone` are selected, and their files were removed before they were sent: while the delivery was cancelled, say.
    """

    selected: int = 0
    sent: int = 0
    refused: int = 0
    filtered: int = 0
    held: int = 0
    stored: int = 0
    late: int = 0
    cut: int = 0
    damaged: int = 0
    withheld: int = 0
    gone: int = 0

    @property
    def unsent(self) -> int:
        """Still to be sent, at once or once a person has released it."""
        return self.selected - self.sent - self.refused - self.stored - self.damaged - self.gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A ledger row as `explain` shows it; `rule` decided, or says why it is refused without a status."""

    uids: InstanceUids
    version: int
    series_class: SeriesClass
    class_rule: str
    fate: Fate
    rule: str
    status: int | None
    at: datetime


class Ledger(Rows):
    """Ledger rows of all destinations."""

    def undecided(self, exam: int, destination: str) -> list[Undecided]:
        """Newest versions of the exam's instances, not purged, without a row for the destination."""
        return [
            Undecided(key=key, study_uid=study, series_uid=series, sop_uid=sop, facts=facts, version=version,
                      received=at, cut=cut)
            for key, study, series, sop, facts, version, at, cut in self._engine.rows(_UNDECIDED(exam, destination))
        ]  # fmt: skip

    def classes(self, exam: int, destination: str) -> frozenset[SeriesClass]:
        """Classes of the instances that were selected, whatever became of them."""
        here = self._engine.column(_CLASSES(exam, destination))
        gone = summaries(self._engine, list(self._numbers(exam)))
        packed = {name for one in gone for place, name in one.classes if place == destination}
        return frozenset(SeriesClass(name) for name in packed.union(here))

    def decide(self, destination: str, choices: Iterable[tuple[int, bool, str]], now: datetime) -> None:
        """Record choices (instance, selected, rule). An older version that was not sent gives way to its newer one."""
        fates = ((key, Fate.SELECTED if selected else Fate.FILTERED, rule) for key, selected, rule in choices)
        self._enter(destination, fates, now)

    def hold(self, destination: str, fate: Fate, doubts: Mapping[int, str], now: datetime) -> None:
        """Have instances, each with its rule, wait until a person releases them: as `fate`, HELD, LATE or CUT."""
        self._enter(destination, ((key, fate, rule) for key, rule in doubts.items()), now)

    def release(self, exam: int, destination: str, fate: Fate, now: datetime) -> None:
        """Send the exam's instances that are HELD, LATE or CUT (`fate`): a person has asked for it.

        One that was held for another reason and is cut off, too, is CUT afterwards and needs another release.
        """
        here = Study.uid.in_(_studies_of(exam)) & Instance.purged.is_null()
        mine = Instance.select(Instance.id).join(Study).where(here)
        held = (LedgerRow.destination == destination) & (LedgerRow.state == fate)
        rule = LedgerRow.rule.concat("; released by a person")
        with self._engine.write():
            if fate is not Fate.CUT:
                broken = mine.where(Instance.cut != "")
                cut = LedgerRow.update(state=Fate.CUT, rule=rule.concat(f"; {CUT_OFF}"), at=now)
                self._engine.run(cut.where(held & LedgerRow.instance.in_(broken)))
            released = LedgerRow.update(state=Fate.SELECTED, rule=rule, at=now)
            self._engine.run(released.where(held & LedgerRow.instance.in_(mine)))

    def set_aside(self, study_uids: Iterable[str]) -> frozenset[str]:
        """Studies with an instance that is set aside at some destination, as CUT."""
        cut = (Study.uid.in_(list(study_uids))) & (LedgerRow.state == Fate.CUT)
        query = LedgerRow.select(Study.uid).join(Study, on=LedgerRow.study == Study.id).where(cut).distinct()
        return frozenset(self._engine.column(query))

    def _enter(self, destination: str, fates: Iterable[tuple[int, Fate, str]], now: datetime) -> None:
        with self._engine.write():
            for batch in portions(list(fates)):
                found = ABOUT.run(self._engine, [key for key, _, _ in batch])
                studies = {key: study for key, study, _ in found}
                rows = [
                    {"destination": destination, "instance": key, "study": studies[key], "state": fate, "rule": rule,
                     "at": now}
                    for key, fate, rule in batch
                ]  # fmt: skip
                NEW_ROWS.run(self._engine, rows)
                if later := [key for key, _, version in found if version > 1]:
                    self._give_way(destination, later)

    def _give_way(self, destination: str, newest: Sequence[int]) -> None:
        newer, older = Instance.alias(), Instance.alias()
        replaced = (
            older.select(older.id)
            .join(newer, on=(older.study == newer.study) & (older.sop_uid == newer.sop_uid))
            .where(newer.id.in_(newest) & (older.version < newer.version))
        )
        unsent = LedgerRow.state.in_(
            [Fate.SELECTED, Fate.HELD, Fate.LATE, Fate.CUT, Fate.WITHHELD, Fate.REFUSED, Fate.DAMAGED, Fate.GONE]
        )
        mine = (LedgerRow.destination == destination) & unsent & LedgerRow.instance.in_(replaced)
        self._engine.run(LedgerRow.update(state=Fate.FILTERED, rule="replaced by a newer version").where(mine))

    def to_send(self, exam: int, destination: str, limit: int) -> list[ToSend]:
        """Selected instances of the exam, in the order in which they came; those that lost associations come last."""
        return [
            ToSend(key=k, uids=InstanceUids(st, se, so), version=v, sop_class=c, transfer_syntax=t, instance=i,
                   checksum=x or d, tries=tries, since=at, refused=no)
            for k, st, se, so, v, c, t, i, x, d, tries, at, no in self._engine.rows(_TO_SEND(exam, destination, limit))
        ]  # fmt: skip

    def unanswered(self, exam: int, destination: str) -> dict[str, int]:
        """Why instances are refused that the destination gave no status for, and how many, the most first."""
        mine = (LedgerRow.destination == destination) & (LedgerRow.state == Fate.REFUSED) & (LedgerRow.reason != "")
        query = _of(exam, LedgerRow.reason, fn.COUNT(LedgerRow.id)).where(mine).group_by(LedgerRow.reason)
        return dict(sorted(self._engine.rows(query), key=lambda row: (-row[1], row[0])))

    def record(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Write the destination's answers in one transaction, each row once."""
        alike: dict[Outcome, list[int]] = defaultdict(list)
        for outcome in outcomes:
            alike[replace(outcome, key=0)].append(outcome.key)
        with self._engine.write():
            for o, keys in alike.items():
                answer(self._engine, keys, o.fate, o.status, o.association, o.reason, o.ask_at, now)

    def lost(self, key: int, counts: bool) -> int:
        """Note that an association was lost with this row's instance, which goes last from then on; losses so far.

        The first counts in any case.
        """
        mine = LedgerRow.id == key
        counted = mine if counts else mine & (LedgerRow.tries == 0)
        with self._engine.write():
            self._engine.run(LedgerRow.update(tries=LedgerRow.tries + 1).where(counted))
            return int(self._engine.value(LedgerRow.select(LedgerRow.tries).where(mine)))

    def reselect_refused(self, exam: int, destination: str, now: datetime) -> None:
        """Send the newest versions of refused and damaged instances again: a person has asked for it."""
        here = Study.uid.in_(_studies_of(exam)) & Instance.newest & Instance.purged.is_null()
        mine = Instance.select(Instance.id).join(Study).where(here)
        ended = LedgerRow.state.in_([Fate.REFUSED, Fate.DAMAGED])
        refused = (LedgerRow.destination == destination) & ended & LedgerRow.instance.in_(mine)
        with self._engine.write():
            damaged = Instance.id.in_(mine) & Instance.damaged.is_null(False)
            self._engine.run(Instance.update(damaged=None).where(damaged))
            self._engine.run(LedgerRow.update(state=Fate.SELECTED, tries=0, reason="", at=now).where(refused))

    def tallies(self, exams: Sequence[int]) -> dict[tuple[int, str], Tally]:
        """Tallies by exam and destination; an instance counts once, by its latest version that was not left out."""
        links = self._engine.rows(_LINKED(list(exams)))
        found: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        counts: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
        for some in portions(sorted({study for _, study in links})):
            for study, destination, state, n in self._counted(some):
                counts[study].append((destination, state, n))
        for exam, study in links:
            for destination, state, n in counts[study]:
                found[exam, destination][state] += n
        return {place: _tally(states) for place, states in found.items()}

    def tally_of(self, study_uids: Iterable[str], destination: str) -> Tally:
        """The tally of these studies alone at a destination."""
        states: Counter[str] = Counter()
        for uids in portions(sorted(study_uids)):
            studies = self._engine.column(Study.select(Study.id).where(Study.uid.in_(uids)))
            for _, place, state, n in self._counted(studies):
                states[state] += n if place == destination else 0
        return _tally(states)

    def _counted(self, studies: Sequence[int]) -> list[tuple[int, str, str, int]]:
        """Counts by study, destination and state; a row with a negative count takes off instances that do not count."""
        rows: list[Any] = self._engine.rows(_COUNTED(studies))
        for study, _, state, _ in rows:
            if state not in _FATES:
                LedgerRow.state.word(state, self._engine.value(_IN_STATE(study, state)))
        # Few instances come twice: those are looked at one by one, and not every row.
        for some in portions(self._engine.column(_OLDER(studies))):
            less = LedgerRow.select(*_PLACE, fn.COUNT(LedgerRow.id) * -1).join(Instance)
            less = less.where(LedgerRow.instance.in_(some) & fn.EXISTS(outdone())).group_by(*_PLACE)
            rows += self._engine.rows(less)
        for one in summaries(self._engine, studies):
            packed = ((to, Fate.GONE if state == Fate.SELECTED else state, n) for (to, state), n in one.fates.items())
            rows += [(one.study, *place) for place in packed]
        return rows

    def entries(self, exam: int, destination: str) -> list[Entry]:
        """The exam's ledger at a destination."""
        query = (
            _of(exam, LedgerRow.id, Instance.id, Study.uid, Instance.series_uid, Instance.sop_uid, Instance.version,
                Instance.series_class, Instance.rule, LedgerRow.state, LedgerRow.reason, LedgerRow.rule,
                LedgerRow.status, LedgerRow.at)
            .where(LedgerRow.destination == destination)
            .order_by(Instance.series_uid, Instance.id)
        )  # fmt: skip
        found = [
            Entry(uids=InstanceUids(st, se, so), version=v, series_class=Instance.series_class.word(c, i),
                  class_rule=cr, fate=LedgerRow.state.word(f, n), rule=reason or rule, status=s, at=at)
            for n, i, st, se, so, v, c, cr, f, reason, rule, s, at in self._engine.rows(query)
        ]  # fmt: skip
        for number, uid in self._numbers(exam).items():
            found += _packed(self._engine, number, uid, destination)
        return sorted(found, key=lambda entry: entry.uids.series)

    def _numbers(self, exam: int) -> dict[int, str]:
        """The exam's studies that are here, by their numbers."""
        return dict(self._engine.rows(_NUMBERS(exam)))


def _of(exam: int, *columns: object) -> Select:
    query = LedgerRow.select(*columns).join(Instance).join(Study, on=LedgerRow.study == Study.id)
    return query.join(ExamStudy, on=(ExamStudy.study_uid == Study.uid) & (ExamStudy.exam == exam))


def _studies_of(exam: int) -> Select:
    return ExamStudy.select(ExamStudy.study_uid).where(ExamStudy.exam == exam)


def _without_a_row(exam: int, destination: str) -> Select:
    decided = LedgerRow.select(LedgerRow.instance).where(
        (LedgerRow.instance == Instance.id) & (LedgerRow.destination == destination)
    )
    columns = (Instance.id, Study.uid, Instance.series_uid, Instance.sop_uid, Instance.facts, Instance.version,
               Instance.received, Instance.cut)  # fmt: skip
    here = Instance.newest & Instance.purged.is_null()
    mine = Study.uid.in_(_studies_of(exam)) & here & ~fn.EXISTS(decided)
    return Instance.select(*columns).join(Study).where(mine).order_by(Instance.id)


_UNDECIDED = Prepared(_without_a_row)
_TO_SEND = Prepared(
    lambda exam, destination, limit: _of(
        exam, LedgerRow.id, Study.uid, Instance.series_uid, Instance.sop_uid, Instance.version, Instance.sop_class,
        Instance.transfer_syntax, Instance.id, Instance.checksum, Instance.digest, LedgerRow.tries, LedgerRow.at,
        LedgerRow.status,
    )
    .where((LedgerRow.destination == destination) & (LedgerRow.state == Fate.SELECTED))
    .order_by(LedgerRow.tries, Instance.id)
    .limit(limit)
)  # fmt: skip
_CLASSES = Prepared(
    lambda exam, destination: (
        _of(exam, Instance.series_class)
        .where((LedgerRow.destination == destination) & (LedgerRow.state != Fate.FILTERED))
        .distinct()
    )
)
_NUMBERS = Prepared(
    lambda exam: Study.select(Study.id, Study.uid).where(Study.uid.in_(_studies_of(exam))).order_by(Study.id)
)


def _packed(engine: Engine, number: int, uid: str, destination: str) -> Iterator[Entry]:
    for instances, entries in packed(engine, [number]):
        for row in entries:
            if row["destination"] == destination:
                one = instances[row["instance_id"]]
                yield Entry(
                    uids=InstanceUids(uid, one["series_uid"], one["sop_uid"]), version=one["version"],
                    series_class=SeriesClass(one["series_class"]), class_rule=one["rule"], fate=Fate(row["state"]),
                    rule=row["reason"] or row["rule"], status=row["status"], at=instant(row["at"]),
                )  # fmt: skip


def fates_of(engine: Engine, keys: Sequence[int]) -> Mapping[tuple[str, str], int]:
    """Counts of these instances in their exams' tallies, by destination and state."""
    place, mine = (LedgerRow.destination, LedgerRow.state), LedgerRow.instance.in_(list(keys))
    found: Counter[tuple[str, str]] = Counter()
    for sign, which in ((1, mine), (-1, mine & ~Instance.newest & fn.EXISTS(outdone()))):
        query = LedgerRow.select(*place, fn.COUNT(LedgerRow.id)).join(Instance).where(which).group_by(*place)
        for destination, state, n in engine.rows(query):
            found[destination, state] += sign * n
    return found


def outdone() -> Select:
    """A row for a later version of the outer query's instance, at the same destination, that was not left out."""
    newer, row = Instance.alias(), LedgerRow.alias()
    same = (newer.study == Instance.study) & (newer.sop_uid == Instance.sop_uid) & (newer.version > Instance.version)
    idle = [Fate.FILTERED, Fate.LATE, Fate.CUT, Fate.WITHHELD]
    there = (row.destination == LedgerRow.destination) & row.state.not_in(idle)
    return row.select(row.id).join(newer, on=row.instance == newer.id).where(same & there)


def _tally(of: Counter[str]) -> Tally:
    chosen = (Fate.SELECTED, Fate.SENT, Fate.REFUSED, Fate.HELD, Fate.STORED, Fate.DAMAGED, Fate.GONE)
    return Tally(
        selected=sum(of[fate] for fate in chosen), sent=of[Fate.SENT], refused=of[Fate.REFUSED],
        filtered=of[Fate.FILTERED], held=of[Fate.HELD], stored=of[Fate.STORED], late=of[Fate.LATE], cut=of[Fate.CUT],
        damaged=of[Fate.DAMAGED], withheld=of[Fate.WITHHELD], gone=of[Fate.GONE],
    )  # fmt: skip
