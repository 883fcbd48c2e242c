"""What a second node brings: the same work by one node and by two, each on a machine of its own as far as can be had.

Receiving lasts until every instance is in the catalogue; then the exams are approved, while sending is paused. Sending
counts from when every node could have begun to the end of the last delivery.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import rivals
import senders
from gain import NODES, OTHERS, RECEIVING, SENDING, SERVER, Figures, table
from machines import Machine, Survey, aside, disk, into, limit, machines, survey
from measure import Run, become_quiet, busy_seconds, say
from processes import busy, family, fresh

from router.catalogue import open_catalogue
from router.clock import SystemClock
from router.events import EventBus
from router.policy.pause import EVERY
from support.harness import OURS, Exam, Process, Site, make_exam, tail
from support.postgres import DURABLE, Server, postgres_server

PROCESSORS = {1.0: "a whole processor each", 0.25: "a quarter of a processor each"}
EXAMS, INSTANCES, SIDE = 16, 60, 500
ASSOCIATIONS = 4  # from the senders to all nodes, and from all nodes to the receiver

_SECONDS = 300.0
_JOURNAL, _SHORT_JOURNAL = "512 MiB", "16 MiB"  # the default; and in a trial, as making it takes a while
_NOTICED_SECONDS = 2.0
_LOOK_SECONDS = 0.03
_ROOM = 3 * 2**30  # bytes, for journals and for what the file system needs itself
_SETTINGS = """
[node]
language = "en"
data = "{data}"
name = "{name}"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[receive]
host = "{address}"
port = 0
allow_plain = true
senders = [{{ ae_title = "STORESCU" }}]
min_free = "50 MiB"
journal = "{journal}"
[reports]
folder = "drop"
settle = "200 ms"
rescan = "1 s"
[study]
stable_after = "1 s"
[admin]
port = 0
[database]
url = "{url}"
[[destination]]
name = "cloud"
[destination.dicom]
host = "{outside}"
port = {port}
associations = {associations}
allow_plain = true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The same for every case. `folders` has one of instances for each association to the nodes."""

    exams: Sequence[Exam]
    folders: Sequence[Path]

    @property
    def instances(self) -> int:
        """How many there are."""
        return sum(len(exam.study.files) for exam in self.exams)

    @property
    def megabytes(self) -> float:
        """All of them."""
        return sum(file.path.stat().st_size for exam in self.exams for file in exam.study.files) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """Nodes that are up, and what is to be done by them; `rows` is a connection to their database at `url`."""

    site: Site
    places: Sequence[tuple[Machine, Process]]
    work: Work
    url: str
    rows: "psycopg.Connection[tuple[int]]"

    def receive(self) -> None:
        """All instances, from their senders into the catalogue."""
        folders = self.work.folders
        with ThreadPoolExecutor(len(self.places)) as pool:
            sending = [
                pool.submit(senders.storescu, node.ports["dicom"], folders[n :: len(self.places)], host=machine.address)
                for n, (machine, node) in enumerate(self.places)
            ]
            for ended in sending:
                ended.result()
        self._wait("SELECT count(*) FROM instance", self.work.instances)

    def approve(self) -> None:
        """Every exam, by its JSON alone, which images need; nothing is sent yet."""
        self._pause(begin=True)
        for exam in self.work.exams:
            self.site.drop(f"{exam.id}.json", exam.json())
        self._wait("SELECT count(*) FROM delivery WHERE state = 'ready'", len(self.work.exams))

    def resume(self) -> float:
        """Sending; returns what is left to send, in MB, when every node sends, or has had the time to begin.

        One instance at least is left. A node notices the end of a pause within two seconds.
        """
        self._pause(begin=False)
        self._wait("SELECT count(*) FROM delivery WHERE state IN ('sending', 'delivered')", 1)
        begun = time.monotonic()
        self._until(lambda: self._all_send() or time.monotonic() - begun > _NOTICED_SECONDS, "every node sends")
        left = self._count("SELECT count(*) FROM ledger WHERE state = 'selected'")
        return self.work.megabytes * max(left, 1) / self.work.instances

    def send(self) -> None:
        """All instances, to the end of the last delivery."""
        self._wait("SELECT count(*) FROM delivery WHERE state = 'delivered'", len(self.work.exams))

    def spending(self) -> dict[str, float]:
        """Processor seconds so far, by who spent them."""
        nodes = _spent([process for _, node in self.places for process in family(node.number)])
        mine = _spent(family(os.getpid()))
        return {NODES: nodes, SERVER: _spent(family(self._server())), OTHERS: busy_seconds() - mine}

    def _all_send(self) -> bool:
        senders = self._count("SELECT count(DISTINCT lease_owner) FROM delivery WHERE state = 'sending'")
        return senders == len(self.places)

    def _server(self) -> int:
        """The process that has started the one which answers here."""
        backend = self.rows.info.backend_pid
        return int(Path(f"/proc/{backend}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])

    def _wait(self, question: str, least: int) -> None:
        self._until(lambda: self._count(question) >= least, f"{least} by {question}")

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        """RuntimeError after long."""
        until = time.monotonic() + _SECONDS
        while not condition():
            if time.monotonic() > until:
                logs = "\n".join(tail(node.log) for _, node in self.places)
                raise RuntimeError(f"not within {_SECONDS:.0f} s: {what}\n{logs}")
            time.sleep(_LOOK_SECONDS)

    def _count(self, question: str) -> int:
        (count,) = self.rows.execute(question.encode()).fetchone() or (0,)
        return count

    def _pause(self, *, begin: bool) -> None:
        catalogue = open_catalogue(self.url, Path(), EventBus())
        with closing(catalogue.engine.database):
            if begin:
                catalogue.pauses.begin(EVERY, "bench", "to be measured", SystemClock().now())
            else:
                catalogue.pauses.end(EVERY, "bench", "", SystemClock().now())


def second(run: Run) -> str:
    """16 studies of 60 CT instances received, then sent, by one node and by two: the same for both."""
    cases = [Case(nodes, processors) for processors in PROCESSORS for nodes in (1, 2)]
    found, work = survey(run.folder), _work(run)
    with ExitStack() as stack:
        stack.enter_context(aside(2, found))
        url = stack.enter_context(postgres_server({**DURABLE, "max_connections": "200"}))
        server = Server(url, stack.enter_context(psycopg.connect(url, autocommit=True)))
        size = round(3 * work.megabytes * 1e6) + _ROOM
        shared = run.folder if found.disk else stack.enter_context(disk(run.folder, size))
        bench = Bench(run=run, found=found, work=work, server=server, shared=shared)
        rounds = bench.rounds([case for case in cases if run.has(case.name) and case.possible(found)])
    tables = [_table(work, processors, rounds) for processors in PROCESSORS]
    how = f"{ASSOCIATIONS} associations from the senders to all nodes, as many from all nodes to the receiver."
    load = f"The machine's load in the end: {os.getloadavg()[1]:.1f} (mean of 5 minutes)."
    return "\n\n".join([*filter(None, tables), how, *found.lines(2), load])


@dataclass(frozen=True, slots=True)
class Case:
    """So many nodes, each with so much of a processor."""

    nodes: int
    processors: float

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.nodes} node{'s' if self.nodes > 1 else ''}, {PROCESSORS[self.processors]}"

    def possible(self, found: Survey) -> bool:
        """Whether this machine can limit them so."""
        return self.processors == 1 or not found.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all cases have in common. The nodes' data is in `shared`."""

    run: Run
    found: Survey
    work: Work
    server: Server
    shared: Path

    def rounds(self, cases: Sequence[Case]) -> dict[Case, list[Figures]]:
        """Each case once a round, in any order."""
        figures: dict[Case, list[Figures]] = {case: [] for case in cases}
        for number in range(self.run.rounds):
            for case in random.sample(cases, len(cases)):
                with self.hospital(case) as there:
                    figures[case].append(_measured(there, self.run, f"  round {number + 1}: {case.name}"))
        return figures

    @contextmanager
    def hospital(self, case: Case) -> Iterator[Hospital]:
        """The limit on a node's processor applies once it has started."""
        with ExitStack() as stack:
            folders = (self.run.folder, self.run.folder, self.shared)
            own, cloud, data = (stack.enter_context(fresh(folder)) for folder in folders)
            receiver = stack.enter_context(rivals.storescp("--fork", best=True)(cloud))
            url, site = self.server.new_schema(), Site(own)
            open_catalogue(url, Path(), EventBus()).engine.database.close()
            groups = [stack.enter_context(_limited(number, case.processors)) for number in range(case.nodes)]
            places = []
            for number, machine in enumerate(stack.enter_context(machines(case.nodes, self.found)), 1):
                config = own / f"node{number}.toml" if number > 1 else site.config_file
                name, journal = f"node{number}", _JOURNAL if self.run.share == 1 else _SHORT_JOURNAL
                config.write_text(_settings(name, machine, receiver.port, url, data, journal), encoding="utf-8")
                program = (*machine.there, sys.executable, *OURS) if machine.there else OURS
                node = Process(own / f"node{number}.log", "run", "--config", config, program=program)
                stack.callback(node.kill)
                places.append((machine, node))
            for group, (_, node) in zip(groups, places, strict=True):
                if group is not None:
                    into(group, family(node.number))
            rows = stack.enter_context(psycopg.connect(url, autocommit=True))
            yield Hospital(site=site, places=places, work=self.work, url=url, rows=rows)


def _limited(number: int, processors: float) -> AbstractContextManager[Path | None]:
    return nullcontext() if processors == 1 else limit(number, processors)


def _settings(name: str, machine: Machine, port: int, url: str, data: Path, journal: str = _JOURNAL) -> str:
    return _SETTINGS.format(
        name=name, data=data, address=machine.address, outside=machine.outside, url=url, port=port,
        associations=ASSOCIATIONS, journal=journal,
    )  # fmt: skip


def _table(work: Work, processors: float, rounds: Mapping[Case, Sequence[Figures]]) -> str:
    """Of the cases with so much of a processor; "" where there is none."""
    title = f"{len(work.exams)} studies, {work.instances} instances, {work.megabytes:.0f} MB: {PROCESSORS[processors]}"
    mine = {case.nodes: figures for case, figures in rounds.items() if case.processors == processors}
    return table(title, mine) if mine else ""


def _measured(there: Hospital, run: Run, name: str) -> Figures:
    waited = become_quiet() if run.quiet else 0.0
    received = _step(there, there.receive)
    there.approve()
    os.sync()
    left = there.resume()
    sent = _step(there, there.send)
    say(
        f"{name}: {there.work.megabytes:.0f} MB received in {received[0]:.2f} s, "
        f"{left:.0f} MB sent in {sent[0]:.2f} s (quiet after {waited:.1f} s)"
    )
    return Figures(
        megabytes={RECEIVING: there.work.megabytes, SENDING: left},
        seconds={RECEIVING: received[0], SENDING: sent[0]},
        spent={RECEIVING: received[1], SENDING: sent[1]},
    )


def _step(there: Hospital, act: Callable[[], None]) -> tuple[float, dict[str, float]]:
    """Seconds, and processor seconds by who spent them."""
    before, began = there.spending(), time.monotonic()
    act()
    seconds, after = time.monotonic() - began, there.spending()
    return seconds, {who: after[who] - before[who] for who in after}


def _work(run: Run) -> Work:
    """Instances by turns in a folder for each association to the nodes, exam by exam."""
    site = Site(run.folder / "material")
    nowhere = Machine(address="127.0.0.1", outside="127.0.0.1", there=())
    site.config_file.write_text(_settings("nobody", nowhere, 11113, "", site.data), encoding="utf-8")
    exams = [make_exam(site, number, run.count(INSTANCES), SIDE) for number in range(run.count(EXAMS))]
    folders = [site.folder / "sent" / str(number) for number in range(ASSOCIATIONS)]
    for folder in folders:
        folder.mkdir(parents=True)
    for number, exam in enumerate(exams):
        for file in exam.study.files:
            (folders[number % ASSOCIATIONS] / f"{number:03}-{file.path.name}").hardlink_to(file.path)
    return Work(exams=exams, folders=folders)


def _spent(processes: Sequence[int]) -> float:
    """Processor seconds of those that are still there; of those that have ended whoever started them has theirs."""
    seconds = 0.0
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):
            seconds += busy(process)
    return seconds
