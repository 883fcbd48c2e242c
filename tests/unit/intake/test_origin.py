"""The way that a document came by, in its name, and the drop folders and HL7 ports of several hospitals."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.file import parse
from router.config.folders import drop_folders, hl7_ports
from router.config.sections import Config
from router.intake.origin import located, may_be_of, name_of, noted, origin_of, stem_of
from router.model import SetAside

NAMES = st.sampled_from(["E1", "branch2/E1", "@a/E1", "@/E1", "@", "@a", "@@/x", "mllp/01/E1", "dicom:1.2"])
BASE = Path("/etc/router")


def hospital(name: str, number: int, more: str = "") -> str:
    return f"""
[[hospital]]
name = "{name}"
USCI = "U{number}"
HospitalCode = "H{number}"
HospitalName = "医院{number}"
HospitalBranchCode = "01"
{more}
"""


def config(*hospitals: str, more: str = "") -> Config:
    return parse(more + "".join(hospitals), base=BASE)


@given(st.sampled_from([None, "a", "b"]), NAMES | st.text(min_size=1, max_size=5))
def test_the_way_and_the_name_are_found_again_whatever_the_name_is(way: str | None, name: str) -> None:
    assert origin_of(stem_of(way, name)) == (way, name)


def test_a_folder_named_like_another_hospitals_way_is_no_way_into_it() -> None:
    forged = stem_of(None, "@renmin/E1")
    assert origin_of(forged) == (None, "@renmin/E1")
    assert not may_be_of(stem_of("other", "@renmin/E1"), "renmin")


@given(NAMES, NAMES)
def test_names_of_two_hospitals_and_of_a_shared_way_are_never_equal(one: str, other: str) -> None:
    assert len({stem_of("a", one), stem_of("b", other), stem_of(None, other)}) == 3


def test_with_one_hospital_alone_a_name_is_as_it_always_was() -> None:
    assert stem_of("", "@a/E1") == "@a/E1"
    assert (name_of("@a/E1", ""), may_be_of("@a/E1", "")) == ("@a/E1", True)
    assert [may_be_of(stem, "a") for stem in ("E1", "@a/E1", "@b/E1")] == [True, True, False]


@pytest.mark.parametrize("home", [b"", b"branch2", b"@b", b"\xff"])
@pytest.mark.parametrize("way", [None, "a"])
def test_a_file_below_done_is_found_again_in_the_folder_that_it_lies_in(way: str | None, home: bytes) -> None:
    lying = SetAside(home=home, place=b"done/E1.pdf", inode=1, size=2)
    assert located(noted(way, lying)) == (way, lying)


def test_each_hospitals_folder_is_looked_at_by_itself_and_by_its_own_keys() -> None:
    own = '[hospital.reports]\nfolder = "../reports/a"\non_pickup = "keep"\nrescan = "5 s"'
    found = drop_folders(config(hospital("a", 1, own), hospital("b", 2), more='[reports]\nsettle = "3 s"\n'))
    common, of_a = found
    assert (common.hospital, common.path, common.without) == (
        None,
        Path("/etc/reports"),
        frozenset({Path("/etc/reports/a")}),
    )
    assert (of_a.hospital, of_a.path, of_a.without, of_a.keeps) == ("a", Path("/etc/reports/a"), frozenset(), True)
    assert (of_a.settle, of_a.rescan.total_seconds()) == (common.settle, 5)
    assert (common.name, of_a.name) == ("drop folder", "drop folder of a")


def test_the_common_folder_is_not_looked_at_where_each_hospital_has_its_own_and_nobody_names_it() -> None:
    own = [hospital(name, n, f'[hospital.reports]\nfolder = "{name}"') for n, name in enumerate("ab")]
    assert [at.used for at in drop_folders(config(*own))] == [False, True, True]
    assert drop_folders(config(*own, more='[reports]\nfolder = "x"\n'))[0].used


def test_a_folder_that_a_hospital_names_and_others_use_is_shared() -> None:
    found = drop_folders(config(hospital("a", 1, '[hospital.reports]\nfolder = "../reports"'), hospital("b", 2)))
    assert [at.hospital for at in found] == [None]


def test_a_listener_is_one_hospitals_where_its_port_is() -> None:
    own, same = "[hospital.reports.hl7]\nport = 7001", "[hospital.reports.hl7]\nport = 7000"
    found = hl7_ports(
        config(hospital("a", 1, own), hospital("b", 2, same), hospital("c", 3), more="[reports.hl7]\nport = 7000\n")
    )
    assert [(port.hospital, port.at.port, port.name) for port in found] == [
        (None, 7000, "HL7"), ("a", 7001, "HL7 of a"),
    ]  # fmt: skip


def test_senders_of_hospitals_are_among_those_of_the_node() -> None:
    sender = 'senders = [{ ae_title = "CT", certificate = "ct" }]'
    found = parse(
        '[receive]\nhost = "0.0.0.0"\ntls = { certificate = "c", key = "k", ca = "a" }\n' + hospital("a", 1, sender),
        base=BASE,
    )
    assert [one.ae_title for one in found.senders] == ["CT"]
