"""Texts of an exam JSON by a name that an administrator writes: a field of appendix B, or a key of the RIS."""

import difflib
from collections.abc import Iterator, Mapping

from router.exam.codes import Tables
from router.exam.fields import BY_PATH
from router.exam.mapping import is_path, values_at
from router.exam.values import stripped

_ALIKE = 0.85


def sayings(name: str, document: Mapping[str, object], given: Mapping[str, object], tables: Tables) -> tuple[str, ...]:
    """The texts under the name, each once.

    `document` is in the standard's structure, `given` as the RIS wrote it. A coded field is found by what the RIS
    writes, and by the standard's code and name for it. A name without dots is a key of the RIS wherever it stands.
    """
    if "." in name or "[" in name or name.startswith("$") or name in BY_PATH:
        values = [value for where in (document, given) for value in values_at(where, name)]
        found = [text for value in values for text in _scalars(value)]
    else:
        found = [*_under(document, name), *_under(given, name)]
    if (one := BY_PATH.get(name)) is not None and one.table and not one.own:
        table = tables[one.table]
        entries = [table.translated(text) or table.entry(text) for text in found]
        found += [text for entry in entries if entry is not None for text in (entry.code, entry.name)]
    return tuple(dict.fromkeys(found))


def misnamed(name: str) -> str:
    """The reason why nothing can be found under the name; "" where something can."""
    if name in BY_PATH:
        return ""
    if not is_path(name):
        return "expected a path like Visit.PatientType, $.data.vip or 拒绝共享"
    known = {path.casefold(): path for path in BY_PATH}
    near = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=_ALIKE)
    return f"not a field of appendix B; it has {known[near[0]]}, and a key of the RIS is $.{name}" if near else ""


def _under(value: object, key: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _scalars(inner) if name == key else _under(inner, key)
    elif isinstance(value, list):
        for element in value:
            yield from _under(element, key)


def _scalars(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _scalars(inner)
    elif isinstance(value, bool):
        yield str(value).lower()
    elif text := stripped(value):
        yield text
