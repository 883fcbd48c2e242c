"""A receive worker and its channel to the main process."""

import subprocess
from pathlib import Path

import pytest

from router.dicom.scp.worker_pipe import Ended, WorkerPipe
from router.node import receive_worker
from router.storage.incoming import Incoming


@pytest.mark.parametrize("unread", [False, True])
def test_the_end_of_the_other_process_is_told_whether_it_had_read_everything_or_not(*, unread: bool) -> None:
    ours, theirs = WorkerPipe.pair(1.0)
    if unread:
        ours.send(Ended(1))
    theirs.close()
    assert ours.receive() is None
    ours.close()


def test_a_worker_that_cannot_use_its_folder_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "node").write_text("no folder")
    (command,) = receive_worker.commands(Incoming(tmp_path / "node"), 1, 0, 0).commands
    found = subprocess.run([*command, "0"], capture_output=True, text=True, timeout=30, check=False)
    assert (found.returncode, found.stderr) == (1, "a receive worker cannot serve: Not a directory\n")
