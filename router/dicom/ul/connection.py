"""Transport connections to destinations (PS3.8 9.1.2): within the allowed networks, by TCP, with TLS where set."""

import socket
import ssl

from router.config.sections import DicomDestination
from router.config.types import is_within
from router.errors import DestinationDown, Outage


def connect(destination: DicomDestination, tls: ssl.SSLContext | None, seconds: float) -> socket.socket:
    """Connect within `seconds`; DestinationDown when that fails, or the address is outside allowed_networks."""
    address = _address(destination)
    try:
        connection = socket.create_connection(
            (address, destination.port), seconds, source_address=(destination.source_address, 0)
        )
    except OSError as error:
        text = f"cannot connect to {destination.host}:{destination.port}"
        hint = "check the address, the line and the firewall"
        raise DestinationDown(text, outage=Outage.CONNECTION, hint=hint) from error
    # No write waits for the next one: where more follows, the writer says so (MSG_MORE).
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection if tls is None else _secured(connection, destination, tls)


def _secured(connection: socket.socket, destination: DicomDestination, tls: ssl.SSLContext) -> socket.socket:
    try:
        return tls.wrap_socket(connection, server_hostname=destination.host)
    except OSError as error:  # SSLError is one
        connection.close()
        where = f"{destination.host}:{destination.port}"
        text, hint = f"{where} connects but no TLS connection can be made", "check the port and tls.certificate"
        if isinstance(error, ssl.SSLCertVerificationError):
            text = f"the certificate of {where} is not accepted: {error.verify_message}"
            hint = "check tls.ca, and that the certificate names the host as configured"
        raise DestinationDown(text, outage=Outage.CERTIFICATE, hint=hint) from error


def _address(destination: DicomDestination) -> str:
    host = destination.host
    try:
        address = str(socket.getaddrinfo(host, destination.port, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        text, hint = f"cannot resolve {host}", "check the name and the DNS server"
        raise DestinationDown(text, outage=Outage.ADDRESS, hint=hint) from error
    if not is_within(address, destination.allowed_networks):
        text = f"{host} resolves to {address}, outside allowed_networks"
        raise DestinationDown(text, outage=Outage.ADDRESS, hint="check the DNS server")
    return address
