"""TLS certificates that a configuration names as the node's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from router.config.folders import hl7_ports
from router.config.section import Tls
from router.config.sections import Config, Destination, HttpDestination


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCertificate:
    """A PEM file with the node's own certificate, and its key; both may be one file.

    `place` says where it is used; `destination` and `account` are "" where it is of none.
    """

    place: str
    file: Path
    key: Path
    destination: str = ""
    account: str = ""


def own_certificates(config: Config) -> Iterator[OwnCertificate]:
    """The certificates that the node shows: of its listeners, and as a client."""
    for place, tls in _sections(config):
        if tls is not None and tls.certificate is not None:
            yield OwnCertificate(place=place, file=tls.certificate, key=tls.key or tls.certificate)
    for one in config.destination:
        if one.dicom is not None and (tls := one.dicom.tls) is not None and tls.certificate is not None:
            key = tls.key or tls.certificate
            yield OwnCertificate(place=f"DICOM to {one.name}", file=tls.certificate, key=key, destination=one.name)
        for account, http in ways(one):
            if (file := http.client_certificate_file) is not None:
                whose = f" by the account of {account}" if account else ""
                yield OwnCertificate(
                    place=f"HTTP to {one.name}{whose}", file=file, key=http.client_key_file or file,
                    destination=one.name, account=account,
                )  # fmt: skip


def ways(destination: Destination) -> Iterator[tuple[str, HttpDestination]]:
    """The destination's own HTTP settings under "", and those of each hospital's account under its hospital."""
    if destination.http is not None:
        yield "", destination.http
    for account in destination.account:
        if (http := destination.http_of(account.hospital)) is not None:
            yield account.hospital, http


def _sections(config: Config) -> Iterator[tuple[str, Tls | None]]:
    yield "[receive]", config.receive.tls
    yield "[admin]", config.admin.tls
    for port in hl7_ports(config):
        yield port.section, port.at.tls
    yield "[query]", None if config.query is None else config.query.tls
    yield "[audit] syslog", None if config.audit.syslog is None else config.audit.syslog.tls
