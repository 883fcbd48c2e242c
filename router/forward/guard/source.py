"""The file of a profile: whose it is, what it may import and name. Its digest stands for it in audit and receipts."""

import ast
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from router.errors import ConfigurationError
from router.forward import blocks
from router.forward.guard.words import undefined

_LONGEST = 256 * 1024
_BLOCKS = blocks.__name__
_MAY_IMPORT = frozenset({
    "__future__", "base64", "collections", "dataclasses", "datetime", "decimal", "enum", "functools", "itertools",
    "json", "math", "re", "string", "typing", "urllib.parse", "zoneinfo", _BLOCKS,
})  # fmt: skip
_MAY_NOT_NAME = frozenset({
    "__builtins__", "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "globals", "input", "locals",
    "open", "print", "setattr", "vars",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a profile's file."""

    file: Path
    text: str
    digest: str


def read_source(file: Path, *, ours: bool = True) -> Source:
    """The file's text. ConfigurationError when it cannot be read, or, if `ours`, may be changed by others.

    It must belong to root or to this account, as its folder must, and nobody else may write to either.
    """
    try:
        with file.open("rb") as source:
            if ours and (
                faults := [*_rights(file, os.fstat(source.fileno())), *_rights(file.parent, file.parent.stat())]
            ):
                raise ConfigurationError(f"profile {file} is not safe to run:", faults=tuple(faults), profile=file.name)
            data = source.read(_LONGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read profile {file}: {error.strerror}", profile=file.name) from error
    if len(data) > _LONGEST:
        raise ConfigurationError(f"profile {file} is too long to be one", profile=file.name)
    try:
        return Source(file, data.decode(), hashlib.sha256(data).hexdigest())
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"profile {file} is not UTF-8", profile=file.name) from error


def _rights(path: Path, found: os.stat_result) -> Iterator[str]:
    if os.name != "posix":
        return
    if found.st_uid not in (0, os.geteuid()):
        yield f"{path} belongs neither to root nor to this account: chown root {path}"
    if stat.S_IMODE(found.st_mode) & 0o022 and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
        yield f"{path} may be written by group or others: chmod go-w {path}"


def faults_of(source: Source) -> list[str]:
    """Faults that its text shows without running it: syntax, imports, names that have no place in a profile."""
    try:
        tree = ast.parse(source.text, str(source.file.name))
        missing = sorted(set(undefined(tree)))
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 0
        return [f"line {line}: {getattr(error, 'msg', 'is no Python')}"]
    found = sorted({fault for node in ast.walk(tree) for fault in _faults(node)})
    declares = any(isinstance(one, ast.Assign | ast.AnnAssign) and "PROFILE" in _targets(one) for one in tree.body)
    return [
        *[text for _, text in found],
        *[f"line {line}: nothing defines {name}" for line, name in missing],
        *([] if declares else ["it has no PROFILE = Declaration(...)"]),
    ]


def weak_in(source: Source) -> list[str]:
    """The weak blocks that it imports."""
    names = [one for node in ast.walk(ast.parse(source.text)) for _, one in _imported(node)]
    return sorted({name for name in names if name in blocks.WEAK})


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {one.id for one in targets if isinstance(one, ast.Name)}


def _faults(node: ast.AST) -> Iterator[tuple[int, str]]:
    line = getattr(node, "lineno", 0)
    for module, name in _imported(node):
        if module not in _MAY_IMPORT:
            yield line, f"line {line}: imports {module}; a profile imports {_BLOCKS} and what computes only"
        elif module == _BLOCKS and name not in blocks.__all__:
            yield line, f"line {line}: {_BLOCKS} has no {name}"
    if isinstance(node, ast.Name) and node.id in _MAY_NOT_NAME:
        yield line, f"line {line}: {node.id} has no place in a profile"
    if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
        yield line, f"line {line}: {node.attr} has no place in a profile"
    if isinstance(node, ast.AsyncFunctionDef | ast.Global):
        yield line, f"line {line}: functions of a profile are plain and keep nothing"


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Module and name of each import; of a whole module the name is ""."""
    if isinstance(node, ast.Import):
        yield from ((one.name, "" if one.name != _BLOCKS else one.name) for one in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from ((module, one.name) for one in node.names)
