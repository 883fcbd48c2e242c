"""The configuration and the key files that the answers of the first run make."""

from collections.abc import Callable
from pathlib import Path

from router.admin.questions import KEY_FILES, PASSPHRASE, YES, Answers, Peer, has_cloud
from router.config.types import is_loopback
from router.errors import ConfigurationError

_CERTIFICATE, _KEY, _AUTHORITY = "receive.pem", "receive.key", "cloud-ca.pem"


def values_of(answers: Answers, quoted: Callable[[str], str]) -> dict[str, str]:
    """Keys of the configuration as TOML writes them."""
    host = answers["receive.host"]
    values = {"node.language": quoted(answers["language"]), "receive.host": quoted(host)}
    values |= {key: quoted(value) for key, value in answers.items() if key.startswith("hospital.")}
    values |= {"receive.port": answers["receive.port"], "receive.ae_title": quoted(answers["receive.ae_title"])}
    if not is_loopback(host):
        values["receive.allow_plain"] = "true" if answers["receive.plain"] == YES else "false"
    if answers.get("receive.certificate"):
        values["receive.tls"] = f'{{ certificate = "keys/{_CERTIFICATE}", key = "keys/{_KEY}" }}'
    return values | (_destination(answers, quoted) if has_cloud(answers) else {})


def _destination(answers: Answers, quoted: Callable[[str], str]) -> dict[str, str]:
    peer = Peer.of(answers["destination.dicom"])
    if peer is None:
        raise ConfigurationError(f"{answers['destination.dicom']} is not AE@HOST:PORT")
    ca, url = answers["destination.ca"], answers["destination.url"]
    values = {
        "destination.name": quoted(answers["destination.name"]),
        "destination.dicom.ae_title": quoted(peer.ae_title), "destination.dicom.host": quoted(peer.host),
        "destination.dicom.port": str(peer.port),
        "destination.dicom.calling_ae_title": quoted(answers["receive.ae_title"]),
        "destination.dicom.allow_plain": "false" if ca else "true",
        "destination.http.url": quoted(url), "destination.http.app": quoted(answers["destination.app"]),
        "destination.http.allow_plain": "true" if url.startswith("http:") else "false",
    }  # fmt: skip
    if ca:
        values["destination.dicom.tls"] = f'{{ ca = "keys/{_AUTHORITY}" }}'
    if ca and url.startswith("https"):
        values["destination.http.ca_file"] = f'"keys/{_AUTHORITY}"'
    if PASSPHRASE in files_of(answers):
        values["destination.http.signing_key_passphrase_file"] = quoted(f"keys/{PASSPHRASE}")
    return values


def files_of(answers: Answers) -> dict[str, Path]:
    """Files for the keys folder by their names there, so that the node's account can read them."""
    given = {_CERTIFICATE: "receive.certificate", _KEY: "receive.key", _AUTHORITY: "destination.ca"}
    found = {name: Path(answers[key]).expanduser() for name, key in given.items() if answers.get(key)}
    if answers.get("destination.keys"):
        folder = Path(answers["destination.keys"]).expanduser()
        names = [name for name in (*KEY_FILES, PASSPHRASE) if (folder / name).exists()]
        found |= {name: folder / name for name in names}
    return found


def tables_of(answers: Answers, quoted: Callable[[str], str]) -> dict[str, dict[str, str]]:
    """Tables that the shipped configuration has as comments only."""
    peer = Peer.of(answers["receive.pacs"])
    if peer is None:
        return {}
    plain = "false" if is_loopback(peer.host) else "true"
    return {"query": {"ae_title": quoted(peer.ae_title), "host": quoted(peer.host), "port": str(peer.port),
                      "allow_plain": plain}}  # fmt: skip
