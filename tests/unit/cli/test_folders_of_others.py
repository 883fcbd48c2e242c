"""Commands that go through a folder of somebody else's: a pipe is not waited for, no link is followed."""

import os
from pathlib import Path

from router.cli.codes import _below
from router.cli.validate import _files


def test_only_files_are_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside.json").write_text("{}")
    wanted = folder / "sub" / "a.json"
    wanted.write_text("{}")
    os.mkfifo(folder / "pipe.json")
    (folder / "link.json").symlink_to(tmp_path / "outside.json")
    (folder / "folder.json").mkdir()
    assert list(_below(folder)) == [wanted]
    assert _files(folder) == [wanted]
