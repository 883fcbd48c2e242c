"""A PACS for tests: DCMTK's dcmqrscp, which answers C-FIND and C-MOVE."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from router.config.sections import DicomDestination
from router.dicom.scu.client import Outgoing, StorageClient
from router.dicom.ul.status import Verdict
from support.dicom_peers import free_port, listens, tool, wait_until

_CONFIGURATION = """
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
node = (ROUTER, 127.0.0.1, {node})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
PACS {data} RW (200, 1024mb) ANY
AETable END
"""


@contextmanager
def pacs(folder: Path, node: int) -> Iterator[int]:
    """Its port; it knows the AE ROUTER at the port `node`."""
    port, data = free_port(), folder / "pacs"
    data.mkdir()
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(_CONFIGURATION.format(port=port, node=node, data=data))
    command = [tool("dcmqrscp"), "-c", str(configuration)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: listens(port))
            yield port
        finally:
            process.kill()


def archive(port: int, items: Sequence[Outgoing]) -> None:
    """Store these in the PACS."""
    client = StorageClient(DicomDestination(ae_title="PACS", port=port, associations=1))
    assert {result.verdict for result in client.send(items, lambda: False)} == {Verdict.STORED}
