"""Classes of DICOM files by the series rules, and why."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from router.config.sections import Destination
from router.dicom.dataset.header import Glimpse, read_glimpse
from router.errors import InvalidData
from router.images.recent_series import chosen_of
from router.images.rulebook import book_for
from router.model import SeriesClass, SeriesFacts
from router.series.classify import Rulebook, used
from router.series.study import Marks, Member, judge, marks_of, outcome, purpose_of


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that was read."""

    path: Path
    glimpse: Glimpse


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A file with its class; `used`: the facts that its rule asked about, `forward`: some destination gets it."""

    path: Path
    glimpse: Glimpse
    series_class: SeriesClass
    rule: str
    used: Mapping[str, object]
    forward: bool


def look(paths: Iterable[Path]) -> tuple[list[Seen], list[Path]]:
    """The files that are DICOM, and those that are not."""
    seen: list[Seen] = []
    others: list[Path] = []
    for path in paths:
        try:
            seen.append(Seen(path, read_glimpse(path)))
        except (InvalidData, OSError):
            others.append(path)
    return seen, others


def examine(seen: Sequence[Seen], book: Rulebook, destinations: Sequence[Destination]) -> list[Judged]:
    """Each file judged among the others of its study, in the order given."""
    numbers: dict[SeriesFacts, int] = {}
    members = [_member(key, one, numbers) for key, one in enumerate(seen)]
    facts = {number: one for one, number in numbers.items()}
    verdicts = judge(members, facts, book)
    marks = marks_of(
        (purpose_of(facts[m.facts], verdicts[m.series_uid, m.facts].rule.series_class), uid)
        for m, one in zip(members, seen, strict=True)
        for uid in one.glimpse.references
    )
    chosen = _chosen(seen, members, facts, book, destinations, marks)
    judged = []
    for member, one in zip(members, seen, strict=True):
        verdict = verdicts[member.series_uid, member.facts]
        rule = outcome(member, verdict, marks)
        judged.append(
            Judged(
                path=one.path, glimpse=one.glimpse, series_class=rule.series_class, rule=rule.name,
                used=used(verdict.facts, rule), forward=member.key in chosen,
            )
        )  # fmt: skip
    return judged


def _member(key: int, one: Seen, numbers: dict[SeriesFacts, int]) -> Member:
    number = numbers.setdefault(one.glimpse.facts, len(numbers))
    series = f"{one.glimpse.study} {one.glimpse.series or one.path}"  # a file without a series is one of its own
    return Member(key=key, series_uid=series, sop_uid=one.glimpse.sop, facts=number, position=one.glimpse.position)


def _chosen(
    seen: Sequence[Seen], members: Sequence[Member], facts: Mapping[int, SeriesFacts], book: Rulebook,
    destinations: Sequence[Destination], marks: Marks,
) -> set[int]:  # fmt: skip
    studies: dict[str, list[Member]] = defaultdict(list)
    for member, one in zip(members, seen, strict=True):
        studies[one.glimpse.study or str(one.path)].append(member)
    chosen: set[int] = set()
    for destination in destinations:
        theirs = book_for(destination, book)
        verdicts = judge(members, facts, theirs)
        for study in studies.values():
            chosen |= chosen_of(study, verdicts, theirs, destination, marks)
    return chosen
