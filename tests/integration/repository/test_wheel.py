"""The wheel: conf/ travels inside and is found there."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

CHECKOUT = Path(__file__).parents[3]
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "router", "conf")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline from a copy, since a build leaves folders behind."""
    if Version(version("setuptools")) < Version("70.1"):
        pytest.skip("setuptools 70.1 or newer is not installed beside the tests: it builds the wheel")
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation"]
    built = subprocess.run([*command, "-w", target, source], check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return next(target.glob("*.whl"))


def test_the_configuration_and_the_rules_travel_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "router/conf/router.toml",
        "router/conf/series_rules.toml",
        "router/docs/gm-psk-1.md",
        "router/admin/console/console.css",
        "router/admin/console/templates/base.html",
        "router/docs/two_o_clock.md",
        "router/docs/README.md",
        "router/docs/images/console.png",
        "router/locale/en/LC_MESSAGES/router.mo",
        "router/locale/zh_CN/LC_MESSAGES/router.mo",
        "router/conf/grafana.json",
        "router/conf/exam.hl7",
        "router/conf/examples/view_export.py",
        "router/conf/alert_rules.yml",
        "router/conf/holidays.txt",
        "router/conf/codes/visit_types.csv",
        "router/cli/__init__.py",
    } <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "conf/"))]


def test_the_unpacked_package_finds_its_configuration_inside_itself(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    script = "from router.config.file import load, shipped; p = shipped('router.toml'); load(p); print(p)"
    done = subprocess.run([sys.executable, "-P", "-c", script], check=False, capture_output=True, text=True,
                          env={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = Path(done.stdout.strip())
    assert found == tmp_path / "router" / "conf" / "router.toml"
    assert found.read_bytes() == (CHECKOUT / "conf" / "router.toml").read_bytes()


def test_every_package_of_the_checkout_is_in_the_wheel(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    expected = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "router").rglob("*.py")}
    assert expected <= inside
