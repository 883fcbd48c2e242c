"""Misfortunes by chance while a hospital sends: what was acknowledged is never lost, what was confirmed never doubled.

Each round sends some studies and reports, in the middle of which node or platform are killed (kill -9), the disk is
full, the database is locked or cut short, or the clock jumps; afterwards everything must be delivered, byte for byte.
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
from rich.console import Console
from rich.progress import Progress
from rounds import Breach, Count, Scene, cut_database, full_disk, jumping_clock, kills, locked_database, run_round

from harness import Site
from peers import free_port
from router.errors import traceback_of

_ROUND = 10  # numbers of exams for each round
_ANEW = 25  # rounds after which a site is replaced, so that its folder stays small
_KINDS = ("kills", "kills", "kills", "locked", "kills", "clock", "kills", "disk", "kills", "cut")
_MISFORTUNES = {"kills": kills, "locked": locked_database, "clock": jumping_clock}
_SMALL_DISK = "48m"
_JUMPING = str(Path(__file__).parent / "jumping.py")


class Torture:
    """A run of rounds. The common site serves those that leave its ledger whole."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.count = Count()
        self._folder = folder
        self._seed = seed
        self._site: Site | None = None
        self._port = 0
        self._served = 0

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

    def _scene(self, dice: random.Random) -> Scene:
        if self._site is None or self._served == _ANEW:
            self.stop()
            self._site, self._port = _started(self._folder / f"common-{time.monotonic_ns()}")
            self._served = 0
        self._served += 1
        return Scene(self._site, self._port, self.count, dice)


def _started(folder: Path, min_free: str = "50 MiB") -> tuple[Site, int]:
    folder.mkdir(exist_ok=True)
    offset = folder / "clock-offset"
    site = Site(
        folder, stable_after="300 ms", workers=1, journal="8 MiB", min_free=min_free, program=(_JUMPING, str(offset))
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
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended
    if not (disks := _may_mount()):
        print("full disks are left out: no file system can be mounted here, that takes root", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=given.folder))
    torture = Torture(folder, given.seed)
    numbers = range(given.first, given.first + given.rounds)
    trouble, number = "", given.first
    try:
        with Progress(console=Console(stderr=True)) as progress:
            for number in progress.track(numbers, description=f"seed {given.seed}"):
                torture.round(number, given.only or kind_of(number, disks))
    except (Breach, AssertionError, pytest.fail.Exception) as error:
        trouble = f"{error}\nat {traceback_of(error)}"
    finally:
        torture.stop()
    print(summary(torture.count))
    if trouble:
        only = f" --only {given.only}" if given.only else ""
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
    parser.add_argument("--only", choices=(*_MISFORTUNES, "disk", "cut"), help="rounds of one kind")
    parser.add_argument("--folder", type=Path, help="on the disk to use (default: the temporary folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
