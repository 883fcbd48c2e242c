"""`profile`: profiles of files, checked, shown, tried at the real platform, and replayed."""

import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from router.cli.options import common_options, configured, destinations, print_json, require_destination
from router.cli.speech import confirm, echo, say
from router.clock import SystemClock
from router.config.sections import Config, HttpDestination
from router.errors import ConfigurationError, InvalidData, RouterError
from router.forward.blocks.request import Form, Request
from router.forward.blocks.trace import Note
from router.forward.blocks.values import Document
from router.forward.blocks.verdict import Verdict
from router.forward.conversation import Said
from router.forward.credentials import load_credentials
from router.forward.guard.outside import Outside
from router.forward.guard.source import read_source
from router.forward.recorded import last_exchange, masked
from router.forward.report import ReportAgent, Upload
from router.forward.session import Session, load, replay, save
from router.forward.tryout import rehearsed_calls, throw_away
from router.text.language import N_

_LONGEST = 400
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_MARK = "TEST-"
_LABELS = N_({
    "name": "profile name", "sha256": "SHA-256", "calls": "calls in order", "keys": "keys",
    "secrets": "secrets needed", "settings": "settings needed", "allow_weak": "weak modes allowed, because",
    "call": "call", "at": "sent at (ms)", "idem": "content number (idem)", "piece": "part number", "request": "request",
    "headers": "headers", "body": "body", "answer": "answer", "verdict": "verdict", "rule": "rule that decided",
    "why": "reason", "receipt": "receipt number", "status": "HTTP status", "error": "kind of error",
    "faults": "fields with faults", "then": "verdict then", "again": "verdict again", "same": "the same",
    "request differs in": "request differs in",
})  # fmt: skip
file_argument = click.argument("file", type=_FILE)
exam_option = click.option("--exam", "exam_file", type=_FILE, required=True, help="An exam JSON.")
pdf_option = click.option("--pdf", "pdf_file", type=_FILE, required=True, help="The report's PDF.")
destination_option = click.option(
    "--destination", "name", metavar="NAME", shell_complete=destinations,
    help="With the keys, secrets and settings of this destination; else with keys made for the purpose.",
)  # fmt: skip
hospital_option = click.option("--hospital", default="", metavar="NAME", help="By this hospital's account there.")


@click.group()
def command() -> None:
    """Profiles outside the package (router/docs/profiles.md): check, show, try, replay, the last exchange."""


@command.command()
@file_argument
@destination_option
@hospital_option
@common_options
def check(file: Path, name: str | None, hospital: str, config_file: Path, as_json: bool) -> int:
    """Check a profile's FILE whole: text, declaration, and each call with a sample exam and answers of all kinds.

    Exit status: 0 no fault; 1 faults, every one of them printed.
    """
    try:
        with _profile(file, name, hospital, config_file) as (profile, _):
            outline = profile.outline
            kept: dict[str, Any] = {
                "name": outline.name, "sha256": profile.digest,
                "calls": [one.name for one in outline.steps()],
                "keys": list(profile.needs.keys), "secrets": list(profile.needs.secrets),
                "settings": list(profile.needs.settings), "allow_weak": outline.allow_weak, "faults": [],
            }  # fmt: skip
    except ConfigurationError as error:
        kept = {"faults": list(error.faults) or [error.message]}
    if as_json:
        print_json(kept)
    else:
        for fault in kept["faults"]:
            click.echo(f"  {say(fault)}")
        if not kept["faults"]:
            click.echo(_lines(kept))
        echo(f"{len(kept['faults'])} fault(s)")
    return 1 if kept["faults"] else 0


@command.command()
@file_argument
@exam_option
@pdf_option
@destination_option
@hospital_option
@common_options
def show(
    file: Path, exam_file: Path, pdf_file: Path, name: str | None, hospital: str, config_file: Path, as_json: bool
) -> None:  # fmt: skip
    """Show every call of FILE as it would go for this exam: what is signed, what is encrypted, by which key.

    Nothing is sent. What an answer would have given (a token, an upload's number) is a word in its place.
    """
    with _profile(file, name, hospital, config_file) as (profile, there):
        calls = [
            {"call": call, **_shown(request, notes)}
            for call, request, notes in rehearsed_calls(profile, there, exam_file, pdf_file)
        ]
    if as_json:
        print_json(calls)
        return
    for one in calls:
        click.echo(_lines(one) + "\n")


@command.command("try")
@click.argument("destination", shell_complete=destinations)
@exam_option
@pdf_option
@hospital_option
@click.option("--plain", is_flag=True, help="Show values as they are, patient data among them.")
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Keep the session in this new file.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
def try_(
    destination: str, exam_file: Path, pdf_file: Path, hospital: str, plain: bool, record: Path | None, yes: bool,
    config_file: Path, as_json: bool,
) -> int:  # fmt: skip
    """Send one exam to the real platform of DESTINATION, and show each call, its answer and the rule that decided.

    The exam is marked: its ExamId begins with TEST-. Nothing is written into the queue. Exit status 1 unless a receipt
    came that is proved to be the platform's.
    """
    there = _settings(configured(config_file), destination, hospital)
    if not (yes or confirm("Send this exam to the real platform now?", err=True)):
        return 1
    said: list[Said] = []
    credentials = load_credentials(there)
    agent = ReportAgent(there, lambda: credentials, SystemClock(), heard=said.append)
    outcome: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        upload = _marked(Path(folder), exam_file, pdf_file, configured(config_file), hospital)
        calls: list[dict[str, Any]] = []
        try:
            receipt = agent.send(upload)
            outcome = {"receipt": receipt.receipt, "idem": receipt.idem, "status": receipt.status}
        except RouterError as error:
            outcome = {"error": type(error).__name__, "why": str(error), "faults": getattr(error, "faults", ())}
        calls = [_plainly(one) if plain else masked(one) for one in said]
        if record is not None:
            save(record, Session(
                destination=destination, account=hospital, exam=upload.exam_file.read_bytes(),
                report=upload.report_file.read_bytes(), calls=tuple(said),
            ))  # fmt: skip
    if not plain and "faults" in outcome:
        outcome["faults"] = [path for path, _ in outcome["faults"]]
    if as_json:
        print_json({"calls": calls, **outcome})
    else:
        for one in calls:
            click.echo(_lines(one) + "\n")
        click.echo(_lines(outcome))
    return 0 if "receipt" in outcome else 1


@command.command("replay")
@click.argument("session_file", type=_FILE)
@click.option("--file", type=_FILE, help="Judge by this profile instead of the configured one.")
@common_options
def replay_(session_file: Path, file: Path | None, config_file: Path, as_json: bool) -> int:
    """Judge a session that `profile try --record` kept once more, by the profile as it is, without the platform.

    Exit status 1 when a verdict, or the rule that decided, is another.
    """
    session = load(session_file)
    there = _settings(configured(config_file), session.destination, session.account)
    if file is not None:
        there = there.model_copy(update={"profile": f"file:{file.resolve()}"})
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        found = replay(session, load_credentials(there).profile, Path(folder))
    rows = [
        {
            "call": one.call, "then": _verdict(one.then), "again": _verdict(one.again), "same": one.same,
            "request differs in": list(one.differs),
        }
        for one in found
    ]  # fmt: skip
    if as_json:
        print_json(rows)
    else:
        for one in rows:
            click.echo(_lines(one) + "\n")
    return 0 if all(one.same for one in found) else 1


@command.command()
@click.argument("destination", shell_complete=destinations)
@hospital_option
@common_options
def last(destination: str, hospital: str, config_file: Path, as_json: bool) -> int:
    """Show the last exchange of the node with DESTINATION, masked: calls, answers, and the rules that decided."""
    config = configured(config_file)
    require_destination(destination, config)
    calls = last_exchange(config.node.data / "exchanges", destination, hospital)
    if not calls:
        echo("nothing was exchanged yet")
        return 1
    if as_json:
        print_json({"masked": True, "calls": calls})
        return 0
    for one in calls:
        click.echo(_lines(one) + "\n")
    return 0


@contextmanager
def _profile(
    file: Path, name: str | None, hospital: str, config_file: Path
) -> Iterator[tuple[Outside, HttpDestination]]:  # fmt: skip
    """The profile of a file with keys: a destination's, or new ones."""
    profile = Outside(read_source(file.resolve(), ours=False))
    try:
        with tempfile.TemporaryDirectory(prefix="profile-") as folder:
            if name is None:
                there = throw_away(profile, Path(folder))
            else:
                there = _settings(configured(config_file), name, hospital)
            there = there.model_copy(update={"profile": f"file:{file.resolve()}"})
            profile.open(there)
            yield profile, there
    finally:
        profile.close()


def _settings(config: Config, name: str, hospital: str) -> HttpDestination:
    require_destination(name, config)
    destination = config.destination_named(name)
    http = None if destination is None else destination.http_of(hospital)
    if http is None:
        raise InvalidData(f"destination {name} takes no reports: it has no [destination.http]")
    return http


def _marked(folder: Path, exam_file: Path, pdf_file: Path, config: Config, hospital: str) -> Upload:
    """Copies of both, the exam under an ExamId that says that it is a test."""
    try:
        exam = json.loads(exam_file.read_bytes())
    except ValueError as error:
        raise InvalidData(f"{exam_file} is not JSON") from error
    if not isinstance(exam, dict):
        raise InvalidData(f"{exam_file} is not an exam JSON")
    exam["ExamId"] = f"{_MARK}{str(exam.get('ExamId', '')).removeprefix(_MARK)}"
    (folder / "exam.json").write_text(json.dumps(exam, ensure_ascii=False), encoding="utf-8")
    (folder / "report.pdf").write_bytes(pdf_file.read_bytes())
    own = config.for_hospital(hospital) if hospital else None
    org = (own.own if own is not None else config.hospital[0]).USCI
    return Upload(
        org=org, idem=secrets.token_hex(16), revision=1, exam_file=folder / "exam.json",
        report_file=folder / "report.pdf",
    )  # fmt: skip


def _shown(request: Request, notes: list[Note]) -> dict[str, Any]:
    return {
        "request": f"{request.method} {request.path}",
        "headers": dict(request.headers),
        "body": _body(request.body),
        "keys": [{"done": one.done, "by": one.by, "over": _text(one.text)} for one in notes],
    }


def _plainly(said: Said) -> dict[str, Any]:
    answer = {"status": said.answer.status, "headers": dict(said.answer.headers), "body": _body(said.answer.body)}
    return {
        "call": said.call, **_shown(_whole(said), list(said.notes)), "answer": answer,
        "verdict": _verdict(said.verdict),
    }  # fmt: skip


def _whole(said: Said) -> Request:
    """The request by its whole path; its spooled documents may be gone, and are shown by their size."""
    request = replace(said.request, path=said.message.base + said.request.path)
    body = request.body
    if isinstance(body, Form):
        parts = tuple(replace(one, content=_sized(one.content)) for one in body.parts)
        return replace(request, body=Form(parts))
    return replace(request, body=_sized(body))


def _sized(content: bytes | Document) -> bytes:
    return f"<{content.size} bytes>".encode() if isinstance(content, Document) else content


def _body(body: bytes | Document | Form) -> Any:
    if isinstance(body, Form):
        return [{"part": one.name, "type": one.content_type, "content": _body(one.content)} for one in body.parts]
    if isinstance(body, Document):
        return f"<{body.size} bytes>"
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return _text(body)
    return _shortened(found)


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    return (
        f"{value[:_LONGEST]}... ({len(value)} characters)"
        if isinstance(value, str) and len(value) > _LONGEST
        else value
    )


def _text(data: bytes) -> str:
    text = data[:_LONGEST].decode("utf-8", "replace")
    if not text.isprintable() and not text.replace("\n", "").isprintable():
        text = data[: _LONGEST // 8].hex()
    return text if len(data) <= _LONGEST else f"{text}... ({len(data)} bytes)"


def _verdict(verdict: Verdict) -> str:
    return f"{type(verdict).__name__} ({verdict.rule})" if verdict.rule else type(verdict).__name__


def _lines(found: dict[str, Any]) -> str:
    """One field a line, under its label in the command's language; what has parts is indented JSON."""
    return "\n".join(
        f"{say(_LABELS.get(name, name))}: {_value(name, one)}"
        for name, one in found.items()
        if one not in (None, "", [], {}, ())
    )


def _value(name: str, value: Any) -> str:
    if name == "keys" and not isinstance(value[0], str):
        return "".join(map(_use, value))
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if isinstance(value, str | int):
        return say(str(value)) if name == "why" else str(value)
    return json.dumps(value, ensure_ascii=False, indent=2)


def _use(key: dict[str, Any]) -> str:
    """One use of a key: for what, which one, and what over, or, masked, over how much."""
    done, by, length = key["done"], key["by"], key.get("length")
    over = key["over"] if length is None else say(f"{length} bytes")
    return f"\n  {say(done)}, {say(by)}: {over}"
