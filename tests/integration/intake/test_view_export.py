"""The example that exports a RIS's database view into the drop folder, on a real PostgreSQL, killed at every step."""

import fcntl
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from router.config.file import shipped
from router.reports.pdf.reader import Readers
from support.intake_folder import IntakeFolder, printed
from support.postgres import Server
from support.sample_exam import exam_document

PROGRAM = shipped("examples") / "view_export.py"
BEGAN = datetime.fromisoformat("2026-03-02T10:00:00+08:00")


class Killed(BaseException):
    """SIGKILL, at the place of a call."""


class Ris:
    """A table of exams with the view over it, and the program that exports it."""

    def __init__(self, url: str, folder: Path) -> None:
        import psycopg

        self.connection = psycopg.connect(url, autocommit=True)
        self.url, self.pdfs = url, folder / "pdfs"
        self.folder, self.state = folder / "in", folder / "state.json"
        self.pdfs.mkdir()
        self.folder.mkdir(exist_ok=True)
        flat = {f"{section}.{key}": value for section, values in exam_document().items() if isinstance(values, dict)
                for key, value in values.items()}  # fmt: skip
        self.columns = {name: self._kind(value) for name, value in flat.items()}
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self.columns.items())
        self.connection.execute(
            f"CREATE TABLE e (exam_id text PRIMARY KEY, changed timestamptz, pdf text, {columns})".encode()
        )
        self.connection.execute(b"CREATE VIEW imaging_export AS SELECT * FROM e")

    @staticmethod
    def _kind(value: object) -> str:
        if isinstance(value, list):
            return "jsonb" if value and isinstance(value[0], dict) else "text[]"
        return "boolean" if isinstance(value, bool) else "integer" if isinstance(value, int) else "text"

    def write(self, exam_id: str, minutes: float, pdf: bytes | None = b"", **changes: object) -> None:
        """A row of an exam that changed so many minutes after the beginning; `pdf` None: the file is to come."""
        from psycopg.types.json import Jsonb

        path = self.pdfs / f"{exam_id.replace('/', '_')}.pdf"
        if pdf is not None:
            path.write_bytes(pdf or printed(exam_id))
        given = exam_document({"Patient.Name": "张三"} | {key.replace("__", "."): v for key, v in changes.items()})
        row: dict[str, Any] = {"exam_id": exam_id, "changed": BEGAN + timedelta(minutes=minutes), "pdf": str(path)}
        for name, kind in self.columns.items():
            section, _, key = name.partition(".")
            row[name] = Jsonb(given[section][key]) if kind == "jsonb" else given[section][key]
        names, marks = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(row))
        self.connection.execute(b"DELETE FROM e WHERE exam_id = %s", [exam_id])
        self.connection.execute(f"INSERT INTO e ({names}) VALUES ({marks})".encode(), list(row.values()))

    def export(self, program: Any) -> int:
        found: int = program.once(self.url, "imaging_export", self.folder, self.state, "2026-03-02")
        return found

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if path.suffix != ".tmp"}

    def assert_whole(self) -> None:
        """Whatever bears the name of a report is one."""
        for path in self.folder.glob("*.json"):
            assert json.loads(path.read_bytes())["ExamId"]
            assert path.with_suffix(".pdf").exists(), "the PDF comes first"
        for path in self.folder.glob("*.pdf"):
            assert path.read_bytes().rstrip().endswith(b"%%EOF")

    def taken(self) -> None:
        """The node has taken the files."""
        for path in self.folder.iterdir():
            path.unlink()


@pytest.fixture
def program() -> Any:
    spec = importlib.util.spec_from_file_location("view_export", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ris(server: Server, tmp_path: Path) -> Any:
    made = Ris(server.new_schema(), tmp_path)
    with made.connection:
        yield made


def test_each_exam_is_written_with_its_pdf_and_taken_by_the_node(
    ris: Ris, program: Any, tmp_path: Path, readers: Readers
) -> None:
    ris.write("E1", 0)
    ris.write("E2/CT", 1, Study__StudyInstanceUIDs=["1.2.9"])
    assert ris.export(program) == 0
    assert ris.names() == {"exam-E1.json", "exam-E1.pdf", "exam-E2%2FCT.json", "exam-E2%2FCT.pdf"}
    expected = exam_document({"ExamId": "E1"})
    written = json.loads((ris.folder / "exam-E1.json").read_text(encoding="utf-8"))
    assert {section: written[section] for section in ("Order", "Patient", "Report", "Study")} == {
        section: expected[section] for section in ("Order", "Patient", "Report", "Study")
    }
    desk = IntakeFolder(tmp_path, readers)
    desk.take()
    assert [desk.counts("E1"), desk.counts("E2/CT")] == [(1, 1), (1, 1)]
    desk.catalogue.engine.close_thread()


def test_only_what_has_changed_is_written_again_also_a_row_that_shows_late(ris: Ris, program: Any) -> None:
    ris.write("E1", 0)
    ris.write("E2", 60)
    ris.export(program)
    ris.taken()
    ris.export(program)
    assert ris.names() == set()
    ris.write("E3", 45)  # of a transaction that was slow to end
    ris.write("E2", 61, Report__Findings="corrected")
    ris.export(program)
    assert ris.names() == {f"exam-{name}.{end}" for name in ("E2", "E3") for end in ("json", "pdf")}
    ris.taken()
    ris.export(program)
    assert ris.names() == set()


def test_a_row_whose_pdf_is_to_come_waits_and_holds_no_other_up(ris: Ris, program: Any) -> None:
    ris.write("E1", 0, pdf=None)
    ris.write("E2", 600)
    assert ris.export(program) == 1
    assert ris.names() == {"exam-E2.json", "exam-E2.pdf"}
    ris.taken()
    ris.write("E1", 0)
    assert ris.export(program) == 0
    assert ris.names() == {"exam-E1.json", "exam-E1.pdf"}


def test_killed_at_any_step_it_leaves_nothing_half_written_and_loses_nothing(
    ris: Ris, program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2):
        ris.write(f"E{n}", n)
    left = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return real(*arguments)

        return call

    whole = False
    for step in range(1, 100):
        left = step
        with monkeypatch.context() as patched:
            patched.setattr(program.os, "fsync", dying(program.os.fsync))
            patched.setattr(program.Path, "replace", dying(Path.replace))
            try:
                ris.export(program)
                whole = True
            except Killed:
                ris.assert_whole()
        ris.export(program)
        ris.assert_whole()
        assert ris.names() == {f"exam-E{n}.{end}" for n in range(2) for end in ("json", "pdf")}
        if whole:
            break
        ris.state.unlink()
        ris.taken()
    assert whole
    assert step > 10, "files, folders and the state are each synced and renamed"


def test_it_runs_as_a_program_and_a_second_one_at_the_same_time_ends_at_once(ris: Ris) -> None:
    ris.write("E1", 0)
    where = ["--folder", str(ris.folder), "--state", str(ris.state), "--since", "2026-03-02"]
    call = [sys.executable, str(PROGRAM), "--database", ris.url, "--view", "imaging_export", *where]

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(call, capture_output=True, text=True, timeout=40, check=False)

    with ris.state.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run().returncode != 0
        assert ris.names() == set()
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert ris.names() == {"exam-E1.json", "exam-E1.pdf"}
