"""The bundle: one file from which a machine without internet installs the node.

NAME/install, setup          for a machine: they check every file first
NAME/wheels/                 the node, its packages and pip, for one or several Pythons
NAME/constraints-cp311.txt   which packages, with their hashes, for each Python
NAME/conf, docs, README.md, CHANGELOG.md, LICENSE, SHA256SUMS
"""

import configparser
import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from router import __version__
from router.admin.installation import COMMAND
from router.errors import ConfigurationError

_SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "router", "conf")
_EPOCH = 315532800  # 1980-01-01, the earliest that a wheel can say: the same checkout makes the same bytes
_NEWEST_GLIBC = 40
_SUMS = "SHA256SUMS"

Fetch = Callable[[str, Path], None]
"""Puts the wheels for a Python (`cp312`) into a folder."""


def name_of() -> str:
    """Name of the bundle and of the folder inside it."""
    return f"{COMMAND}-{__version__}-{sys.platform}-{platform.machine()}"


def make(checkout: Path, target: Path, pythons: Sequence[str], fetch: Fetch) -> Path:
    """Make the bundle in the folder `target`, with its checksum beside it; the path.

    ConfigurationError when a package cannot be had. `pythons` are kinds as `cp311`.
    """
    with staged(checkout, pythons, fetch) as folder:
        return packed(folder, target / f"{folder.name}.tar.gz")


@contextmanager
def staged(checkout: Path, pythons: Sequence[str], fetch: Fetch) -> Iterator[Path]:
    """The unpacked bundle, while the context lasts."""
    with tempfile.TemporaryDirectory(prefix="bundle-") as temporary:
        folder, downloads = Path(temporary) / name_of(), Path(temporary) / "downloads"
        wheels = folder / "wheels"
        wheels.mkdir(parents=True)
        for python in pythons:
            own = downloads / python
            own.mkdir(parents=True)
            fetch(python, own)
            _take(own, wheels, folder / f"constraints-{python}.txt", python)
        own_wheel(checkout, wheels)
        _lay_out(checkout, folder)
        yield folder


def _take(downloads: Path, wheels: Path, pins: Path, python: str) -> None:
    """Move the wheels, and write what they are with their hashes; pip is the installer's own."""
    lines = []
    for wheel in sorted(downloads.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        if name != "pip":
            plain = re.sub(r"[-_.]+", "-", name).lower()
            lines.append(f"{plain}=={version} --hash=sha256:{_digest(wheel)}")
        shutil.move(wheel, wheels / wheel.name)
    pins.write_text("\n".join([f"# The packages of this bundle for {python}.", *lines, ""]), encoding="utf-8")


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def own_wheel(checkout: Path, target: Path) -> None:
    """Build the node's own wheel, from a copy of the checkout, since a build leaves folders behind."""
    with tempfile.TemporaryDirectory(prefix="wheel-") as temporary:
        source = Path(temporary)
        for name in _SOURCES:
            copy = shutil.copytree if (checkout / name).is_dir() else shutil.copy
            copy(checkout / name, source / name)
        _pip("wheel", "--no-deps", *_builder(), "--wheel-dir", str(target), str(source))


def _builder() -> list[str]:
    """setuptools of this Python where it can build a wheel, so that nothing is fetched for it."""
    code = "import setuptools; raise SystemExit(tuple(map(int, setuptools.__version__.split('.')[:2])) < (70, 1))"
    found = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)  # noqa: S603 our own
    return ["--no-index", "--no-build-isolation"] if found.returncode == 0 else []


def _pip(*arguments: str) -> None:
    call = [sys.executable, "-m", "pip", "--disable-pip-version-check", arguments[0], "--quiet", "--no-input"]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(_EPOCH)}
    done = subprocess.run([*call, *arguments[1:]], check=False, env=environment, stdout=sys.stderr)  # noqa: S603 pip
    if done.returncode:
        raise ConfigurationError(f"pip {arguments[0]} ended with {done.returncode}", hint="the lines above say why")


def _lay_out(checkout: Path, folder: Path) -> None:
    for name in ("README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(checkout / name, folder / name)
    shutil.copytree(checkout / "conf", folder / "conf", ignore=shutil.ignore_patterns("keys", "__pycache__", "bundle"))
    shutil.copytree(checkout / "router" / "docs", folder / "docs")
    for name in ("install", "setup"):
        shutil.copy(checkout / "conf" / "bundle" / "install", folder / name)
        (folder / name).chmod(0o755)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_digest(path)}  {path.relative_to(folder)}\n" for path in files]
    (folder / _SUMS).write_text("".join(lines), encoding="utf-8")


def packed(folder: Path, target: Path) -> Path:
    """The folder as a tar.gz whose bytes depend on its content only, with a file of its SHA-256 beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with (
        part.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, _EPOCH) as packing,
        tarfile.open(fileobj=packing, mode="w") as tar,
    ):
        for path in [folder, *sorted(folder.rglob("*"))]:
            tar.add(path, str(path.relative_to(folder.parent)), recursive=False, filter=_plain)
    part.replace(target)
    note_digest(target)
    return target


def note_digest(target: Path) -> None:
    """Write the file's SHA-256 beside it, as `sha256sum --check` reads it."""
    digest = f"{_digest(target)}  {target.name}\n"
    target.with_name(f"{target.name}.sha256").write_text(digest, encoding="ascii")


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = _EPOCH
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


# -- the packages


class Index:
    """Fetches from the package index that pip is configured with: exactly the pinned packages, and those of extras."""

    def __init__(self, checkout: Path, pins: Path, extras: Sequence[str]) -> None:
        self._pins = pins
        self._extras = [one for extra in extras for one in requirements(checkout, extra)]

    def __call__(self, python: str, folder: Path) -> None:
        """Put the wheels for this Python into the folder; ConfigurationError when one cannot be had."""
        target = ["--only-binary=:all:", "--dest", str(folder)]
        with tempfile.TemporaryDirectory() as temporary:
            names = Path(temporary) / "names"
            lines = [line.partition(" --hash")[0] for line in self._pins.read_text(encoding="utf-8").splitlines()]
            names.write_text("\n".join(lines), encoding="utf-8")
            if python == _here():
                _pip("download", *target, "--no-deps", "--require-hashes", "--requirement", str(self._pins))
            else:
                _pip("download", *target, *_other(python), "--requirement", str(names))
            if self._extras:
                other = [] if python == _here() else _other(python)
                _pip("download", *target, *other, "--constraint", str(names), *self._extras)
        _pip("download", "--only-binary=:all:", "--no-deps", "--dest", str(folder), "pip")


def _here() -> str:
    return f"cp{sys.version_info[0]}{sys.version_info[1]}"


def _other(python: str) -> list[str]:
    """Options of pip for another Python on the same kind of machine; glibc as here."""
    version, machine = f"{python[2]}.{python[3:]}", platform.machine()
    _, _, minor = platform.libc_ver()[1].partition(".")
    newest = int(minor) if minor.isdigit() else _NEWEST_GLIBC
    tags = [f"manylinux2014_{machine}", *(f"manylinux_2_{n}_{machine}" for n in range(17, newest + 1))]
    return ["--implementation=cp", f"--python-version={version}", *(f"--platform={one}" for one in tags)]


def requirements(checkout: Path, extra: str = "") -> list[str]:
    """Requirements of the node, or of an extra, as setup.cfg has them."""
    read = configparser.ConfigParser(interpolation=None)
    read.read(checkout / "setup.cfg", encoding="utf-8")
    section, key = ("options.extras_require", extra) if extra else ("options", "install_requires")
    if not read.has_option(section, key):
        raise ConfigurationError(f"there is no extra {extra}", hint="setup.cfg lists them")
    return [line for line in read.get(section, key).splitlines() if line.strip()]
