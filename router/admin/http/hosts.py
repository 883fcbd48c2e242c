"""Names under which the administrator's listener answers: a web page of another name must not ask it.

A page elsewhere may let its own name resolve to this machine (DNS rebinding); its requests then carry that name.
"""

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress

from router.config.sections import Admin
from router.config.types import is_loopback
from router.crypto.certificates import names_in

IsOurs = Callable[[str], bool]


def names_of(admin: Admin) -> IsOurs:
    """A check whether a Host header is one of ours; ConfigurationError if the certificate cannot be read.

    On loopback: a name or address of loopback. Beyond: an address, which is no name that somebody could have resolve
    to here, the machine's own name, or a name in the certificate. Everywhere the names that are configured. No Host at
    all is no browser.
    """
    given = {name.lower() for name in admin.names}
    if is_loopback(admin.host):
        return lambda host: not host or is_loopback(_name(host)) or _name(host) in given
    certificate = admin.tls.certificate if admin.tls is not None else None
    machine = socket.gethostname().lower()
    names = {*given, "localhost", machine, machine.partition(".")[0], *(names_in(certificate) if certificate else ())}

    def is_ours(host: str) -> bool:
        """`*.hospital.cn` stands for each name one level below (RFC 9525 6.3)."""
        name = _name(host)
        with suppress(ValueError):
            ipaddress.ip_address(name)
            return True
        return not host or name in names or f"*.{name.partition('.')[2]}" in names

    return is_ours


def _name(host: str) -> str:
    """A Host header without its port, in small letters."""
    if host.startswith("["):
        return host.partition("]")[0].lstrip("[").lower()
    return host.partition(":")[0].lower().removesuffix(".")
