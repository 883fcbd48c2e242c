"""Decryption of encrypted PKCS#8 keys: PBES2 (RFC 8018) with PBKDF2 and AES-CBC or SM4-CBC.

OpenSSL writes PBKDF2-HMAC-SHA256 with AES or SM4, GmSSL PBKDF2-HMAC-SM3 with SM4.
"""

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from router.crypto import der
from router.errors import InvalidData

_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
_MAX_ITERATIONS = 10_000_000
_ABSENT_PRF = "1.2.840.113549.2.7"  # HMAC-SHA1 (RFC 8018 A.2)

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "1.2.840.113549.2.9": hashes.SHA256,
    "1.2.840.113549.2.10": hashes.SHA384,
    "1.2.840.113549.2.11": hashes.SHA512,
    "1.2.156.10197.1.401.2": hashes.SM3,
    "1.2.156.10197.1.401.3.1": hashes.SM3,
}
_CIPHERS: dict[str, tuple[type[BlockCipherAlgorithm], int]] = {
    "2.16.840.1.101.3.4.1.2": (algorithms.AES, 16),
    "2.16.840.1.101.3.4.1.22": (algorithms.AES, 24),
    "2.16.840.1.101.3.4.1.42": (algorithms.AES, 32),
    "1.2.156.10197.1.104.2": (algorithms.SM4, 16),
}
TO_PKCS8 = "convert it: openssl pkcs8 -topk8 -in OLD -out NEW -v2 aes-256-cbc -v2prf hmacWithSHA256"


def decrypt(body: bytes, passphrase: bytes) -> bytes:
    """The PrivateKeyInfo that is encrypted; InvalidData on a wrong passphrase, broken DER, or an unknown algorithm."""
    info = der.only_sequence(body)
    scheme = info.sequence()
    ciphertext = info.octets()
    info.end()
    if (name := scheme.oid()) != _PBES2:
        raise InvalidData(f"encrypted by {name}, not by PBES2", hint=TO_PKCS8)
    parameters = scheme.sequence()
    derivation, cipher = parameters.sequence(), parameters.sequence()
    algorithm, size, iv = _cipher(cipher)
    key = _derive(derivation, size, passphrase)
    decryptor = Cipher(algorithm(key), modes.CBC(iv)).decryptor()  # type: ignore[call-arg] # each takes a key
    unpadder = padding.PKCS7(128).unpadder()
    try:  # a wrong passphrase shows in the padding, or in reading the content
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as error:
        raise InvalidData("the passphrase is wrong or the file is damaged") from error


def _cipher(cipher: der.Reader) -> tuple[type[BlockCipherAlgorithm], int, bytes]:
    name = cipher.oid()
    if name not in _CIPHERS:
        raise InvalidData(f"encrypted by cipher {name}; AES-CBC and SM4-CBC are read", hint=TO_PKCS8)
    iv = cipher.octets()
    cipher.end()
    if len(iv) != 16:
        raise InvalidData("the initialisation vector is not 16 bytes long")
    return *_CIPHERS[name], iv


def _derive(derivation: der.Reader, size: int, passphrase: bytes) -> bytes:
    if (name := derivation.oid()) != _PBKDF2:
        raise InvalidData(f"its key derivation is {name}, not PBKDF2", hint=TO_PKCS8)
    parameters = derivation.sequence()
    salt, iterations = parameters.octets(), parameters.integer()
    if parameters.peek() == der.INTEGER and parameters.integer() != size:
        raise InvalidData("the derived key's length does not fit the cipher")
    if not 0 < iterations <= _MAX_ITERATIONS:
        raise InvalidData(f"{iterations} iterations of PBKDF2 are out of range")
    name = parameters.sequence().oid() if parameters.peek() == der.SEQUENCE else _ABSENT_PRF
    if name not in _HASHES:
        raise InvalidData(
            f"its PBKDF2 uses {name}; HMAC with SHA-256, SHA-384, SHA-512 and SM3 are read", hint=TO_PKCS8
        )
    return PBKDF2HMAC(_HASHES[name](), size, salt, iterations).derive(passphrase)
