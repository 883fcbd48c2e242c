"""Facts from a table of headers, one row a series: columns have the names of the facts. Pure."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import get_type_hints

from router.model import SeriesFacts
from router.series.read import described_thickness, length, number, values, whole

# Columns to use, in order, when a fact's own column is missing or empty.
_ELSE = {
    "slice_thickness": ("fg_slice_thickness",),
    "spacing_between_slices": ("fg_spacing_between_slices",),
    "slice_distance": ("z_spacing_from_ipp",),
    "frame_type": ("fg_frame_type",),
    "number_of_frames": ("fg_nframes",),
}
_LENGTHS = frozenset({"slice_thickness", "spacing_between_slices", "slice_distance"})
_HINTS = get_type_hints(SeriesFacts)


def facts_of(row: Mapping[str, str | None]) -> SeriesFacts:
    """The facts of a row; an empty or missing column is an absent fact, a wrong number too."""
    known = {field.name: _fact(row, field.name) for field in fields(SeriesFacts)}
    facts = SeriesFacts(**known)  # type: ignore[arg-type]  # _fact goes by the fields' own types
    thickness = described_thickness(facts.series_description, facts.manufacturer)
    slices = facts.instance_count if facts.slice_distance is not None else None
    return replace(facts, described_thickness=thickness, slice_count=facts.slice_count or slices)


def _fact(row: Mapping[str, str | None], name: str) -> object:
    text = next((found for column in (name, *_ELSE.get(name, ())) if (found := (row.get(column) or "").strip())), "")
    if _HINTS[name] is str:
        return text
    if _HINTS[name] == tuple[str, ...]:
        return values(text)
    if _HINTS[name] == int | None:
        return whole(text)
    return length(number(text)) if name in _LENGTHS else number(text)
