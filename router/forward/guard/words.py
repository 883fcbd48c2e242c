"""Words of a profile's text that its rehearsal goes by: undefined names, possible codes, names that it may keep."""

import ast
import builtins
import dis
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

_ALWAYS = frozenset(dir(builtins)) | {"__name__", "__doc__", "__builtins__"}
_MOST_CODES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`codes`: constants that an answer's code may be compared with. `names`: keys of dicts that it writes."""

    codes: tuple[str | int, ...]
    names: frozenset[str]


def words_of(text: str) -> Words:
    """The words of a text that parses."""
    codes: dict[str | int, None] = {}
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        for value in _compared(node):
            if isinstance(value, str | int) and _is_code(value):
                codes[value] = None
        if isinstance(node, ast.Dict):
            names |= {one.value for one in node.keys if isinstance(one, ast.Constant) and isinstance(one.value, str)}
        if isinstance(node, ast.keyword) and node.arg:
            names.add(node.arg)
    return Words(codes=tuple(codes)[:_MOST_CODES], names=frozenset(names))


def _compared(node: ast.AST) -> Iterator[object]:
    """Constants that the node compares something with, or lists."""
    found: list[ast.expr | None] = []
    if isinstance(node, ast.Compare):
        found = [node.left, *node.comparators]
    elif isinstance(node, ast.Set | ast.List | ast.Tuple):
        found = [*node.elts]
    elif isinstance(node, ast.Dict):
        found = [*node.keys]
    elif isinstance(node, ast.MatchValue):
        found = [node.value]
    return (one.value for one in found if isinstance(one, ast.Constant))


def _is_code(value: str | int) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", str(value)) is not None


def undefined(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, name) of each name that is used and that neither the file nor Python defines; nothing of it is run."""
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return
    whole = compile(tree, "profile", "exec")
    known = _ALWAYS | set(_stored(whole))
    for code in _codes(whole):
        own = known | set(_stored(code))
        for one in dis.get_instructions(code):
            if one.opname in ("LOAD_GLOBAL", "LOAD_NAME") and one.argval not in own:
                yield (one.positions.lineno if one.positions else None) or 0, str(one.argval)


def _stored(code: CodeType) -> Iterator[str]:
    return (str(one.argval) for one in dis.get_instructions(code) if one.opname == "STORE_NAME")


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)
