"""Selection of the instances of a study for a destination (DB11 6.2). Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.model import SeriesClass, SeriesFacts, ThinLimit
from router.series.classify import limit_for
from router.series.study import REFERRED, Marks, Verdict, is_note

REJECTED = "a rejection note refers to it"
NOTE = "a rejection note is not sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An instance that may be sent; `key` is the ledger's.

    `scan` identifies the scan, `kind` the kind of its images. `thickness` in mm is None when there are no slices;
    `has_limit`: the modality has a limit for thin slices.
    """

    key: int
    series_uid: str
    series_class: SeriesClass
    scan: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    thickness: float | None = None
    has_limit: bool = True
    note: bool = False
    referred: bool = False
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether the instance is sent, and why."""

    key: int
    selected: bool
    rule: str


def candidate(
    key: int, series_uid: str, sop_uid: str, verdict: Verdict, limits: Sequence[ThinLimit], marks: Marks
) -> Candidate:
    """The candidate of an instance with its verdict."""
    facts = verdict.facts
    return Candidate(
        key=key,
        series_uid=series_uid,
        series_class=verdict.rule.series_class,
        scan=(facts.modality, facts.body_part.casefold(), "contrast" if facts.contrast_agent else ""),
        kind=(verdict.rule.kind, facts.orientation),
        thickness=extent(facts),
        has_limit=limit_for(facts, limits) is not None,
        note=is_note(facts),
        referred=sop_uid in marks.key,
        rejected=sop_uid in marks.rejected,
    )


def extent(facts: SeriesFacts) -> float | None:
    """The larger of slice thickness and slice distance, in mm; None without slices."""
    known = [value for value in (facts.slice_thickness, facts.slice_distance) if value is not None]
    return max(known, default=facts.described_thickness)


def select(candidates: Sequence[Candidate], wanted: frozenset[SeriesClass], *, complete: bool) -> tuple[Choice, ...]:
    """The choices that can be made now; those that need the complete study are left out until it is.

    Instances of a wanted class are chosen at once. If thin slices are wanted, so are images of a modality without a
    limit for thin. Of a scan without thin slices the thinnest stack of each kind is chosen, never nothing in silence.
    """
    choices: list[Choice] = []
    waiting: list[Candidate] = []
    for one in candidates:
        choice = _at_once(one, wanted)
        if choice is None:
            waiting.append(one)
        else:
            choices.append(choice)
    thin = {one.scan for one in candidates if one.series_class is SeriesClass.THIN and not one.rejected}
    return (*choices, *_instead_of_thin(waiting, thin)) if complete else tuple(choices)


def _at_once(one: Candidate, wanted: frozenset[SeriesClass]) -> Choice | None:
    if one.note or one.rejected:
        return Choice(one.key, False, NOTE if one.note else REJECTED)
    if one.series_class in wanted:
        return Choice(one.key, True, f"class {one.series_class}")
    if one.referred and SeriesClass.KEY in wanted:
        return Choice(one.key, True, REFERRED.name)
    if SeriesClass.THIN not in wanted or one.series_class is not SeriesClass.IMAGE:
        return Choice(one.key, False, f"class {one.series_class} is not wanted")
    return None if one.has_limit else Choice(one.key, True, "no slices of this modality are thin: all go")


def _instead_of_thin(images: Sequence[Candidate], thin: set[tuple[str, ...]]) -> Iterable[Choice]:
    kinds: dict[tuple[tuple[str, ...], ...], list[Candidate]] = defaultdict(list)
    for one in images:
        if one.scan in thin:
            yield Choice(one.key, False, "thin slices of the same scan go instead")
        else:
            kinds[one.scan, one.kind, () if one.thickness is None else ("slices",)].append(one)
    for members in kinds.values():
        yield from _thinnest(members)


def _thinnest(images: Sequence[Candidate]) -> Iterable[Choice]:
    """Choose the thinnest series; those of equal thickness together, as they are phases or kernels of equal rank."""
    thickness: dict[str, float] = {}
    for one in images:
        if one.thickness is not None:
            thickness[one.series_uid] = min(one.thickness, thickness.get(one.series_uid, one.thickness))
    if not thickness:
        return [Choice(one.key, True, "no slices: all go") for one in images]
    thinnest = min(thickness.values())
    return [
        Choice(one.key, True, f"no thin slices: the thinnest stack of its kind ({thinnest:g} mm) goes")
        if thickness[one.series_uid] == thinnest
        else Choice(one.key, False, f"no thin slices, but not the thinnest stack of its kind ({thinnest:g} mm)")
        for one in images
    ]
