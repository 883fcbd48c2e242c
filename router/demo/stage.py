"""The demo's stage: a folder with keys and configuration, the platform and a node as processes of their own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from router.config import Config, load
from router.errors import TransientError

_STOP_SECONDS = 40
_CONFIGURATION = """
[node]
language = "en"
data = "node"
name = "demo"

[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"

[receive]
port = 0
min_free = "200 MiB"

[reports]
folder = "drop"
settle = "500 ms"
rescan = "2 s"

[share]
modalities = [{modalities}]
shared_study = "all"

[identity]
evidence = 0    # some of the shipped studies name neither patient nor order

[study]
stable_after = "3 s"

[admin]
port = 0

[[destination]]
name = "cloud"
classes = ["thin", "key", "scout", "dose", "image", "other"]
accept_empty = ["Patient.IdNo"]

[destination.dicom]
port = {dicom_port}

[destination.http]
url = "http://127.0.0.1:{http_port}"
api_key_file = "keys/api.key"
signing_key_file = "keys/hospital-sign.pem"
platform_signing_key_file = "keys/platform-sign.pub.pem"
platform_encryption_key_file = "keys/platform-encrypt.pub.pem"
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running node and platform."""

    folder: Path
    config: Config
    node_port: int

    @property
    def platform(self) -> Path:
        """The platform's data folder."""
        return self.folder / "platform"


@contextmanager
def set_up(folder: Path, modalities: frozenset[str]) -> Iterator[Stage]:
    """Start the platform and a node in `folder` (it holds `keys`); both are stopped at the end, whatever happens."""
    keys = ["--data", str(folder / "platform"), "--keys", str(folder / "keys")]
    with _process(folder, "platform", [*keys, "--dicom-port", "0", "--http-port", "0"]) as platform:
        config_file = folder / "router.toml"
        text = _CONFIGURATION.format(
            modalities=", ".join(f'"{m}"' for m in sorted(modalities)),
            dicom_port=platform["dicom"], http_port=platform["http"],
        )  # fmt: skip
        config_file.write_text(text, encoding="utf-8")
        with _process(folder, "run", ["--config", str(config_file)]) as node:
            yield Stage(folder, load(config_file), node["dicom"])


@contextmanager
def _process(folder: Path, name: str, arguments: list[str]) -> Iterator[dict[str, int]]:
    """A command of ours until the block ends; gives the ports of its `ready` line. Its log is `<name>.log`."""
    with (folder / f"{name}.log").open("wb") as log:
        command = [sys.executable, "-m", "router.cli", name, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603  # our own
        try:
            yield _ports(process, folder / f"{name}.log")
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _ports(process: "subprocess.Popen[str]", log: Path) -> dict[str, int]:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line.startswith("ready "):
        raise TransientError("a process of the demo did not start", hint=f"see {log}")
    return {name: int(port) for name, port in (word.split("=") for word in line.split()[1:])}
