"""`bundle`: one file from which a machine without internet installs the node."""

import re
import sys
from pathlib import Path

import click

from router.admin import bundle, debian, installation
from router.cli.install import checkout
from router.config.file import shipped

_PYTHON = re.compile(r"3\.(\d{2})")


@click.command("bundle")
@click.option("--to", "target", type=click.Path(path_type=Path, file_okay=False), default="dist", show_default=True)
@click.option(
    "--python", "pythons", multiple=True, metavar="3.12", help="For this Python; repeatable. Else the running one."
)
@click.option("--with", "extras", multiple=True, metavar="EXTRA", help="With an extra, such as decompress; repeatable.")
@click.option("--deb", is_flag=True, help="A Debian package of the bundle, too.")
def command(target: Path, pythons: tuple[str, ...], extras: tuple[str, ...], deb: bool) -> None:
    """Make the file to carry to a machine without internet, and its checksum beside it.

    It holds every package by conf/constraints.txt. Unpacked there, `./setup` or `./install` is all that is needed:
    Linux with this kind of processor, one of these Pythons and a C library no older than this machine's.
    """
    kinds = [_kind(each) for each in pythons] or [installation.tag(sys.executable)]
    index = bundle.Index(checkout(), shipped("constraints.txt"), extras)
    with bundle.staged(checkout(), kinds, index) as folder:
        made = [bundle.packed(folder, target / f"{folder.name}.tar.gz")]
        if deb:
            made.append(debian.package(folder, target, kinds))
    for path in made:
        click.echo(f"{path} ({path.stat().st_size / 2**20:.0f} MiB)")


def _kind(text: str) -> str:
    found = _PYTHON.fullmatch(text)
    if found is None or int(found[1]) < 11:
        raise click.UsageError("--python: expected 3.11 or newer, for instance 3.12")
    return f"cp3{found[1]}"
