"""`audit`: what was done, checked again later."""

import json
from pathlib import Path

import click

from router.crypto.keys import load_public
from router.crypto.symmetric import sm3
from router.errors import InvalidData
from router.forward.receipt import faults

_DIGESTS = {"exam_sm3": "exam.json"}


@click.group()
def command() -> None:
    """What was done, checked again later."""


@command.command("verify-receipt")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--key", "key_file", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="The platform's public signing key.")  # fmt: skip
def verify_receipt(file: Path, key_file: Path) -> None:
    """Check a receipt.json again, offline: is it this platform's word, and of this exam JSON?

    Prints the OpenSSL commands that check the same without this program. Status 1 when it does not hold.
    """
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise InvalidData(f"{file} is not JSON") from error
    found = faults(document, load_public(key_file)) + _other_files(file, document)
    for fault in found:
        click.echo(f"wrong: {fault}")
    if not found:
        click.echo(f"right: receipt {document['receipt']} of {document['at']}, signed by key {document['key_id']}")
    click.echo("\nThe same with OpenSSL 3 and jq:\n")
    for line in _by_openssl(file, key_file):
        click.echo(f"  {line}")
    raise SystemExit(1 if found else 0)


def _other_files(file: Path, document: dict[str, str]) -> list[str]:
    beside = {field: file.with_name(name) for field, name in _DIGESTS.items() if file.with_name(name).exists()}
    return [
        f"{path.name} beside it is not what was sent"
        for field, path in beside.items()
        if field in document and sm3(path.read_bytes()).hex() != document[field]
    ]


def _by_openssl(file: Path, key: Path) -> list[str]:
    return [
        f"jq -j .signed {file} > signed.txt",
        f"jq -r .signature {file} | base64 -d > signature.der",
        f"openssl dgst -sm3 -verify {key} -sigopt distid:1234567812345678 -signature signature.der signed.txt",
        f"jq -r .body {file} | base64 -d | openssl dgst -sm3     # the last line of signed.txt",
    ]
