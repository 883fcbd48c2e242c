"""The house: imports go one way, and each library has one door (router/docs/architecture.md)."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "router"

# From the ground up. A module may import its own wing and every layer below.
LAYERS: list[set[str]] = [
    {
        "__init__",
        "errors",
        "clock",
        "model",
        "text",
        "alarms",
        "refusals",
        "events",
        "process",
        "config",
        "loop",
        "remembered",
    },
    {"policy", "exam", "series", "matching"},
    {"crypto", "storage", "catalogue", "dicom", "reports", "web"},
    {"forward"},
    {"intake", "images"},
    {"correlator"},
    {"review"},
    {"upkeep", "trial"},
    {"delivery"},
    {"cluster"},
    {"admin"},
    {"node"},
    {"cli"},
]
# The base may use itself, and what is pure, in one direction (no module is in a circle); doors do not know each other.
WITHIN = {("matching", "exam"), ("matching", "policy")}
PURE = LAYERS[1]
# The receiving side shares nothing with the sending side but primitives and the DICOM layer.
PLATFORM_MAY = {
    "errors",
    "clock",
    "model",
    "alarms",
    "text",
    "events",
    "config",
    "crypto",
    "dicom",
    "web",
    "trial",
    "__init__",
}
DOORS = {
    "peewee": {"catalogue"},
    "playhouse": {"catalogue"},
    "pynetdicom": {"dicom"},
    "numpy": {"dicom/preview"},
    "PIL": {"dicom/preview"},
    "pydicom": {"dicom", "trial/demo"},
    "requests": {"forward/http.py"},
    "urllib3": {"forward/http.py"},
    "apprise": {"forward/chat.py"},
    "gmssl": {"crypto/sm2_gmssl.py"},
    "gmssl_pyx": {"crypto/sm2_gmssl_pyx.py"},
    "cryptography": {"crypto"},
    "argon2": {"crypto/passwords.py"},
    "watchdog": {"reports/folder"},
    "defusedxml": {"exam/xml_document.py"},
    "xxhash": {"dicom/dataset/checksum.py", "storage/segment.py"},
    "pypdf": {"reports/pdf"},
    "pypinyin": {"matching/patient/pinyin.py"},
    "prometheus_client": {"admin/http/metrics.py"},
    "multipart": {"trial/platform"},
    "cheroot": {"web/server.py"},
    "jinja2": {"admin/console/view.py"},
    "reportlab": {"trial/demo"},
    "click": {"cli"},
    "rich": {"cli", "trial/demo"},
    "pydantic": {"config"},
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    """The first name below router/: `dicom` for router/dicom/server.py, `app` for router/app.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def statements(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Every import of a module, wherever it stands."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return tuple(node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


def imported(path: Path) -> Iterator[str]:
    for node in statements(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            if node.module == "router":
                yield from (f"router.{alias.name}" for alias in node.names)


def layer(name: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if name in names)


def test_every_module_has_a_layer() -> None:
    assert {part(path) for path in modules()} <= set().union(*LAYERS)


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    mine = part(path)
    for name in imported(path):
        if not name.startswith("router."):
            continue
        theirs = name.split(".")[1]
        if path.is_relative_to(PACKAGE / "trial" / "platform"):
            assert theirs in PLATFORM_MAY, f"{path.name}: the platform does not use {theirs}"
        if theirs in (mine, "__version__"):
            continue
        lower = layer(theirs) < layer(mine)
        base = layer(theirs) == layer(mine) == 0
        assert lower or base or (mine, theirs) in WITHIN, f"{path.name} ({mine}) imports {theirs}"


def test_no_module_is_in_a_circle_of_imports() -> None:
    """Those that only a type check follows count, too."""
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in modules()
    }
    left = {name: {one for one in imports_of(path) if one in names and one != name} for name, path in names.items()}
    while free := {name for name, needs in left.items() if not needs}:
        left = {name: needs - free for name, needs in left.items() if name not in free}
    assert sorted(left) == []


def imports_of(path: Path) -> Iterator[str]:
    """Modules as they are named, and each name of `from package import name` that may be one."""
    for node in statements(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_each_library_has_one_door(path: Path) -> None:
    inside = path.relative_to(PACKAGE).as_posix()
    for name in imported(path):
        doors = DOORS.get(name.split(".")[0])
        assert doors is None or any(inside == d or inside.startswith(d + "/") for d in doors), (
            f"{inside} imports {name}; its door is {', '.join(sorted(doors))}"
        )


def test_profiles_and_their_blocks_compute_by_the_door_of_cryptography_alone() -> None:
    forbidden = {"hashlib", "hmac", "secrets", "random", "os", "socket", "subprocess", "ssl"}
    blocks = [*(PACKAGE / "forward" / "blocks").glob("*.py"), *(ROOT / "conf" / "profiles").glob("*.py")]
    assert len(blocks) > 10
    for path in blocks:
        assert not forbidden & {name.split(".")[0] for name in imported(path)}, path


def test_core_is_pure() -> None:
    forbidden = {"os", "time", "random", "socket", "threading", "subprocess", "pathlib", "logging"}
    for path in modules():
        if part(path) in LAYERS[1] and path.name != "rules.py":  # a rule file is read where rules are defined
            assert not forbidden & {name.split(".")[0] for name in imported(path)}, path
