"""`install`: account, folders, configuration, keys and the systemd unit of a machine."""

import getpass
import json
import os
import platform
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from router.admin import deployment, installation
from router.admin.deployment import Record
from router.admin.installation import ACCOUNT, PLACES, Site, account_of, named, require_name
from router.admin.instances import require_apart
from router.cli.speech import confirm
from router.config.file import shipped
from router.errors import ConfigurationError

_ASKED = {
    "usci": ("hospital.USCI", "统一社会信用代码 (USCI)"),
    "code": ("hospital.HospitalCode", "医疗机构编码 (HospitalCode)"),
    "name": ("hospital.HospitalName", "医疗机构名称 (HospitalName)"),
    "branch": ("hospital.HospitalBranchCode", "医疗机构分院编码 (HospitalBranchCode)"),
}
_PORT = click.IntRange(1, 65535)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_BELOW = {"program": "program", "settings": "conf", "data": "data", "reports": "reports"}
_SENDER = re.compile(r"(?P<ae>[^=]{1,16})=(?P<address>[0-9A-Fa-f.:/]+)")


@click.command("install")
@click.option(
    "--instance",
    metavar="NAME",
    help="One of several nodes of this machine, each with program, places, account and ports of its own.",
)
@click.option("--port", type=_PORT, help="Where it listens for images.  [default: 11112]")
@click.option("--admin-port", type=_PORT, help="Where its console and monitoring listen.  [default: 8080]")
@click.option("--usci", help="统一社会信用代码.")
@click.option("--code", help="医疗机构编码.")
@click.option("--name", help="医疗机构名称.")
@click.option("--branch", help="医疗机构分院编码.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where PACS and modalities reach the node.")
@click.option("--sender", "senders", multiple=True, metavar="AE=ADDRESS", help="Who may send; may be given again.")
@click.option("--allow-plain", is_flag=True, help="DICOM without TLS beyond loopback.")
@click.option("--data", type=_FOLDER, help=f"Everything that the node keeps.  [default: {PLACES['data']}]")
@click.option("--reports", type=_FOLDER, help=f"The drop folder of the RIS.  [default: {PLACES['reports']}]")
@click.option("--settings", type=_FOLDER, help=f"Configuration and keys.  [default: {PLACES['settings']}]")
@click.option("--program", type=_FOLDER, help=f"The program.  [default: {PLACES['program']}]")
@click.option("--folder", type=_FOLDER, help="Everything below this folder, for your own account, without a service.")
@click.option("--account", help="The node's own account.  [default: imaging-router]")
@click.option(
    "--uid", "number", type=click.IntRange(1, 2**31 - 1),
    help="Number of the account and of its group: the same on every host of a shared data folder.",
)  # fmt: skip
@click.option("--trial-keys", is_flag=True, help="Make a set of keys for trying out.")
@click.option("--root", type=click.Path(path_type=Path), help="Write below this folder and run nothing.")
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@click.option("--unconfigured", is_flag=True, help="Program and service only; `setup` writes the configuration.")
@click.option("--copied", is_flag=True, help="Do not copy the database: there is a copy.")
@click.option("--back", is_flag=True, help="Put the former program back, and its database if the tables changed.")
@click.option("--remove", is_flag=True, help="Remove program and service; configuration, keys and data stay.")
@click.option("--with-data", is_flag=True, help="With --remove: configuration, keys and data, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--constraints", is_flag=True, help="Only make conf/constraints.txt anew, from the package index.")
@click.option("--source", type=_FOLDER, hidden=True, help="The unpacked bundle.")
def command(**given: Any) -> None:
    """Set up this machine, as root; or with --folder below a folder, as any account.

    It asks for what no option gives, and keeps an existing configuration. To upgrade, run it again from the new
    version: it asks nothing, stops the node, copies its database, renews program and unit, and starts the node if it
    ran. The former program stays beside the new one: --back puts it back.

    With --instance NAME all of that is of the instance alone: its service is imaging-cloud-router@NAME, its command
    likewise, and its places end in @NAME. A port of another instance is refused. `status --all` shows all of them.
    """
    if given["constraints"]:
        click.echo(f"{make_constraints()} packages pinned in conf/constraints.txt")
    elif given["back"] or given["remove"]:
        _undo(given)
    else:
        _install(given, given["source"] or checkout())


def _install(given: dict[str, Any], source: Path) -> None:
    site = _site(given)
    python = installation.interpreter(Path(sys.executable), site.folder)
    is_configured = not given["unconfigured"]
    if is_configured and site.folder is None:
        require_apart(site, given["root"] or Path("/"))
    if given["dry_run"]:
        files = installation.files(site) if is_configured else installation.program_files(site)
        lines = [f"folder {each.path} {each.mode:04o}" for each in installation.folders(site)]
        calls = installation.commands(site, source, sys.executable, python)
        _tell([*lines, *(f"file {each.path} {each.mode:04o}" for each in files)], calls)
    elif given["root"] is not None:
        calls = installation.commands(site, source, sys.executable, python)
        _tell(installation.write(site, given["root"], trial_keys=given["trial_keys"]), calls)
    else:
        require_root(site)
        installation.require_number(site)
        installation.files(site)  # the faults of answers, before anything is done
        deployment.install(
            site,
            source,
            python,
            click.echo,
            trial_keys=given["trial_keys"],
            is_configured=is_configured,
            is_copied=given["copied"],
        )
        _say_next(site, is_configured=is_configured)


def _say_next(site: Site, *, is_configured: bool) -> None:
    called = site.on_path.name if site.folder is None else site.on_path
    if not is_configured and not site.config.exists():
        click.echo(f"next: {called} setup")
        return
    click.echo(f"next: your keys into {site.settings}/keys, the destination into {site.config}; then")
    click.echo(f"{called} doctor")
    click.echo(installation.start(site))


def _undo(given: dict[str, Any]) -> None:
    site = site_of(given, {})
    require_root(site)
    if given["back"]:
        deployment.go_back(site, click.echo)
        return
    question = f"Remove {site.data} and {site.settings}, with every image, report and key?"
    if given["with_data"] and not given["yes"]:
        if not sys.stdin.isatty():
            raise click.UsageError("--with-data removes what nobody can bring back: it wants --yes")
        confirm(question, abort=True)
    deployment.remove(site, click.echo, with_data=given["with_data"])


def require_root(site: Site) -> None:
    """UsageError unless this account may install there."""
    if site.folder is None and os.geteuid() != 0:
        raise click.UsageError("run it as root, or with --folder, --root or --dry-run")


def checkout() -> Path:
    """The checkout that runs; UsageError where the program is an installed one."""
    source = Path(__file__).parents[2]
    if not (source / "setup.cfg").exists():
        raise click.UsageError("an installed program cannot install itself: run ./install of a bundle")
    return source


def _tell(lines: list[str], calls: list[list[str]]) -> None:
    """Print what was or would be written, then the commands that are not run here."""
    for line in lines:
        click.echo(line)
    for call in calls:
        click.echo(f"not run: {shlex.join(call)}")


def _site(given: dict[str, Any]) -> Site:
    site = site_of(given, {})
    is_asked = not given["unconfigured"] and not installation.configuration(given["root"], site.settings).exists()
    values = {
        key: quoted(given[option] or _ask(option, words))
        for option, (key, words) in _ASKED.items()
        if given[option] or is_asked
    }
    values["receive.host"] = quoted(given["host"])
    values["receive.allow_plain"] = "true" if given["allow_plain"] else "false"
    for key, option in (("receive.port", "port"), ("admin.port", "admin_port")):
        if given[option]:
            values[key] = str(given[option])
    if site.instance:
        values |= values_of_instance(site.instance)
    if given["senders"]:
        values["receive.senders"] = senders(given["senders"])
    return replace(site, values=values)


def values_of_instance(instance: str) -> dict[str, str]:
    """Values of the configuration that an instance needs: the host's name is the others', too."""
    return {"node.name": quoted(f"{socket.gethostname()}-{instance}")}


def site_of(given: Mapping[str, Any], values: Mapping[str, str]) -> Site:
    """The places by the options, else as the installed program recorded them, else the usual ones."""
    folder, asked, instance = given.get("folder"), given.get("program"), given.get("instance") or ""
    require_name(instance)
    if instance and folder is not None:
        raise click.UsageError("--instance names a service: below --folder there is none")
    here = Record.of(Path(sys.prefix))
    if here is not None and folder is None and asked is None and instance in ("", here.instance):
        folder, asked = Path(here.folder) if here.folder else None, Path(sys.prefix)  # the installed program itself
        instance = here.instance
    folder = None if folder is None else folder.absolute()
    usual = {name: Path(named(str(place), instance)) for name, place in PLACES.items()}
    places = usual if folder is None else {name: folder / below for name, below in _BELOW.items()}
    program = Path(asked or places["program"]).absolute()
    found = Record.of(program)
    if found is not None:
        places |= {"settings": Path(found.settings), "data": Path(found.data), "reports": Path(found.reports)}
    settings, data, reports = (
        Path(given.get(name) or places[name]).absolute() for name in ("settings", "data", "reports")
    )
    own = account_of(ACCOUNT, instance) if folder is None else getpass.getuser()
    account = given.get("account") or (found.account if found else own)
    return Site(
        program=program, settings=settings, data=data, reports=reports, account=account, values=values,
        number=given.get("number"), folder=folder, instance=instance,
    )  # fmt: skip


def _ask(option: str, words: str) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"--{option} is missing, and nobody is here to be asked")
    answer: str = click.prompt(words)
    return answer


def senders(texts: Sequence[str]) -> str:
    """[receive] senders as TOML writes it; UsageError for one that is not AE=ADDRESS."""
    return f"[{', '.join(map(_sender, texts))}]"


def _sender(text: str) -> str:
    found = _SENDER.fullmatch(text)
    if found is None:
        raise click.UsageError("--sender: expected AE=ADDRESS, for instance PACS=10.1.2.3 or CT01=10.1.2.0/24")
    return f"{{ ae_title = {quoted(found['ae'])}, address = {quoted(found['address'])} }}"


def quoted(text: str) -> str:
    """A basic string of TOML, which takes what JSON does."""
    return json.dumps(text, ensure_ascii=False)


def make_constraints() -> int:
    """Pin what pip would install, by the index's hashes, with the extras that a node may need; return how many."""
    source = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        call = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-input",
                "--report", str(report), f"{source}[postgres,fast,notify,preview]"]  # fmt: skip
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
