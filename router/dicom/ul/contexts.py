"""Presentation contexts for what a batch really holds (PS3.8 7.1.1.13). Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

MOST = 128  # context ids are the odd numbers of one byte

Context = tuple[str, str]  # SOP class, transfer syntax
Offers = Callable[[str], tuple[str, ...]]  # stored transfer syntax: those it can be sent in, the stored one first


class Sendable(Protocol):
    """What decides the context of an instance."""

    @property
    def sop_class(self) -> str: ...

    @property
    def transfer_syntax(self) -> str: ...


Item = TypeVar("Item", bound=Sendable)


@dataclass(frozen=True, slots=True)
class Proposal(Generic[Item]):
    """One association: the contexts to propose and the instances that go over it."""

    contexts: tuple[Context, ...]
    items: tuple[Item, ...]


def as_stored(transfer_syntax: str) -> tuple[str, ...]:
    """Nothing but the stored syntax is offered."""
    return (transfer_syntax,)


def propose(items: Sequence[Item], offers: Offers = as_stored) -> tuple[Proposal[Item], ...]:
    """One context per SOP class and offered transfer syntax in order of appearance, at most 128 to an association.

    All contexts that an instance can go over are in the same association.
    """
    parts: list[tuple[dict[Context, None], set[Context]]] = []
    for stored in dict.fromkeys((item.sop_class, item.transfer_syntax) for item in items):
        wanted = dict.fromkeys((stored[0], syntax) for syntax in offers(stored[1]))
        if not parts or len(parts[-1][0] | wanted) > MOST:
            parts.append(({}, set()))
        contexts, served = parts[-1]
        contexts.update(wanted)
        served.add(stored)
    return tuple(Proposal(tuple(contexts), _stored_as(items, served)) for contexts, served in parts)


def _stored_as(items: Sequence[Item], served: set[Context]) -> tuple[Item, ...]:
    return tuple(item for item in items if (item.sop_class, item.transfer_syntax) in served)
