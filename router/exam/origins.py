"""Origins of an exam JSON's fields: a line of the mapping, the standard's own place, or what fills a gap. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from router.exam.faults import mask, show
from router.exam.fields import FIELDS, PROCEDURE, SOURCES, Field
from router.exam.fill import Filled
from router.exam.values import is_empty
from router.text.language import N_

OWN_PLACE = N_("the standard's own place in the export")
MISSING = N_("missing: the standard requires it")
NOTHING = N_("nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A field by its path in the document, its Chinese name, its value as a fault shows it, and where it came from."""

    path: str
    name: str
    value: str
    source: str


def origins(mapped: Mapping[str, object], lines: Mapping[str, str], filled: Filled) -> Iterator[Origin]:
    """Every field of appendix B.

    `mapped` is the document after the mapping, `lines` the lines of the mapping by the fields that they gave, `filled`
    the document with its gaps filled.
    """
    for one in FIELDS:
        if one.path == "Order.Procedures":
            continue
        if one.parent != PROCEDURE:
            section = one.parent
            yield _origin(one, one.path, _in(mapped, section), _in(filled.document, section), lines, filled)
            continue
        before, after = (_in(document, "Order").get("Procedures") for document in (mapped, filled.document))
        for index, element in enumerate(after if isinstance(after, list) else []):
            own = before[index] if isinstance(before, list) and index < len(before) else {}
            path = f"Order.Procedures[{index}].{one.key}"
            yield _origin(one, path, _object(own), _object(element), lines, filled)


def _origin(
    one: Field, path: str, before: Mapping[str, object], after: Mapping[str, object], lines: Mapping[str, str],
    filled: Filled,
) -> Origin:  # fmt: skip
    given, sent = before.get(one.key), after.get(one.key)
    if not is_empty(given):
        source = lines.get(one.path, OWN_PLACE)
    elif not is_empty(sent):
        source = SOURCES[filled.sources.get(one.path) or one.sources[-1]]
    else:
        source = MISSING if one.required == "always" else NOTHING
    return Origin(path=path, name=one.name, value=_shown(one, sent), source=source)


def _shown(one: Field, value: object) -> str:
    if is_empty(value):
        return ""
    return f'"{mask(value)}"' if isinstance(value, str) and not one.shown else show(one, value)


def _in(document: Mapping[str, object], section: str) -> Mapping[str, object]:
    return _object(document.get(section)) if section else document


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
