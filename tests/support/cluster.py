"""Several nodes as processes, on one database and one data folder, and a database server that can be stopped."""

import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt

from support import postgres
from support.harness import OURS, Process, Site, SlowCloud

LEASE = "1 s"


class Cluster:
    """The site's own node, whose name is `node1` and which `program` runs, and further ones. `stop` leaves nothing
    running."""

    def __init__(
        self, folder: Path, url: str, count: int, stable_after: str = "500 ms", program: Sequence[str] = OURS,
        *, dicom_port: int = 0,
    ) -> None:  # fmt: skip
        settings = f'\n[database]\nurl = "{url}"\n'
        self.site = Site(folder, stable_after=stable_after, settings=settings, program=program, dicom_port=dicom_port)
        self.site.configure()
        text = self.site.config_file.read_text(encoding="utf-8")
        self.site.config_file.write_text(_named(text, 1), encoding="utf-8")
        self.further: list[Process] = []
        try:
            assert self.site.node.running
            for number in range(2, count + 1):
                config = folder / f"node{number}.toml"
                config.write_text(_named(text, number), encoding="utf-8")
                self.further.append(Process(folder / f"node{number}.log", "run", "--config", config))
        except BaseException:
            self.stop()
            raise

    @property
    def ports(self) -> list[int]:
        """Where each node takes C-STORE."""
        return [self.site.port, *(node.ports["dicom"] for node in self.further)]

    @property
    def nodes(self) -> dict[str, Process]:
        """By their names."""
        return {f"node{n}": node for n, node in enumerate((self.site.node, *self.further), 1)}

    def waiting(self, number: int) -> int:
        """How many instances a node has acknowledged, as files, and not catalogued."""
        return len(list((self.site.data / "incoming" / f"node{number}").rglob("*.dcm")))

    def stop(self) -> None:
        self.site.stop()
        for node in self.further:
            if node.running:
                node.kill()


def _named(text: str, number: int) -> str:
    return text.replace('name = "acceptance"', f'name = "node{number}"\nlease = "{LEASE}"')


# What was committed outlives the server's process; power does not fail.
_STOPPABLE = {"fsync": "off", "full_page_writes": "off", "listen_addresses": "", "max_connections": "60",
              "shared_buffers": "16MB", "autovacuum": "off"}  # fmt: skip


class StoppableServer:
    """A PostgreSQL server of its own, which goes on with its data after `start`."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self.url = f"postgresql:///postgres?host={folder}&user=router"
        self._how = programs, folder, user, _STOPPABLE
        self._running = ExitStack()
        self.start()

    def start(self) -> None:
        self._process = self._running.enter_context(postgres.running(*self._how))
        postgres.wait_until_up(self.url, self._process, self._how[1] / "log")

    def stop(self) -> None:
        """At once: every connection is cut."""
        self._running.close()

    def stop_in_order(self) -> None:
        """PostgreSQL's fast shutdown: each session is ended, what was written is put in order."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)
        self.stop()

    def freeze(self) -> None:
        """Every process stands still, and no connection is cut."""
        self._process.send_signal(signal.SIGSTOP)  # first: so it starts no further session
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """They go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to every process, also where they stand still."""
        self.freeze()
        self._signal(signal.SIGKILL)
        self._process.wait(10)
        self.stop()

    def _signal(self, number: int) -> None:
        for process in (*children(self._process.pid), self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(process, number)


def children(process: int) -> list[int]:
    """The processes that this one has started, and that are still there."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(number) for number in listed.split()]


@contextmanager
def stoppable_server() -> Iterator[StoppableServer]:
    """As `postgres.postgres_server`."""
    programs, user = postgres.programs(), postgres.unprivileged()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="icr-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    try:
        postgres.make_cluster(programs, folder / "data", user)
        server = StoppableServer(programs, folder, user)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


class CountingCloud(SlowCloud):
    """A slow destination that knows the most associations that it has had at a time."""

    def __init__(self, pause: float) -> None:
        super().__init__(pause)
        self.most, self._open = 0, Counter[int]()
        self._server.bind(evt.EVT_ACCEPTED, self._opened)
        for end in (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE):
            self._server.bind(end, self._closed)

    def _opened(self, event: Any) -> None:
        self._open[id(event.assoc)] = 1
        self.most = max(self.most, self._open.total())

    def _closed(self, event: Any) -> None:
        self._open.pop(id(event.assoc), None)
