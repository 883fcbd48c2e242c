"""`audit`: the audit trail and kept receipts, checked again."""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from router.cli.incident import incident
from router.cli.options import speak_as_shipped
from router.cli.speech import echo
from router.cli.trail import accept, export, verify
from router.crypto.envelope import idem
from router.crypto.keys import load_api_key, load_public
from router.crypto.symmetric import sm3_of
from router.errors import InvalidData
from router.forward.receipt import faults


@click.group()
def command() -> None:
    """The audit trail and kept receipts, checked again."""
    speak_as_shipped()


for _command in (verify, accept, export, incident):
    command.add_command(_command)


@command.command("verify-receipt")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--key", "key_file", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="The platform's public signing key.")  # fmt: skip
@click.option("--pdf", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="A report PDF: is it the one that was sent?")  # fmt: skip
@click.option("--api-key", "api_key_file", type=click.Path(path_type=Path, dir_okay=False),
              help="The API key: does the signed idem belong to this content?")  # fmt: skip
def verify_receipt(file: Path, key_file: Path, pdf: Path | None, api_key_file: Path | None) -> None:
    """Check a receipt.json again, offline: is it this platform's word, and of the exam.json beside it?

    Prints the OpenSSL commands that check the same without this program. Status 1 when it does not hold.
    """
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise InvalidData(f"{file} is not JSON") from error
    if not isinstance(document, dict):
        raise InvalidData(f"{file} is not a receipt")
    exam = file.with_name("exam.json")
    found = [*faults(document, load_public(key_file)), *_other_content(document, exam, pdf)]
    if api_key_file is not None and document["idem"] not in _idems(load_api_key(api_key_file), document, exam):
        found.append("the signed idem is not of this exam JSON, these digests and this API key")
    for fault in found:
        echo(f"wrong: {fault}")
    if not found:
        echo(f"right: receipt {document['receipt']} of {document['at']}, signed by key {document['key_id']}")
    echo("\nThe same with OpenSSL 3 and jq:\n")
    for line in _by_openssl(file, key_file):
        click.echo(f"  {line}")
    raise SystemExit(1 if found else 0)


def _other_content(document: Mapping[str, object], exam: Path, pdf: Path | None) -> Iterator[str]:
    """A fault for each file beside the receipt that is not the one it vouches for."""
    for field, path in (("exam_sm3", exam if exam.exists() else None), ("report_sm3", pdf)):
        if path is not None:
            with path.open("rb") as file:
                if sm3_of(file).hex() != document.get(field):
                    yield f"{path.name} is not what was sent"


def _idems(api_key: bytes, document: Mapping[str, Any], exam: Path) -> set[str]:
    """The idempotency keys that the content may have, computed from what they cover; the receipt's signature vouches
    for that."""
    try:
        exam_id, digests = json.loads(exam.read_bytes())["ExamId"], [document["exam_sm3"], document["report_sm3"]]
        exam_sm3, pdf_sm3 = map(bytes.fromhex, digests)
        return {
            idem(api_key, document["destination"], exam_id, exam_sm3, pdf_sm3, again=again)
            for again in (None, document.get("revision"))
        }
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InvalidData("idem needs the exam.json beside the receipt, its destination and digests") from error


def _by_openssl(file: Path, key: Path) -> list[str]:
    receipt, public = shlex.quote(str(file)), shlex.quote(str(key))
    return [
        f"jq -j .signed {receipt} > signed.txt",
        f"jq -r .signature {receipt} | base64 -d > signature.der",
        f"openssl dgst -sm3 -verify {public} -sigopt distid:1234567812345678 -signature signature.der signed.txt",
        f"jq -r .body {receipt} | base64 -d | openssl dgst -sm3     # the last line of signed.txt",
    ]
