"""The demo, as a newcomer runs it: everything delivered, checked at the platform, nothing left running."""

import re
import subprocess
import sys
from pathlib import Path

from router.trial.demo.studies import derived_uid, make_ct_study


def test_the_demo_survives_two_kills_delivers_everything_and_leaves_nothing_behind(tmp_path: Path) -> None:
    also, temporary = tmp_path / "also", tmp_path / "temporary"
    temporary.mkdir()
    make_ct_study(also, 1, study_uid=derived_uid("also"), patient_id="", name="", accession="", sex="", birth_date="")
    command = [sys.executable, "-W", "error", "-m", "router.cli", "demo", "--small", "--verbose", "--also", str(also)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, env=_in(temporary))
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    story, _, ledger = ran.stdout.partition("Ledger")
    for step in (
        "11 studies of 15 images come", "e[0-9]+ is held: identity: .* patient id", "the platform is killed",
        "the platform is back", "the node is killed .kill -9.", "the node is back", "all 20 deliveries are confirmed",
        "ok  36 data sets .* byte for byte", "ok  10 reports .* 10 receipts", "ok  2 studies that must not leave",
    ):  # fmt: skip
        assert re.search(step, story), (step, story)
    assert len(story.splitlines()) <= 13, "some ten lines"
    assert "\x1b" not in ran.stdout + ran.stderr, "not on a terminal"
    assert ledger.count(" held ") == 2, "report and images of the study with another patient's id"
    assert not list(temporary.iterdir()), "its folder is gone"
    assert str(temporary) not in _command_lines(), "a process of the demo is left running"


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
