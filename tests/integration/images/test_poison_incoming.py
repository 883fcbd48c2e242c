"""An acknowledged instance that ends the program, or takes its memory, is set apart and never tried in a loop."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from click.testing import CliRunner

from router.alarms import Alarm
from router.cli.quarantine import command
from router.dicom.dataset import encapsulated
from router.dicom.dataset.header import read_instance
from router.errors import InvalidData
from router.events import Kind
from router.images import cataloguer
from router.refusals import Why
from router.storage.incoming import IncomingFolder
from support.cataloguer_folder import CataloguerFolder, data_set, file
from support.hl7_messages import oru
from support.intake_folder import IntakeFolder

CONFIG = """
[node]
language = "en"
data = "data"
[reports]
folder = "drop"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""
POISON, SOUND = "1.9", "1.8"
_DIES = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2].split(os.pathsep)
from support.cataloguer_folder import CataloguerFolder
from router.images import cataloguer
read = cataloguer.read_instance
def dies(file):
    found = read(file)
    if found[0].uids.sop == "1.9":
        os.abort()
    return found
cataloguer.read_instance = dies
ward = CataloguerFolder(Path(sys.argv[1]))
ward.receive()
"""


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[CataloguerFolder]:
    made = CataloguerFolder(tmp_path / "data")
    yield made
    made.catalogue.engine.close_thread()


def _poisonous(failing: Callable[[], Any]) -> Callable[[BinaryIO], Any]:
    def read(source: BinaryIO) -> Any:
        data = source.read()
        if f"1.9{chr(0)}".encode() in data:
            failing()
        return read_instance(BytesIO(data))

    return read


def _no_memory() -> None:
    raise MemoryError


def _step(ward: CataloguerFolder) -> int:
    try:
        return ward._cataloguer.run_batch()
    except MemoryError:
        return -1


def _here(ward: CataloguerFolder) -> set[str]:
    return {row[0] for row in ward.catalogue.engine.execute("SELECT sop_uid FROM instance", ())}


@pytest.mark.ends("poison")
@pytest.mark.fires("poison")
def test_what_takes_all_the_memory_twice_is_set_apart_with_an_alarm_and_the_rest_goes_on(
    ward: CataloguerFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cataloguer, "read_instance", _poisonous(_no_memory))
    sink = IncomingFolder(ward.storage.incoming.worker_folder(1), 0)
    for sop in (POISON, SOUND):
        incoming = sink.create()
        incoming.write([file(sop, data_set(sop))])
        incoming.commit(None)  # type: ignore[arg-type]  # not looked at
    assert [_step(ward) for _ in range(4)] == [-1, -1, 2, 0]
    assert _here(ward) == {SOUND}
    (kept,) = ward.storage.quarantine.listed()
    assert "taken all its memory 2 times" in kept.reason
    assert kept.files[0].read_bytes() == file(POISON, data_set(POISON))
    assert ward.catalogue.alarms.stands(Alarm.POISON, f"quarantine {kept.name}")
    (row,) = ward.catalogue.refusals.of_studies(["1.2.3"])
    assert (row.calling, row.why, row.place) == ("CT01", Why.QUARANTINE, kept.name)
    (tmp_path / "router.toml").write_text(CONFIG, encoding="utf-8")
    done = CliRunner().invoke(
        command, ["delete", "--config", str(tmp_path / "router.toml"), kept.name, "--why", "seen by its maker"]
    )
    assert done.exit_code == 0, done.output
    assert not ward.catalogue.alarms.stands(Alarm.POISON, f"quarantine {kept.name}")
    assert not ward.catalogue.refusals.of_studies(["1.2.3"])


def test_a_shortage_of_memory_that_passes_costs_no_instance_its_place(
    ward: CataloguerFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    shortages = [1]

    def once() -> None:
        if shortages:
            shortages.clear()
            raise MemoryError

    monkeypatch.setattr(cataloguer, "read_instance", _poisonous(once))
    sink = IncomingFolder(ward.storage.incoming.worker_folder(1), 0)
    incoming = sink.create()
    incoming.write([file(POISON, data_set(POISON))])
    incoming.commit(None)  # type: ignore[arg-type]  # not looked at
    assert [_step(ward) for _ in range(3)] == [-1, 1, 0]
    assert _here(ward) == {POISON}


def test_what_ends_the_program_twice_is_set_apart_at_its_third_start(tmp_path: Path) -> None:
    first = CataloguerFolder(tmp_path)
    sink = IncomingFolder(first.storage.incoming.worker_folder(1), 0)
    for sop in (POISON, SOUND):
        incoming = sink.create()
        incoming.write([file(sop, data_set(sop))])
        incoming.commit(None)  # type: ignore[arg-type]  # not looked at
    first.catalogue.engine.close_thread()
    paths = os.pathsep.join(path for path in sys.path if path)
    codes = [
        subprocess.run([sys.executable, "-c", _DIES, str(tmp_path), paths], timeout=60, check=False).returncode
        for _ in range(3)
    ]
    assert codes == [-6, -6, 0]
    last = CataloguerFolder(tmp_path)
    assert _here(last) == {SOUND}
    assert [len(kept.files) for kept in last.storage.quarantine.listed()] == [1]
    last.catalogue.engine.close_thread()


def test_a_document_that_takes_all_the_memory_is_refused_and_its_instance_catalogued_all_the_same(
    ward: CataloguerFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(_path: Path) -> bytes:
        raise MemoryError

    monkeypatch.setattr(encapsulated, "document_of", hungry)
    sop_class = encapsulated.SOP_CLASS
    ward.receive(file("1.7", data_set("1.7", sop_class=sop_class), sop_class))
    assert _here(ward) == {"1.7"}
    assert [event.text for event in ward.events if event.kind is Kind.REFUSED] == [
        "an encapsulated PDF is no report: reading it takes too much memory"
    ]


def test_a_message_that_takes_all_the_memory_is_wrong_and_not_to_be_sent_again(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(desk.intake._reader._exam_reader, "open_message", hungry)
    with pytest.raises(InvalidData, match="MemoryError"):
        desk.intake.take_message(oru().encode())
