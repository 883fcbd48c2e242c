"""A Debian package that carries the bundle: the same installer runs when it is configured, without any network."""

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

from router import __version__
from router.admin.bundle import note_digest
from router.admin.installation import COMMAND
from router.errors import ConfigurationError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# As Debian's own tools name who builds a package.
_NAME, _MAIL = os.environ.get("DEBFULLNAME") or "Imaging cloud router", os.environ.get("DEBEMAIL") or "root@localhost"
_MAINTAINER = f"{_NAME} <{_MAIL}>"
_PLACE = f"usr/lib/{COMMAND}"
_POSTINST = f"""#!/bin/sh
set -e
case "$1" in configure) ;; *) exit 0 ;; esac
if [ -z "$DPKG_ROOT" ]; then
    /{_PLACE}/install --unconfigured
    echo "{COMMAND}: next: {COMMAND} setup"
fi
"""
_PRERM = f"""#!/bin/sh
set -e
[ -z "$DPKG_ROOT" ] || exit 0
case "$1" in
    remove)
        if [ -x /{_PLACE}/install ]; then
            /{_PLACE}/install --remove
        fi
        ;;
esac
"""
_COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: {name}

Files: *
Copyright: the authors of the imaging cloud router
License: Expat
{licence}
"""


def package(bundle: Path, target: Path, pythons: Sequence[str]) -> Path:
    """Make the package of an unpacked bundle in the folder `target`; its path. ConfigurationError without dpkg-deb."""
    if shutil.which("dpkg-deb") is None:
        raise ConfigurationError("dpkg-deb is not here", hint="as root: apt-get install dpkg")
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    made = target / f"{COMMAND}_{__version__}_{architecture}.deb"
    with tempfile.TemporaryDirectory(prefix="deb-") as temporary:
        root = Path(temporary) / "root"
        _lay_out(bundle, root)
        _control(root, architecture, pythons)
        call = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(root), str(made)]
        done = subprocess.run(call, check=False, capture_output=True, text=True)  # noqa: S603 Debian's own
    if done.returncode:
        raise ConfigurationError("dpkg-deb failed", hint=done.stderr.strip())
    note_digest(made)
    return made


def _lay_out(bundle: Path, root: Path) -> None:
    place, documents = root / _PLACE, root / "usr/share/doc" / COMMAND
    shutil.copytree(bundle, place)
    documents.mkdir(parents=True)
    changes = f"{COMMAND} ({__version__}) unstable; urgency=medium\n\n  * See /{_PLACE}/CHANGELOG.md.\n\n"
    changes += f" -- {_MAINTAINER}  Tue, 01 Jan 1980 00:00:00 +0000\n"
    _compressed(documents / "changelog.gz", changes)
    licence = textwrap.indent((bundle / "LICENSE").read_text(encoding="utf-8"), " ", lambda _: True)
    licence = "\n".join(line if line.strip() else " ." for line in licence.splitlines())
    (documents / "copyright").write_text(_COPYRIGHT.format(name=COMMAND, licence=licence), encoding="utf-8")
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _compressed(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _control(root: Path, architecture: str, pythons: Sequence[str]) -> None:
    folder = root / "DEBIAN"
    folder.mkdir()
    folder.chmod(0o755)
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) // 1024
    wanted = " | ".join(f"python3.{kind[3:]}" for kind in pythons)
    (folder / "control").write_text(
        f"""Package: {COMMAND}
Version: {__version__}
Section: net
Priority: optional
Architecture: {architecture}
Maintainer: {_MAINTAINER}
Installed-Size: {size}
Depends: python3, {wanted}, passwd
Description: store-and-forward node between a hospital and an imaging cloud
 Takes studies from the PACS by DICOM and reports from the RIS, joins them,
 and forwards what was approved to a regional imaging cloud. The package
 carries its Python packages and needs no network when it is configured.
 .
 Configuration, keys and data stay when it is removed.
""",
        encoding="utf-8",
    )
    for name, text in (("postinst", _POSTINST), ("prerm", _PRERM)):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    sums = []
    for path in sorted(path for path in (root / "usr").rglob("*") if path.is_file()):
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()  # deb(5) asks for MD5
        sums.append(f"{digest}  {path.relative_to(root)}\n")
    (folder / "md5sums").write_text("".join(sums), encoding="utf-8")
