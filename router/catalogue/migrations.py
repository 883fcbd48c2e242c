"""The tables from each version to the next, when a newer program opens an older database.

All steps that are needed happen in one transaction, which both engines undo as a whole when it is cut short: a
database is of one version or of another, never between two. Of several nodes one does it, the others wait.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from router.catalogue.tables import FIRST_SCHEMA
from router.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from router.catalogue.dialect import Engine

Step = Callable[["Engine"], None]


def _set_aside(engine: "Engine") -> None:
    """Retention removes from done/ and rejected/ only what is noted here; what lies there is noted when it looks."""
    columns = '"key" TEXT NOT NULL PRIMARY KEY, "home" TEXT NOT NULL, "place" TEXT NOT NULL, "mark" TEXT NOT NULL'
    engine.execute(f'CREATE TABLE "set_aside" ({columns}, "at" {engine.whole} NOT NULL)', ())
    engine.execute('CREATE INDEX "setasiderow_at" ON "set_aside" ("at")', ())


def _heads(engine: "Engine") -> None:
    """Of an audit trail of before nothing was signed."""
    texts = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("seal", "at", "chain", "key", "signature", "accepted"))
    numbers = f'"number" INTEGER NOT NULL, "n" {engine.whole} NOT NULL'
    engine.execute(
        f'CREATE TABLE "audit_head" ("node" TEXT NOT NULL, {numbers}, {texts}, PRIMARY KEY ("node", "number"))', ()
    )


# One step a version, in order: from FIRST_SCHEMA to the next, from that to the one after it. A step that was released
# is never changed. It writes SQL of its own: `tables` says what the last version looks like, not what its own does.
STEPS: tuple[Step, ...] = (_set_aside, _heads)
_SILENT = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Conversion:
    """From which version to which a database was brought."""

    old: int
    new: int


def version_of(steps: Sequence[Step]) -> int:
    """The version that the steps lead to."""
    return FIRST_SCHEMA + len(steps)


def missing(found: int, steps: Sequence[Step]) -> Sequence[Step]:
    """What brings a database of that version to ours; ConfigurationError where nothing does."""
    needed = version_of(steps)
    if not FIRST_SCHEMA <= found <= needed:
        raise ConfigurationError(
            f"the database has schema {found}, this version of the node knows {FIRST_SCHEMA} to {needed}",
            hint="install the version that wrote it, or put back the copy that was made before the upgrade",
        )
    return steps[found - FIRST_SCHEMA :]


def require_alone(engine: "Engine", node: str) -> None:
    """TransientError while another node gives signs of life: one of the former version would not know the tables."""
    microseconds = _SILENT // timedelta(microseconds=1)
    signs = f"SELECT name FROM node WHERE seen > {engine.now} - {microseconds} ORDER BY name"  # noqa: S608 our own text
    if others := [name for (name,) in engine.execute(signs, ()) if name != node]:
        raise TransientError(
            f"the database is of a former version, and node {others[0]} still works with it",
            hint="stop every node, then start those of the new version",
        )
