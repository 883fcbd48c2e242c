"""The written forms of SM2 signatures and ciphertexts: DER (GM/T 0009), and the bare concatenations of platforms."""

from typing import Literal, get_args

from router.crypto import sm2_der
from router.crypto.curve import is_on_curve
from router.errors import InvalidData

Signature = Literal["der", "rs"]
"""`der`: SEQUENCE { r, s }; `rs`: r || s, 64 bytes."""
Ciphertext = Literal["der", "c1c3c2", "c1c2c3"]
"""`der`: SEQUENCE { x, y, C3, C2 }; the others begin with 04 || x || y, and C3 is 32 bytes."""


def _require(form: object, forms: object) -> None:
    if form not in get_args(forms):
        raise ValueError(f"form {form!r} is none of {', '.join(get_args(forms))}")


def signature_as(der: bytes, form: Signature) -> bytes:
    """A DER signature in this form. ValueError for another form."""
    _require(form, Signature)
    if form == "der":
        return der
    r, s = sm2_der.read_signature(der)
    return r.to_bytes(32) + s.to_bytes(32)


def signature_from(written: bytes, form: Signature) -> bytes:
    """The DER of a signature in this form; InvalidData when it cannot be one. ValueError for another form."""
    _require(form, Signature)
    if form == "der":
        return written
    if len(written) != 64:
        raise InvalidData("SM2 signature: r || s has 64 bytes")
    return sm2_der.write_signature(int.from_bytes(written[:32]), int.from_bytes(written[32:]))


def ciphertext_as(der: bytes, form: Ciphertext) -> bytes:
    """A DER ciphertext in this form. ValueError for another form."""
    _require(form, Ciphertext)
    if form == "der":
        return der
    c1, c3, c2 = sm2_der.read_ciphertext(der)
    return b"\x04" + c1 + (c3 + c2 if form == "c1c3c2" else c2 + c3)


def ciphertext_from(written: bytes, form: Ciphertext) -> bytes:
    """The DER of a ciphertext in this form, with or without 04 before C1; InvalidData when it cannot be one.

    ValueError for another form.
    """
    _require(form, Ciphertext)
    if form == "der":
        return written
    bare = written[1:] if written[:1] == b"\x04" and is_on_curve(written[1:65]) else written
    c1, rest = bare[:64], bare[64:]
    if not is_on_curve(c1) or not 32 < len(rest) <= 32 + sm2_der.LONGEST_DATA:
        raise InvalidData("SM2 ciphertext: no point C1 with C3 and C2 behind it")
    c3, c2 = (rest[:32], rest[32:]) if form == "c1c3c2" else (rest[-32:], rest[:-32])
    return sm2_der.write_ciphertext(c1, c3, c2)
