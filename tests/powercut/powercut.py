"""Power cuts: a node works on a disk that records each write, and every disk that a cut may leave is recovered.

Nothing that a sender, the platform, the RIS, a person or a reader of the database has seen may be lost, altered or
sent again beyond the batch in flight. It takes root, /dev/fuse and loop devices.
"""

import argparse
import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import places
import pytest
from disk import MEMORY, SIZES, Call, RecordedDisk, call, faults, missing, mounted
from history import NONE, Base, History, State
from places import PLACES, take_out
from rich.console import Console
from rich.progress import Progress
from verdict import Expected, judge, warm_up
from whole import revive
from workload import LIVES, Life

from router.errors import RouterError
from support.harness import OURS

_PROCESSES = 2
_SHOWN = 5
_FAULT = "fails: "
_LONG = ("journal filed", "journal filed name")  # a segment must be used again
_PURGE = ("study removed", "report removed")
_WITHOUT = "import sys; sys.path.insert(1, {folder!r}); import places; places.main(*sys.argv[1:])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was wrong with a state; nothing where `faults` is empty."""

    state: State
    faults: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recorded life: where its site lies, and the disk's log."""

    folder: Path
    first: Path
    history: History
    fs: str


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory for images and logs."""
    folder = Path(tempfile.mkdtemp(prefix="powercut-", dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def record(folder: Path, fs: str, *, length: str, without: str = "") -> Run:
    """Have a node live in `folder`, its data on a recorded disk; `without` one of the places that sync."""
    disk, site = RecordedDisk(folder, folder / "site" / "node"), folder / "site"
    life = multiprocessing.Process(target=_live, args=(disk, site, fs, length, without))
    try:
        life.start()
        life.join()
    finally:
        life.terminate()  # unless it has ended; it puts away what it can
        life.join(30)
        clean(site / "node")
        clean(folder / "fuse")
    if life.exitcode:
        raise Call("the node's life was not recorded")
    return Run(folder=site, first=disk.first, history=History(disk.log), fs=fs)


def _live(disk: RecordedDisk, site: Path, fs: str, length: str, without: str) -> None:
    program: Sequence[str] = OURS
    if without:
        take_out(without)
        program = ("forked", _WITHOUT.format(folder=str(places.HERE.parent)), without)
    with disk.started(fs):
        Life(site, disk, length=length, program=program).run()


class Bench:
    """Where one process puts states to the test: a copy of the site, whose `node` is the state's disk."""

    def __init__(self, run: Run, folder: Path, *, checks: bool, keep: Path | None) -> None:
        self._run = run
        self._keep = keep
        self._checks = checks
        self._base = Base(run.first, run.history)
        self._image = folder / "state.img"
        self.site = folder
        folder.mkdir()
        shutil.copytree(run.folder / "keys", folder / "keys")
        shutil.copy(run.folder / "router.toml", folder / "router.toml")
        (folder / "drop").mkdir()

    def test(self, state: State) -> Found:
        """Replay the file system's journal, check it, recover the node, check what must hold."""
        self._base.write(state, self._image)
        wrong = faults(self._image, self.site / "node", self._run.fs) if self._checks else ""
        if wrong:
            return Found(state=state, faults=(f"the file system is not clean: {wrong}",))
        with mounted(self._image, self.site / "node", self._run.fs):
            verdict = judge(self.site / "router.toml", self._run.history.marks[: state.marks])
        if verdict.faults and self._keep is not None:
            self._keep.mkdir(exist_ok=True)
            self._base.write(state, self._keep / f"state-{state.number}.img")
        return Found(state=state, faults=verdict.faults)


def _share(
    run: Run, states: Sequence[State], folder: Path, results: "multiprocessing.Queue[Found | str]", checks: bool,
    keep: Path | None,
) -> None:  # fmt: skip
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm_up(run.folder / "router.toml")
    try:
        bench = Bench(run, folder, checks=checks, keep=keep)
        for state in states:
            results.put(bench.test(state))
    except Exception as error:  # noqa: BLE001  # told to the parent
        results.put(f"{type(error).__name__}: {error}")


def recover_all(run: Run, states: Sequence[State], folder: Path, *, until_red: bool, keep: Path | None) -> list[Found]:
    """Every state, by processes side by side; with `until_red` none after the first that fails."""
    results: multiprocessing.Queue[Found | str] = multiprocessing.Queue()
    half = -(-len(states) // _PROCESSES)
    shares = [states[n * half : (n + 1) * half] for n in range(_PROCESSES)]
    workers = [
        multiprocessing.Process(target=_share, args=(run, share, folder / f"bench-{n}", results, not until_red, keep))
        for n, share in enumerate(shares)
    ]
    found: list[Found] = []
    try:
        for worker in workers:
            worker.start()
        with Progress(console=Console(stderr=True)) as progress:
            for _ in progress.track(range(len(states)), description="states"):
                one = results.get(timeout=300)
                if isinstance(one, str):
                    raise Call(one)
                found.append(one)
                if until_red and one.faults:
                    break
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(15)
            worker.kill()
            worker.join()
        for n in range(_PROCESSES):
            clean(folder / f"bench-{n}" / "node")
    return found


def revive_all(run: Run, states: Sequence[State], folder: Path) -> list[Found]:
    """The whole node on each state, one after the other."""
    base, image, found = Base(run.first, run.history), folder / "whole.img", []
    with Progress(console=Console(stderr=True)) as progress:
        for state in progress.track(states, description="nodes"):
            base.write(state, image)
            site = folder / f"whole-{state.number}"
            site.mkdir()
            try:
                with mounted(image, site / "node", run.fs):
                    faults = revive(site, run.folder, Expected.of(run.history.marks[: state.marks]))
            except (AssertionError, pytest.fail.Exception, RouterError) as error:
                faults = [f"the node does not go on: {error}"]
            found.append(Found(state=state, faults=faults))
            shutil.rmtree(site)
    return found


def clean(folder: Path) -> None:
    """Unmount what a process that was ended has left at `folder`, and give back its loop device."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, where, *_ = line.split()
        if where == str(folder):
            call("umount", "--lazy", folder)
    for one in json.loads(call("losetup", "--json", "--list") or '{"loopdevices": []}')["loopdevices"]:
        if str(folder.parent) in str(one["back-file"]):
            with suppress(Call):  # its own process was first
                call("losetup", "-d", one["name"])


def chosen(states: Sequence[State], number: int, seed: int) -> list[State]:
    """So many of them, spread by chance, in their order."""
    picked = random.Random(seed).sample(range(len(states)), min(number, len(states)))
    return [states[n] for n in sorted(picked)]


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    if lacking := missing(given.fs):
        print(f"powercut cannot run here: {lacking}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if given.prove is not None:
        return prove(given)
    began = time.monotonic()
    with scratch() as folder:
        run = record(folder, given.fs, length=given.life, without=given.without)
        took = time.monotonic() - began
        states = run.history.states(run.first, given.seed, given.points)
        if given.without:  # nothing of what was not flushed is the worst
            seen = {epoch for epoch, _, marks in run.history.points if marks > run.history.before(epoch)}
            every = given.without.startswith("journal")  # what is lost may be lost long after it was seen
            states = [one for one in states if one.kind == NONE and (every or one.epoch in seen)]
        states = chosen(states, given.points, given.seed)
        note(f"recorded in {took:.0f} s: {run.history.flushes} flushes, {len(run.history.marks)} events")
        began = time.monotonic()
        found = recover_all(run, states, folder, until_red=bool(given.without), keep=given.keep)
        print(table(run, found, time.monotonic() - began, given.seed))
        if not given.without:
            began = time.monotonic()
            whole = revive_all(run, chosen(states, given.nodes_whole, given.seed + 1), folder)
            print(
                f"| whole nodes | {len(whole)} |\n| whole nodes that fail | {sum(1 for one in whole if one.faults)} |"
            )
            print(f"| seconds for these | {time.monotonic() - began:.0f} |")
            found += whole
    red = [one for one in found if one.faults]
    for one in red[:_SHOWN]:
        note("\n".join([f"{one.state}:", *(f"{_FAULT}{fault}" for fault in one.faults)]))
    return 1 if red else 0


def prove(given: argparse.Namespace) -> int:
    """A table of the places that sync: whether a run without each turns red, and by what."""
    print("| taken out | states | found |\n| --- | --- | --- |")
    unnoticed = 0
    for name in given.prove or PLACES:
        own = [sys.executable, __file__, "--without", name, "--seed", given.seed, "--fs", given.fs]
        life = "long" if name in _LONG else "short" if name in _PURGE else "brief"
        out, err = _run([*map(str, own), "--life", life, "--points", str(given.points)])
        red = [line.removeprefix(_FAULT) for line in err.splitlines() if line.startswith(_FAULT)]
        unnoticed += not red
        states = next((line.split("|")[2].strip() for line in out.splitlines() if "| states |" in line), "")
        what = red[0] if red else "nothing" if states else f"no run: {err[-300:]}"
        print(f"| {PLACES[name].says} ({name}) | {states} | {what} |", flush=True)
    return 0


def _run(call: Sequence[str]) -> tuple[str, str]:
    """A run of ours as a process, which puts its own things away when this one is ended."""
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            return process.communicate()
        except BaseException:
            process.terminate()
            raise


def note(text: str) -> None:
    print(text, file=sys.stderr)


def table(run: Run, found: Sequence[Found], seconds: float, seed: int) -> str:
    """A Markdown table."""
    kinds = Counter(one.state.kind for one in found)
    rows: list[tuple[str, object]] = [
        ("file system", f"{run.fs}, {SIZES[run.fs] >> 20} MiB"), ("seed", seed), ("flushes", run.history.flushes),
        ("events seen", len(run.history.marks)), ("states", len(found)),
    ]  # fmt: skip
    rows += [(f"of what was not flushed: {kind}", count) for kind, count in sorted(kinds.items())]
    rows += [("seconds", round(seconds)), ("states that fail", sum(1 for one in found if one.faults))]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="powercut", description=__doc__)
    parser.add_argument("--points", type=int, default=1000, help="states to recover (default 1000)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of all chances")
    parser.add_argument("--fs", choices=sorted(SIZES), default="ext4", help="of the node's disk (default ext4)")
    parser.add_argument("--nodes-whole", type=int, default=30, help="states with the whole node (default 30)")
    parser.add_argument("--prove", nargs="*", metavar="PLACE", help="take out each place that syncs, or these, in turn")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="put the disk of each state that fails there")
    parser.add_argument("--without", choices=sorted(PLACES), default="", help="take out one place that syncs")
    parser.add_argument("--life", choices=LIVES, default="long", help="how much happens to the node (default long)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
