"""`install`: account, folders, configuration, keys and the systemd unit of a machine."""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from router.admin import installation
from router.admin.installation import Site
from router.config.file import shipped
from router.errors import ConfigurationError

_ASKED = {
    "usci": ("hospital.USCI", "统一社会信用代码 (USCI)"),
    "code": ("hospital.HospitalCode", "医疗机构编码 (HospitalCode)"),
    "name": ("hospital.HospitalName", "医疗机构名称 (HospitalName)"),
    "branch": ("hospital.HospitalBranchCode", "医疗机构分院编码 (HospitalBranchCode)"),
}
_SENDER = re.compile(r"(?P<ae>[^=]{1,16})=(?P<address>[0-9A-Fa-f.:/]+)")


@click.command("install")
@click.option("--usci", help="统一社会信用代码.")
@click.option("--code", help="医疗机构编码.")
@click.option("--name", help="医疗机构名称.")
@click.option("--branch", help="医疗机构分院编码.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where PACS and modalities reach the node.")
@click.option("--sender", "senders", multiple=True, metavar="AE=ADDRESS", help="Who may send; may be given again.")
@click.option("--allow-plain", is_flag=True, help="DICOM without TLS beyond loopback.")
@click.option("--data", type=click.Path(path_type=Path), default="/var/lib/imaging-cloud-router", show_default=True)
@click.option("--reports", type=click.Path(path_type=Path), default="/srv/reports", show_default=True)
@click.option("--settings", type=click.Path(path_type=Path), default="/etc/imaging-cloud-router", show_default=True)
@click.option("--program", type=click.Path(path_type=Path), default="/opt/imaging-cloud-router", show_default=True)
@click.option("--account", default="imaging-router", show_default=True, help="The node's own account.")
@click.option(
    "--uid", "number", type=click.IntRange(1, 2**31 - 1),
    help="Number of the account and of its group: the same on every host of a shared data folder.",
)  # fmt: skip
@click.option("--trial-keys", is_flag=True, help="Make a set of keys for trying out.")
@click.option("--root", type=click.Path(path_type=Path), help="Write below this folder and run nothing.")
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@click.option("--constraints", is_flag=True, help="Only make conf/constraints.txt anew, from the package index.")
def command(**given: Any) -> None:
    """Set up this machine, as root. It asks for what no option gives, and keeps an existing configuration.

    To upgrade, run it again from the new version: it asks nothing, renews program and unit, and leaves the rest.
    """
    if given["constraints"]:
        click.echo(f"{make_constraints()} packages pinned in conf/constraints.txt")
        return
    site = _site(given)
    source = Path(__file__).parents[2]
    python = installation.interpreter(Path(sys.executable))
    calls = installation.commands(site, source, sys.executable, python)
    if given["dry_run"]:
        lines = [f"folder {each.path} {each.mode:04o}" for each in installation.folders(site)]
        _tell([*lines, *(f"file {each.path} {each.mode:04o}" for each in installation.files(site))], calls)
    elif given["root"] is not None:
        _tell(installation.write(site, given["root"], trial_keys=given["trial_keys"]), calls)
    elif os.geteuid() != 0:
        raise click.UsageError("run it as root, or with --root or --dry-run")
    else:
        installation.require_same(site.program, python)
        installation.require_number(site)
        done = installation.write(site, Path("/"), trial_keys=given["trial_keys"])
        installation.run(calls)
        _tell(done, [])
        config = site.settings / "router.toml"
        click.echo(f"next: your keys into {site.settings}/keys, the destination into {config}; then")
        click.echo(f"{installation.COMMAND} doctor")
        click.echo(installation.start(site))


def _tell(lines: list[str], calls: list[list[str]]) -> None:
    """Print what was or would be written, then the commands that are not run here."""
    for line in lines:
        click.echo(line)
    for call in calls:
        click.echo(f"not run: {shlex.join(call)}")


def _site(given: dict[str, Any]) -> Site:
    is_there = installation.configuration(given["root"], given["settings"]).exists()
    values = {
        key: _quoted(given[option] or _ask(option, words))
        for option, (key, words) in _ASKED.items()
        if given[option] or not is_there
    }
    values["receive.host"] = _quoted(given["host"])
    values["receive.allow_plain"] = "true" if given["allow_plain"] else "false"
    if given["senders"]:
        values["receive.senders"] = f"[{', '.join(_sender(each) for each in given['senders'])}]"
    program, settings, data, reports = (given[name].absolute() for name in ("program", "settings", "data", "reports"))
    return Site(
        program=program, settings=settings, data=data, reports=reports, account=given["account"], values=values,
        number=given["number"],
    )  # fmt: skip


def _ask(option: str, words: str) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"--{option} is missing, and nobody is here to be asked")
    answer: str = click.prompt(words)
    return answer


def _sender(text: str) -> str:
    found = _SENDER.fullmatch(text)
    if found is None:
        raise click.UsageError("--sender: expected AE=ADDRESS, for instance PACS=10.1.2.3 or CT01=10.1.2.0/24")
    return f"{{ ae_title = {_quoted(found['ae'])}, address = {_quoted(found['address'])} }}"


def _quoted(text: str) -> str:
    """A basic string of TOML, which takes what JSON does."""
    return json.dumps(text, ensure_ascii=False)


def make_constraints() -> int:
    """Pin what pip would install, by the index's hashes, with PostgreSQL and chat services; return how many."""
    source = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        call = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-input",
                "--report", str(report), f"{source}[postgres,fast,notify]"]  # fmt: skip
        if subprocess.run(call, check=False, stdout=sys.stderr).returncode:  # noqa: S603 our own command
            raise ConfigurationError("pip could not resolve what is needed", hint="the lines above say why")
        pinned = constraints_of(json.loads(report.read_text(encoding="utf-8")))
    head = "# What the node was tested with; made by scripts/install --constraints. Hashes: this platform's wheels."
    lines = "\n".join([head, platform_line(), *pinned])
    shipped("router.toml").with_name("constraints.txt").write_text(f"{lines}\n", encoding="utf-8")
    return len(pinned)


def platform_line() -> str:
    """The Python and machine that the hashes are for; `scripts/*` install by them on the same kind only."""
    version = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}"
    return f"# Platform: {version} {sys.platform} {platform.machine()} {platform.libc_ver()[0] or '-'}"


def constraints_of(report: dict[str, Any]) -> list[str]:
    """`name==version --hash=sha256:...` of pip's report (PEP 665's successor, `pip install --report`), by name."""
    lines = []
    for one in report["install"]:
        archive = one["download_info"].get("archive_info")
        if archive is None:
            continue  # the checkout itself
        digest = archive.get("hashes", {}).get("sha256")
        name = re.sub(r"[-_.]+", "-", one["metadata"]["name"]).lower()
        if not digest:
            raise ConfigurationError(f"the package index gives no hash of {name}")
        lines.append(f"{name}=={one['metadata']['version']} --hash=sha256:{digest}")
    return sorted(lines)
