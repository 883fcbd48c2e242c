"""The intake benchmark in short: it takes every pair, each PDF is its own exam's, and memory does not grow."""

import importlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest


def test_waiting_pairs_are_all_taken_with_memory_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    bench: Any = importlib.import_module("intake")
    done = bench.Taking(tmp_path / "run", 200)
    done.run()
    assert done.taken == 400
    assert done.memory[1] - done.memory[0] < 10 * 2**20
    assert sorted(path.name for path in (tmp_path / "run/in").iterdir()) == ["done"]
    with sqlite3.connect(tmp_path / "run/data/router.db") as rows:
        (found,) = rows.execute("SELECT count(*), sum(vouched) FROM document WHERE kind = 'pdf' AND exam_id > 0")
    rows.close()
    assert found == (200, 200)
