"""The PROXY protocol, version 2 (proxy-protocol.txt of HAProxy, 2.2): a load balancer names the client it passes on.

The header comes before everything else, also before TLS.
"""

import ipaddress
import struct

from router.errors import InvalidData

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = struct.Struct("!12sBBH")
_LONGEST = 2048  # bytes after the fixed part: addresses and what proxies add to them
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESS_BYTES = {0x11: 4, 0x21: 16}  # TCP over IPv4, over IPv6


def missing(header: bytes | bytearray) -> int:
    """How many bytes of the header are still missing; InvalidData when this is no header."""
    if header[: len(_SIGNATURE)] != _SIGNATURE[: len(header)]:
        raise InvalidData("not a PROXY protocol version 2 header, which [receive] proxies asks of this address")
    if len(header) < _FIXED.size:
        return _FIXED.size - len(header)
    length = _FIXED.unpack_from(header)[3]
    if length > _LONGEST:
        raise InvalidData(f"a PROXY protocol header of {length} bytes")
    return int(_FIXED.size + length - len(header))


def source(header: bytes | bytearray) -> str | None:
    """The client's address; None for the proxy's own connection, a health check. InvalidData when it is neither."""
    _, command, family, length = _FIXED.unpack_from(header)
    if command == _LOCAL:
        return None
    size = _ADDRESS_BYTES.get(family, 0)
    if command != _PROXY or not size or length < 2 * size + 4:
        raise InvalidData("a PROXY protocol header without an address of TCP")
    return str(ipaddress.ip_address(bytes(header[_FIXED.size : _FIXED.size + size])))
