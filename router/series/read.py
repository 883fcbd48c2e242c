"""Values of header fields from their text; a wrong one is absent. Pure."""

_LARGEST = 1e9


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
