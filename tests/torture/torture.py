"""Misfortunes by chance while a hospital sends: what was acknowledged is never lost, what was confirmed never doubled.

Each round sends some studies and reports, in the middle of which node or platform are killed (kill -9), the disk is
full, the database is locked or cut short, or the clock jumps; afterwards everything must be delivered, byte for byte.

With two nodes on PostgreSQL (--nodes 2) one is killed or frozen in a phase of the work, the server stopped or frozen,
or a node's clock is wrong; nothing may stand still for longer than the lease and twenty seconds either.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import pytest
from hospital_load import offset_file
from pair import Pair
from pair_rounds import KINDS, Tally, run_pair_round
from rich.console import Console
from rich.progress import Progress
from rounds import Breach, Count, Scene, cut_database, full_disk, jumping_clock, kills, locked_database, run_round

from router.errors import traceback_of
from support.dicom_peers import free_port
from support.harness import Site

_ROUND = 10  # numbers of exams for each round
_ANEW = 25  # rounds after which a site is replaced, so that its folder stays small
_KINDS = ("kills", "kills", "kills", "locked", "kills", "clock", "kills", "disk", "kills", "cut")
_MISFORTUNES = {"kills": kills, "locked": locked_database, "clock": jumping_clock}
_ONE_NODE = (*_MISFORTUNES, "disk", "cut")
_SMALL_DISK = "48m"
_JUMPING = (Path(__file__).parent / "jumping.py").read_text(encoding="utf-8")


class Torture:
    """A run of rounds. The common site serves those that leave its ledger whole."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.count = Count()
        self._folder = folder
        self._seed = seed
        self._site: Site | None = None
        self._port = 0
        self._served = 0

    def kind_of(self, number: int) -> str:
        """The misfortune of a round."""
        return kind_of(number, _may_mount())

    def round(self, number: int, kind: str) -> None:
        """One round; raises what went wrong."""
        dice = random.Random(f"{self._seed}-{number}")
        first = number * _ROUND
        if kind in _MISFORTUNES:
            run_round(self._scene(dice), first, _MISFORTUNES[kind])
        elif kind == "cut":
            with _site(self._folder / str(number)) as (site, port):
                cut_database(Scene(site, port, self.count, dice), first)
        else:
            with _small_disk(self._folder / str(number)) as folder, _site(folder, min_free="1 KiB") as (site, port):
                run_round(Scene(site, port, self.count, dice), first, full_disk)
        self.count.rounds += 1

    def stop(self) -> None:
        """Leave nothing running."""
        if self._site is not None:
            self._site.stop()

    def summary(self) -> str:
        """A Markdown table."""
        return summary(self.count)

    def _scene(self, dice: random.Random) -> Scene:
        if self._site is None or self._served == _ANEW:
            self.stop()
            self._site, self._port = _started(self._folder / f"common-{time.monotonic_ns()}")
            self._served = 0
        self._served += 1
        return Scene(self._site, self._port, self.count, dice)


class PairTorture:
    """A run of rounds with two nodes; `lease` in seconds."""

    def __init__(self, folder: Path, seed: int, lease: int) -> None:
        self._folder = folder
        self._seed = seed
        self._lease = lease
        self._count = Count()
        self._tallies = {kind: Tally() for kind in KINDS}
        self._pair: Pair | None = None
        self._served = 0

    def kind_of(self, number: int) -> str:
        """The misfortune of a round: they take turns."""
        return KINDS[(number - 1) % len(KINDS)]

    def round(self, number: int, kind: str) -> None:
        """One round; raises what went wrong."""
        if self._pair is None or self._served == _ANEW:
            self.stop()
            self._pair = Pair(self._folder / f"pair-{time.monotonic_ns()}", self._lease)
            self._served = 0
        self._served += 1
        dice = random.Random(f"{self._seed}-{number}")
        run_pair_round(self._pair, self._count, self._tallies[kind], dice, number * _ROUND, kind, self._lease)
        self._count.rounds += 1

    def stop(self) -> None:
        """Leave nothing running."""
        if self._pair is not None:
            self._pair.stop()

    def summary(self) -> str:
        """A Markdown table: a row a kind, and all of them."""
        rows = [(kind, tally) for kind, tally in self._tallies.items() if tally.rounds]
        found = [tally for _, tally in rows]
        total = Tally(
            rounds=self._count.rounds, acknowledged=sum(one.acknowledged for one in found),
            resent=sum(one.resent for one in found), standstill=max((one.standstill for one in found), default=0.0),
        )  # fmt: skip
        columns = ("misfortune", "rounds", "instances", "sent again", "longest standstill")
        lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
        lines += [
            f"| {kind} | {tally.rounds} | {tally.acknowledged} | {tally.resent} | {tally.standstill:.1f} s |"
            for kind, tally in [*rows, ("all", total)]
        ]
        return "\n".join([*lines, "", f"lost {self._count.lost}, doubled {self._count.doubled}, lease {self._lease} s"])


def _started(folder: Path, min_free: str = "50 MiB") -> tuple[Site, int]:
    folder.mkdir(exist_ok=True)
    offset = folder / "clock-offset"
    site = Site(
        folder,
        stable_after="300 ms",
        workers=1,
        journal="8 MiB",
        min_free=min_free,
        program=("forked", _JUMPING, str(offset)),
    )
    assert offset == offset_file(site)
    offset.write_text("0", encoding="ascii")
    port = free_port()
    site.configure(receive_port=port)
    try:
        assert site.node.running
    except BaseException:
        site.stop()
        raise
    return site, port


@contextmanager
def _site(folder: Path, min_free: str = "50 MiB") -> Iterator[tuple[Site, int]]:
    site, port = _started(folder, min_free)
    try:
        yield site, port
    finally:
        site.stop()
        shutil.rmtree(folder / "made", ignore_errors=True)


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A folder whose `node`, the data folder, is a file system of its own."""
    data = folder / "node"
    data.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SMALL_DISK}", "tmpfs", str(data)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def _may_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


def kind_of(number: int, disks: bool) -> str:
    """The misfortune of a round: they take turns."""
    kind = _KINDS[(number - 1) % len(_KINDS)]
    return "kills" if kind == "disk" and not disks else kind


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    kinds = KINDS if given.nodes == 2 else _ONE_NODE
    if given.only not in (None, *kinds):
        parser.error(f"--only takes one of: {', '.join(kinds)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended
    if given.nodes == 1 and not _may_mount():
        print("full disks are left out: no file system can be mounted here, that takes root", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=given.folder))
    torture = Torture(folder, given.seed) if given.nodes == 1 else PairTorture(folder, given.seed, given.lease)
    numbers = range(given.first, given.first + given.rounds)
    trouble, number = "", given.first
    try:
        with Progress(console=Console(stderr=True)) as progress:
            for number in progress.track(numbers, description=f"seed {given.seed}"):
                torture.round(number, given.only or torture.kind_of(number))
    except pytest.skip.Exception as error:
        trouble = str(error)
    except (Breach, AssertionError, pytest.fail.Exception) as error:
        trouble = f"{error}\nat {traceback_of(error)}"
    finally:
        torture.stop()
    print(torture.summary())
    if trouble:
        only = f" --only '{given.only}'" if given.only else ""
        only += f" --nodes 2 --lease {given.lease}" if given.nodes == 2 else ""
        again = f"scripts/torture --seed {given.seed} --first {number} --rounds 1{only}"
        print(f"round {number}: {trouble}\n\nits folder stays: {folder}\nrepeat it with: {again}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def summary(count: Count) -> str:
    """A Markdown table."""
    rows = [("rounds", count.rounds), *sorted(count.misfortunes.items())]
    rows += [("instances acknowledged", count.acknowledged), ("sent again", count.resent)]
    rows += [("lost", count.lost), ("doubled", count.doubled)]
    lines = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join([*lines, f"| longest start after a kill | {count.recovery:.1f} s |"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="how many (default 30)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of all chances")
    parser.add_argument("--first", type=int, default=1, help="the number of the first round, to repeat one")
    parser.add_argument("--only", help="rounds of one kind")
    parser.add_argument("--nodes", type=int, choices=(1, 2), default=1, help="two of them: on PostgreSQL (default 1)")
    parser.add_argument("--lease", type=int, default=5, help="of two nodes, in seconds (default 5)")
    parser.add_argument("--folder", type=Path, help="on the disk to use (default: the temporary folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
