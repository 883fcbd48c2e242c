"""The backlog as a picture: one bar a place, one piece an age. Inline SVG, coloured by the style sheet."""

from collections import Counter
from collections.abc import Callable, Sequence
from html import escape

from router.catalogue.queue.backlog import Age, BacklogCount, Place

_LABEL, _BAR, _NUMBER, _ROW = 210, 560, 70, 30


def bars(heaps: Sequence[BacklogCount], places: Sequence[Place], say: Callable[[str], str]) -> str:
    """The picture; each piece has a title with its age and number."""
    counts = Counter[tuple[str, str, Age]]()
    for heap in heaps:
        counts[heap.destination, heap.channel, heap.age] += heap.deliveries
    sums = [sum(counts[p.destination, p.channel, age] for age in Age) for p in places]
    rows = [_row(n, p, counts, max(sums, default=0), say) for n, p in enumerate(places)]
    width, height = _LABEL + _BAR + _NUMBER, _ROW * len(places)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(say("Backlog"))}">{"".join(rows)}</svg>'


def legend(say: Callable[[str], str]) -> str:
    """Key to the colours."""
    return "".join(f'<span class="word"><span class="key {age}"></span>{escape(say(age))}</span> ' for age in Age)


def _row(n: int, place: Place, counts: "Counter[tuple[str, str, Age]]", most: int, say: Callable[[str], str]) -> str:
    y, x, pieces, total = n * _ROW, float(_LABEL), [], 0
    for age in Age:
        number = counts[place.destination, place.channel, age]
        if number:
            size = max(number / most * _BAR, 2.0)
            title = f"<title>{escape(say(age))}: {number}</title>"
            pieces.append(f'<rect class="{age}" x="{x:.1f}" y="{y + 5}" width="{size:.1f}" height="20">{title}</rect>')
            x, total = x + size, total + number
    name = escape(f"{place.destination}, {say(place.channel)}")
    return f'<text x="0" y="{y + 20}">{name}</text>{"".join(pieces)}<text x="{x + 8:.1f}" y="{y + 20}">{total}</text>'
