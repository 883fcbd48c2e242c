"""Addresses of a destination's name, and whether they are on the dedicated line (DB11 5.1)."""

import socket
from collections.abc import Sequence

from router.config.types import is_within
from router.errors import DestinationDown, Outage


def resolve(host: str, port: int, allowed_networks: Sequence[str]) -> tuple[str, ...]:
    """The addresses of `host`. DestinationDown without any, or where one is outside `allowed_networks` (empty: any)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        text = f"the name {host} does not resolve"
        raise DestinationDown(text, outage=Outage.ADDRESS, hint="check DNS or the host", host=host) from error
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_within(address, allowed_networks):
            raise outside(host, address)
    return addresses


def outside(host: str, address: str) -> DestinationDown:
    """The error for a peer beyond the allowed networks."""
    return DestinationDown(
        f"{host} leads to {address}, outside allowed_networks", outage=Outage.ADDRESS,
        hint="check DNS and the dedicated line; nothing was sent", host=host, address=address,
    )  # fmt: skip
