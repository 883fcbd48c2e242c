"""Which instances of a study a destination gets (DB11 6.2). Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.model import SeriesClass


@dataclass(frozen=True, slots=True)
class Classified:
    """An instance with its class; `key` is the ledger's, `slice_thickness` in mm, None where there are no slices."""

    key: int
    series_uid: str
    series_class: SeriesClass
    slice_thickness: float | None
    modality: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether the instance goes, and why."""

    key: int
    selected: bool
    rule: str


def select(
    instances: Sequence[Classified], wanted: frozenset[SeriesClass], complete: bool
) -> tuple[Choice, ...]:  # fmt: skip
    """The choices that can be made now; an instance that only the complete study decides is left out until then.

    Classes wanted go at once. Where thin slices are wanted and other images are not, a modality without thin slices
    sends its thinnest series instead, and one without slices sends all: never an empty selection in silence.
    """
    instead = SeriesClass.THIN in wanted and SeriesClass.IMAGE not in wanted
    thin = {one.modality for one in instances if one.series_class is SeriesClass.THIN}
    choices: list[Choice] = []
    waiting: list[Classified] = []
    for one in instances:
        if one.series_class in wanted:
            choices.append(Choice(one.key, True, f"class {one.series_class}"))
        elif not instead or one.series_class is not SeriesClass.IMAGE:
            choices.append(Choice(one.key, False, f"class {one.series_class} is not wanted"))
        elif one.modality in thin:
            choices.append(Choice(one.key, False, "thin slices of this modality go instead"))
        else:
            waiting.append(one)
    return tuple(choices) + (_instead_of_thin(waiting) if complete else ())


def _instead_of_thin(images: Sequence[Classified]) -> tuple[Choice, ...]:
    choices: list[Choice] = []
    for modality in dict.fromkeys(one.modality for one in images):
        choices += _of_one_modality([one for one in images if one.modality == modality])
    return tuple(choices)


def _of_one_modality(images: Sequence[Classified]) -> Iterable[Choice]:
    """Series of equal thickness go together: they are phases or kernels, and none is better than the others."""
    thickness: dict[str, float] = {}
    for one in images:
        if one.slice_thickness:
            thickness[one.series_uid] = min(one.slice_thickness, thickness.get(one.series_uid, one.slice_thickness))
    if not thickness:
        return [Choice(one.key, True, "no slices in this modality: all go") for one in images]
    thinnest = min(thickness.values())
    return [
        Choice(one.key, True, f"no thin slices: the thinnest series ({thinnest:g} mm) goes")
        if thickness.get(one.series_uid) == thinnest
        else Choice(one.key, False, f"no thin slices, but not the thinnest series ({thinnest:g} mm)")
        for one in images
    ]
