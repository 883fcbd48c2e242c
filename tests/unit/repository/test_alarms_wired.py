"""Each part that records an alarm is one that the node builds, or that a person's command runs."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
Definition = tuple[str, str]
"""A module and a name at its top."""
NODE: Definition = ("router.node.node", "Node")
# Only a person's command has the cause of these alarms.
COMMANDS = {("router.upkeep.rebuild", "Rebuild")}


def modules() -> dict[str, ast.Module]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
        for path in (ROOT / "router").rglob("*.py")
    }


def names_of(tree: ast.Module, module: str) -> dict[str, Definition]:
    """What each name at the top of a module stands for: an import, or a definition of its own."""
    found: dict[str, Definition] = {}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ImportFrom) and statement.module:
            for one in statement.names:
                found[one.asname or one.name] = (statement.module, one.name)
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            found[statement.name] = (module, statement.name)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            found |= {n.id: (module, n.id) for n in ast.walk(statement) if isinstance(n, ast.Name) and _is_set(n)}
    return found


def _is_set(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def used(node: ast.AST) -> Iterator[str]:
    """The names, `a` or `a.b`, that code uses; an annotation builds nothing."""
    if isinstance(node, ast.Name):
        yield node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        yield f"{node.value.id}.{node.attr}"
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, ast.AST):
                    yield from used(inner)


def definitions(trees: Mapping[str, ast.Module]) -> dict[Definition, ast.stmt]:
    found: dict[Definition, ast.stmt] = {}
    for module, tree in trees.items():
        for statement in tree.body:
            if isinstance(statement, ast.ClassDef | ast.FunctionDef):
                found[module, statement.name] = statement
            elif isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and _is_set(n)]
                found |= {(module, name): statement for name in targets}
    return found


def built(trees: Mapping[str, ast.Module], start: Definition) -> set[Definition]:
    """All that the code of `start` uses, and the code of that in turn."""
    known, names = definitions(trees), {module: names_of(tree, module) for module, tree in trees.items()}
    reached: set[Definition] = set()
    waiting = [start]
    while waiting:
        module, name = one = waiting.pop()
        if one in reached:
            continue
        reached.add(one)
        if one not in known and name in names.get(module, {}):  # a name that a package hands on
            waiting.append(names[module][name])
        for each in used(known[one]) if one in known else ():
            first, _, rest = each.partition(".")
            meant = names[module].get(first)
            if meant is not None:
                waiting.append((".".join(meant), rest) if rest and ".".join(meant) in trees else meant)
    return reached


def recorders(trees: Mapping[str, ast.Module]) -> set[Definition]:
    """The classes and functions that raise an alarm."""
    return {one for one, code in definitions(trees).items() if "Kind.ALARM" in used(code)}


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return modules()


def test_each_part_that_records_an_alarm_is_built_by_the_node(trees: dict[str, ast.Module]) -> None:
    raising = recorders(trees)
    assert len(raising) > 15
    assert raising - built(trees, NODE) == COMMANDS, "build it in node/build.py or node/duties.py"


def test_a_part_that_nobody_builds_is_found(trees: dict[str, ast.Module]) -> None:
    forgotten = ast.parse("class Watch:\n    def look(self):\n        self.bus.record(Event(now, Kind.ALARM, ''))\n")
    hint = ast.parse("from router.new import Watch\n\ndef look(watch: Watch) -> None:\n    watch.look()\n")
    more = {**trees, "router.new": forgotten, "router.newer": hint}
    assert ("router.new", "Watch") in recorders(more) - built(more, NODE)
    more["router.node.node"] = ast.parse("from router.new import Watch\n\nclass Node:\n    watch = Watch()\n")
    assert ("router.new", "Watch") in built(more, NODE)
