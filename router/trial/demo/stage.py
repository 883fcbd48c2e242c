"""The demo's stage: a folder with keys and configuration; the platform and a node are processes of their own."""

import functools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from router.config.file import load
from router.config.sections import Config, Hospital
from router.errors import TransientError

_STOP_SECONDS = 40
_CONFIGURATION = """
[node]
language = "{language}"
data = "node"
name = "demo"

[hospital]
{hospital}

[receive]
port = {receive_port}
min_free = "200 MiB"

[reports]
folder = "drop"
settle = "500 ms"
rescan = "2 s"

[share]
modalities = [{modalities}]
shared_study = "all"

[study]
stable_after = "3 s"

[admin]
port = {admin_port}

[[destination]]
name = "cloud"
classes = ["thin", "key", "scout", "dose", "image", "other"]

[destination.dicom]
port = {dicom_port}

[destination.http]
url = "http://127.0.0.1:{http_port}"
api_key_file = "keys/api.key"
signing_key_file = "keys/hospital-sign.pem"
platform_signing_key_file = "keys/platform-sign.pub.pem"
platform_encryption_key_file = "keys/platform-encrypt.pub.pem"
"""


HOSPITAL = Hospital(
    USCI="121100004000000001", HospitalCode="H0001", HospitalName="示范医院", HospitalBranchCode="01"
)  # fmt: skip
_CONSTANTS = ("USCI", "HospitalCode", "HospitalName", "HospitalBranchCode")


class Program:
    """One of our commands as a process; its log output is appended to `log`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.ports: Mapping[str, int] = {}
        self._process: subprocess.Popen[str] | None = None

    @property
    def runs(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def launch(self, arguments: Sequence[str]) -> None:
        """Start it; `ready` waits for it."""
        command = [sys.executable, "-P", "-m", "router.cli", self.name, *arguments]  # not what lies in this folder
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603  # ours

    def ready(self) -> None:
        """Wait for its `ready` line, which names its ports. TransientError when it ends instead."""
        out = self._process and self._process.stdout
        line = out.readline() if out else ""
        if not line.startswith("ready "):
            raise TransientError("a process of the demo did not start", hint=f"see {self.log}")
        self.ports = {name: int(port) for name, port in (word.split("=") for word in line.split()[1:])}

    def kill(self) -> None:
        """End the process as `kill -9` does, without finishing anything."""
        if self._process is not None:
            self._process.kill()
            self._ended(self._process)

    def stop(self) -> None:
        """Let the process finish; kill it when it takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._ended(self._process, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _ended(self, process: "subprocess.Popen[str]", seconds: float | None = None) -> None:
        process.wait(seconds)
        if process.stdout is not None:
            process.stdout.close()


class Stage:
    """A node and the reference platform in `folder`, which holds `keys`. They keep their ports over a restart."""

    def __init__(self, folder: Path, language: str, hospital: Hospital = HOSPITAL) -> None:
        self.folder = folder
        self.hospital = hospital
        self.node, self.cloud = Program(folder, "run"), Program(folder, "platform")
        self._language = language
        self._modalities: frozenset[str] = frozenset()

    @property
    def platform(self) -> Path:
        """The platform's data folder."""
        return self.folder / "platform"

    @property
    def config_file(self) -> Path:
        """The node's configuration file, with its ports."""
        return self.folder / "router.toml"

    @functools.cached_property
    def config(self) -> Config:
        """The node's configuration."""
        return load(self.config_file)

    @property
    def console(self) -> str:
        """The console's address."""
        return f"http://127.0.0.1:{self.node.ports['admin']}/"

    def open(self, modalities: frozenset[str]) -> None:
        """Wait for the platform and start a node that shares exams of these modalities."""
        self._modalities = modalities
        self.cloud.ready()
        self.start_node()

    def start_node(self) -> None:
        """Start the node, on its former ports if it had any."""
        self._configure()
        self.node.launch(["--config", str(self.config_file)])
        self.node.ready()
        self._configure()

    def start_platform(self) -> None:
        """Start the platform again, on its former ports."""
        self.launch_platform()
        self.cloud.ready()

    def launch_platform(self) -> None:
        """Start the platform, on its former ports if it had any, without waiting for it."""
        listen = [f"--{name}-port={self.cloud.ports.get(name, 0)}" for name in ("dicom", "http")]
        self.cloud.launch(["--data", str(self.platform), "--keys", str(self.folder / "keys"), *listen])

    def stop(self) -> None:
        """Stop both."""
        try:
            self.node.stop()
        finally:
            self.cloud.stop()

    def _configure(self) -> None:
        text = configuration(self._language, self._modalities, self.node.ports, self.cloud.ports, self.hospital)
        self.config_file.write_text(text, encoding="utf-8")


def configuration(
    language: str,
    modalities: frozenset[str],
    node: Mapping[str, int],
    platform: Mapping[str, int],
    hospital: Hospital = HOSPITAL,
) -> str:
    """The node's configuration as TOML. `node` and `platform` are ports by name; a node without any picks its own."""
    return _CONFIGURATION.format(
        language=language,
        hospital="\n".join(f"{key} = {json.dumps(getattr(hospital, key), ensure_ascii=False)}" for key in _CONSTANTS),
        modalities=", ".join(json.dumps(modality) for modality in sorted(modalities)),
        receive_port=node.get("dicom", 0), admin_port=node.get("admin", 0),
        dicom_port=platform["dicom"], http_port=platform["http"],
    )  # fmt: skip


@contextmanager
def set_up(folder: Path, language: str, hospital: Hospital = HOSPITAL) -> Iterator[Stage]:
    """A stage in `folder`, which holds `keys`, with the platform starting; everything stops at the end."""
    stage = Stage(folder, language, hospital)
    try:
        stage.launch_platform()
        yield stage
    finally:
        stage.stop()
