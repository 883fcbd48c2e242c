"""Aliases: several numbers of one patient, which people have said to be equal, as classes."""

from collections.abc import Iterable, Mapping


def classes(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Each number of the pairs, with the one that represents all numbers of its patient (the smallest)."""
    stands: dict[str, str] = {}
    for one, other in pairs:
        first, second = sorted((stands.get(one, one), stands.get(other, other)))
        stands |= {one: first, other: first}
        stands |= {number: first for number, of in stands.items() if of == second}
    return stands
