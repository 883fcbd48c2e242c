"""Two nodes on a PostgreSQL server of their own, behind HAProxy, with the reference platform."""

import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from gates import Gates

from support import wrong_clock
from support.cluster import StoppableServer, children, stoppable_server
from support.dicom_peers import free_port
from support.haproxy import haproxy
from support.harness import OURS, Process, Site, tail

NAMES = ("node1", "node2")
_STARTS = 5


class Node:
    """A node that can be killed, frozen, and started with a wrong clock. `config` is its file."""

    def __init__(self, name: str, config: Path, waiting: Path) -> None:
        self.name = name
        self.frozen: list[int] = []
        self._config = config
        self._waiting = waiting
        self._process: Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def well(self) -> bool:
        """Whether it runs and does not stand still."""
        return self.running and not self.frozen

    @property
    def waiting(self) -> int:
        """How many instances it has acknowledged, as files, and not catalogued."""
        return len(list(self._waiting.rglob("*.dcm")))

    def start(self, ahead: int = 0) -> None:
        """Start it, unless it runs; `ahead`: its clock is, in seconds. Where a busy machine is too slow for its workers
        it is started again, as by the service manager."""
        program = wrong_clock.program(ahead) if ahead else OURS
        for more in reversed(range(_STARTS)):
            try:
                if not self.running:
                    self._process = self._started(program)
            except pytest.fail.Exception:
                if not more:
                    raise

    def stop(self) -> None:
        """SIGTERM."""
        assert self._process is not None
        assert self._process.stop() == 0

    def freeze(self, workers: bool) -> None:
        """SIGSTOP to the main process, and to its receive workers as well, as when its host stands still."""
        for number in self._processes(workers):
            os.kill(number, signal.SIGSTOP)
            self.frozen.append(number)

    def thaw(self) -> None:
        """SIGCONT to whatever stands still."""
        while self.frozen:
            with suppress(ProcessLookupError):
                os.kill(self.frozen.pop(), signal.SIGCONT)

    def kill(self, workers: bool) -> None:
        """SIGKILL to the main process, whose workers then end by themselves, or to all; also to what stands still."""
        if self._process is None or not self._process.running:
            return
        for number in [*self._processes(workers), *self.frozen]:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._process.kill()
        self.frozen.clear()

    def _started(self, program: Sequence[str]) -> Process:
        return Process(self._config.with_suffix(".log"), "run", "--config", self._config, program=program)

    def _processes(self, workers: bool) -> list[int]:
        assert self._process is not None
        main = self._process.number
        return [main, *children(main)] if workers else [main]


class PairSite(Site):
    """The site of two nodes; its own node is none of them and never started."""

    def story(self) -> str:
        """Queue and the ends of the logs, for a failure's message."""
        try:
            queue = [
                f"{line.exam_id} {one.channel} {one.state} {line.sent}/{line.selected} {one.waiting_for} {one.error}"
                for line in self.lines()
                for one in [line.delivery]
            ]
        except Exception as error:  # noqa: BLE001  # the logs tell more than that the database does not answer
            queue = [f"cannot be read: {error}"]
        logs = [f"-- {name}\n{tail(self.folder / name)}" for name in (*(f"{one}.log" for one in NAMES), "platform.log")]
        return "\n".join(["-- queue", *queue, *logs])


class Pair:
    """Everything running; `port` is where senders come to. `stop` leaves nothing running."""

    def __init__(self, folder: Path, lease: int) -> None:
        self._running = ExitStack()
        folder.mkdir()
        try:
            self.server: StoppableServer = self._running.enter_context(stoppable_server())
            self.nodes, self.site, ports = _configured(folder, self.server.url, lease)
            self._running.callback(self._stop_processes)
            assert self.site.platform.running
            for node in self.nodes:
                node.start()
            self.gates = Gates(self.server.url)
            self._running.callback(self.gates.close)
            self.port = self._running.enter_context(haproxy(folder, ports, "inter 1s fall 2"))
        except BaseException:
            self.stop()
            raise

    def node(self, name: str) -> Node:
        """The node of this name."""
        return next(node for node in self.nodes if node.name == name)

    def stop(self) -> None:
        """Leave nothing running."""
        self._running.close()

    def _stop_processes(self) -> None:
        self.site.stop()
        for node in self.nodes:
            node.kill(workers=True)
        self.server.thaw()


def _configured(folder: Path, url: str, lease: int) -> tuple[Sequence[Node], Site, list[tuple[int, int]]]:
    """The nodes with their files, the site, and the ports of each node: DICOM, /health."""
    site = PairSite(folder, stable_after="300 ms", workers=1, journal="8 MiB")
    nodes, ports = [], []
    for name in NAMES:
        dicom, health = free_port(), free_port()
        site.configure(receive_port=dicom, admin_port=health)
        text = site.config_file.read_text(encoding="utf-8")
        text = text.replace('name = "acceptance"', f'name = "{name}"\nlease = "{lease} s"')
        text = text.replace("[receive]\n", '[receive]\nproxies = ["127.0.0.1"]\n')
        config = folder / f"{name}.toml"
        config.write_text(f'{text}\n[database]\nurl = "{url}&application_name={name}"\n', encoding="utf-8")
        nodes.append(Node(name, config, site.data / "incoming" / name))
        ports.append((dicom, health))
    site.config_file.write_text(config.read_text(encoding="utf-8"), encoding="utf-8")
    return nodes, site, ports
