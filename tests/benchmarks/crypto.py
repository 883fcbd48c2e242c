"""`bench crypto`: a report sealed and signed, beside gmssl alone and by profiles of files; SM2; memory of an upload."""

import io
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from gmssl import sm3 as gmssl_sm3
from gmssl.sm4 import SM4_ENCRYPT, CryptSM4
from measure import Run, Table

from router.clock import SystemClock
from router.config.file import shipped
from router.config.sections import HttpDestination
from router.crypto import sm2
from router.crypto.curve import new_secret
from router.crypto.envelope import Message, new_nonce
from router.crypto.keys import new_folder
from router.crypto.sm2 import PrivateKey
from router.forward import blocks
from router.forward.blocks import Document, Piece
from router.forward.credentials import load_credentials
from router.forward.guard.outside import Outside
from router.forward.guard.source import read_source
from router.forward.profiles import Profile, load_profile
from router.forward.report import ReportAgent, Upload
from router.forward.tryout import throw_away
from router.trial.platform.keyring import read_keyring
from router.trial.platform.service import ReferencePlatform

PDF_BYTES = 20 * 2**20
GMSSL_BYTES = 256 * 1024  # gmssl takes two minutes for the whole; its time grows with the length
PROFILES = ("gm-envelope/1", "gm-psk/1")
_TIMES = 100


def seal(run: Run) -> str:
    """a 20 MiB PDF sealed and its message signed, on one core; gmssl on a part of it, in proportion"""
    folder, length = run.folder, run.count(PDF_BYTES, GMSSL_BYTES)
    keys = folder / "keys"
    new_folder(keys, psk=True)
    (folder / "report.pdf").write_bytes(os.urandom(length))
    cases: dict[str, Callable[[], float]] = {
        f"ours, {name}": partial(_sealed, load_profile(_destination(keys, 1, name)), folder) for name in PROFILES
    }
    cases["gmssl alone: SM4-CBC and SM3"] = partial(_by_gmssl, os.urandom(run.count(GMSSL_BYTES, 4096)), length)
    table = _compared(f"{length / 2**20:.1f} MiB sealed and signed", cases, run)
    speeds = [f"{case}: {length / 1e6 / table.median(case):.1f} MB/s" for case in cases]
    return "\n\n".join([str(table), *speeds])


def _compared(title: str, cases: Mapping[str, Callable[[], float]], run: Run) -> Table:
    """Seconds of one core: they need no quiet machine."""
    seconds = {name: tuple(case() for _ in range(run.rounds)) for name, case in cases.items() if run.has(name)}
    first = next(iter(seconds))
    return Table(f"{title}, on one core", "s", seconds, {first: statistics.median(seconds[first])})


def _destination(keys: Path, port: int, profile: str) -> HttpDestination:
    return HttpDestination(
        url=f"http://127.0.0.1:{port}",
        profile=profile,
        api_key_file=keys / "api.key",
        signing_key_file=keys / "hospital-sign.pem",
        platform_signing_key_file=keys / "platform-sign.pub.pem",
        platform_encryption_key_file=keys / "platform-encrypt.pub.pem",
        psk_file=keys / "psk.key",
    )


def _sealed(profile: Profile, folder: Path) -> float:
    began = time.process_time()
    message = Message(
        profile=profile.name,
        org="org",
        app="app",
        ts=int(time.time() * 1000),
        nonce=new_nonce(os.urandom(16)),
        idem="idem",
        revision=1,
    )
    exchange = profile.exchange(message)
    with (folder / "report.pdf").open("rb") as source, (folder / "sealed").open("wb") as sink:
        parts = (exchange.seal("exam", io.BytesIO(b"{}"), io.BytesIO()), exchange.seal("report", source, sink))
    exchange.headers("/v1/exams", exchange.meta(parts))
    return time.process_time() - began


def _by_gmssl(data: bytes, length: int) -> float:
    """Seconds for the whole PDF, from those for a part of it."""
    began = time.process_time()
    cipher = CryptSM4()
    cipher.set_key(os.urandom(16), SM4_ENCRYPT)
    gmssl_sm3.sm3_hash(list(cipher.crypt_cbc(os.urandom(16), data)))
    return (time.process_time() - began) * length / len(data)


def asymmetric(run: Run) -> str:
    """signing, verifying, encrypting, decrypting by each SM2 library"""
    tables = []
    for work in ("sign", "verify", "encrypt", "decrypt"):
        cases = {library.name: partial(_repeated, library.name, work, run.count(_TIMES)) for library in sm2.installed()}
        tables.append(str(_compared(f"SM2 {work}, {run.count(_TIMES)} times", cases, run)))
    return "\n\n".join(tables)


def _repeated(name: str, work: str, times: int) -> float:
    sm2.LIBRARY = next(each for each in sm2.installed() if each.name == name)
    key = PrivateKey.from_secret(new_secret())
    signature, ciphertext = key.sign(b"text"), key.public.encrypt(bytes(16))
    works: Mapping[str, Callable[[], object]] = {
        "sign": lambda: key.sign(b"text"),
        "verify": lambda: key.public.verify(b"text", signature),
        "encrypt": lambda: key.public.encrypt(bytes(16)),
        "decrypt": lambda: key.decrypt(ciphertext),
    }
    began = time.process_time()
    for _ in range(times):
        works[work]()
    return time.process_time() - began


def memory(run: Run) -> str:
    """how much a sender grows while it uploads a 20 MiB PDF to a platform in another process"""
    lines = [f"**Memory growth of the sender while {PDF_BYTES // 2**20} MiB are uploaded**", ""]
    for profile in PROFILES:
        grown = subprocess.run(
            [sys.executable, __file__, str(run.folder), profile], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout  # fmt: skip
        lines.append(f"- {profile}: {int(grown) / 2**20:.1f} MiB")
    return "\n".join(lines)


def growth(folder: Path, profile: str) -> int:
    """Bytes by which the peak of this process grows over that of a small upload."""
    keys = folder / f"keys-{os.getpid()}"
    new_folder(keys, psk=True)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _serve(keys, folder, write)
    port = int(os.read(read, 8))
    destination = _destination(keys, port, profile)
    credentials = load_credentials(destination)
    agent = ReportAgent(destination, lambda: credentials, SystemClock(), spool=folder)
    (folder / "exam.json").write_bytes(b"{}")
    (folder / "small.pdf").write_bytes(b"%PDF")
    with (folder / "large.pdf").open("wb") as large:  # in pieces, or this would be the peak
        for _ in range(PDF_BYTES // 2**18):
            large.write(os.urandom(2**18))
    peaks = []
    for name in ("small", "large"):
        try:
            agent.send(
                Upload(
                    org="org", idem=name, revision=1, exam_file=folder / "exam.json", report_file=folder / f"{name}.pdf"
                )
            )
        except Exception as error:  # noqa: BLE001  # the platform does not take this exam JSON, after all of it came
            assert "exam JSON" in str(error), error  # noqa: PT017  # no test
        peaks.append(_peak())
    os.kill(child, 9)
    os.waitpid(child, 0)
    return peaks[1] - peaks[0]


def _peak() -> int:
    """Bytes. Not ru_maxrss: that one begins with the peak of the process that started this one."""
    [line] = [each for each in Path("/proc/self/status").read_text("ascii").splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _serve(keys: Path, folder: Path, write: int) -> None:
    platform = ReferencePlatform(
        folder / f"platform-{os.getpid()}", read_keyring(keys), SystemClock(), app="hospital-1"
    )
    os.write(write, f"{platform.start().http:8}".encode())
    time.sleep(600)


def files(run: Run) -> str:
    """the requests of a 20 MiB PDF by each worked profile: made in its process, and brought to the node"""
    length = run.count(PDF_BYTES, 2**20)
    (run.folder / "exam.json").write_bytes(shipped("exam.json").read_bytes())
    (run.folder / "report.pdf").write_bytes(os.urandom(length))
    seconds = {}
    for file in sorted(shipped("profiles").glob("*.py")):
        profile, keys = Outside(read_source(file)), run.folder / file.stem
        keys.mkdir()
        profile.open(throw_away(profile, keys))
        rounds = [_requests_made(profile, run.folder) for _ in range(run.rounds)]
        profile.close()
        seconds[file.stem] = tuple(rounds)
    table = Table(
        f"{length / 2**20:.1f} MiB by a profile of a file, processor seconds of both processes", "s", seconds, {}
    )
    return "\n\n".join([str(table), *(f"{one}: {length / 1e6 / table.median(one):.0f} MB/s" for one in seconds)])


def _requests_made(profile: Outside, folder: Path) -> float:
    report, exam = (Document.whole(folder / name) for name in ("report.pdf", "exam.json"))
    message = blocks.Message(
        app="app", org="org", idem=secrets.token_hex(16), revision=1, ts=int(time.time() * 1000), nonce="nonce",
        seed=os.urandom(32), base="", spool=folder, exam=exam, report=report, token="token",
    )  # fmt: skip
    began = time.process_time() + _spent(profile.pid)
    for step in profile.outline.upload:
        for begin in range(0, report.size, step.size or report.size):
            number, data = begin // (step.size or report.size) + 1, report.piece(begin, step.size or report.size)
            piece = Piece(number=number, count=number, offset=begin, data=data)
            profile.turn(step.name, replace(message, piece=piece), rehearsing=True)
    return time.process_time() + _spent(profile.pid) - began


def _spent(pid: int | None) -> float:
    """Processor seconds of another process (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


SECTIONS: Mapping[str, Callable[[Run], str]] = {"seal": seal, "files": files, "sm2": asymmetric, "memory": memory}

if __name__ == "__main__":
    print(growth(Path(sys.argv[1]), sys.argv[2]))  # noqa: T201  # read by `memory`
