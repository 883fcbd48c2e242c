"""HAProxy in front of two nodes, with the shipped configuration."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.config.file import shipped
from support.dicom_peers import free_port, listens, wait_until

_SHIPPED = ("10.1.2.11:11112 port 8080", "10.1.2.12:11112 port 8081")


def program() -> Path | None:
    """HAProxy; None where it is not installed."""
    return next((path for path in (Path("/usr/sbin/haproxy"), Path("/usr/bin/haproxy")) if path.exists()), None)


@contextmanager
def haproxy(folder: Path, nodes: Sequence[tuple[int, int]], check: str = "inter 100ms fall 1") -> Iterator[int]:
    """The port for senders. `nodes`: DICOM port and port of /health of each; `check` replaces how often it asks."""
    found = program()
    if found is None:
        pytest.skip("HAProxy is not installed: as root, apt-get install haproxy")
    port, text = free_port(), shipped("haproxy.cfg").read_text(encoding="utf-8")
    text = text.replace("bind :11112", f"bind 127.0.0.1:{port}").replace("inter 2s fall 2", check)
    for given, (dicom, health) in zip(_SHIPPED, nodes, strict=True):
        assert given in text
        text = text.replace(given, f"127.0.0.1:{dicom} port {health}")
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([found, "-db", "-f", folder / "haproxy.cfg"], stdout=log, stderr=log)
    try:
        wait_until(lambda: listens(port))
        yield port
    finally:
        process.kill()
        process.wait()
