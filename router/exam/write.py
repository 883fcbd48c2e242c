"""Writing of a document: the bytes to send."""

import json
from collections.abc import Mapping

from router.exam.fields import FIELDS_OF, PROCEDURE, SECTION_NAMES


def dump(document: Mapping[str, object]) -> bytes:
    """UTF-8 JSON of the listed keys (GB/T 39725: least necessary) in appendix A's order: same content, same bytes."""
    return json.dumps(ordered(document), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def ordered(document: Mapping[str, object]) -> dict[str, object]:
    """The listed keys of `document` in appendix A's order."""
    result = _listed("", document)
    for section in SECTION_NAMES:
        given = document.get(section)
        if isinstance(given, Mapping):
            result[section] = _listed(section, given)
    return result


def _listed(parent: str, given: Mapping[str, object]) -> dict[str, object]:
    result = {field.key: given[field.key] for field in FIELDS_OF[parent] if field.key in given}
    procedures = result.get("Procedures")
    if isinstance(procedures, list):
        result["Procedures"] = [_listed(PROCEDURE, p) if isinstance(p, Mapping) else p for p in procedures]
    return result
