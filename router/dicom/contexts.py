"""Presentation contexts for what a batch really holds (PS3.8 7.1.1.13). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

MOST = 128  # context ids are the odd numbers of one byte

Context = tuple[str, str]  # SOP class, transfer syntax


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


def propose(items: Sequence[Item]) -> tuple[Proposal[Item], ...]:
    """One context per (SOP class, transfer syntax) in order of appearance, 128 to an association."""
    contexts = tuple(dict.fromkeys((item.sop_class, item.transfer_syntax) for item in items))
    parts = [contexts[first : first + MOST] for first in range(0, len(contexts), MOST)]
    return tuple(Proposal(part, _within(items, frozenset(part))) for part in parts)


def _within(items: Sequence[Item], contexts: frozenset[Context]) -> tuple[Item, ...]:
    return tuple(item for item in items if (item.sop_class, item.transfer_syntax) in contexts)
