"""The outline of a declared profile as plain data: what the report agent must know to have its calls made in order."""

from dataclasses import dataclass

from router.forward.blocks.declaration import Call, Declaration, Parts, Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call; `size` is the bytes of each of its parts, 0 for a call that is made once."""

    name: str
    size: int = 0
    rate: Rate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The calls of a profile. `token`, `inventory`: None where it has none; `withdraw`: empty."""

    name: str
    upload: tuple[Step, ...]
    token: Step | None = None
    withdraw: tuple[Step, ...] = ()
    inventory: Step | None = None
    allow_weak: str = ""

    @classmethod
    def of(cls, declared: Declaration) -> "Outline":
        """The outline of a declaration."""
        return cls(
            name=declared.name, token=_step(declared.token), upload=tuple(map(_known, declared.upload)),
            withdraw=tuple(map(_known, declared.withdraw)), inventory=_step(declared.inventory),
            allow_weak=declared.allow_weak,
        )  # fmt: skip

    def steps(self) -> tuple[Step, ...]:
        """Every call."""
        found = (self.token, *self.upload, *self.withdraw, self.inventory)
        return tuple(one for one in found if one is not None)


def _step(call: Call | None) -> Step | None:
    return None if call is None else _known(call)


def _known(call: Call) -> Step:
    return Step(name=call.name, size=call.size if isinstance(call, Parts) else 0, rate=call.rate)
