"""The set-up of a machine: folders, files and commands, as a plan that can be read before it is carried out."""

import os
import pwd
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from router.config.file import parse, shipped
from router.crypto.keys import new_folder
from router.errors import ConfigurationError

COMMAND = "imaging-cloud-router"
UNIT, TEMPLATE = f"{COMMAND}.service", f"{COMMAND}@.service"
ON_PATH = Path("/usr/local/bin", COMMAND)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")
_UNITS = Path("/etc/systemd/system")
ACCOUNT = "imaging-router"
PLACES: Mapping[str, Path] = {
    "program": Path("/opt/imaging-cloud-router"), "settings": Path("/etc/imaging-cloud-router"),
    "data": Path("/var/lib/imaging-cloud-router"), "reports": Path("/srv/reports"),
}  # fmt: skip
_SYSTEMD = Path("/run/systemd/system")  # is there where systemd runs (sd_booted(3))
_PYTHONS = ("python3.14", "python3.13", "python3.12", "python3.11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything goes, and what the configuration gets: keys as `hospital.USCI`, values as TOML writes them.

    `number` is the account's and its group's; without one the system chooses. With `folder` everything is below it, for
    the account that installs, without a service. `tables` are appended to the configuration: `query` with its keys.
    `instance` is the name of one of several nodes of the machine, "" for the one without.
    """

    program: Path
    settings: Path
    data: Path
    reports: Path
    account: str
    values: Mapping[str, str]
    number: int | None = None
    folder: Path | None = None
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    instance: str = ""

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.settings / "router.toml"

    @property
    def on_path(self) -> Path:
        """The command that people call."""
        return (
            ON_PATH.with_name(named(COMMAND, self.instance)) if self.folder is None else self.folder / "bin" / COMMAND
        )

    @property
    def service(self) -> str:
        """The name by which systemd knows the node."""
        return f"{named(COMMAND, self.instance)}.service"

    @property
    def unit(self) -> Path | None:
        """The unit of systemd; that of instances is a template, which they share."""
        return _UNITS / (TEMPLATE if self.instance else UNIT) if self.folder is None else None

    @property
    def own_places(self) -> Path | None:
        """The file that gives an instance's unit other places than the template has."""
        return _UNITS / f"{self.service}.d" / "places.conf" if self.instance and self.folder is None else None


def named(place: str, instance: str) -> str:
    """The name of an instance's place: `imaging-cloud-router@renmin`."""
    return f"{place}@{instance}" if instance else place


def account_of(account: str, instance: str) -> str:
    """The account of an instance."""
    return f"{account}-{instance}" if instance else account


def require_name(instance: str) -> None:
    """ConfigurationError unless it can name an instance: it is part of a unit, of folders and of an account."""
    if instance and not _NAME.fullmatch(instance):
        raise ConfigurationError(
            f"{instance!r} cannot name an instance", hint="a small letter, then small letters, digits and -; at most 16"
        )


@dataclass(frozen=True, slots=True)
class Folder:
    """Made with this mode, for the node's account."""

    path: Path
    mode: int


@dataclass(frozen=True, slots=True)
class File:
    """Written with this mode; one that is there is kept unless `renew`."""

    path: Path
    text: str
    mode: int
    renew: bool = False


def folders(site: Site) -> list[Folder]:
    """The folders, owned by the account; the RIS writes to the drop folder as a member of its group."""
    keys = site.settings / "keys"
    return [Folder(site.settings, 0o750), Folder(keys, 0o700), Folder(site.data, 0o700), Folder(site.reports, 0o770)]


def files(site: Site) -> list[File]:
    """The configuration, kept once it exists, and the unit. ConfigurationError for a wrong value."""
    text = configured(shipped("router.toml").read_text(encoding="utf-8"), site)
    parse(text, base=site.settings, source="the configuration from these answers")
    return [File(site.config, text, 0o640), *program_files(site)]


def program_files(site: Site) -> list[File]:
    """The unit and the command on PATH: they belong to the version that is installed."""
    found = [File(site.on_path, _caller(site), 0o755, renew=True)]
    if site.unit is not None:
        text = shipped(UNIT).read_text(encoding="utf-8")
        unit = template_for(text) if site.instance else unit_for(text, site)
        found.insert(0, File(site.unit, unit, 0o644, renew=True))
    if site.own_places is not None and not _is_usual(site):
        found.append(File(site.own_places, places_for(site), 0o644, renew=True))
    return found


def configuration(root: Path | None, settings: Path) -> Path:
    """Where the configuration is, or will be."""
    return below(root or Path("/"), settings.absolute()) / "router.toml"


def _caller(site: Site) -> str:
    """The command on PATH: the program with the node's configuration, under the node's account when root calls it.

    The node could not write to files that root made in the data folder.
    """
    program, config = shlex.quote(str(site.program / "bin" / COMMAND)), shlex.quote(str(site.config))
    account = f"""case "$(id -u) $* " in
    "0 install "* | "0 setup "*) ;; # these change the machine
    "0 status "*"--all "*) ;; # asks each instance by its own command
    "0 "*) exec runuser -u {shlex.quote(site.account)} -- {program} "$@" ;;
esac
"""
    return f"""#!/bin/sh
# The node's commands, by its configuration and its account.
[ -n "$ROUTER_CONFIG" ] || ROUTER_CONFIG={config}
export ROUTER_CONFIG
{account if site.folder is None else ""}exec {program} "$@"
"""


def configured(text: str, site: Site) -> str:
    """The shipped configuration with these values, each in its section with its comment."""
    paths = {"node.data": f'"{site.data}"', "reports.folder": f'"{site.reports}"'}
    for key, value in {**paths, **site.values}.items():
        section, _, name = key.rpartition(".")
        before = rf"^\[\[?{re.escape(section)}\]\]?[^\n]*\n(?:(?!^\[).)*?^"
        pattern = rf"(?ms)({before})(?:# )?({re.escape(name)} = )[^\n#]*?( *(?:#[^\n]*)?)$"
        text, count = re.subn(pattern, lambda found, value=value: found[1] + found[2] + value + found[3], text, count=1)  # type: ignore[misc] # bound now
        if not count:
            raise ConfigurationError(f"the shipped configuration has no {key}")
    for table, keys in site.tables.items():
        text += f"\n[{table}]\n" + "".join(f"{name} = {value}\n" for name, value in keys.items())
    return text


def unit_for(text: str, site: Site) -> str:
    """The shipped unit with these paths and this account."""
    for old, new in (
        ("/opt/imaging-cloud-router", str(site.program)), ("/etc/imaging-cloud-router", str(site.settings)),
        ("/var/lib/imaging-cloud-router", str(site.data)), ("/srv/reports", str(site.reports)),
        ("=imaging-router", f"={site.account}"),
    ):  # fmt: skip
        text = text.replace(old, new)
    return text


def template_for(text: str) -> str:
    """The shipped unit as a template for instances, each with its usual places."""
    program, settings, data, reports = (Path(f"{place}@%i") for place in PLACES.values())
    site = Site(
        program=program, settings=settings, data=data, reports=reports, account=account_of(ACCOUNT, "%i"), values={}
    )
    made = unit_for(text, site)
    return made.replace("Description=Imaging cloud router:", "Description=Imaging cloud router %i:")


def places_for(site: Site) -> str:
    """The lines that give an instance's unit its own places and account."""
    return f"""# Places of this instance, as it was installed with them.
[Service]
ExecStart=
ExecStart={site.program}/bin/{COMMAND} run --config {site.config}
User={site.account}
Group={site.account}
ReadWritePaths=
ReadWritePaths={site.data}
ReadWritePaths=-{site.reports}
ReadOnlyPaths=
ReadOnlyPaths={site.settings}
"""


def _is_usual(site: Site) -> bool:
    """Whether the template has the places of this instance."""
    usual = {name: Path(named(str(place), site.instance)) for name, place in PLACES.items()}
    return site.account == account_of(ACCOUNT, site.instance) and all(
        getattr(site, name) == place for name, place in usual.items()
    )


def commands(site: Site, source: Path, own: str, python: str) -> list[list[str]]:
    """Commands that make the account, the program, and the owners of the folders. Each can be run again."""
    return [*account_commands(site), *program_commands(site, source, own, python), *owner_commands(site)]


def program_commands(site: Site, source: Path, own: str, python: str) -> list[list[str]]:
    """Commands that make the program with `python`, of a checkout or of an unpacked bundle.

    pip is that of `own`, since Debian's Python comes without one for others; a bundle brings its own, and its wheels
    are all that is used.
    """
    wheels, program = source / "wheels", str(site.program / "bin" / "python")
    if wheels.is_dir():
        pins = _only(source, f"constraints-{tag(python)}.txt")
        target = _only(wheels, "imaging_cloud_router-*.whl")
        pip = ["env", "--unset=PYTHONPATH", "PIP_CONFIG_FILE=/dev/null", program, f"{_only(wheels, 'pip-*.whl')}/pip",
               "--isolated", "--disable-pip-version-check", "install", "--quiet", "--no-input", "--no-cache-dir",
               "--no-index", "--find-links", str(wheels)]  # fmt: skip
    else:
        pins, target = shipped("constraints.txt"), source
        pip = [own, "-m", "pip", "--python", program, "install", "--no-input"]
    pinned = ["--require-hashes", "--requirement", str(pins)] if pins.exists() else []
    return [
        [python, "-m", "venv", "--without-pip", str(site.program)],
        *([[*pip, *pinned]] if pinned else []),
        # In a bundle pip sees that nothing is missing: what it looks for can come from the wheels alone.
        [*pip, *(["--no-deps"] if pinned and not wheels.is_dir() else []), str(target)],
    ]


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise ConfigurationError(
            f"{folder} has no {pattern}", hint="unpack the bundle again, or make one for this Python"
        )
    return found[-1]


def tag(python: str) -> str:
    """The kind of a Python as wheels name it, `cp311`."""
    if Path(python).resolve() == Path(sys.executable).resolve():
        return f"cp{sys.version_info[0]}{sys.version_info[1]}"
    code = "import sys; print('cp%d%d' % sys.version_info[:2])"
    asked = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)  # noqa: S603 a Python
    if asked.returncode:
        raise ConfigurationError(f"{python} does not run", hint="name another Python")
    return asked.stdout.strip()


def owner_commands(site: Site) -> list[list[str]]:
    """Commands that give the folders to the account, and have systemd read the unit."""
    if site.folder is not None:
        return []
    strange = [folder.path for folder in folders(site) if not _is_its(folder.path, site)]
    owned = dict.fromkeys(str(path) for path in (*strange, site.settings))
    return [
        ["chown", "-R", f"{site.account}:{site.account}", *owned],
        *([["systemctl", "daemon-reload"]] if has_systemd() else []),
    ]


def has_systemd() -> bool:
    """Whether systemd runs here (sd_booted(3))."""
    return _SYSTEMD.is_dir()


def _is_its(path: Path, site: Site) -> bool:
    """Whether the folder is the account's already: a change is slow on years of data, and may fail on a share."""
    try:
        return path.stat().st_uid == pwd.getpwnam(site.account).pw_uid
    except (OSError, KeyError):
        return False


def account_commands(site: Site) -> list[list[str]]:
    """Commands that make the account and its group, where there is none of this name."""
    if site.folder is not None or _exists(site.account):
        return []
    add = ["useradd", "--system", "--no-create-home", "--home-dir", str(site.data), "--shell", "/usr/sbin/nologin"]
    if site.number is None:
        return [[*add, "--user-group", site.account]]
    number = str(site.number)
    group = ["groupadd", "--system", "--gid", number, site.account]
    return [group, [*add, "--uid", number, "--gid", number, site.account]]


def _exists(account: str) -> bool:
    with suppress(KeyError):
        pwd.getpwnam(account)
        return True
    return False


def require_number(site: Site) -> None:
    """Raise ConfigurationError if the account exists with another number than the one asked for."""
    with suppress(KeyError):
        found = pwd.getpwnam(site.account)
        if site.number not in (None, found.pw_uid) or site.number not in (None, found.pw_gid):
            raise ConfigurationError(
                f"the account {site.account} is there, as {found.pw_uid}:{found.pw_gid}",
                hint=f"give its files to {site.number} and change it with usermod and groupmod, or choose that number",
            )


def start(site: Site) -> str:
    """The command that starts the node."""
    if site.folder is not None:
        return f"{site.on_path} run"
    if has_systemd():
        return f"systemctl enable --now {site.service}"
    run = f"{site.program}/bin/imaging-cloud-router run --config {site.config}"
    return f"systemd does not run here; as {site.account}, with umask 077: {run}"


def interpreter(own: Path, folder: Path | None = None) -> str:
    """The Python for the program: `own`, or the system's if the node's account cannot run `own`.

    ConfigurationError when there is none. Below a folder the account is the one that installs.
    """
    if folder is not None:
        return str(own.resolve())
    for python in (own.resolve(), *(path for name in _PYTHONS if (path := Path("/usr/bin") / name).exists())):
        if reachable(python.resolve()):
            return str(python)
    raise ConfigurationError(
        f"{own.resolve()} cannot be run by the node's account", hint="install Python 3.11 or newer for the whole system"
    )


def reachable(program: Path) -> bool:
    """Whether every account can run it, also under a unit that hides the home folders."""
    if any(program.is_relative_to(home) for home in ("/root", "/home", "/run/user")):
        return False
    return all(each.stat().st_mode & stat.S_IXOTH for each in (program, *program.parents))


def write(site: Site, root: Path, *, trial_keys: bool, is_configured: bool = True) -> list[str]:
    """Make folders and files below `root`; return a line for each, made or kept. The configuration may be left out."""
    wanted, lines = files(site) if is_configured else program_files(site), []
    for folder in folders(site):
        path = below(root, folder.path)
        path.mkdir(parents=True, exist_ok=True)
        if stat.S_IMODE(path.stat().st_mode) != folder.mode:
            path.chmod(folder.mode)
        lines.append(f"folder {folder.path} {folder.mode:04o}")
    lines += [_written(file, below(root, file.path)) for file in wanted]
    keys = below(root, site.settings / "keys")
    if trial_keys and not any(keys.iterdir()):
        new_folder(keys)
        lines.append(f"keys for trying out in {site.settings / 'keys'}")
    return lines


def _written(file: File, path: Path) -> str:
    if path.exists() and not file.renew:
        return f"kept {file.path}: it is yours"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file.text, encoding="utf-8")
    path.chmod(file.mode)
    return f"file {file.path} {file.mode:04o}"


def run(calls: Sequence[Sequence[str]]) -> None:
    """Run the commands in order; ConfigurationError if one fails. An existing account is no failure."""
    for call in calls:
        status = subprocess.run(call, check=False).returncode  # noqa: S603 our own commands
        if status and not (call[0] in ("useradd", "groupadd") and status == 9):
            raise ConfigurationError(f"{' '.join(call)} ended with {status}", hint="the lines above say why")


def below(root: Path, path: Path) -> Path:
    """The path in a machine whose files are below `root`."""
    return root / os.path.relpath(path, "/")
