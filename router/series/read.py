"""Values of header fields from their text, and slices from positions and descriptions. Pure.

A wrong value is absent.
"""

import re
from collections.abc import Iterable
from itertools import pairwise
from statistics import median

_LARGEST = 1e9
_SAME_POSITION = 0.01  # mm

# The number that Siemens puts before the kernel: "Thorax  1.0  B60f", "DE_Abdomen 1.0 Qr40", "SAFIRE 5.0 I30f".
_BEFORE_KERNEL = re.compile(r"(?<![\d.])(\d{1,2}(?:\.\d{1,3})?)\s+[A-Z][a-z]?\d\d[a-z]?(?![A-Za-z\d])")
# United Imaging and others: thickness x increment, "1.0 x 0.8_SD", "1_25x1_0mm", "5x5".
_BY_INCREMENT = re.compile(r"(?<![\d.])(\d{1,2}(?:[._]\d{1,3})?)\s?[xX*×]\s?\d{1,2}(?:[._]\d{1,3})?(?=$|[\s_,]|mm)")
# People: "1.25mm", "LUNG_1MM", "3_75MM" (an underscore for the point), 1毫米.
_WITH_UNIT = re.compile(r"(?<![\d.])(?<!\d_)(\d{1,2}(?:[._]\d{1,3})?)\s?(?:mm(?![A-Za-z])|毫米)", re.IGNORECASE)
# Toshiba and Canon: "Body 1.0 CE", ",CE,Vol,1.0,Vol.,,".
_TOSHIBA = re.compile(r"(?:^|[\s,])(\d{1,2}\.\d{1,3})(?=$|[\s,])")


def values(text: str) -> tuple[str, ...]:
    """The values that a backslash separates."""
    return tuple(part.strip() for part in text.split("\\")) if text else ()


def number(text: str) -> float | None:
    """The first of the values as a number."""
    try:
        value = float(text.partition("\\")[0])
    except ValueError:
        return None
    return value if abs(value) < _LARGEST else None


def whole(text: str) -> int | None:
    """The first of the values as a whole number."""
    value = number(text)
    return None if value is None else int(value)


def numbers(text: str) -> tuple[float, ...]:
    """All the values as numbers; none when one of them is not."""
    found = [number(part) for part in text.split("\\")] if text else []
    return tuple(value for value in found if value is not None) if None not in found else ()


def length(value: float | None) -> float | None:
    """A length in mm. Devices write 0 where they do not know, and a sign for the direction."""
    return abs(value) or None if value is not None else None


def distance_of(positions: Iterable[float]) -> tuple[int | None, float | None]:
    """The number of slices at positions along the normal, and the usual distance between neighbours, in mm.

    Instances at one position (phases, echoes, kernels in one series) are one slice. Both are None without positions,
    the distance also with a single slice. It is the median, which missing slices do not change.
    """
    ordered = sorted(positions)
    if not ordered:
        return None, None
    steps = [after - before for before, after in pairwise(ordered) if after - before > _SAME_POSITION]
    return len(steps) + 1, round(median(steps), 2) if steps else None


def described_thickness(description: str, manufacturer: str) -> float | None:
    """Slice thickness in mm as the description names it; None when it names none, or a topogram's (`T20s`)."""
    forms = [_BEFORE_KERNEL, _BY_INCREMENT, _WITH_UNIT]
    if re.match(r"toshiba|canon", manufacturer, re.IGNORECASE):
        forms.append(_TOSHIBA)
    for form in forms:
        if found := form.search(description):
            value = float(found[1].replace("_", "."))
            return value if value > 0 else None
    return None
