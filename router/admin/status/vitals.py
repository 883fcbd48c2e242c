"""Vital signs of the node: whether it can take images, and which parts do not work.

Nothing here asks the database, and nothing waits for a disk that hangs: the answer is for a load balancer.
"""

import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from router.storage.durable import try_write

_FRESH_SECONDS = 1.0
_WAIT_SECONDS = 0.3
_HANGING_SECONDS = 5.0
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """One part of the node that does not work. `what` is a word for programs, `text` says it; without patient data.

    `stops_images`: no image can be taken while it lasts.
    """

    what: str
    text: str
    stops_images: bool = False


Degradations = Callable[[], Iterable[Degradation]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A look at the data folder's volume. `free` in bytes."""

    free: int = 0
    degradations: Sequence[Degradation] = ()


class DiskProbe:
    """Looks at the disk in a separate thread, since a disk that hangs blocks the thread that looks.

    A look is valid for a second, or while the next one takes long, until the disk counts as hanging.
    """

    def __init__(self, look: Callable[[], Disk], hanging: float = _HANGING_SECONDS) -> None:
        self._look = look
        self._hanging = hanging
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._began = self._ended = float("-inf")
        self._found = Disk()

    def disk(self) -> Disk:
        """The newest look, within some tenths of a second."""
        with self._lock:
            if not self._is_looking() and time.monotonic() - self._ended >= _FRESH_SECONDS:
                self._began = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="disk-probe", daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None:
            thread.join(_WAIT_SECONDS)
        if self._is_looking() and time.monotonic() - self._began >= self._hanging:
            hangs = Degradation(what="disk", text="the disk does not answer", stops_images=True)
            return Disk(free=self._found.free, degradations=(hangs,))
        return self._found

    def _is_looking(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._found = self._look()
        except OSError as error:
            fault = Degradation(what="disk", text=f"the disk cannot be read: {error.strerror}", stops_images=True)
            self._found = Disk(degradations=(fault,))
        self._ended = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLook:
    """A look at the disk. `workers` are the folders that receive workers write to, `audit` the folder of the trail;
    `fate` says what became of the database's file, "" while it is there; `min_free` in bytes."""

    data: Path
    min_free: int
    workers: Sequence[Path]
    audit: Path
    fate: Callable[[], str]

    def __call__(self) -> Disk:
        """OSError when the data folder itself cannot be read."""
        free = shutil.disk_usage(self.data).free
        return Disk(free=free, degradations=tuple(self._found(free)))

    def _found(self, free: int) -> Iterator[Degradation]:
        if free <= self.min_free:
            text = f"below min_free: {_gib(free)} free, min_free is {_gib(self.min_free)}"
            yield Degradation(what="disk", text=text, stops_images=True)
        refused = [fault for folder in self.workers if (fault := _refusal(folder))]
        if refused:
            text = f"incoming/ cannot be written: {refused[0]}"
            yield Degradation(what="incoming", text=text, stops_images=len(refused) == len(self.workers))
        if self.audit.exists() and (fault := _refusal(self.audit)):
            yield Degradation(what="audit", text=f"the audit trail cannot be written: {fault}")
        if fate := self.fate():
            yield Degradation(what="database", text=f"the database's file {fate}")


def _refusal(folder: Path) -> str:
    try:
        try_write(folder)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


class Work(Protocol):
    """A loop that runs as long as the node."""

    @property
    def name(self) -> str: ...

    @property
    def trouble(self) -> str: ...


def of_work(loops: Iterable[Work]) -> Iterator[Degradation]:
    """Loops that fail or stand still; those with the same trouble together."""
    troubled: dict[str, list[str]] = defaultdict(list)
    for loop in loops:
        if trouble := loop.trouble:
            troubled[trouble].append(loop.name)
    for trouble, names in troubled.items():
        rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield Degradation(what="work", text=f"work {', '.join(names[:_NAMED])}{rest}: {trouble}")


def of_reception(accepts: bool, serving: int, workers: int) -> Iterator[Degradation]:
    """Faults of the DICOM listener and of the receive workers."""
    if not accepts:
        yield Degradation(what="listener", text="the DICOM listener accepts no connection", stops_images=True)
    if not serving:
        yield Degradation(what="workers", text="no receive worker answers", stops_images=True)
    elif serving < workers:
        yield Degradation(what="workers", text=f"{workers - serving} of {workers} receive workers do not answer")


ALARMS_OUT = "alarms"
_STOPPING = Degradation(what="node", text="the node is stopping", stops_images=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """All vital signs. `life` names the node and its present life; `sources` are asked each time. `hospitals` has what
    is known of each of several.

    The owner of a part that may fail adds a source, which must not block.
    """

    life: Callable[[], Mapping[str, object]]
    min_free: int
    probe: DiskProbe
    stopping: Callable[[], bool]
    sources: list[Degradations] = field(default_factory=list)
    hospitals: Callable[[], Sequence[Mapping[str, object]]] = tuple

    def report(self) -> Mapping[str, object]:
        """The body of GET /health; `ok` and `receiving`: images can be taken."""
        disk = self.probe.disk()
        asked = [one for source in self.sources for one in source()]
        found = list(_once([*([_STOPPING] if self.stopping() else ()), *disk.degradations, *asked]))
        takes, hospitals = not any(one.stops_images for one in found), self.hospitals()
        return {
            "ok": takes, **self.life(), "receiving": takes, "free_bytes": disk.free, "min_free_bytes": self.min_free,
            "degraded": [asdict(one) for one in found], **({"hospitals": list(hospitals)} if hospitals else {}),
        }  # fmt: skip


def _once(found: Iterable[Degradation]) -> Iterator[Degradation]:
    """Each once: both the disk probe and the writer see that the trail cannot be written."""
    audited = False
    for one in found:
        if one.what != "audit" or not audited:
            yield one
        audited = audited or one.what == "audit"
