"""Broken input by chance against a running node: it answers on, and neither its memory nor anything else grows.

Each kind has a node of its own: the database's page cache, of a size that is set, fills with what another has left.

Each kind of input (DICOM data sets and PDUs, HL7, exam JSON, PDF, the administration's HTTP) is made of real ones,
which are cut, repeated, overwritten and joined, for some seconds. What the node holds is measured after a warm-up,
after each part of the time, and at the end.
"""

import argparse
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from router.dicom.dataset.header import uids_of
from router.dicom.dataset.part10 import dataset_offset
from router.errors import InvalidData
from support.harness import Site, make_exam
from support.hl7_messages import oru
from support.intake_folder import printed
from support.raw_pdus import EXPLICIT, REQUEST, answer, p_data, store_command

_CASES = Path(__file__).parents[1] / "cases"
_PIECES = (
    b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"\0", b"[", b"]", b"{", b"}", b'"', b",", b":", b"\xff" * 4, b"%%EOF",
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"SQ\0\0\xff\xff\xff\xff", b"\x0b", b"\x1c\r", b"1.2.3", b"9" * 30, b"obj",
    "张".encode(), "张".encode("gbk"), b"\x1b$)A", b"\xef\xbb\xbf",
)  # fmt: skip
KINDS = ("dicom", "pdu", "mllp", "http", "json", "pdf", "hl7")
_MOST_MEMORY, _MOST_OTHERS = 64 * 2**20, 12  # bytes; descriptors or threads more than after the warm-up
_REST_SECONDS = 60
_MOST_WAITING = 500  # files in incoming/: a flood is another test's
_HTTP = (
    b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /?lang=zh HTTP/1.1\r\nHost: localhost\r\nCookie: session=x\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nOrigin: x\r\n\r\ntoken=abc",
)  # fmt: skip


class Grown(Exception):
    """The node holds more than it did, or something is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the node's processes hold together; memory in bytes, without pages of files, which many processes share."""

    memory: int
    descriptors: int
    threads: int


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The same with some of it changed."""
    found = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        at, length = dice.randint(0, len(found)), dice.choice((1, 2, 4, 16, 256, 4096))
        match dice.randrange(6):
            case 0:
                found[at : at + length] = dice.randbytes(min(length, 16))
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = found[at : at + length] * dice.choice((1, 2, 50))
            case 3:
                found[at:at] = dice.choice(_PIECES) * dice.choice((1, 1, 1, 3, 5000))
            case 4:
                del found[at:]
            case _:
                found[at : at + 1] = bytes([dice.randrange(256)])
    return bytes(found)


def require_no_growth(kind: str, first: Held, last: Held) -> None:
    """Grown, when more is held at the end than after the warm-up."""
    if last.memory - first.memory > _MOST_MEMORY:
        raise Grown(f"{kind}: memory {first.memory >> 20} MiB, then {last.memory >> 20} MiB")
    if max(last.descriptors - first.descriptors, last.threads - first.threads) > _MOST_OTHERS:
        raise Grown(f"{kind}: {first}, then {last}")


class Fuzz:
    """A site and the inputs that are made for it."""

    def __init__(self, folder: Path, seed: int, rest: float = 3.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._rest = rest
        self.dice = random.Random(seed)
        self.site = Site(folder, settings='\n[reports.hl7]\nport = 0\nmessage_within = "2 s"\n')
        self.site.configure()
        text = self.site.config_file.read_text(encoding="utf-8")
        self.site.config_file.write_text(text.replace("[reports]\n", "[reports]\nencapsulated_pdf = true\n"), "utf-8")
        exam = make_exam(self.site, 1, instances=3, side=32)
        cases = [path.read_bytes() for path in sorted((_CASES / "dicom").glob("*.dcmds"))]
        self._sets = [case for case in cases if _is_named(case)]
        for one in exam.study.files:
            with one.path.open("rb") as file:
                self._sets.append(one.path.read_bytes()[dataset_offset(file).offset :])
        self._pdfs = [printed("姓名：张三"), exam.pdf(folder)]
        self._messages = [path.read_bytes() for path in sorted(_CASES.rglob("*.hl7"))]
        self._messages.append(oru(pdf=self._pdfs[0]).encode())
        self._jsons = [path.read_bytes() for path in sorted(_CASES.rglob("*.json"))] + [exam.json()]
        self.kinds: dict[str, Callable[[], None]] = {
            "dicom": self._dicom, "pdu": self._pdu, "mllp": self._mllp, "http": self._http,
            "json": lambda: self._drop("json", self._jsons), "pdf": lambda: self._drop("pdf", self._pdfs),
            "hl7": lambda: self._drop("hl7", self._messages),
        }  # fmt: skip
        self.count = self.answered = 0

    # -- inputs

    def _made(self, of: Sequence[bytes]) -> bytes:
        return mutated(self.dice.choice(of), self.dice)

    def _drop(self, ending: str, of: Sequence[bytes]) -> None:
        for _ in range(20):
            self.count += 1
            self.site.drop(f"fuzz{self.count}.{ending}", self._made(of))
        self._until(lambda: len(os.listdir(self.site.drop_folder)) < 100, "the drop folder is not emptied")  # noqa: PTH208

    def _dicom(self) -> None:
        self._send("dicom", REQUEST, [part for _ in range(10) for part in self._stored()])

    def _stored(self) -> list[bytes]:
        whole, self.count = self.dice.choice(self._sets), self.count + 1
        sop = uids_of(whole, EXPLICIT)[0].sop.encode()
        data = mutated(whole, self.dice)
        command = p_data(store_command(sop + b"\0" * (len(sop) % 2)), 0x03)
        values = [p_data(data[at : at + 8000], 0) for at in range(0, len(data), 8000)]
        return [command, *values, p_data(b"", 0x02)]

    def _pdu(self) -> None:
        self._send("dicom", self._made([REQUEST]), [])
        self._send("dicom", REQUEST, [mutated(part, self.dice) for part in self._stored()])

    def _mllp(self) -> None:
        framed = [b"\x0b" + self._made(self._messages) + b"\x1c\r" for _ in range(5)]
        self.count += len(framed)
        self._send("hl7", b"", framed)

    def _http(self) -> None:
        self.count += 1
        self._send("admin", b"", [self._made(_HTTP)])

    def _send(self, port: str, first: bytes, rest: Sequence[bytes]) -> None:
        self._until(lambda: len(self._uncatalogued()) < _MOST_WAITING, "incoming/ is not emptied")
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.site.node.ports[port]), 5) as peer:
            peer.settimeout(0.3)
            if first:
                peer.sendall(first)
                answer(peer)
            for part in rest:
                peer.sendall(part)
            peer.shutdown(socket.SHUT_WR)
            while found := peer.recv(2**16):
                self.answered += len(found)

    # -- what it costs

    def run(self, kind: str, seconds: float, warm_up: float, parts: int = 1) -> tuple[int, list[Held]]:
        """How many inputs there were, what is held after the warm-up and after each part. Grown, when it is more."""
        node, before = self.site.node.number, self.count
        self._start_readers()
        self._repeat(kind, warm_up)
        held = [self._rested()]
        for _ in range(parts):
            self._repeat(kind, seconds / parts)
            held.append(self._rested())
        if self.site.node.number != node or not self.site.node.running:
            raise Grown(f"{kind}: the node has ended")
        if "a defect" in (log := self.site.log):
            raise Grown(f"{kind}: {next(line for line in log.splitlines() if 'a defect' in line)}")
        require_no_growth(kind, held[0], held[-1])
        return self.count - before, held

    def _start_readers(self) -> None:
        """Have each program that reads PDFs run: two PDFs at once start the second, be it in the last minute."""
        for number in range(4 * len(os.sched_getaffinity(0))):
            self.site.drop(f"first{number}.pdf", self._pdfs[0])
        self._until(lambda: not self._left(), "files are left")

    def _mixed(self) -> None:
        for make in self.kinds.values():
            make()

    def _repeat(self, kind: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            (self._mixed if kind == "mixed" else self.kinds[kind])()

    def _rested(self) -> Held:
        """What is held once everything that came is dealt with."""
        self._until(lambda: not self._left(), "files are left")
        time.sleep(self._rest)
        return held_by(self.site.node.number)

    def _left(self) -> list[Path]:
        """Files that are to be dealt with, or that nobody will."""
        waiting = [path for path in self.site.drop_folder.iterdir() if path.is_file()]
        return [*waiting, *self._uncatalogued(), *self.site.data.rglob("*.part")]

    def _uncatalogued(self) -> list[Path]:
        return list((self.site.data / "incoming").rglob("*.dcm"))

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _REST_SECONDS
        while not condition():
            if time.monotonic() > until:
                raise Grown(f"{what} after {_REST_SECONDS} s")
            time.sleep(0.1)


def held_by(number: int) -> Held:
    """What a process and those below it hold together."""
    found = [_of(each) for each in _family(number)]
    return Held(
        memory=sum(one.memory for one in found), descriptors=sum(one.descriptors for one in found),
        threads=sum(one.threads for one in found),
    )  # fmt: skip


def _is_named(data: bytes) -> bool:
    """Whether its UIDs are found at the first reading."""
    try:
        return bool(uids_of(data, EXPLICIT))
    except InvalidData:
        return False


def _family(number: int) -> list[int]:
    """A process and those below it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
    found = [number]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _of(number: int) -> Held:
    place = Path("/proc", str(number))
    try:
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        handles = len(os.listdir(place / "fd"))  # noqa: PTH208
    except OSError:  # it has ended, or is not to be looked at
        return Held(memory=0, descriptors=0, threads=0)
    memory = sum(int(status.get(kind, "0 kB").split()[0]) * 1024 for kind in ("RssAnon", "RssShmem"))
    return Held(memory=memory, descriptors=handles, threads=int(status["Threads"]))


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=given.folder))
    print("| input | how many | memory (MiB) | descriptors | threads |\n| --- | --- | --- | --- | --- |")
    for kind in given.only or KINDS:
        fuzz = Fuzz(folder / kind, given.seed, given.rest)
        try:
            _tell(kind, *fuzz.run(kind, given.seconds, given.warm_up, given.parts))
        except Grown as error:
            print(f"{error}\nits folder stays: {folder}\nseed: {given.seed}", file=sys.stderr)
            return 1
        finally:
            fuzz.site.stop()
    shutil.rmtree(folder)
    return 0


def _tell(kind: str, count: int, held: Sequence[Held]) -> None:
    memory = " -> ".join(str(one.memory >> 20) for one in held)
    first, last = held[0], held[-1]
    others = f"{first.descriptors} -> {last.descriptors} | {first.threads} -> {last.threads}"
    print(f"| {kind} | {count} | {memory} | {others} |", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torture fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="for each kind of input (default 600)")
    parser.add_argument("--warm-up", type=float, default=30, help="seconds before the first measure (default 30)")
    parser.add_argument("--parts", type=int, default=6, help="measures after the warm-up (default 6)")
    parser.add_argument("--rest", type=float, default=3, help="seconds of quiet before each measure (default 3)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of all chances")
    parser.add_argument("--only", action="append", help="one kind of input, or mixed; may be repeated")
    parser.add_argument("--folder", type=Path, help="on the disk to use (default: the temporary folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
