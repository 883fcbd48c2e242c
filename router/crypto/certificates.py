"""TLS certificates: when they end, and the names that they are for."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from router.errors import ConfigurationError


def first_end(path: Path) -> datetime:
    """The earliest end of a PEM file's certificates, aware; ConfigurationError when there is none to read."""
    return min(certificate.not_valid_after_utc for certificate in _read(path))


def names_in(path: Path) -> frozenset[str]:
    """The names, in small letters, that the server's certificate in a PEM file is for; raises as `first_end`."""
    server = _read(path)[0]
    names = {str(one.value) for one in server.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    with suppress(x509.ExtensionNotFound):
        found = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names |= set(found.get_values_for_type(x509.DNSName))
    return frozenset(name.lower() for name in names)


def _read(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} cannot be read as certificates in PEM") from error
