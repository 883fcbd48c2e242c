"""The environment of child programs: what they need to run, and nothing that is secret."""

import sys
import time
from pathlib import Path

import pytest

from router.dicom.scp.acceptor import Settings
from router.dicom.scp.worker_pool import WorkerCommands, WorkerPool
from router.dicom.ul.socket import Limits
from router.process.environment import inherited
from router.process.limited import LimitedProgram
from router.reports.pdf.reader import _PROGRAM

SECRET = {
    "ROUTER_PASSPHRASE": "open sesame",
    "PGPASSWORD": "pg secret",
    "CREDENTIALS_DIRECTORY": "/run/c",
    "AWS_KEY": "aws secret",
}


def test_what_a_program_needs_is_inherited_and_nothing_else() -> None:
    needed = {"PATH": "/usr/bin", "LANG": "C.UTF-8", "LC_CTYPE": "C", "TZ": "UTC", "PYTHONUTF8": "1", "TMPDIR": "/t"}
    assert inherited(needed | SECRET) == needed


def test_the_program_that_reads_pdfs_has_no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)
    program = LimitedProgram(_PROGRAM, 2**30, 10.0, 30.0)
    program.start()
    try:
        assert program._running is not None
        place, until = Path(f"/proc/{program._running[0].pid}/environ"), time.monotonic() + 20
        while not (environment := place.read_bytes()) and time.monotonic() < until:
            time.sleep(0.01)  # it is about to become the program
    finally:
        program.end()
    assert b"PATH=" in environment
    assert not [value for value in SECRET.values() if value.encode() in environment]


class Nobody:
    """A desk that nobody asks."""


def test_a_receive_worker_has_no_passphrase(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)
    told = tmp_path / "told"
    program = (sys.executable, "-c", f"import os; open({str(told)!r}, 'w').write(repr(dict(os.environ)))")
    workers = WorkerPool(
        WorkerCommands((program,)),
        Nobody(),  # type: ignore[arg-type]
        Settings(Limits(), None, None, reports=False),
    )
    workers._spawn(program)
    workers._workers[0].process.wait(20)
    workers._workers[0].pipe.close()
    environment = told.read_text()
    assert "PATH" in environment
    assert not [value for value in SECRET.values() if value in environment]
