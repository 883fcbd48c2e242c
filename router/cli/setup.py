"""`setup`: the first run, from questions to a test exam."""

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from router.admin import deployment, installation
from router.admin.answers import files_of, tables_of, values_of
from router.admin.installation import COMMAND, Site, require_name
from router.admin.instances import free_port, installed, require_apart
from router.admin.questions import KEY_FILES, NO, YES, Fault, Question, questions, senders_in
from router.cli.install import checkout, quoted, require_root, senders, site_of, values_of_instance
from router.cli.options import config_option, configured
from router.cli.speech import confirm, echo, say, speech, tongue
from router.errors import ConfigurationError, IntegrityError, RouterError
from router.text.language import DEFAULT, N_, SOURCE

_RECEIVE_PORT, _ADMIN_PORT = 11112, 8080  # of the shipped configuration
_FOLDER = click.Path(path_type=Path, file_okay=False)
_KEPT_SILENT = "keep_silent"  # of a file of answers: peers that do not answer yet are kept
_REPLACE = "replace"  # of a file of answers: an existing configuration is replaced, and kept beside
_WELCOME = N_("Enter takes the answer in brackets, which does no harm. Nothing is written before the last question.")
_NOT_TAKEN = N_("not taken: {why}")
_REPLACED = N_("the former configuration is kept as {path}")
_THERE = N_("there is a configuration: {path}")
_WHICH = N_("Which one is this? One of them, another name, or empty: the one without a name")
_NAMED = N_("nodes of this machine by name: {names}")
_TRIAL = N_("test exam: a node of this installation on its own ports, to a reference platform on this machine")
_STARTED = N_("the node runs as a service")
_START = N_("start the node: {command}")
_READY = N_("Done. Next: `{doctor}` says what is still missing; {docs}")
_NEXT = N_("point PACS and RIS at the node (README)")
_FAULTS = N_("the answers have faults; nothing was written:")
_NOBODY = N_("nobody is here to be asked: give --answers FILE; --example prints one")
_NO_TOML = N_("{file} cannot be read as TOML: {error}")
_UNKNOWN = N_("{file} has unknown answers: {keys}")


@click.command("setup")
@click.option(
    "--answers",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Take the answers from this TOML file and ask nothing; what it leaves out is the default.",
)
@click.option("--example", is_flag=True, help="Print a file of answers with every default.")
@click.option("--folder", type=_FOLDER, help="Everything below this folder, for your own account, without a service.")
@click.option("--instance", metavar="NAME", help="One of several nodes of this machine, with places of its own.")
@click.option("--trial", is_flag=True, help="Only the test exam, with the hospital of the configuration.")
@click.option("--source", type=_FOLDER, hidden=True, help="The unpacked bundle.")
@config_option
def command(
    file: Path | None, example: bool, folder: Path | None, instance: str | None, trial: bool, source: Path | None,
    config_file: Path,
) -> None:  # fmt: skip
    """The first run: asks what must be known, checks each answer at once, installs, and ends with a test exam.

    As root it makes a service; as another account everything goes below a folder. The test exam goes to a reference
    platform on this machine, never to the configured cloud. An existing configuration is replaced only if you say so.

    Where nodes of several names are on the machine, it asks which one is meant, unless --instance says it.
    """
    if trial:
        _try(config_file)
        return
    speech().use(_language())
    is_installed = deployment.Record.of(Path(sys.prefix)) is not None
    if folder is None and os.geteuid() != 0 and not is_installed:
        folder = Path.home() / COMMAND
    if folder is None and instance is None and file is None and not (example or is_installed):
        instance = _which()
    site = site_of({"folder": folder, "instance": instance}, {})
    asked = _questions(site)
    if example:
        click.echo(_example(asked))
        return
    require_root(site)
    _run(site, asked, None if file is None else _read(file), source)


def _which() -> str:
    """The instance that a person names, of those that are there or another; "" for the node without a name."""
    names = [one.name for one in installed() if one.name]
    if not names or not sys.stdin.isatty():
        return ""
    echo(tongue().say(_NAMED, names=", ".join(names)))
    answer: str = click.prompt(say(_WHICH), default="", show_default=False)
    require_name(answer.strip())
    return answer.strip()


def _language() -> str:
    """The terminal's language."""
    chosen = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return DEFAULT if chosen.startswith("zh") else SOURCE


def _questions(site: Site) -> list[Question]:
    asked = questions(
        language=_language(), data=site.data, reports=site.reports,
        with_service=site.folder is None and installation.has_systemd(),
    )  # fmt: skip
    port = str(free_port(_RECEIVE_PORT)) if site.instance else ""
    return [replace(one, default=port) if port and one.key == "receive.port" else one for one in asked]


def _run(site: Site, asked: Sequence[Question], given: dict[str, str] | None, source: Path | None) -> None:
    """Ask, install, try."""
    is_kept = site.config.exists() and not _may_replace(site, given)
    answers = {} if is_kept else _answers(asked, given)
    if answers:
        site = _answered(site, answers)
        installation.files(site)  # the faults of the whole, before anything is written
        if site.folder is None:
            require_apart(site)
    _install(site, answers, source, is_kept=is_kept)
    if is_kept or answers["destination.own"] == YES:
        _call(site, "doctor", check=False)
    if answers.get("service.start") == YES:
        installation.run([["systemctl", "enable", "--now", site.service]])
        echo(_STARTED)
    _call(site, "setup", "--trial")
    if answers.get("service.start") != YES:
        echo(tongue().say(_START, command=installation.start(site)))
    echo(tongue().say(_READY, doctor=f"{_called(site)} doctor", docs=say(_NEXT)))


def _may_replace(site: Site, given: Mapping[str, str] | None) -> bool:
    if given is not None:
        return given.get(_REPLACE) == YES
    echo(tongue().say(_THERE, path=site.config))
    _require_person()
    return confirm(N_("Answer the questions again and replace it? The former one is kept."))


def _answered(site: Site, answers: Mapping[str, str]) -> Site:
    values = values_of(answers, quoted)
    if found := senders_in(answers.get("receive.senders", "")):
        values["receive.senders"] = senders(found)
    if site.instance:
        values |= values_of_instance(site.instance) | {"admin.port": str(free_port(_ADMIN_PORT))}
    data, reports = (Path(answers[f"places.{name}"]).expanduser() for name in ("data", "reports"))
    return replace(site, data=data, reports=reports, values=values, tables=tables_of(answers, quoted))


# -- asking


def _answers(asked: Sequence[Question], given: Mapping[str, str] | None) -> dict[str, str]:
    if given is not None:
        return _checked(asked, given)
    _require_person()
    answers: dict[str, str] = {}
    echo(_WELCOME)
    for question in asked:
        if question.is_asked(answers):
            answers[question.key] = _ask(question, answers)
        if question.key == "language":
            speech().use(answers["language"])
    return answers


def _require_person() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(_NOBODY)


def _ask(question: Question, before: Mapping[str, str]) -> str:
    """Ask until the answer is taken."""
    while True:
        given = click.prompt(say(question.text), default=question.default, show_default=bool(question.default))
        answer = question.normal(given)
        faults = list(question.check(answer, before))
        for fault in faults:
            echo(tongue().say(_NOT_TAKEN, why=_told(fault)))
        if not faults or (_may_stay(faults) and confirm(N_("Keep it all the same, to be put right later?"))):
            return answer


def _may_stay(faults: Sequence[Fault]) -> bool:
    return all(fault.may_stay for fault in faults)


def _told(fault: Fault) -> str:
    return say(fault.text) + (f" ({say(fault.remedy)})" if fault.remedy else "")


def _checked(asked: Sequence[Question], given: Mapping[str, str]) -> dict[str, str]:
    """The answers of a file with the defaults of the rest; ConfigurationError names the fault of each."""
    answers: dict[str, str] = {}
    faults = []
    for question in asked:
        if not question.is_asked(answers):
            continue
        answers[question.key] = question.normal(given.get(question.key, question.default))
        found = list(question.check(answers[question.key], answers))
        if found and not (_may_stay(found) and given.get(_KEPT_SILENT) == YES):
            faults += [f"{question.key} = {answers[question.key]!r}: {_told(fault)}" for fault in found]
    if faults:
        raise ConfigurationError(_FAULTS, faults=tuple(faults))
    speech().use(answers["language"])
    return answers


def _read(file: Path) -> dict[str, str]:
    """The answers of a TOML file, flat. ConfigurationError when it is none, or has keys that no question has."""
    try:
        found = dict(_flat("", tomllib.loads(file.read_text(encoding="utf-8"))))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(_NO_TOML.format(file=file, error=error)) from error
    every = questions(language=SOURCE, data=Path("/"), reports=Path("/"), with_service=True)
    unknown = sorted(set(found) - {question.key for question in every} - {_KEPT_SILENT, _REPLACE})
    if unknown:
        raise ConfigurationError(_UNKNOWN.format(file=file, keys=", ".join(unknown)), hint="see `setup --example`")
    return found


def _flat(before: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{before}{key}.", value)
        else:
            yield f"{before}{key}", {True: YES, False: NO}[value] if isinstance(value, bool) else str(value)


def _example(asked: Sequence[Question]) -> str:
    lines, section = [], ""
    for question in asked:
        table, _, name = question.key.rpartition(".")
        if table != section:
            lines.append(f"\n[{table}]")
            section = table
        lines.append(f"# {say(question.text)}\n{name} = {quoted(question.default)}")
    kept = say(N_("keep what does not answer yet; replace an existing configuration"))
    return "\n".join([*lines[:1], f"# {kept}", f'{_KEPT_SILENT} = "{NO}"', f'{_REPLACE} = "{NO}"', *lines[1:]])


# -- installing


def _install(site: Site, answers: Mapping[str, str], source: Path | None, *, is_kept: bool) -> None:
    """With the node stopped; a former configuration is back if nothing came of it."""
    with deployment.stopped(site):
        kept = _keep_former(site.config) if not is_kept and site.config.exists() else None
        try:
            _bring_keys(site, files_of(answers))
            _carry_out(site, source, trial_keys=not is_kept and not answers.get("destination.keys"))
        except (RouterError, OSError):
            if kept is not None and not site.config.exists():
                kept.rename(site.config)
            raise


def _carry_out(site: Site, source: Path | None, *, trial_keys: bool) -> None:
    if source is None and Path(sys.prefix) == site.program:  # the installed program: it is there
        deployment.configure(site, click.echo, trial_keys=trial_keys)
        return
    installation.require_number(site)
    python = installation.interpreter(Path(sys.executable), site.folder)
    deployment.install(site, source or checkout(), python, click.echo, trial_keys=trial_keys)


def _keep_former(path: Path) -> Path:
    kept = path.with_name(f"{path.name}.{datetime.now().astimezone():%Y%m%dT%H%M%S}")
    path.rename(kept)
    echo(tongue().say(_REPLACED, path=kept))
    return kept


def _bring_keys(site: Site, files: Mapping[str, Path]) -> None:
    """Copy the files into the keys folder; a different one of that name is kept beside."""
    folder = site.settings / "keys"
    if not files:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if set(KEY_FILES) & set(files):
        _keep_strangers(folder)
    for name, source in files.items():
        path, content = folder / name, source.read_bytes()
        if path.exists() and path.read_bytes() != content:
            _keep_former(path)
        path.touch(mode=0o600)
        path.write_bytes(content)


def _keep_strangers(folder: Path) -> None:
    """Set aside the public half of a key that goes: it would not belong to the new one."""
    stray = folder / "hospital-sign.pub.pem"
    if stray.exists():
        _keep_former(stray)


# -- trying


def _called(site: Site) -> str:
    return site.on_path.name if site.folder is None else str(site.on_path)


def _call(site: Site, *arguments: str, check: bool = True) -> None:
    """Run a command of the installed program, as the node's account."""
    program = [str(site.program / "bin" / COMMAND), *arguments, "--config", str(site.config)]
    as_account = ["runuser", "-u", site.account, "--"] if site.folder is None else []
    call = ["env", "--unset=PYTHONPATH", *as_account, *program]
    try:
        installation.run([call])
    except ConfigurationError:
        if check:
            raise


def _try(config_file: Path) -> None:
    """The test exam; IntegrityError for a fault."""
    from router.trial.demo.first_exam import deliver

    config = configured(config_file)
    echo(_TRIAL)
    findings = deliver(config.node.language, config.hospital[0])
    for finding in findings:
        click.echo(f"{'FAULT' if finding.faults else '   ok'}  {say(finding.text)}")
        for fault in finding.faults:
            click.echo(f"         {say(fault)}")
    if any(finding.faults for finding in findings):
        raise IntegrityError("the test exam did not arrive as it was sent", hint="run it again: `setup --trial`")
