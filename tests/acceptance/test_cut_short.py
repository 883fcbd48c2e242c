"""Data sets that are cut off, hold group 0002 or are odd in other ways, through a node to the reference platform."""

import json
import socket
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom import dcmread

from router.dicom.dataset.part10 import dataset_offset
from router.model import Channel
from router.policy.states import State
from support import raw_pdus
from support.harness import Site, command, command_here
from support.sample_exam import exam_document

CASES = Path(__file__).parents[1] / "cases" / "dicom"
ROOT = "1.2.826.0.1.3680043.9.7777"
IMAGES = (Channel.IMAGES,)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("cut-off"), stable_after="300 ms")
    try:
        yield site.start()
    finally:
        site.stop()


def case(number: str, instance: int = 1) -> bytes:
    """The data set of a case, or another instance of its study."""
    data = (CASES / f"{number}.dcmds").read_bytes()
    return data.replace(f"{ROOT}.{number}.1.1".encode(), f"{ROOT}.{number}.1.{instance}".encode())


def store(port: int, data: bytes, number: str, instance: int | str = 1) -> int:
    """C-STORE of bytes as they are; the status."""
    sop = f"{ROOT}.{number}.1.{instance}".encode()
    command_set = raw_pdus.store_command(sop + b"\0" * (len(sop) % 2))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        peer.sendall(raw_pdus.association_request())
        assert raw_pdus.answer(peer)[0] == 2
        peer.sendall(
            raw_pdus.p_data(command_set, raw_pdus.COMMAND | raw_pdus.LAST)
            + raw_pdus.p_data(data, raw_pdus.DATA | raw_pdus.LAST)
        )
        return raw_pdus.status(peer)


def report(site: Site, number: str) -> str:
    """The RIS reports the study; the exam's id."""
    exam = f"E{number}"
    document = exam_document({
        "ExamId": exam, "Order.AccessionNumber": f"A{number}", "Patient.PatientId": f"P{number}",
        "Patient.Name": "张三", "Patient.Gender": "1", "Patient.DateOfBirth": "1970-12-31",
        "Study.StudyInstanceUIDs": [f"{ROOT}.{number}"], "Study.StudyDate": "2026-11-29 10:00:00",
        "Report.SubmitTime": _ago(30), "Report.ApproveTime": _ago(20),
    })  # fmt: skip
    site.drop(f"{exam}.json", json.dumps(document, ensure_ascii=False).encode())
    return exam


def _ago(minutes: int) -> str:
    return f"{datetime.now(ZoneInfo('Asia/Shanghai')) - timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S}"


def at_platform(site: Site, number: str, instance: int | str = 1) -> Path:
    study = f"{ROOT}.{number}"
    return site.platform_data / "dicom" / study / f"{study}.1" / f"{study}.1.{instance}.dcm"


def explained(site: Site, name: str) -> Any:
    [story] = json.loads(command_here("queue", "explain", name, "--json", "--config", site.config_file).stdout)
    return story


@pytest.mark.parametrize("number", ["420", "422"])
def test_what_is_cut_off_is_taken_and_set_aside_until_a_person_releases_it(site: Site, number: str) -> None:
    whole = case("404", 2).replace(b".404", f".{number}".encode()).replace(b"A404", f"A{number}".encode())
    whole = whole.replace(b"P404", f"P{number}".encode())[whole.index(b"\x08\0\x05\0CS") :]
    assert store(site.port, case(number), number) == 0
    assert store(site.port, whole, number, 2) == 0
    exam = report(site, number)
    site.wait_for(State.HELD, exam, IMAGES)
    line = site.line(exam, Channel.IMAGES)
    assert "1 of 2 set aside: cut off" in line.delivery.error
    assert (line.sent, line.selected) == (1, 2)
    assert at_platform(site, number, 2).exists()
    assert not at_platform(site, number).exists()
    story = explained(site, exam)
    assert any(e["kind"] == "irregular" and f"{ROOT}.{number}.1.1 is cut off" in e["text"] for e in story["events"])
    assert "cut-off" in [one["alarm"] for one in story["alarms"]]
    answer = command("queue", "explain", exam, "--config", site.config_file)
    assert f"`queue release d{line.delivery.id} --why ...` sends them as they are" in answer.stdout
    why = ["--why", "seen on the console", "--config", site.config_file]
    assert command_here("queue", "release", f"d{line.delivery.id}", "--yes", *why).returncode == 0
    site.wait_for(State.DELIVERED, exam, IMAGES)
    sent = at_platform(site, number)
    assert sent.read_bytes().endswith(case(number))
    assert "cut-off" not in [one["alarm"] for one in explained(site, exam)["alarms"]]
    assert command_here("verify", "--config", site.config_file).returncode == 0


@pytest.mark.parametrize("number", ["45", "46", "404", "461"])
def test_group_0002_inside_a_data_set_changes_nothing_and_is_left_out(site: Site, number: str) -> None:
    data = case(number)
    assert store(site.port, data, number) == 0
    exam = report(site, number)
    site.wait_for(State.DELIVERED, exam, IMAGES)
    sent = at_platform(site, number)
    with sent.open("rb") as file:
        meta = dataset_offset(file)
        file.seek(meta.offset)
        assert file.read() == data[data.index(b"\x08\0\x05\0CS") :]
    read = dcmread(sent)
    assert (read.file_meta.TransferSyntaxUID, meta.strays) == (raw_pdus.EXPLICIT, ())
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID == f"{ROOT}.{number}.1.1"
    assert (read.PatientID, read.Rows, len(read.PixelData)) == (f"P{number}", 4, 32)
    [kept] = (site.data / "studies").rglob(f"{ROOT}.{number}.1.1.dcm")
    assert kept.read_bytes().endswith(data)
    story = explained(site, exam)
    [said] = [event["text"] for event in story["events"] if event["kind"] == "irregular"]
    assert "(0002,00" in said
    assert said.endswith("kept, and left out when sent")
    assert "CT99" not in json.dumps(story)
    assert "HOSTILE" in command("queue", "explain", exam, "--config", site.config_file).stdout


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("30", "tags out of order"), ("32", "VRs that do not exist"), ("33", "VRs that do not exist"),
        ("34", "VRs that do not exist"), ("40", "a sequence of another length than its items"),
        ("41", "delimiters outside any sequence"), ("401", "elements of group 0000"),
        ("56", "a UID with a dot at its end"), ("58", ""), ("302", ""), ("501", ""),
    ],
)  # fmt: skip
def test_what_is_merely_odd_is_delivered_as_it_came_and_explain_says_so(site: Site, number: str, said: str) -> None:
    data, instance = case(number), "" if number == "56" else "1"
    assert store(site.port, data, number, instance) == 0
    exam = report(site, number)
    site.wait_for(State.DELIVERED, exam, IMAGES)
    sent = at_platform(site, number, instance)
    with sent.open("rb") as file:
        meta = dataset_offset(file)
        assert meta.transfer_syntax == meta.announced == ("1.2.840.10008.1.2" if number == "58" else raw_pdus.EXPLICIT)
        file.seek(meta.offset)
        assert file.read() == data + b"\0" * (len(data) % 2)
    told = [event["text"] for event in explained(site, exam)["events"] if event["kind"] == "irregular"]
    assert [text.partition("irregular: ")[2] for text in told] == ([f"{said}; kept as they came"] if said else [])


@pytest.mark.parametrize("wrong", [(0x0018, b"1.2.3.9\0"), (0x0016, b"1.2.840.10008.5.1.4.1.1.4\0")])
def test_another_instance_or_class_than_the_commands_is_refused(site: Site, wrong: tuple[int, bytes]) -> None:
    data = case("46")
    start = data.index(struct.pack("<HH", 8, wrong[0]))
    length = int.from_bytes(data[start + 6 : start + 8], "little")
    value = wrong[1]
    data = data[:start] + raw_pdus.element(8, wrong[0], value) + data[start + 8 + length :]
    assert store(site.port, data, "46") == 0xA900


def test_what_is_cut_off_is_refused_where_that_is_configured(tmp_path: Path) -> None:
    site = Site(tmp_path, stable_after="300 ms")
    try:
        site.configure()
        text = site.config_file.read_text(encoding="utf-8")
        site.config_file.write_text(text.replace("[receive]", '[receive]\nirregular = "refuse"'))
        for number in ("420", "422"):
            assert store(site.port, case(number), number) == 0xC000
        assert store(site.port, case("46"), "46") == 0
        exam = report(site, "46")
        site.wait_for(State.DELIVERED, exam, IMAGES)
        assert "the data set is cut off: the pixel data has 16 of 32 bytes" in site.log
        assert not list((site.data / "studies").rglob(f"{ROOT}.42*"))
    finally:
        site.stop()
