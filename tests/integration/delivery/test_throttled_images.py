"""Images go no faster than the window allows."""

from pathlib import Path

from router.config.sections import DicomDestination
from router.dicom.scu.client import StorageClient, Waits
from router.dicom.ul.status import Verdict
from support.dicom_peers import CT, data_set, stored
from support.scripted_acceptors import acceptor, obliging


def test_every_byte_of_a_data_set_is_paced_before_it_goes(tmp_path: Path) -> None:
    sizes: list[int] = []
    with acceptor(obliging) as port:
        client = StorageClient(DicomDestination.model_validate({"port": port}), Waits(release=1), sizes.append)
        [result] = client.send([stored(CT)], lambda: False)
    assert result.verdict == Verdict.STORED
    assert sum(sizes) == len(data_set(CT))
    assert len(sizes) > 1
    assert max(sizes) <= 16384
