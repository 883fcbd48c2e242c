"""Orthanc as a peer: its Storage SCP, its Storage SCU for what it keeps, and its routing of studies that are stable."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import Peer, free_port, have, running

_DESTINATION = "sink"
_ROUTING = f"""
function OnStableStudy(study, tags, metadata)
  RestApiPost('/modalities/{_DESTINATION}/store', '{{"Synchronous": false, "Resources": ["' .. study .. '"]}}')
end
"""
_BEST = {"SyncStorageArea": False, "MaximumPduLength": 131072}


@dataclass(frozen=True, slots=True)
class Orthanc(Peer):
    """A running Orthanc; `http` is the port of its REST interface."""

    http: int

    def store(self, port: int) -> float:
        """Seconds to send all its studies to the Storage SCP on `port`."""
        self._ask("PUT", f"/modalities/{_DESTINATION}", _modality(port))
        studies, began = self._ask("GET", "/studies"), time.perf_counter()
        answer = self._ask("POST", f"/modalities/{_DESTINATION}/store", studies)
        if answer["FailedInstancesCount"]:
            raise RuntimeError(f"Orthanc could not send: {answer}")
        return time.perf_counter() - began

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def orthanc(folder: Path, *, best: bool, route_to: int | None = None, **settings: object) -> Iterator[Orthanc]:
    """Orthanc with its data in `folder`, at its defaults or at the settings that are best for speed.

    With `route_to` each study goes to the Storage SCP on that port once it was still for a second.
    """
    port, http = free_port(), free_port()
    configuration = {
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "DicomPort": port, "HttpPort": http,
        "DicomAlwaysAllowStore": True, "DicomCheckCalledAet": False, "UnknownSopClassAccepted": True, "Plugins": [],
        **(_BEST if best else {}), **settings,
    }  # fmt: skip
    if route_to is not None:
        script = folder / "routing.lua"
        script.write_text(_ROUTING, encoding="utf-8")
        modalities = {_DESTINATION: _modality(route_to)}
        configuration |= {"StableAge": 1, "LuaScripts": [str(script)], "DicomModalities": modalities}
    file = folder / "orthanc.json"
    file.write_text(json.dumps(configuration), encoding="utf-8")
    environment = {"TCP_NODELAY": "1"} if best else {}
    with running([have("Orthanc") or "Orthanc", str(file)], port, **environment) as peer:
        yield Orthanc(peer.port, peer.process, http)


def _modality(port: int) -> list[object]:
    return ["SINK", "127.0.0.1", port]
