"""Senders to compare: DCMTK's storescu, the node's, pynetdicom's. Each sends folders of instances to a port."""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import processes
from rivals import LARGE_PDU


def storescu(
    port: int,
    groups: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    nagle: bool = False,
    pdu: int = LARGE_PDU,
    titles: Sequence[str] = ("STORESCU",),
) -> float:
    """Seconds to send each folder over an association of its own, all at once, from the calling AE titles by turns."""
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    began = time.perf_counter()
    sending = [
        subprocess.Popen(
            ["storescu", "-R", "+sd", "--max-pdu", str(pdu), "-aet", titles[number % len(titles)], "-aec", "ROUTER",
             host, str(port), str(group)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=environment if nagle else {**environment, "TCP_NODELAY": "1"},
        )
        for number, group in enumerate(groups)
    ]  # fmt: skip
    errors = [process.communicate()[1] for process in sending]
    seconds = time.perf_counter() - began
    if any(process.returncode for process in sending) or any(b"Error" in error for error in errors):
        raise RuntimeError(f"sending failed: {[error for error in errors if error]}")
    return seconds


def ours(port: int, folder: Path, associations: int, longest_pdu: int = 0, ca: Path | None = None) -> dict[str, float]:
    """`seconds` that the node's sender takes for a folder, `processor` seconds, and `grown`: bytes of memory."""
    return _sender("ours", port, folder, associations, longest_pdu, ca or "")


def pynetdicom(port: int, folder: Path) -> dict[str, float]:
    """The same for pynetdicom's send_c_store, each file read in chunks."""
    return _sender("pynetdicom", port, folder)


def _sender(*arguments: object) -> dict[str, float]:
    done = subprocess.run(processes.ours("sender.py", *arguments), stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result
