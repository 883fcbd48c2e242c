"""Certificates for TLS, made for a test."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from router.config.sections import Tls


class Authority:
    """A CA that signs certificates for the test; its files and theirs are in `folder`. All are valid for `life`."""

    def __init__(self, folder: Path, name: str = "authority", life: timedelta = timedelta(days=90)) -> None:
        self.folder = folder
        self.name = name
        self._life = life
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._write(name, self._key, self._built(name, self._key, "", ca=True))

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.crt"

    def issue(self, name: str, host: str = "127.0.0.1") -> Tls:
        """Files of a certificate for `host`, trusting this authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(name, key, self._built(name, key, host, ca=False))
        return Tls(certificate=self.folder / f"{name}.crt", key=self.folder / f"{name}.key", ca=self.certificate)

    def _built(self, name: str, key: ec.EllipticCurvePrivateKey, host: str, *, ca: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + self._life)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        pem = serialization.Encoding.PEM
        plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self.folder / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
        secret = self.folder / f"{name}.key"
        secret.write_bytes(key.private_bytes(pem, *plain))
        secret.chmod(0o600)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def as_given(tls: Tls) -> dict[str, str]:
    """As the configuration file has it."""
    return {name: str(value) for name, value in tls.model_dump().items() if value is not None}
