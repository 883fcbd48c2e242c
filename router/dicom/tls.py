"""DICOM over TLS by BCP 195 (PS3.15 B.9 ff.; RFC 9325): TLS 1.2 or newer, forward secrecy, authenticated encryption."""

import ssl

from router.config import Tls
from router.errors import ConfigurationError

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def client_context(tls: Tls) -> ssl.SSLContext:
    """For connections that we open: the peer proves its name to `ca` (else the system's); we show `certificate`.

    Raises ConfigurationError when a file cannot be read or does not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return _settled(context, tls)


def server_context(tls: Tls) -> ssl.SSLContext:
    """For connections that we accept: we show `certificate`; with `ca`, clients without one of its own are refused.

    Raises ConfigurationError when there is no certificate, or a file cannot be read or does not fit.
    """
    if tls.certificate is None:
        raise ConfigurationError("tls.certificate is missing: a listener needs one")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if tls.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return _settled(context, tls)


def _settled(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    try:
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
    except OSError as error:  # SSLError is one
        raise ConfigurationError("tls.ca cannot be read as certificates in PEM", file=str(tls.ca)) from error
    if tls.certificate is not None:
        _show(context, tls)
    return context


def _show(context: ssl.SSLContext, tls: Tls) -> None:
    try:
        context.load_cert_chain(str(tls.certificate), None if tls.key is None else str(tls.key), password=_no_password)
    except OSError as error:
        raise ConfigurationError(
            "tls.certificate and tls.key cannot be read, or do not belong together",
            hint="PEM files, the key without passphrase",
            file=str(tls.certificate),
        ) from error


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal."""
    return ""
