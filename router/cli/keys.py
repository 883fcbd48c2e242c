"""`keys`: key pairs and an API key for trying out; key ids of any key file."""

from pathlib import Path

import click

from router.cli.options import json_option, print_json
from router.crypto import keys

_KINDS = {keys.PRIVATE: "private key", keys.ENCRYPTED: "encrypted private key", keys.PUBLIC: "public key"}


@click.group()
def command() -> None:
    """Key pairs and an API key for trying out; key ids."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def new(folder: Path) -> None:
    """Make three SM2 key pairs and an API key (接口密钥) in FOLDER.

    A new or empty FOLDER gets mode 0700, private keys 0600. Existing keys are never overwritten.
    """
    for file in keys.new_folder(folder):
        click.echo(str(file))


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="The passphrase of an encrypted key."
)
@json_option
def show(file: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Print the key id of FILE: a private or public key in PEM; of an API key only a fingerprint."""
    described = _describe(file, passphrase_file)
    if as_json:
        print_json({"path": str(file), **described})
    else:
        click.echo("  ".join(described.values()))


def _describe(file: Path, passphrase_file: Path | None) -> dict[str, str]:
    label = keys.label_of(file)
    if not label:
        return {"kind": "API key", "fingerprint": keys.api_key_fingerprint(keys.load_api_key(file))}
    if label == keys.PUBLIC:
        return {"kind": _KINDS[label], "key_id": keys.key_id(keys.load_public(file))}
    passphrase = keys.load_passphrase(passphrase_file) if passphrase_file else None
    key = keys.load_private(file, passphrase)
    return {"kind": _KINDS[label], "key_id": keys.key_id(key.public)}
