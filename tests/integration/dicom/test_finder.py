"""What real archives answer about studies that went there: Orthanc, DCMTK's dcmqrscp, and such as answer nothing."""

import json
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from router.catalogue.queue.compared_images import ComparedImages
from router.config.sections import DicomDestination
from router.dicom.scu.finder import Counted, Finder, finding
from router.dicom.scu.query import FIND
from router.dicom.scu.requestor import Waits
from router.errors import NotOffered, TransientError
from router.policy.comparison import ELSEWHERE, SentInstance, StudyThere
from router.review.images_there import ImagesThere
from support.dcmtk_pacs import pacs
from support.dicom_peers import CT, free_port, orthanc, send, stored, storescp

STUDIES = tuple(f"1.2.826.0.1.3680043.9.9999.{number}" for number in (81, 82, 83))
SERIES = 2
EACH = 3  # instances of a series
WAITS = Waits(connect=5, association=20, response=20, release=5)


def sop(study: str, number: int) -> str:
    return f"{study}.{number % SERIES}.{number}"


def series(study: str, number: int) -> str:
    return f"{study}.{number % SERIES}"


def instances(folder: Path, study: str, kept_as: str = "") -> list[Path]:
    """A study of two series, of an accession number of its own; under another study UID where one is given."""
    found = []
    for number in range(SERIES * EACH):
        dataset = pydicom.dcmread(CT)
        dataset.StudyInstanceUID, dataset.SOPInstanceUID = kept_as or study, sop(kept_as or study, number)
        dataset.SeriesInstanceUID, dataset.AccessionNumber = series(kept_as or study, number), f"A{study[-2:]}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        found.append(folder / f"{dataset.SOPInstanceUID}.dcm")
        pydicom.dcmwrite(found[-1], dataset, enforce_file_format=True)
    return found


class Sent:
    """The rows of what was sent, of which ImagesThere asks."""

    def sent(self, destination: str, study: str) -> list[SentInstance]:
        del destination
        return [
            SentInstance(key=number, series_uid=series(study, number), sop_uid=sop(study, number))
            for number in range(SERIES * EACH)
        ]

    def accession(self, study: str) -> str:
        return f"A{study[-2:]}"

    def here(self, studies: Collection[str]) -> set[str]:
        return set(STUDIES) & set(studies)


def look(archive: Finder) -> dict[str, StudyThere]:
    """What differs of the three studies."""
    rows = cast(ComparedImages, Sent())
    found = ImagesThere(archive, rows, "cloud").look(dict.fromkeys(STUDIES, SERIES * EACH))
    return {uid[-2:]: one for uid, one in found.items() if one.lost or one.why or not one.whole}


@contextmanager
def found_at(port: int, calling: str = "ROUTER") -> Iterator[Finder]:
    peer = DicomDestination(ae_title="PACS", calling_ae_title=calling, port=port)
    with finding(peer, lambda: False, WAITS) as archive:
        yield archive


def test_orthanc_that_bounds_its_answers_says_what_it_lacks_and_what_it_keeps_elsewhere(tmp_path: Path) -> None:
    first, second, third = STUDIES
    known = {"router": ["ROUTER", "127.0.0.1", 104]}
    with ExitStack() as stack:
        port, url = stack.enter_context(orthanc(tmp_path, DicomAet="PACS", DicomModalities=known, LimitFindInstances=1))
        files = [*instances(tmp_path, first), *instances(tmp_path, second), *instances(tmp_path, third, "1.2.3.83")]
        send(port, [stored(path, key) for key, path in enumerate(files)], ae_title="PACS")
        with found_at(port) as archive:
            assert archive.study(first) == Counted(SERIES * EACH)
            assert archive.study("1.2.3") is None
            assert not archive.instances(first, series(first, 0)).whole
            assert look(archive) == {"83": StudyThere(lost=tuple(range(SERIES * EACH)), why=ELSEWHERE)}
        with pytest.raises(NotOffered, match="aborted"), found_at(port, calling="STRANGER") as archive:
            archive.study(first)
        query = json.dumps({"Level": "Instance", "Query": {"SOPInstanceUID": sop(second, 4)}}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{url}/tools/find", query), timeout=30) as answer:
            (number,) = json.loads(answer.read())
        urllib.request.urlopen(urllib.request.Request(f"{url}/instances/{number}", method="DELETE"), timeout=30).close()
        with found_at(port) as archive:
            assert look(archive)["82"] == StudyThere(lost=(4,))


def test_dcmqrscp_that_counts_no_instances_names_them(tmp_path: Path) -> None:
    first, second, third = STUDIES
    with pacs(tmp_path, free_port()) as port:
        files = [*instances(tmp_path, first), *instances(tmp_path, second)[:-1]]
        send(port, [stored(path, key) for key, path in enumerate(files)], ae_title="PACS", associations=1)
        with found_at(port) as archive:
            assert archive.study(first) == Counted(None)
            whole = tuple(range(SERIES * EACH))
            assert look(archive) == {"82": StudyThere(lost=(SERIES * EACH - 1,)), third[-2:]: StudyThere(lost=whole)}


def test_a_destination_without_query_refuses_it(tmp_path: Path) -> None:
    with storescp(tmp_path / "in") as port, pytest.raises(NotOffered, match="does not accept C-FIND"), found_at(port):
        pass


@pytest.mark.parametrize(
    ("statuses", "error"),
    [([0xA900], NotOffered), ([0xC001], NotOffered), ([0x0122], NotOffered), ([0xA700], TransientError),
     ([0x0000, 0xC001], TransientError), ([0xFE00], TransientError)],
)  # fmt: skip
def test_a_refusal_of_the_first_question_is_one_of_all_and_other_trouble_passes(
    statuses: list[int], error: type[Exception]
) -> None:
    left = iter(statuses)

    def answer(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        del event
        if status := next(left):
            yield status, None

    entity = AE("PACS")
    entity.add_supported_context(FIND)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)])
    assert server is not None
    try:
        with found_at(server.server_address[1]) as archive:
            for _ in statuses[1:]:
                assert archive.study(STUDIES[0]) is None
            with pytest.raises(error) as caught:
                archive.study(STUDIES[0])
        assert isinstance(caught.value, NotOffered) == (error is NotOffered)
    finally:
        server.shutdown()
