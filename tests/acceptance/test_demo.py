"""The demo, as a newcomer runs it: everything delivered, checked at the platform, nothing left running."""

import subprocess
import sys
from pathlib import Path


def test_the_demo_delivers_everything_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "router.cli", "demo", "--small"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=_in(tmp_path))
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    happened = ran.stdout.partition("What happened")[2]
    assert happened.count(" ok ") == 5, happened
    assert "FAULT" not in happened
    assert ran.stdout.count(" held ") == 2, "report and images of the study with another patient's id"
    assert not list(tmp_path.iterdir()), "its folder is gone"
    assert str(tmp_path) not in _command_lines(), "a process of the demo is left running"


def _in(folder: Path) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {"TMPDIR": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": root, "LANG": "C.UTF-8"}


def _command_lines() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)
