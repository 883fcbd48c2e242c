"""SM2 certificates (X.509 as GB/T 20518 has it): read strictly, chained to a CA; certificate requests (PKCS#10).

The libraries at hand read such a certificate's frame, and refuse its key and signature. There are no lists of revoked
certificates here: a key that is revoked is taken out of its ring by a person.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from router.crypto import der
from router.crypto.sm2 import PrivateKey, PublicKey
from router.crypto.spki import SIGNED, parse_public, public_info
from router.errors import InvalidData

_KEY_USAGE, _BASIC_CONSTRAINTS = "2.5.29.15", "2.5.29.19"
# Extensions that restrict nothing that is asked here, and so may be critical.
_HARMLESS = frozenset({"2.5.29.14", "2.5.29.17", "2.5.29.32", "2.5.29.35", "2.5.29.37"})
_USAGES = (
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign",
    "cRLSign", "encipherOnly", "decipherOnly",
)  # fmt: skip
_ATTRIBUTES = {
    "CN": "2.5.4.3", "serialNumber": "2.5.4.5", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10",
    "OU": "2.5.4.11", "E": "1.2.840.113549.1.9.1",
}  # fmt: skip
_NAMES = {oid: name for name, oid in _ATTRIBUTES.items()}
_SAME = {"S": "ST", "SP": "ST", "EMAIL": "E", "EMAILADDRESS": "E", "SERIALNUMBER": "serialNumber"}
_ENCODINGS = {
    der.UTF8_STRING: "utf-8", der.PRINTABLE_STRING: "ascii", der.IA5_STRING: "ascii", 0x14: "latin-1",
    0x1E: "utf-16-be",
}  # fmt: skip
_LONGEST_CHAIN = 8
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*")

Name = tuple[tuple[str, str], ...]
"""A distinguished name: object identifiers with their texts, in the certificate's order."""


class Use(Enum):
    """The use of a key, by the usages of which its certificate must allow one (GB/T 20518, two certificates)."""

    SIGN = frozenset({"digitalSignature", "nonRepudiation"})
    ENCRYPT = frozenset({"keyEncipherment", "dataEncipherment", "keyAgreement"})


@dataclass(frozen=True, slots=True)
class Validity:
    """The times between which a key may be used by its certificate and all above it; aware."""

    begins: datetime
    ends: datetime

    def holds(self, at: datetime) -> bool:
        """Whether the time lies within it; both ends count (RFC 5280 4.1.2.5)."""
        return self.begins <= at <= self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate. `usages` None: it does not restrict them; `path` is the number of CAs that may follow below."""

    subject: Name
    issuer: Name
    serial: int
    key: PublicKey
    validity: Validity
    usages: frozenset[str] | None
    is_ca: bool
    path: int | None
    signed: bytes
    signature: bytes

    def is_signed_by(self, issuer: "Certificate") -> bool:
        """Whether the key of `issuer` signed it, under the standard's distinguishing id."""
        return issuer.key.verify(self.signed, self.signature)

    def allows(self, wanted: frozenset[str]) -> bool:
        """Whether its key usage allows one of these."""
        return self.usages is None or bool(self.usages & wanted)


def parse(data: bytes) -> Certificate:
    """The certificate in strict DER; InvalidData on anything else, another algorithm, or what cannot be obeyed."""
    outer = der.only_sequence(data)
    signed = outer.raw()
    _check_signed(outer.sequence())
    signature = outer.bits()
    outer.end()
    body = der.only_sequence(signed)
    if body.peek() != der.context(0) or _inner(body.element(der.context(0))).integer() != 2:
        raise InvalidData("not an X.509 certificate of version 3")
    serial = body.integer()
    _check_signed(body.sequence())
    issuer, validity, subject = _name(body.sequence()), _validity(body.sequence()), _name(body.sequence())
    key = parse_public(body.raw())
    extensions = _extensions(body)
    body.end()
    constraints = extensions.get(_BASIC_CONSTRAINTS)
    is_ca, path = _constraints(constraints) if constraints is not None else (False, None)
    return Certificate(
        subject=subject, issuer=issuer, serial=serial, key=key, validity=validity, is_ca=is_ca, path=path,
        usages=_usages(extensions.get(_KEY_USAGE)), signed=signed, signature=signature,
    )  # fmt: skip


def verified(chain: Sequence[Certificate], anchors: Sequence[Certificate], use: Use) -> Validity:
    """The times in which the first certificate of `chain` holds; InvalidData unless it leads to one of `anchors`.

    The others of `chain` are those of CAs between, in any order. Signatures, CA and key usage are checked; the time is
    the caller's to compare.
    """
    leaf, *between = chain
    if leaf.is_ca:
        raise InvalidData("the certificate is a CA's, not a key's")
    if not leaf.allows(use.value):
        held = ", ".join(sorted(leaf.usages or ()))
        raise InvalidData(f"the certificate's key usage is {held}, not one of {', '.join(sorted(use.value))}")
    path = [leaf]
    while len(path) <= _LONGEST_CHAIN:
        if (anchor := _issuer(path[-1], anchors, below=len(path) - 1)) is not None:
            return _common([*path, anchor])
        found = _issuer(path[-1], [one for one in between if one not in path], below=len(path) - 1)
        if found is None:
            break
        path.append(found)
    raise InvalidData(f"no CA of the CA file has signed it: its issuer is {shown(path[-1].issuer)}")


def _issuer(of: Certificate, among: Sequence[Certificate], *, below: int) -> Certificate | None:
    """The CA that signed it; `below` CAs follow under that one."""
    named = (one for one in among if one.is_ca and _alike(one.subject) == _alike(of.issuer))
    able = (one for one in named if one.allows(frozenset({"keyCertSign"})) and (one.path is None or below <= one.path))
    return next((one for one in able if of.is_signed_by(one)), None)


def _common(path: Sequence[Certificate]) -> Validity:
    return Validity(max(one.validity.begins for one in path), min(one.validity.ends for one in path))


def _alike(name: Name) -> Name:
    """A name to compare by: no letter case, no doubled blanks (RFC 5280 7.1)."""
    return tuple((oid, " ".join(unicodedata.normalize("NFKC", text).casefold().split())) for oid, text in name)


# -- parts of a certificate


def _inner(content: bytes) -> der.Reader:
    return der.Reader(content)


def _check_signed(algorithm: der.Reader) -> None:
    name = algorithm.oid()
    if name != SIGNED:
        raise InvalidData(f"signed by the algorithm {name}, not by SM2 with SM3 ({SIGNED})")
    if algorithm.peek() == der.NULL and algorithm.element(der.NULL):
        raise InvalidData("DER: NULL with content")
    algorithm.end()


def _name(reader: der.Reader) -> Name:
    found = []
    while reader.peek() is not None:
        attributes = der.Reader(reader.element(der.SET))
        while attributes.peek() is not None:
            attribute = attributes.sequence()
            oid, (tag, content) = attribute.oid(), attribute.any()
            attribute.end()
            found.append((oid, _string(tag, content)))
    return tuple(found)


def _string(tag: int, content: bytes) -> str:
    try:
        return content.decode(_ENCODINGS[tag])
    except (KeyError, UnicodeDecodeError):
        raise InvalidData("a name in an encoding that is not read") from None


def _validity(reader: der.Reader) -> Validity:
    found = Validity(_time(*reader.any()), _time(*reader.any()))
    reader.end()
    return found


def _time(tag: int, content: bytes) -> datetime:
    """A time as RFC 5280 4.1.2.5 demands it: in UTC, with seconds, of two digits for a year up to 2049."""
    written = content.decode("ascii", "replace")
    form = {der.UTC_TIME: r"[0-9]{12}Z", der.GENERALIZED_TIME: r"[0-9]{14}Z"}.get(tag, r"\b\B")
    if re.fullmatch(form, written) is None:
        raise InvalidData("a time of the certificate is not in its form")
    digits = written[:-1] if tag == der.GENERALIZED_TIME else ("19" if written[:2] >= "50" else "20") + written[:-1]
    parts = (int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2)))
    try:
        return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc] # six numbers
    except ValueError:
        raise InvalidData("a time of the certificate is on no calendar") from None


def _extensions(body: der.Reader) -> Mapping[str, bytes]:
    """Contents of the extensions by their object identifiers; unique ids before them are passed by."""
    for number in (1, 2):
        if body.peek() in (0x80 | number, der.context(number)):
            body.raw()
    if body.peek() is None:
        return {}
    outer = _inner(body.element(der.context(3)))
    listed = outer.sequence()
    outer.end()
    found: dict[str, bytes] = {}
    while listed.peek() is not None:
        one = listed.sequence()
        oid = one.oid()
        critical = one.peek() == der.BOOLEAN and one.boolean()
        if critical and oid not in {_KEY_USAGE, _BASIC_CONSTRAINTS, *_HARMLESS}:
            raise InvalidData(f"a critical extension that is not understood: {oid}")
        if oid in found:
            raise InvalidData(f"the extension {oid} comes twice")
        found[oid] = one.octets()
        one.end()
    return found


def _constraints(content: bytes) -> tuple[bool, int | None]:
    reader = der.only_sequence(content)
    is_ca = reader.peek() == der.BOOLEAN and reader.boolean()
    path = reader.integer() if reader.peek() == der.INTEGER else None
    reader.end()
    return is_ca, path


def _usages(content: bytes | None) -> frozenset[str] | None:
    if content is None:
        return None
    reader = der.Reader(content)
    bits = reader.flags()
    reader.end()
    return frozenset(_USAGES[bit] for bit in bits if bit < len(_USAGES))


# -- names in writing, and requests


def shown(name: Name) -> str:
    """A name as people write it: C=CN, O=示范医院, CN=hospital-1."""
    return ", ".join(f"{_NAMES.get(oid, oid)}={text}" for oid, text in name)


def name_of(written: str) -> Name:
    """The name of such a text; a comma within a value is written \\\\,. InvalidData names what is wrong."""
    found = []
    for part in re.split(r"(?<!\\),", written):
        key, equals, value = part.strip().partition("=")
        attribute = _SAME.get(key.strip().upper(), key.strip().upper())
        text = value.strip().replace("\\,", ",")
        if not equals or attribute not in _ATTRIBUTES or not text:
            expected = f"expected a name like C=CN, O=示范医院, CN=hospital-1; there is {', '.join(_ATTRIBUTES)}"
            raise InvalidData(f"{part.strip()!r}: {expected}")
        if attribute == "C" and re.fullmatch("[A-Za-z]{2}", text) is None:
            raise InvalidData(f"C={text}: a country has two letters")
        found.append((_ATTRIBUTES[attribute], text.upper() if attribute == "C" else text))
    if not any(oid == _ATTRIBUTES["CN"] for oid, _ in found):
        raise InvalidData("the name lacks CN")
    return tuple(found)


def request(key: PrivateKey, name: Name) -> bytes:
    """A certificate request for the key (RFC 2986), signed by SM2 with SM3, in DER."""
    subject = der.sequence(*_written(name))
    signed = der.sequence(der.integer(0), subject, public_info(key.public), der.element(der.context(0)))
    return der.sequence(signed, der.sequence(der.oid(SIGNED)), der.bits(key.sign(signed)))


def _written(name: Name) -> Iterator[bytes]:
    """Country as PrintableString, mail as IA5String, the rest as UTF8String (GB/T 20518)."""
    for oid, text in name:
        tag = der.UTF8_STRING
        if oid == _ATTRIBUTES["C"]:
            tag = der.PRINTABLE_STRING
        elif oid == _ATTRIBUTES["E"] and text.isascii():
            tag = der.IA5_STRING
        yield der.element(der.SET, der.sequence(der.oid(oid), der.element(tag, text.encode())))
