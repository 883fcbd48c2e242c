"""A program that reads PDFs can read its libraries and nothing else, and change nothing."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from test_reader import _children, answers

from router.process import confinement
from router.reports.pdf import reader
from router.reports.pdf.reader import Readers
from support.intake_folder import printed

_TRIED = """
import os, socket, subprocess, sys
sys.path[:] = sys.argv[1].split(os.pathsep)
from pathlib import Path
import pypdf
from router.process.confinement import confine
folder, port = sys.argv[2], int(sys.argv[3])
tries = {
    "read": lambda: open(f"{folder}/here").read(1),
    "list": lambda: os.listdir(folder),
    "make": lambda: open(f"{folder}/new", "w"),
    "folder": lambda: os.mkdir(f"{folder}/new"),
    "remove": lambda: os.unlink(f"{folder}/here"),
    "move": lambda: os.rename(f"{folder}/here", f"{folder}/there"),
    "cut": lambda: os.truncate(f"{folder}/here", 0),
    "link": lambda: os.symlink("here", f"{folder}/link"),
    "run": lambda: subprocess.run(["/bin/true"]),
    "connect": lambda: socket.create_connection(("127.0.0.1", port)),
    "grow": lambda: (os.write(handle, b"more"), os.fsync(handle)),
}
handle = os.open(f"{folder}/open", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
confine(2**31, Path(pypdf.__file__).parents[1])
for name, work in tries.items():
    try:
        work()
    except OSError as error:
        print(name, error.errno)
    else:
        print(name, "done")
import encodings.cp932, sqlite3, wave
print("imported")
"""


@pytest.fixture
def tried(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "here").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-P", "-c", _TRIED, os.pathsep.join(sys.path), str(tmp_path)]
        port = str(server.getsockname()[1])
        done = subprocess.run([*command, port], capture_output=True, text=True, timeout=60, check=False)
    lines = [line.split(" ") for line in done.stdout.splitlines()]
    assert lines, done.stderr
    assert lines[-1] == ["imported"], done.stderr
    return dict(lines[:-1])


@pytest.mark.skipif(not confinement.version(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("what", ["read", "list", "make", "folder", "remove", "move", "cut", "link", "run"])
def test_nothing_outside_its_libraries_is_read_or_changed(tried: dict[str, str], what: str) -> None:
    assert tried[what] == "13"


@pytest.mark.skipif(confinement.version() < 4, reason="this kernel's Landlock has no networks")
def test_nobody_is_connected_to(tried: dict[str, str]) -> None:
    assert tried["connect"] == "13"


def test_no_file_grows_also_without_landlock(tried: dict[str, str]) -> None:
    assert tried["grow"] == "27"


def test_a_program_has_its_channel_only_and_no_rights_to_gain() -> None:
    others, secret = _children(), os.open(__file__, os.O_RDONLY)
    os.set_inheritable(secret, True)  # positional only
    readers = Readers(1)
    try:
        assert answers(readers, printed("one")) == ["one"]
        (program,) = _children() - others
        place = Path("/proc", str(program))
        limits = {line[:26].strip(): line[26:].split()[:2] for line in (place / "limits").read_text().splitlines()}
        status = (place / "status").read_text()
        handles = {str(one.readlink()).split(":")[0] for one in (place / "fd").iterdir()}
    finally:
        readers.close()
        os.close(secret)
    assert handles == {"socket", "/dev/null"}
    assert "NoNewPrivs:\t1" in status
    assert limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
    assert int(limits["Max cpu time"][0]) < 60


@pytest.mark.parametrize(
    ("before", "why"),
    [("", "the PDF does not open within its processor time"), ("signal.pthread_sigmask(0, [27])", "the PDF does not")],
    ids=["by itself", "by the system"],
)
def test_what_takes_more_processor_time_to_open_is_ended_and_the_next_pdf_is_read(
    monkeypatch: pytest.MonkeyPatch, before: str, why: str
) -> None:
    endless = (
        f"import signal\n{before}\n"
        "from router.reports.pdf import pdf\nkept = pdf.check\n"
        "pdf.check = lambda data: kept(data) if len(data) > 9 else [0 for _ in iter(int, 1)]\nmain("
    )
    monkeypatch.setattr(reader, "_PROGRAM", reader._PROGRAM.replace("\nmain(", f"\n{endless}"))
    monkeypatch.setattr(reader, "_TRIES", 1)
    readers = Readers(1, patience=(0.1, 5.0) if not before else (0.1, 0.1))
    try:
        first, second = answers(readers, b"endless", printed("next"))
    finally:
        readers.close()
    assert first.startswith(why)
    assert second == "next"
