"""The cataloguer and instances that are cut off: told with their study, whether an exam names it or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.config.file import load
from router.dicom.scp.whole import WholeOnly
from router.errors import CutOff
from router.events import Kind
from router.model import InstanceUids
from router.storage.incoming import IncomingFolder
from router.storage.journal import LARGEST, SEGMENT_BYTES
from support.cataloguer_folder import PDF, CataloguerFolder, data_set, file
from support.hospital_rows import configure


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[CataloguerFolder]:
    made = CataloguerFolder(tmp_path)
    yield made
    made.catalogue.engine.close_thread()


@pytest.mark.fires("cut-off")
def test_the_study_is_in_alarm_until_a_whole_version_came_though_no_exam_names_it(ward: CataloguerFolder) -> None:
    ward.receive(file("1.9", data_set("1.9", 16)), file("1.8", data_set("1.8")))
    assert ward.alarmed
    assert ward.told() == [
        "instance 1.9 is cut off: the pixel data has 16 of 32 bytes; it is set aside where it was chosen to go"
    ]
    ward.receive(file("1.9", data_set("1.9")))
    assert not ward.alarmed


def test_the_alarm_is_that_of_the_hospital_whose_sender_cut_it_off(tmp_path: Path) -> None:
    configured = configure(tmp_path, ("renmin", "xiehe"))
    with (tmp_path / "hospitals" / "renmin.toml").open("a", encoding="utf-8") as own:
        own.write('senders = [{ ae_title = "CT01" }]\n')
    made = CataloguerFolder(tmp_path / "data", hospitals=load(configured).hospital)
    made.receive(file("1.9", data_set("1.9", 16)))
    (alarm,) = made.catalogue.alarms.of([Alarm.CUT_OFF])
    assert (alarm.subject, alarm.hospital) == ("study 1.2.3", "renmin")
    made.receive(file("1.9", data_set("1.9")))
    assert not made.alarmed
    made.catalogue.engine.close_thread()


def test_a_cut_version_of_what_is_here_whole_is_told_and_no_alarm(ward: CataloguerFolder) -> None:
    ward.receive(file("1.9", data_set("1.9")))
    ward.receive(file("1.9", data_set("1.9", 16)))
    assert not ward.alarmed
    assert ward.told()[0].endswith("; a whole version of it is here, and goes")
    assert len(list(ward.storage.studies.walk())) == 2


def test_where_it_goes_as_it_is_nobody_is_alarmed(tmp_path: Path) -> None:
    ward = CataloguerFolder(tmp_path, cut_off_goes=True)
    ward.receive(file("1.9", data_set("1.9", 16)))
    assert not ward.alarmed
    assert ward.told()[0].endswith("; it goes as it is")
    ward.catalogue.engine.close_thread()


def test_one_that_breaks_off_inside_a_sequence_is_filed_with_its_study(ward: CataloguerFolder) -> None:
    open_sequence = b"\xfa\xff\xfa\xffSQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    ward.receive(file("1.9", data_set("1.9", more=open_sequence)))
    assert ward.alarmed
    assert not any(event.kind is Kind.QUARANTINED for event in ward.events)
    assert len(list(ward.storage.studies.walk())) == 1


def test_a_report_in_a_cut_off_instance_is_no_report(ward: CataloguerFolder) -> None:
    whole = data_set("1.9", sop_class=PDF)
    ward.receive(file("1.9", whole[:-8], PDF))
    assert ward.pdfs == []
    assert any(event.kind is Kind.REFUSED and "cut off" in event.text for event in ward.events)
    ward.receive(file("1.9", whole, PDF))
    assert ward.pdfs == [b"%PDF-1.7 a report %%EOF "]


def test_group_0002_is_told_once_a_study_and_batch(ward: CataloguerFolder) -> None:
    stray = b"\2\0\3\0UI\x04\x001.2\0"
    ward.receive(*(file(f"1.{n}", stray + data_set(f"1.{n}")) for n in range(1, 6)))
    [text] = ward.told()
    assert text.startswith("the data sets of 5 instance(s) begin with elements of a file's header ((0002,0003)): kept")
    [event] = [event for event in ward.events if event.kind is Kind.IRREGULAR]
    assert event.study_uid == "1.2.3"


@pytest.mark.parametrize("journal", [0, 2 * SEGMENT_BYTES])
@pytest.mark.parametrize("size", [32, LARGEST + 32])
def test_a_sink_of_whole_data_sets_takes_no_other_in_memory_or_as_a_file(
    tmp_path: Path, journal: int, size: int
) -> None:
    folder = IncomingFolder(tmp_path, 0, journal)
    sink, uids = WholeOnly(folder), InstanceUids("1.2.3", "1.2.3.4", "1.9")
    assert sink.has_room()
    whole = file("1.9", data_set("1.9", size))
    for data, fault in ((whole[:-20], True), (whole, False)):
        incoming = sink.create()
        incoming.write([data[:100], data[100:]])
        if fault:
            with pytest.raises(CutOff, match="cut off: the pixel data"):
                incoming.commit(uids)
            incoming.discard()
        else:
            incoming.commit(uids)
    folder.close()
    [kept] = tmp_path.glob("*.dcm")
    assert kept.read_bytes() == whole
