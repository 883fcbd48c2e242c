"""How far an upload of several calls has come, kept beside what is sent, so that a restart goes on from there."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from router.storage.durable import write


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The confirmed part of one upload: `done` calls, `pieces` of the one under way, what they kept."""

    of: str
    done: tuple[str, ...] = ()
    pieces: int = 0
    kept: Mapping[str, str] = field(default_factory=dict)
    receipt: str = ""

    def after(self, call: str, keep: Mapping[str, str], receipt: str) -> "Progress":
        """When a call is done."""
        kept, receipt = {**self.kept, **keep}, receipt or self.receipt
        return replace(self, done=(*self.done, call), pieces=0, kept=kept, receipt=receipt)

    def after_piece(self, keep: Mapping[str, str]) -> "Progress":
        """When one more piece is there."""
        return replace(self, pieces=self.pieces + 1, kept={**self.kept, **keep})


def identity(profile: str, digest: str, account: str, idem: str) -> str:
    """The name of an upload under a profile as it stands: another profile, or account, begins it anew."""
    return hashlib.sha256("\0".join((profile, digest, account, idem)).encode()).hexdigest()


def read(file: Path | None, of: str) -> Progress:
    """The progress of this upload; none where nothing is kept of it, or what is kept does not read."""
    none = Progress(of=of)
    if file is None:
        return none
    try:
        found = json.loads(file.read_bytes())
        kept = Progress(
            of=found["of"], done=tuple(found["done"]), pieces=int(found["pieces"]), kept=dict(found["kept"]),
            receipt=found["receipt"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return none
    return kept if kept.of == of else none


def keep(file: Path | None, progress: Progress) -> None:
    """Write it down, durably."""
    if file is not None:
        write(file, json.dumps(asdict(progress), ensure_ascii=False).encode())
