"""Numbers of one patient: what people have said of merged patients, as classes of equal numbers."""

from collections.abc import Iterable, Mapping


def classes(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Each number that is in a pair, with the one that stands for all numbers of its patient (the smallest)."""
    stands: dict[str, str] = {}
    for one, other in pairs:
        first, second = sorted((stands.get(one, one), stands.get(other, other)))
        stands |= {one: first, other: first}
        stands |= {number: first for number, of in stands.items() if of == second}
    return stands
