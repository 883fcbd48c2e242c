"""A profile as it is declared: its calls in their order, the keys and settings that it needs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from router.forward.answer import Answer
from router.forward.blocks.message import Message
from router.forward.blocks.request import Request
from router.forward.blocks.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most `times` in `seconds`; what is beyond waits."""

    times: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: `request` makes it, `judge` says what an answer means. Both are pure, and take at most some seconds."""

    name: str
    request: Callable[[Message], Request]
    judge: Callable[[Message, Answer], Verdict]
    rate: Rate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(Call):
    """The call for each `size` bytes of the report's PDF, in order (`m.piece`); a restart goes on with the next."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A profile. `upload`, `withdraw` are calls in their order; `keys` names the settings of key files that it needs.

    `secrets` and `settings` name what it needs of [destination.http.secrets] and [destination.http.settings].
    `allow_weak` says why ECB or MD5 is used. `token`: without one, none is asked for. `inventory` asks for a page of
    what the platform has. Without `withdraw` or `inventory` the platform does not offer that.
    """

    name: str
    upload: tuple[Call, ...]
    token: Call | None = None
    withdraw: tuple[Call, ...] = ()
    inventory: Call | None = None
    keys: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    allow_weak: str = ""

    def calls(self) -> Iterator[Call]:
        """Every call."""
        yield from ((self.token,) if self.token else ())
        yield from (*self.upload, *self.withdraw)
        yield from ((self.inventory,) if self.inventory else ())

    def call(self, name: str) -> Call:
        """The call of this name; KeyError without one."""
        found = {one.name: one for one in self.calls()}
        return found[name]
