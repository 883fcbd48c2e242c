"""Presentation contexts to propose for a batch of instances (PS3.8 7.1.1.13). Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

MOST = 128  # context ids are the odd numbers of one byte

Context = tuple[str, str]  # SOP class, transfer syntax
Offers = Callable[[str], tuple[str, ...]]  # from the stored transfer syntax to those to send it in, itself first


class Sendable(Protocol):
    """An instance, as far as it decides its context."""

    @property
    def sop_class(self) -> str: ...

    @property
    def transfer_syntax(self) -> str: ...


Item = TypeVar("Item", bound=Sendable)


@dataclass(frozen=True, slots=True)
class Proposal(Generic[Item]):
    """One association: the contexts to propose, and the instances to send over it."""

    contexts: tuple[Context, ...]
    items: tuple[Item, ...]


def propose(items: Sequence[Item], offers: Offers) -> tuple[Proposal[Item], ...]:
    """Propose a context for each SOP class and offered syntax, in order of appearance, at most 128 an association.

    All contexts that an instance can be sent over are in the same association.
    """
    parts: list[tuple[dict[Context, None], set[Context]]] = []
    for stored in dict.fromkeys((item.sop_class, item.transfer_syntax) for item in items):
        wanted = dict.fromkeys((stored[0], syntax) for syntax in offers(stored[1]))
        if not parts or len(parts[-1][0] | wanted) > MOST:
            parts.append(({}, set()))
        contexts, served = parts[-1]
        contexts.update(wanted)
        served.add(stored)
    return tuple(
        Proposal(tuple(contexts), tuple(item for item in items if (item.sop_class, item.transfer_syntax) in served))
        for contexts, served in parts
    )
