"""No query forgets the hospital: what reads exams or studies names it, picks them by number or link, or says why not.

A statement says it in the comment above it, a function in its own lines: `# of all hospitals: because ...`.
"""

import ast
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
    r"\b(?:FROM|JOIN|UPDATE)\s+\"?(?:exam|study|exam_study|study_accession|study_identity|study_hospital"
    r"|foreign_study|exam_word|alias)\b",
    re.IGNORECASE,
)
NAMES = re.compile(r"hospital|joinable\(", re.IGNORECASE)
# By the node's number of an exam or study, or by UIDs that links have given.
PICKED = re.compile(
    r"\bExam\.id\s*(?:==|\.in_\()|\.exam\s*(?:==|\.in_\()|\bStudy\.(?:id|uid)\s*(?:==|\.in_\()|\.study\s*(?:==|\.in_\()"
    r"|\bWHERE (?:[a-z_]+\.)?(?:id|study_id|uid) (?:= \?|IN \(\?\))|\.study_uid\s*(?:==|\.in_\()"
)
MARK = re.compile(r"#.*\bof all hospitals: \S+", re.IGNORECASE)


def queries(source: str) -> Iterator[tuple[int, str]]:
    """The line and the text of everything that asks for exams or studies, with the comment above it."""
    tree, lines = ast.parse(source), source.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(map(_builds, ast.walk(node))):
            yield _text(node, lines)
    for statement in tree.body:
        assigned = isinstance(statement, ast.Assign | ast.AnnAssign)
        if assigned and (WRITTEN.search(_said(statement)) or any(map(_builds, ast.walk(statement)))):
            yield _text(statement, lines)


def _builds(node: ast.AST) -> bool:
    """Whether it is a query of one of the tables, or a join with one."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_SQL.search(node.value))
    on, given = node.func.value, node.args[:1]
    of_table = isinstance(on, ast.Name) and on.id in BUILT and node.func.attr in {"select", "update", "delete"}
    return of_table or (node.func.attr == "join" and any(isinstance(g, ast.Name) and g.id in BUILT for g in given))


_SQL = re.compile(rf"(?:SELECT|UPDATE|DELETE|INSERT)\b.*{WRITTEN.pattern}", re.IGNORECASE | re.DOTALL)


def _said(node: ast.AST) -> str:
    """All texts in it, as a query that is put together from them begins."""
    return " ".join(one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))


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
    """The text without its comments: they count as a reason only in the form of MARK."""
    return re.sub(r"#.*", "", text)


@pytest.mark.parametrize("path", sorted((PACKAGE / "catalogue").rglob("*.py")), ids=lambda p: p.name)
def test_each_query_names_the_hospital_or_says_why_not(path: Path) -> None:
    if path.parts[-2] in ("db", "tables"):
        return
    assert forgetful(path.read_text(encoding="utf-8")) == [], f"{path}: # of all hospitals: because ..."
