"""When certificates of TLS end."""

from datetime import datetime
from pathlib import Path

from cryptography import x509

from router.errors import ConfigurationError


def first_end(path: Path) -> datetime:
    """When the first of a PEM file's certificates ends, aware; ConfigurationError when there is none to read."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} cannot be read as certificates in PEM") from error
    return min(certificate.not_valid_after_utc for certificate in found)
