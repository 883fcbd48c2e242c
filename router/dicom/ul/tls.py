"""DICOM over TLS by BCP 195 (PS3.15 B.9 ff.; RFC 9325): TLS 1.2 or newer, forward secrecy, authenticated encryption."""

import socket
import ssl
from contextlib import suppress
from typing import Any

from router.config.sections import Tls
from router.errors import ConfigurationError

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
NO_TLS = "no TLS connection"
_REFUSALS = {
    "WRONG_VERSION_NUMBER": "the sender does not speak TLS",
    "HTTP_REQUEST": "the sender does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "the sender offers no TLS 1.2 or newer",
    "NO_SHARED_CIPHER": "the sender offers no cipher of BCP 195",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the sender shows no certificate",
}


def client_context(tls: Tls) -> ssl.SSLContext:
    """The context of connections that we open: `ca`, else the system's, verifies. ConfigurationError for a bad file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return _settled(context, tls)


def server_context(tls: Tls) -> ssl.SSLContext:
    """The context of connections that we accept: we show `certificate`; with `ca` a client needs one that it verifies.

    Raises ConfigurationError when there is no certificate, or a file cannot be read or does not fit.
    """
    if tls.certificate is None:
        raise ConfigurationError("tls.certificate is missing: a listener needs one")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    # A-RELEASE marks the end of an association, so a connection that just closes deceives no one; and a stopping node
    # shuts the reading half to end a wait, and may still answer
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    if tls.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return _settled(context, tls)


def refusal(error: ssl.SSLError) -> str:
    """The reason, for an administrator, of a failed handshake; "" when the sender just closed the connection."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"the sender's certificate is not accepted: {error.verify_message}"
    else:
        reason = error.reason or ""
        why = _REFUSALS.get(reason, reason.replace("_", " ").lower())
    return f"{NO_TLS}: {why}"


def names_of(connection: socket.socket) -> tuple[str, ...]:
    """The common name and the alternative names in the peer's verified certificate; none without one."""
    shown = (connection.getpeercert() or {}) if isinstance(connection, ssl.SSLSocket) else {}
    subject: Any = shown.get("subject", ())
    others: Any = shown.get("subjectAltName", ())
    common = [value for group in subject for kind, value in group if kind == "commonName"]
    return tuple(dict.fromkeys([*common, *(value for _, value in others)]))


def close_notify(connection: socket.socket) -> None:
    """Tell a TLS peer that nothing more follows (RFC 8446 6.1), without waiting for the same from it."""
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError):
            connection.settimeout(0)
            connection.unwrap()


def _settled(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    try:
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
    except OSError as error:  # SSLError is one
        raise ConfigurationError(f"tls.ca {tls.ca} cannot be read as certificates in PEM") from error
    if tls.certificate is None:
        return context
    try:
        key = None if tls.key is None else str(tls.key)
        # the password keeps OpenSSL from asking on the terminal
        context.load_cert_chain(str(tls.certificate), key, password=lambda: "")
    except OSError as error:
        raise ConfigurationError(
            f"tls.certificate {tls.certificate} and its tls.key cannot be read, or do not belong together",
            hint="PEM files, the key without passphrase",
        ) from error
    return context
