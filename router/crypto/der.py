"""The parts of DER (X.690) that SM2 keys, certificates, signatures and ciphertexts need, read strictly.

What is written is minimal.

The libraries at hand refuse the SM2 curve or accept BER, so that one signature would have several encodings.
"""

from router.errors import InvalidData

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
NULL = 0x05
UTF8_STRING = 0x0C
PRINTABLE_STRING = 0x13
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31


def context(number: int) -> int:
    """The tag of a constructed context-specific element [number]."""
    return 0xA0 | number


class Reader:
    """Reads the elements of `data` one after the other; InvalidData on anything that is not strict DER."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def peek(self) -> int | None:
        """The tag of the next element, None at the end."""
        return self._data[self._at] if self._at < len(self._data) else None

    def element(self, tag: int) -> bytes:
        """The content of the next element, which must have this tag."""
        if self.peek() != tag:
            raise InvalidData(f"DER: expected an element with tag {tag:#04x}")
        self._at += 1
        length = self._take(1)[0]
        if length >= 0x80:
            octets = self._take(length & 0x7F) if 0x81 <= length <= 0x84 else b""
            length = int.from_bytes(octets)
            if not octets or octets[0] == 0 or length < 0x80:
                raise InvalidData("DER: length is not minimal and definite")
        return self._take(length)

    def raw(self) -> bytes:
        """The whole of the next element, whatever it is, with tag and length."""
        tag, start = self.peek(), self._at
        if tag is None or tag & 0x1F == 0x1F:
            raise InvalidData("DER: no element, or one with a tag of several octets")
        self.element(tag)
        return self._data[start : self._at]

    def any(self) -> tuple[int, bytes]:
        """Tag and content of the next element, whatever it is."""
        start = self._at
        whole, reader = self.raw(), Reader(self._data)
        reader._at = start
        return whole[0], reader.element(whole[0])

    def boolean(self) -> bool:
        """The BOOLEAN that comes next."""
        content = self.element(BOOLEAN)
        if content not in (b"\x00", b"\xff"):
            raise InvalidData("DER: expected a boolean")
        return content == b"\xff"

    def flags(self) -> frozenset[int]:
        """The numbers of the bits that are set in the BIT STRING that comes next (X.690 11.2.2)."""
        content = self.element(BIT_STRING)
        unused = content[0] if content else 8
        if unused > 7 or (unused and (len(content) == 1 or content[-1] & ((1 << unused) - 1))):
            raise InvalidData("DER: bits that are not used are set")
        if len(content) > 1 and not content[-1] >> unused & 1:
            raise InvalidData("DER: trailing bits of a list of flags are not set")
        return frozenset(
            8 * place + bit for place, octet in enumerate(content[1:]) for bit in range(8) if octet & 0x80 >> bit
        )

    def sequence(self) -> "Reader":
        """A reader of the SEQUENCE that comes next."""
        return Reader(self.element(SEQUENCE))

    def integer(self) -> int:
        """The INTEGER that comes next: not negative, no needless leading zero (X.690 8.3.2)."""
        content = self.element(INTEGER)
        if not content or content[0] & 0x80:
            raise InvalidData("DER: expected an integer that is not negative")
        if len(content) > 1 and content[0] == 0 and not content[1] & 0x80:
            raise InvalidData("DER: integer with a needless leading zero")
        return int.from_bytes(content)

    def octets(self) -> bytes:
        """The OCTET STRING that comes next."""
        return self.element(OCTET_STRING)

    def bits(self) -> bytes:
        """The BIT STRING that comes next, whole octets only."""
        content = self.element(BIT_STRING)
        if not content or content[0] != 0:
            raise InvalidData("DER: expected a bit string of whole octets")
        return content[1:]

    def oid(self) -> str:
        """The OBJECT IDENTIFIER that comes next, in dotted form."""
        content = self.element(OBJECT_IDENTIFIER)
        if not content or content[-1] & 0x80:
            raise InvalidData("DER: object identifier cut short")
        arcs, arc = [], 0
        for octet in content:
            if arc == 0 and octet == 0x80:
                raise InvalidData("DER: object identifier with a needless leading zero")
            arc = arc << 7 | octet & 0x7F
            if not octet & 0x80:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))

    def end(self) -> None:
        """Require the end; InvalidData when something follows."""
        if self.peek() is not None:
            raise InvalidData("DER: trailing bytes")

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise InvalidData("DER: cut short")
        self._at += count
        return taken


def only_sequence(data: bytes) -> Reader:
    """A reader of the SEQUENCE that is the whole of `data`."""
    outer = Reader(data)
    inner = outer.sequence()
    outer.end()
    return inner


def element(tag: int, *parts: bytes) -> bytes:
    """An element with this tag around the parts."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of encoded elements."""
    return element(SEQUENCE, *parts)


def integer(value: int) -> bytes:
    """INTEGER of a value that is not negative."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return element(OCTET_STRING, value)


def bits(value: bytes) -> bytes:
    """BIT STRING of whole octets."""
    return element(BIT_STRING, b"\0", value)


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return element(OBJECT_IDENTIFIER, *(_base128(arc) for arc in (40 * first + second, *rest)))


def _base128(arc: int) -> bytes:
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(arc & 0x7F | 0x80)
    return bytes(reversed(groups))
