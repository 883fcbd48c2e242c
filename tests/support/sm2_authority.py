"""SM2 certificates as GB/T 20518 has them, made by the openssl command line, which shares no code with ours."""

import shutil
import subprocess
from pathlib import Path

import pytest

ID = "distid:1234567812345678"
SIGN, ENCRYPT = "critical,digitalSignature,nonRepudiation", "critical,keyEncipherment,dataEncipherment,keyAgreement"


def openssl(*arguments: str | Path) -> bytes:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the openssl command line is not installed")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def new_key(path: Path) -> Path:
    """A private key, PKCS#8."""
    openssl(
        "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-pkeyopt", "ec_param_enc:named_curve",
        "-out", path,
    )  # fmt: skip
    path.chmod(0o600)
    return path


class Sm2Authority:
    """A CA with a root, and one between where `below` is another authority; its files are in `folder`."""

    def __init__(self, folder: Path, name: str = "root", below: "Sm2Authority | None" = None, path: str = "") -> None:
        self.folder = folder
        self.name = name
        self.key = new_key(folder / f"{name}.key")
        self.certificate = folder / f"{name}.crt"
        extensions = [f"basicConstraints=critical,CA:TRUE{path}", "keyUsage=critical,keyCertSign,cRLSign"]
        subject = f"/C=CN/O=示例CA/CN={name}"
        if below is None:
            openssl(
                "req", "-x509", "-new", "-utf8", "-key", self.key, "-sm3", "-sigopt", ID, "-days", "3650", "-subj",
                subject, *(word for one in extensions for word in ("-addext", one)), "-out", self.certificate,
            )  # fmt: skip
        else:
            below.sign(self.key, self.certificate, subject, extensions, days=3650)

    def issue(
        self,
        name: str,
        usage: str = SIGN,
        *,
        key: Path | None = None,
        days: int = 365,
        extensions: tuple[str, ...] = (),
    ) -> Path:  # fmt: skip
        """The certificate of a new key, or of `key`; the key is beside it, as NAME.key."""
        own = key or new_key(self.folder / f"{name}.key")
        wanted = ["basicConstraints=critical,CA:FALSE", *([f"keyUsage={usage}"] if usage else []), *extensions]
        certificate = self.folder / f"{name}.crt"
        self.sign(own, certificate, f"/C=CN/O=示例医院/CN={name}", wanted, days=days)
        return certificate

    def sign(self, key: Path, certificate: Path, subject: str, extensions: list[str], *, days: int) -> None:
        """Write the certificate of a key."""
        request, wanted = certificate.with_suffix(".csr"), certificate.with_suffix(".ext")
        openssl("req", "-new", "-utf8", "-key", key, "-sm3", "-sigopt", ID, "-subj", subject, "-out", request)
        wanted.write_text("\n".join(extensions))
        openssl(
            "x509", "-req", "-in", request, "-vfyopt", ID, "-CA", self.certificate, "-CAkey", self.key,
            "-CAcreateserial", "-sm3", "-sigopt", ID, "-days", str(days), "-extfile", wanted, "-out", certificate,
        )  # fmt: skip
