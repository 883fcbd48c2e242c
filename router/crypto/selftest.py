"""Self-test of the libraries with known answers at every start: distributions ship builds without SM4-GCM."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from router.crypto import sm2, symmetric
from router.crypto.library import Library
from router.crypto.sm2_gmssl import Gmssl
from router.errors import ConfigurationError

_ABC_SM3 = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"

_SM4_KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")
_SM4_BLOCK = bytes.fromhex("681edf34d206965e86b3e94f536e4246")
_IV = bytes.fromhex("00001234567800000000abcd")
_AAD = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
_PLAINTEXT = bytes.fromhex("".join(digit * 16 for digit in "abcdefea"))
_CIPHERTEXT = bytes.fromhex(
    "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
    "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
)
_TAG = bytes.fromhex("83de3541e4c2b58177e065a9bf7b62ec")

_SECRET = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
_POINT = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_K = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
_R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
_S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
_C1 = bytes.fromhex(
    "04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73"
    "e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
)
_C3 = bytes.fromhex("59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766")
_C2 = bytes.fromhex("21886ca989ca9c7d58087307ca93092d651efa")


def run() -> None:
    """Check SM3, HMAC, HKDF, SM4-GCM, SM4-CBC and each installed SM2 library against the standards' vectors.

    ConfigurationError names the faulty library; the node must not start then.
    """
    _check("cryptography", "SM3 (GB/T 32905)", lambda: symmetric.sm3(b"abc").hex() == _ABC_SM3)
    _check("cryptography", "HMAC-SM3", _hmac)
    _check("cryptography", "HKDF-SM3", _hkdf)
    _check("cryptography", "SM4-GCM (RFC 8998)", _sm4_gcm)
    _check("cryptography", "SM4-CBC (GB/T 32907)", _sm4_cbc)
    _check("gmssl", "SM2 (GB/T 32918.5)", _sm2_with_the_standards_nonce)
    for library in sm2.installed():
        _check(library.name, "SM2 (GB/T 32918.5)", partial(_sm2, library))


def _check(library: str, algorithm: str, holds: Callable[[], bool]) -> None:
    cause: Exception | None = None
    try:
        if holds():
            return
    except Exception as error:  # noqa: BLE001  # a broken build may fail in any way
        cause = error
    raise ConfigurationError(
        f"the installed library {library} does not compute {algorithm}",
        hint=f"reinstall it from the package index: pip install --force-reinstall {library}",
        library=library,
    ) from cause


def _hmac() -> bool:
    """HMAC as RFC 2104 defines it: a 64-byte block, the key padded with zeros."""
    key = _SM4_KEY.ljust(64, b"\0")
    inner = symmetric.sm3(bytes(octet ^ 0x36 for octet in key) + b"abc")
    outer = symmetric.sm3(bytes(octet ^ 0x5C for octet in key) + inner)
    return symmetric.hmac_sm3(_SM4_KEY, b"abc") == outer


def _hkdf() -> bool:
    """HKDF as RFC 5869 defines it, one block."""
    extracted = symmetric.hmac_sm3(_IV, _SM4_KEY)
    return symmetric.hkdf_sm3(_SM4_KEY, _IV, _AAD, 32) == symmetric.hmac_sm3(extracted, _AAD + b"\1")


def _sm4_cbc() -> bool:
    """SM4-CBC of the standard's block with a vector of zeros."""
    ciphertext, plaintext, iv = io.BytesIO(), io.BytesIO(), bytes(16)
    sealed = symmetric.seal_cbc(_SM4_KEY, _SM4_KEY, iv, _AAD, io.BytesIO(_SM4_KEY), ciphertext)
    ciphertext.seek(0)
    symmetric.unseal_cbc(_SM4_KEY, _SM4_KEY, iv, _AAD, sealed.tag, ciphertext, plaintext)
    return (ciphertext.getvalue()[:16], plaintext.getvalue()) == (_SM4_BLOCK, _SM4_KEY)


def _sm4_gcm() -> bool:
    ciphertext, plaintext = io.BytesIO(), io.BytesIO()
    sealed = symmetric.seal(_SM4_KEY, _IV, _AAD, io.BytesIO(_PLAINTEXT), ciphertext)
    symmetric.unseal(_SM4_KEY, _IV, _AAD, _TAG, io.BytesIO(_CIPHERTEXT), plaintext)
    return (ciphertext.getvalue(), sealed.tag, plaintext.getvalue()) == (_CIPHERTEXT, _TAG, _PLAINTEXT)


def _sm2_with_the_standards_nonce() -> bool:
    library = Gmssl(draw=lambda: _K)
    signature = library.hold(_SECRET).sign(_digest())
    return (signature, library.encrypt(_POINT, b"encryption standard")) == ((_R, _S), (_C1, _C3, _C2))


@contextmanager
def _silent() -> Iterator[None]:
    """Silence GmSSL, which writes refusals to stderr: here they are expected."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@_silent()
def _sm2(library: Library) -> bool:
    """Whether an SM2 library gives the known answers; it checks its own signatures, whose nonces are random, itself."""
    key, digest, flipped = library.hold(_SECRET), _digest(), bytes((_C2[0] ^ 1,)) + _C2[1:]
    r, s = key.sign(digest)
    return (
        key.public == _POINT
        and library.verify(_POINT, digest, _R, _S)
        and not library.verify(_POINT, digest, _R, _S ^ 1)
        and library.verify(_POINT, digest, r, s)
        and r != _R
        and key.decrypt(_C1, _C3, _C2) == b"encryption standard"
        and key.decrypt(_C1, _C3, flipped) is None
        and key.decrypt(*library.encrypt(_POINT, b"session key")) == b"session key"
    )


def _digest() -> int:
    return sm2.PublicKey(_POINT).digest(b"message digest")
