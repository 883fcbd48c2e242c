"""`queue explain`, called in this process."""

import json
from pathlib import Path
from typing import Any

import pytest

from router.cli import main


class Told:
    """What `queue explain` says."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys

    def __call__(self, name: str, *more: str) -> str:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["queue", "explain", name, "--config", str(self._folder / "router.toml"), *more])
        out, err = self._capsys.readouterr()
        return out if ended.value.code == 0 else err

    def json(self, name: str) -> Any:
        return json.loads(self(name, "--json"))
