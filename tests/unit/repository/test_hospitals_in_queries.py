"""No query forgets the hospital: what reads exams or studies names it, picks them by number or link, or says why not.

A statement says it in the comment above it, a function in its own lines: `# of all hospitals: because ...`.
"""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "router"
# Tables with rows of exams or studies, as queries are built and as they are written.
BUILT = frozenset(
    {
        "Exam",
        "Study",
        "ExamStudy",
        "StudyAccession",
        "StudyIdentity",
        "StudyHospital",
        "ForeignStudy",
        "ExamWord",
        "Alias",
    }
)
WRITTEN = re.compile(
    r"\b(?:FROM(?:\s+[^()]*?,)?|JOIN|UPDATE)\s+\"?(?:exam|study|exam_study|study_accession|study_identity|study_hospital"
    r"|foreign_study|exam_word|alias)\b",
    re.IGNORECASE,
)
NAMES = re.compile(r"hospital|joinable\(", re.IGNORECASE)
# By the node's number of an exam or study, or by UIDs that links have given.
PICKED = re.compile(
    r"(?:\bExam\.id|\.exam|\bStudy\.(?:id|uid)|\.study)\s*(?:==(?!\s*[A-Z]\w*\.)|\.in_\()"
    r"|\bWHERE (?:[a-z_]+\.)?(?:id|study_id|uid) (?:= \?|IN \(\?\))|\.study_uid\s*(?:==|\.in_\()"
)
MARK = re.compile(r"#.*\bof all hospitals: \S+", re.IGNORECASE)


def queries(source: str) -> Iterator[tuple[int, str]]:
    """The line and the text of everything that asks for exams or studies, with the comment above it."""
    tree, lines = ast.parse(source), source.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(map(_builds, ast.walk(node))):
            yield _text(node, lines)
    classes = (node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for statement in itertools.chain(tree.body, *classes):
        assigned = isinstance(statement, ast.Assign | ast.AnnAssign)
        if assigned and (WRITTEN.search(_said(statement)) or any(map(_builds, ast.walk(statement)))):
            yield _text(statement, lines)


def _builds(node: ast.AST) -> bool:
    """Whether it is a query of one of the tables, or a join with one."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) and bool(_SQL.search(_said(node)))
    on = node.func.value
    of_table = isinstance(on, ast.Name) and on.id in BUILT and node.func.attr in _READS
    joined = node.func.attr in {"join", "join_from"} and any(
        isinstance(g, ast.Name) and g.id in BUILT for g in node.args
    )
    return of_table or joined


_READS = {"select", "update", "delete", "get", "get_or_none", "get_by_id", "raw", "alias"}
_SQL = re.compile(rf"(?:SELECT|UPDATE|DELETE|INSERT)\b.*{WRITTEN.pattern}", re.IGNORECASE | re.DOTALL)


def _said(node: ast.AST) -> str:
    """All texts in it, as a query that is put together from them begins."""
    texts = (one for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))
    return " ".join(str(one.value) for one in sorted(texts, key=lambda one: (one.lineno, one.col_offset)))


def _text(node: ast.stmt, lines: list[str]) -> tuple[int, str]:
    first = node.lineno - 1
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return node.lineno, "\n".join(lines[first : node.end_lineno])


def forgetful(source: str) -> list[int]:
    """The lines at which something asks for exams or studies without a word about the hospital."""
    found = [(line, text) for line, text in queries(source) if not (NAMES.search(_code(text)) or PICKED.search(text))]
    return [line for line, text in found if not MARK.search(text)]


def _code(text: str) -> str:
    """The text without its comments and docstrings: a comment counts as a reason only in the form of MARK."""
    return re.sub(r'^ *"""(?!.*(?:SELECT|UPDATE|DELETE) ).*?"""', "", re.sub(r"#.*", "", text), flags=re.M | re.S)


@pytest.mark.parametrize("path", sorted((PACKAGE / "catalogue").rglob("*.py")), ids=lambda p: p.name)
def test_each_query_names_the_hospital_or_says_why_not(path: Path) -> None:
    if path.parts[-2] in ("db", "tables"):
        return
    assert forgetful(path.read_text(encoding="utf-8")) == [], f"{path}: # of all hospitals: because ..."


@pytest.mark.parametrize(
    "planted",
    [
        'def f():\n    return Exam.select().where(Exam.patient_id == "x")',
        'def f():\n    """Of the hospital."""\n    return Study.get_or_none(Study.accession_number == "x")',
        'def f():\n    other = Exam.alias()\n    return other.select().where(other.patient_id == "x")',
        'def f():\n    return Delivery.select().join(Exam, on=Delivery.exam == Exam.id).where(Exam.patient_id == "x")',
        'class A:\n    query = Prepared(lambda: Exam.select().where(Exam.patient_id == "x"))',
        'class A:\n    query = "SELECT id FROM exam WHERE accession_number = ?"',
        'def f(c):\n    return f"SELECT {c} FROM exam WHERE patient_id = ?"',
        'def f(c):\n    return "SELECT " + c + " FROM study WHERE accession_number = ?"',
        'S = Statement("SELECT s.id FROM delivery d, study s WHERE s.accession_number = ?")',
    ],
)
def test_a_query_that_forgets_the_hospital_is_found_however_it_is_written(planted: str) -> None:
    assert forgetful(planted)
    assert not forgetful(planted.replace("patient_id", "hospital").replace("accession_number", "hospital"))


def test_nothing_but_the_catalogue_asks_for_rows() -> None:
    """Else a query elsewhere would not be looked at."""
    elsewhere = (path for path in PACKAGE.rglob("*.py") if "catalogue" not in path.parts)
    asking = re.compile(r"^(?:from|import) (?:peewee|router\.catalogue\.db\.tables)\b", re.MULTILINE)
    assert [path.name for path in elsewhere if asking.search(path.read_text(encoding="utf-8"))] == []
