"""A sender as a process: `sender.py ours PORT FOLDER ASSOCIATIONS [LONGEST_PDU [CA]]` or `... pynetdicom PORT FOLDER`.

Prints how many seconds the sending took, from before the association to its end, and how much the memory grew.
"""

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import material
from pynetdicom import AE, _config, build_context

from router.config.sections import DicomDestination, Tls
from router.dicom.scu import requestor
from router.dicom.scu.client import Outgoing, StorageClient
from router.dicom.ul.contexts import Context


def ours(port: int, items: Sequence[Outgoing], associations: int, longest_pdu: int = 0, ca: str = "") -> None:
    """The node's, by TLS with a `ca`. It never sends PDUs longer than a limit of its own, which may be changed here to
    find a good one."""
    requestor._LONGEST_PDU = longest_pdu or requestor._LONGEST_PDU
    tls = Tls(ca=Path(ca)) if ca else None
    client = StorageClient(DicomDestination(port=port, associations=associations, tls=tls))
    for result in client.send(items, lambda: False):
        if result.status != 0:
            raise SystemExit(f"the receiver says: {result.why}")


def pynetdicom(port: int, items: Sequence[Outgoing]) -> None:
    """pynetdicom's, as it needs the least time."""
    _config.STORE_SEND_CHUNKED_DATASET = True
    contexts: set[Context] = {(item.sop_class, item.transfer_syntax) for item in items}
    association = AE().associate("127.0.0.1", port, contexts=[build_context(*context) for context in contexts])
    for item in items:
        if status := association.send_c_store(item.path).Status:
            raise SystemExit(f"the receiver answered {status:04X}")
    association.release()


def _resident(what: str) -> int:
    """Bytes in memory now (VmRSS) or at most so far (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(rf"{what}:\s+(\d+) kB", status)[0]) * 1024


def main(kind: str, port: str, folder: str, associations: str = "1", longest_pdu: str = "0", ca: str = "") -> None:
    items = material.outgoing(Path(folder))
    before, began, spent = _resident("VmRSS"), time.perf_counter(), time.process_time()
    if kind == "ours":
        ours(int(port), items, int(associations), int(longest_pdu), ca)
    else:
        pynetdicom(int(port), items)
    seconds = {"seconds": time.perf_counter() - began, "processor": time.process_time() - spent}
    result = {**seconds, "grown": _resident("VmHWM") - before}
    os.write(1, json.dumps(result).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
