"""Where a destination's name leads, and whether that is on the line it should be on (DB11 5.1)."""

import socket
from collections.abc import Sequence

from router.config.types import is_within
from router.errors import DestinationDown, Outage


def resolve(host: str, port: int, allowed_networks: Sequence[str]) -> tuple[str, ...]:
    """The addresses of `host`; every one must lie in `allowed_networks` unless that is empty.

    DestinationDown when the name does not resolve, and when it leads elsewhere: that is the whole destination's
    trouble, no exam's, and heals without a person once the name is put right. One address outside is enough, since
    any of them may be the one that a connection takes.
    """
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
    """The refusal of a peer beyond the allowed networks."""
    return DestinationDown(
        f"{host} leads to {address}, outside allowed_networks",
        outage=Outage.ADDRESS,
        hint="check DNS and the dedicated line; nothing was sent",
        host=host,
        address=address,
    )
