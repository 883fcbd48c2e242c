"""Inventories: what a platform says it has of what it accepted in a time (对账), gathered from their pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from router.errors import TransientError
from router.forward.blocks.verdict import Listed
from router.policy.comparison import Theirs

_MOST_PAGES = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The platform's answer about a time of at most one day.

    `whole`: all pages came and hold as many exams as it counts. `ahead`: its clock before ours, zero where it says
    nothing of its time.
    """

    exams: Sequence[Theirs]
    whole: bool
    ahead: timedelta


def gathered(page: Callable[[str], tuple[Listed, timedelta]]) -> Inventory:
    """The inventory of all pages; `page` gives the one of that name, "" for the first, and the clock's difference.

    TransientError when they do not end. What `page` raises is passed on.
    """
    found: dict[str, Theirs] = {}
    counts, named, after, ahead = set[int](), {""}, "", timedelta(0)
    for _ in range(_MOST_PAGES):
        listed, differs = page(after)
        found |= {one.idem: one for one in listed.exams}
        counts.add(listed.count)
        ahead = max(ahead, differs, key=abs)
        if not listed.next:
            return Inventory(exams=tuple(found.values()), whole=counts == {len(found)}, ahead=ahead)
        if listed.next in named or not listed.exams:
            break
        named.add(after := listed.next)
    raise TransientError("the platform's inventory does not end: its pages do not follow each other")
