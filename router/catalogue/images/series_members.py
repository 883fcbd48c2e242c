"""A study's instances with their facts, as the series rules see them together, and the classes that follow."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any

from router.catalogue.db.engine import Engine, Rows, portions
from router.catalogue.db.tables.images import Facts, Instance, Study, StudyHospital
from router.catalogue.images.hospitals import hospitals_by_uid
from router.model import InstanceUids, SeriesClass, SeriesFacts
from router.remembered import remembered
from router.series.study import Member

_DEFAULTS = SeriesFacts()


@dataclass(frozen=True, slots=True)
class Classified:
    """The newest version of an instance, and its class as it is recorded."""

    member: Member
    series_class: SeriesClass
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentStudy:
    """A study with what it came from: `device` is its station name, else its model; `hospitals` as far as known."""

    uid: str
    sender: str
    device: str
    modality: str
    hospitals: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddleInstance:
    """The middle one of a series by position, else by arrival, among those whose file is here and sound.

    `count` are all of these.
    """

    uids: InstanceUids
    version: int
    transfer_syntax: str
    modality: str
    facts: int
    count: int


class SeriesMembers(Rows):
    """Instances of studies, without what tells their versions apart."""

    def recent(self, most: int, hospitals: Sequence[str] = ()) -> list[RecentStudy]:
        """The studies whose images came last and are here, of these hospitals or of all, the latest first."""
        columns = (Study.uid, Study.sending_ae, Study.station_name, Study.model, Study.device_modality)
        query = Study.select(*columns).where(Study.purged.is_null())
        if hospitals:
            mine = StudyHospital.select(StudyHospital.study).where(StudyHospital.hospital.in_(list(hospitals)))
            query = query.where(Study.id.in_(mine))
        rows = list(self._engine.rows(query.order_by(Study.last_received.desc()).limit(most)))
        known = hospitals_by_uid(self._engine, [row[0] for row in rows])
        return [
            RecentStudy(
                uid=uid, sender=sender, device=station or model, modality=modality,
                hospitals=known.get(uid, frozenset()),
            )
            for uid, sender, station, model, modality in rows
        ]  # fmt: skip

    def middles(self, study_uid: str, series_uid: str = "") -> list[MiddleInstance]:
        """The middle instance of each series of the study, or of this one."""
        columns = (Instance.series_uid, Instance.position, Instance.id, Instance.sop_uid, Instance.version,
                   Instance.transfer_syntax, Instance.modality, Instance.facts)  # fmt: skip
        here = (Study.uid == study_uid) & Instance.newest & Instance.purged.is_null() & Instance.damaged.is_null()
        if series_uid:
            here &= Instance.series_uid == series_uid
        series: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for row in self._engine.rows(Instance.select(*columns).join(Study).where(here).order_by(Instance.id)):
            series[row[0]].append(row)
        return [_middle(study_uid, rows) for rows in series.values()]

    def of_study(self, study_uid: str) -> list[Classified]:
        """The newest versions of the study's instances, in the order in which they came."""
        columns = (Instance.id, Instance.series_uid, Instance.sop_uid, Instance.facts, Instance.position,
                   Instance.series_class, Instance.rule)  # fmt: skip
        query = Instance.select(*columns).join(Study).where((Study.uid == study_uid) & Instance.newest)
        return [
            Classified(
                Member(key=key, series_uid=series, sop_uid=sop, facts=facts, position=position),
                Instance.series_class.word(found, key),
                rule,
            )
            for key, series, sop, facts, position, found, rule in self._engine.rows(query.order_by(Instance.id))
        ]

    def facts(self, numbers: Iterable[int]) -> dict[int, SeriesFacts]:
        """The facts of these numbers."""
        found: dict[int, SeriesFacts] = {}
        for portion in portions(list(set(numbers))):
            rows = self._engine.rows(Facts.select(Facts.id, Facts.body).where(Facts.id.in_(portion)))
            found.update((number, _facts(body)) for number, body in rows)
        return found

    def reclassify(self, changes: Mapping[tuple[SeriesClass, str], Sequence[int]]) -> None:
        """Record classes and rules, each for the instances of these keys."""
        if not changes:
            return
        with self._engine.write():
            for (series_class, rule), keys in changes.items():
                changed = Instance.update(series_class=series_class, rule=rule)
                for portion in portions(keys):
                    self._engine.run(changed.where(Instance.id.in_(portion)))


def facts_numbers(engine: Engine, study: int, facts: Iterable[SeriesFacts]) -> dict[SeriesFacts, int]:
    """The row of each of these facts of a study (by its number), made where it is missing. Inside a transaction."""
    bodies = {one: _body(one) for one in set(facts)}
    digests = {one: hashlib.sha256(body.encode()).hexdigest() for one, body in bodies.items()}
    numbers: dict[str, int] = {}
    for portion in portions(list(bodies)):
        rows = [{"study": study, "digest": digests[one], "body": bodies[one]} for one in portion]
        engine.run(Facts.insert_many(rows).on_conflict_ignore())
        mine = (Facts.study == study) & Facts.digest.in_([digests[one] for one in portion])
        numbers.update(engine.rows(Facts.select(Facts.digest, Facts.id).where(mine)))
    return {one: numbers[digest] for one, digest in digests.items()}


def changes_of(classes: Iterable[tuple[Classified, SeriesClass, str]]) -> dict[tuple[SeriesClass, str], list[int]]:
    """Values that differ from those recorded."""
    changes: dict[tuple[SeriesClass, str], list[int]] = defaultdict(list)
    for one, series_class, rule in classes:
        if (one.series_class, one.rule) != (series_class, rule):
            changes[series_class, rule].append(one.member.key)
    return changes


def _body(facts: SeriesFacts) -> str:
    """Values that differ from their defaults."""
    values = {field.name: getattr(facts, field.name) for field in fields(facts)}
    return json.dumps({n: value for n, value in values.items() if value != getattr(_DEFAULTS, n)}, sort_keys=True)


def _middle(study_uid: str, rows: list[tuple[Any, ...]]) -> MiddleInstance:
    if all(position is not None for _, position, *_ in rows):
        rows = sorted(rows, key=itemgetter(1, 2))
    series, _, _, sop, version, syntax, modality, facts = rows[len(rows) // 2]
    uids = InstanceUids(study_uid, series, sop)
    return MiddleInstance(
        uids=uids, version=version, transfer_syntax=syntax, modality=modality, facts=facts, count=len(rows)
    )


@remembered(2**12, 2**12)  # series; characters
def _facts(body: str) -> SeriesFacts:
    known: dict[str, Any] = json.loads(body)
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    return SeriesFacts(**values)
