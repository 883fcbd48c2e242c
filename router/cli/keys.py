"""`keys`: keys for trying out, ids and certificates of key files, requests, import of raw keys, pinned keys."""

from pathlib import Path
from typing import Any

import click

from router.cli.options import config_option, configured, json_option, print_json, speak_as_shipped
from router.cli.speech import confirm, echo, say
from router.crypto import keys
from router.crypto.sm2_certificates import Certificate, shown

_KINDS = {
    keys.PRIVATE: "private key", keys.ENCRYPTED: "encrypted private key", keys.PUBLIC: "public key",
    keys.CERTIFICATE: "certified public key",
}  # fmt: skip


@click.group()
def command() -> None:
    """Keys for trying out, key ids, certificates and requests, import of raw keys, pinned platform keys."""
    speak_as_shipped()


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--psk", is_flag=True, help="A pre-shared key for profile gm-psk/1 too.")
def new(folder: Path, psk: bool) -> None:
    """Make three SM2 key pairs and an API key (接口密钥) in FOLDER.

    A new or empty FOLDER gets mode 0700, private keys 0600. Existing keys are never overwritten.
    """
    for file in keys.new_folder(folder, psk=psk):
        click.echo(str(file))


@command.command("import")
@click.argument("hex_file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("pem_file", type=click.Path(path_type=Path, dir_okay=False))
def import_(hex_file: Path, pem_file: Path) -> None:
    """Write the raw SM2 key in HEX_FILE as PEM_FILE, and print its id.

    64 hex digits are a private key, 128 (or 130 that begin with 04) a public one. HEX_FILE must be readable by its
    owner only; overwrite it afterwards. An existing PEM_FILE is never overwritten.
    """
    click.echo(keys.import_hex(hex_file, pem_file))


@command.command()
@click.argument("destination")
@click.option("--why", required=True, help="Kept in the events: who told you the new key ids, and how.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--hospital", default="", metavar="NAME", help="Only for this hospital's account there.")
@config_option
def pin(destination: str, why: str, yes: bool, hospital: str, config_file: Path) -> None:
    """Accept the platform keys that DESTINATION's key files hold now, in the place of those pinned before.

    Shows both ids of each. A running node takes the keys up by itself.
    """
    from router.cli.pins import Change

    change = Change.of(configured(config_file), destination, hospital)
    for line in change.lines():
        echo(line)
    if dict(change.before) == dict(change.after):
        echo("nothing changes")
    elif yes or confirm("Has the platform confirmed the new ids to you by another way?", abort=True):
        change.carry_out(why)
        echo("pinned")


@command.command()
@click.argument("key_file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("request_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--subject", required=True, help="For instance C=CN, O=示范医院, CN=hospital-1, in the CA's order.")
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="The passphrase of an encrypted key."
)
def request(key_file: Path, request_file: Path, subject: str, passphrase_file: Path | None) -> None:
    """Make a certificate request (PKCS#10, SM2 with SM3) for the private key in KEY_FILE, and print the key's id.

    Send REQUEST_FILE to the CA, and append its answer to KEY_FILE: the certificate, then those of CAs between. An
    existing REQUEST_FILE is never overwritten.
    """
    key = keys.load_private(key_file, keys.load_passphrase(passphrase_file) if passphrase_file else None)
    keys.save_request(request_file, key, subject)
    click.echo(keys.key_id(key.public))


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="The passphrase of an encrypted key."
)
@json_option
def show(file: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Print the key id of FILE: a private or public key in PEM or a certificate; of an API key only a fingerprint.

    The certificates in FILE are printed: subject, issuer, serial number, the days between which they hold, key usage.
    """
    described = _describe(file, passphrase_file)
    certificates = [_certificate(one) for one in keys.certificates_in(file)] if keys.label_of(file) else []
    if as_json:
        print_json({"path": str(file), **described, **({"certificates": certificates} if certificates else {})})
        return
    click.echo("  ".join(say(value) if name == "kind" else value for name, value in described.items()))
    for one in certificates:
        echo(f"certificate of {one['subject']}")
        echo(f"  issuer: {one['issuer']}")
        echo(f"  serial number: {one['serial']}")
        echo(f"  valid from {one['from']} to {one['until']}")
        echo(f"  key usage: {', '.join(one['usage']) or 'any use'}")


def _describe(file: Path, passphrase_file: Path | None) -> dict[str, str]:
    label = keys.label_of(file)
    if not label:
        return {"kind": "API key", "fingerprint": keys.api_key_fingerprint(keys.load_api_key(file))}
    if label in (keys.PUBLIC, keys.CERTIFICATE):
        return {"kind": _KINDS[label], "key_id": keys.key_id(keys.load_public(file))}
    passphrase = keys.load_passphrase(passphrase_file) if passphrase_file else None
    key = keys.load_private(file, passphrase)
    return {"kind": _KINDS[label], "key_id": keys.key_id(key.public)}


def _certificate(one: Certificate) -> dict[str, Any]:
    return {
        "subject": shown(one.subject), "issuer": shown(one.issuer), "serial": f"{one.serial:x}",
        "key_id": keys.key_id(one.key), "from": one.validity.begins.isoformat(), "until": one.validity.ends.isoformat(),
        "usage": sorted(one.usages or ()), "ca": one.is_ca,
    }  # fmt: skip
