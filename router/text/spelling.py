"""Hints for a misspelled word."""

import difflib
from collections.abc import Iterable

_NEAR = 0.7  # of 1.0, which is equal


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the known word that is most like it, case ignored; "" when none is."""
    folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word.casefold(), folded, 1, _NEAR)
    return f"; did you mean {folded[found[0]]}?" if found else ""
