"""The configuration file: every default, every fault at once, and paths relative to the file."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from router.config.file import load, parse, shipped
from router.config.sections import Config
from router.config.types import is_loopback, is_within
from router.errors import ConfigurationError
from router.model import SeriesClass

BASE = Path("/etc/router")
HOSPITAL = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""
HTTP = """
[destination.http]
api_key_file = "keys/api.key"
signing_key_file = "keys/sign.pem"
platform_signing_key_file = "keys/platform-sign.pem"
platform_encryption_key_file = "keys/platform-encrypt.pem"
"""


def config(text: str = "") -> Config:
    return parse(HOSPITAL + text, base=BASE)


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, base=BASE)
    return caught.value.faults


def the_fault(text: str) -> str:
    (fault,) = faults(HOSPITAL + text)
    return fault


def test_the_hospital_alone_is_a_whole_configuration() -> None:
    found = config()
    assert found.node.data == Path("/etc/data")
    assert found.reports.folder == Path("/etc/reports")
    assert str(found.node.timezone) == "Asia/Shanghai"
    assert (found.receive.ae_title, found.receive.host, found.receive.port) == ("ROUTER", "127.0.0.1", 11112)
    assert found.receive.min_free == 5 * 2**30
    assert (found.reports.settle, found.reports.rescan) == (timedelta(seconds=2), timedelta(seconds=30))
    assert (found.reports.on_pickup, found.reports.name_pattern) == ("move", None)
    assert found.identity.blank == ("0", "UNKNOWN", "ANONYMOUS")
    assert found.share.from_ is None
    assert found.study.stable_after == timedelta(seconds=60)
    assert found.retention.audit == timedelta(days=1095)
    assert found.destination == ()


def test_the_shipped_file_is_the_defaults_what_new_installations_begin_with_and_one_destination() -> None:
    found = load(shipped("router.toml"))
    begun_with = '[share]\nshared_study = "all"\n[identity]\nchecks = 2\n'
    bare = parse(HOSPITAL + begun_with, base=shipped("router.toml").resolve().parent)
    (destination,) = found.destination
    assert found.model_copy(update={"destination": ()}) == bare
    assert (destination.report_within, destination.images_within) == (timedelta(hours=1), timedelta(hours=6))
    assert destination.classes == tuple(SeriesClass(c) for c in ("thin", "key", "scout", "dose", "image"))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("250 ms", 0.25), ("2 s", 2), ("2s", 2), (" 1.5 min ", 90), ("6 h", 21600), ("7 d", 604800), ("0 s", 0)],
)
def test_durations(written: str, seconds: float) -> None:
    assert config(f'[study]\nstable_after = "{written}"').study.stable_after.total_seconds() == seconds


@pytest.mark.parametrize(
    ("written", "size"), [('"0 B"', 0), ('"1.5 KiB"', 1536), ('"5 GiB"', 5 * 2**30), ('"1 TiB"', 2**40), ("17", 17)]
)
def test_sizes(written: str, size: int) -> None:
    assert config(f"[receive]\nmin_free = {written}").receive.min_free == size


# A line that is wrong, and what its fault must name: the key, the value, what is expected.
_FAULTS = [
    ('[study]\nstable_after = "60"', "study.stable_after = '60': expected a number and one of ms, s, min, h, d"),
    ('[study]\nstable_after = "-1 s"', "study.stable_after = '-1 s': expected a number"),
    ('[study]\nstable_after = "1 week"', "study.stable_after = '1 week': expected"),
    ("[study]\nstable_after = 60", "study.stable_after = 60: expected"),
    ('[reports]\nrescan = "0 s"', "reports.rescan = '0 s': expected more than nothing"),
    ('[reports]\non_pickup = "delete"', "reports.on_pickup = 'delete'"),
    ('[reports]\nname_pattern = "(?P<accession>"', "reports.name_pattern = '(?P<accession>': expected a regular"),
    ('[reports]\nfolder = ""', "reports.folder = '': expected a path"),
    ("[reports]\nfolder = 5", "reports.folder = 5: expected a path"),
    ('[reports]\nfoldr = "x"', "reports.foldr: unknown key; did you mean folder?"),
    ("[receive]\nae_titel = 'X'", "receive.ae_titel: unknown key; did you mean ae_title?"),
    ("[node]\nmin_free = '1 GiB'", "node.min_free: unknown key; it belongs to [receive]"),
    ("[[destination]]\nname = 'a'\n[destination.dicom]\nprot = 1", "dicom.prot: unknown key; did you mean port?"),
    ("[reprots]", "reprots: unknown key; did you mean reports?"),
    ('[receive]\nmin_free = "5 GB"', "receive.min_free = '5 GB': expected a number and one of B, KiB"),
    ("[receive]\nmin_free = -1", "receive.min_free = -1"),
    ("[receive]\nmin_free = true", "receive.min_free = True"),
    ('[receive]\nae_title = "SEVENTEEN_LETTERS"', "receive.ae_title = 'SEVENTEEN_LETTERS': expected an AE title"),
    ('[receive]\nae_title = "   "', "receive.ae_title = '   ': expected an AE title"),
    ("[receive]\nae_title = 'A\\B'", "receive.ae_title"),
    ('[receive]\nae_title = "医院"', "receive.ae_title = '医院': expected an AE title"),
    ("[receive]\nport = 65536", "receive.port = 65536"),
    ("[receive]\nmax_associations = 0", "receive.max_associations = 0"),
    ('[receive]\nsenders = [{ ae_title = "CT", address = "10.1.2.0/99" }]', "receive.senders[0].address"),
    ('[receive]\nhost = "0.0.0.0"', "senders"),
    ('[receive]\nhost = "0.0.0.0"\nsenders = [{ ae_title = "CT" }]', "beyond loopback"),
    ('[node]\ntimezone = "Peking"', "node.timezone = 'Peking': expected a time zone name"),
    ('[node]\ntimezone = "../../etc/passwd"', "node.timezone"),
    ('[share]\nfrom = "soon"', "share.from = 'soon'"),
    ('[[share.exclude]]\nname = "x"', "share.exclude[0]: no field: expected at least one of"),
    ('[[share.exclude]]\nname = "x"\nPatientId = "T"', "PatientId: expected at least one of"),
    ('[[share.exclude]]\nname = "x"\nModality = "T"', "Modality: expected at least one of"),
    ('[[share.exclude]]\nname = "x"\n"Patient.Name" = "("', "share.exclude[0].Patient.Name = '(': expected a regular"),
    ('[[share.exclude]]\nname = "x"\nVIP = true', "share.exclude[0].VIP = True"),
    ('[[share.exclude]]\nname = "x"\nPatientID = "("', "share.exclude[0].PatientID = '(': expected a regular"),
    ('[identity]\npatient_id = ["Patient.Id"]', "identity.patient_id[0] = 'Patient.Id'"),
    ('[identity]\nstrip = "["', "identity.strip = '[': expected a regular expression"),
    ('[series]\nrules = "nowhere.toml"', "series.rules"),
    ('[[destination]]\nname = "a/b"', "destination[0].name = 'a/b'"),
    ('[[destination]]\nname = ".."\nclasses = ["thick"]', "destination[0].classes[0] = 'thick'"),
    ('[[destination]]\nname = "x"\nreport_within = "0 h"', "report_within = '0 h': expected more than nothing"),
    ('[[destination]]\nname = "x"\n[[destination]]\nname = "x"', "destination: two are named 'x'"),
    ('[[destination]]\nname = "x"\n[destination.dicom]\nhost = "10.0.0.1"', "beyond loopback: set tls, or allow_plain"),
    ('[[destination]]\nname = "x"\n[destination.dicom]\nassociations = 17', "dicom.associations = 17"),
    ('[admin]\nhost = "0.0.0.0"', "beyond loopback: set tls and token_file"),
    ('[admin]\nhost = "0.0.0.0"\ntoken_file = "t"', "beyond loopback: set tls and token_file"),
    ('[admin]\nhost = "0.0.0.0"\ntls = { certificate = "c", key = "k" }', "beyond loopback: set tls and token_file"),
    ('[alarms]\nonly = ["fire"]', "alarms.only[0] = 'fire'"),
    ('[alarms.webhook]\nurl = "http://10.0.0.1/"', "alarms.webhook: url to '10.0.0.1' is plain http"),
    ('[alarms]\nprogram = ["sms"]', "alarms.program = ['sms']: expected the program's whole path"),
    ('[alarms]\ntargets = ["no address"]', "alarms.targets[0]: expected an address that apprise reads"),
    ('[alarms]\ntargets = [{ url = "a://b", hospital = "x" }]', "alarms.targets[0]: expected { url ="),
    ('[alarms]\ntargets = [{ url = "a://b", hospitals = ["x"] }]', "alarms: hospitals: no [[hospital]] has"),
    ("[alarms.heartbeat]\nevery = '1 min'", "alarms.heartbeat.url: missing"),
    ('[node]\nlanguage = "fr"', "node.language = 'fr'"),
    ('[admin]\nlink = "router"', "admin.link = 'router'"),
    ('[alarms.mail]\nhost = "m"\nfrom = "a@b"\nto = []', "alarms.mail.to"),
    ('[alarms.mail]\nhost = "m"\nfrom = "a@b"\nto = ["a@b"]\nstarttls = false', "only with allow_plain"),
    ('[alarms.mail]\nhost = "m"\nfrom = "a@b"\nto = ["a@b"]\nuser = "u"', "user and passphrase_file go together"),
    ('[[device]]\nDeviceAETitle = "CT01"', "device[0]: expected station_name (0008,1010) or serial_number"),
    ('[[device]]\nstation_name = "A"\nDeviceAETitle = "医院"', "device[0].DeviceAETitle"),
    ('[[device]]\nstation_name = "A"\ndepartment = "X"', "device: no [[department]] has the name 'X'"),
    ('[[department]]\nname = ""', "department[0].name"),
    ('[codes]\ncomplete = ["sexes"]', "codes.complete[0] = 'sexes'"),
    ('[codes]\nfolder = "nowhere"', "codes.folder"),
    ('[reports]\nmapping = "nowhere.toml"', "reports.mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), _FAULTS)
def test_each_fault_names_its_key_its_value_and_what_is_expected(text: str, expected: str) -> None:
    assert expected in the_fault(text)


def test_every_fault_is_told_at_once() -> None:
    text = '[hospital]\nUSCI = "1"\n[receive]\nport = -1\nhosts = "x"\n[reports]\nsettle = "soon"\n[[destination]]\n'
    keys = {fault.split(" ")[0].rstrip(":") for fault in faults(text)}
    assert keys == {
        "hospital.HospitalCode", "hospital.HospitalName", "hospital.HospitalBranchCode", "receive.port",
        "receive.hosts", "reports.settle", "destination[0].name",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8443", True),
        ("http://localhost/api", True),
        ("http://[::1]:8443/x", True),
        ("https://cloud.example", True),
        ("http://cloud.example", False),
        ("http://localhost.cloud.example", False),
        ("http://127.0.0.1@cloud.example/", False),
        ("http://127.0.0.1:80@cloud.example/", False),
        ("http://[2001:db8::1]/", False),
        ("ftp://127.0.0.1", False),
        ("http:///x", False),
        ("HTTP://cloud.example", False),
    ],
)
def test_plain_http_is_for_loopback_only(url: str, allowed: bool) -> None:
    text = f'[[destination]]\nname = "x"{HTTP}url = "{url}"\n'
    if allowed:
        assert config(text).destination[0].http is not None
    else:
        assert "url" in the_fault(text)


def test_plain_http_beyond_loopback_can_be_asked_for() -> None:
    found = config(f'[[destination]]\nname = "x"{HTTP}url = "http://cloud.example"\nallow_plain = true\n')
    assert found.destination[0].http is not None


def test_dicom_is_received_beyond_loopback_over_tls_or_plain_on_purpose() -> None:
    text = '[receive]\nhost = "0.0.0.0"\nsenders = [{ ae_title = "CT" }]\n'
    secured = config(text + 'tls = { certificate = "node.pem", ca = "ca.pem" }').receive.tls
    assert secured is not None
    assert (secured.certificate, secured.key) == (BASE / "node.pem", None)
    assert config(text + "allow_plain = true").receive.tls is None


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("", False),
     ("10.0.0.1", False), ("::", False), ("127.0.0.1.example", False)],
)  # fmt: skip
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


@pytest.mark.parametrize(
    ("address", "networks", "within"),
    [("10.1.2.3", (), True), ("10.1.2.3", ("10.2.0.0/16",), False), ("10.1.2.3", ("10.2.0.0/16", "10.1.2.0/24"), True),
     ("10.1.2.3", ("10.1.2.9/24",), True), ("10.1.2.3", ("10.1.2.3",), True),
     ("::ffff:10.1.2.3", ("10.1.2.0/24",), True), ("::ffff:10.1.2.3", ("::/0",), False),
     ("fe80::1%eth0", ("fe80::/10",), True), ("10.1.2.3", ("::/0",), False), ("2001:db8::1", ("0.0.0.0/0",), False)],
)  # fmt: skip
def test_whether_an_address_lies_in_a_network(address: str, networks: tuple[str, ...], within: bool) -> None:
    assert is_within(address, networks) == within


def test_paths_are_relative_to_the_file_and_need_not_exist_but_for_rules(tmp_path: Path) -> None:
    rules = tmp_path / "mine.toml"
    rules.write_text("")
    file = tmp_path / "router.toml"
    file.write_text(
        HOSPITAL + '[node]\ndata = "d/../e"\n[reports]\nfolder = "/mnt/ris"\n[series]\nown_rules = "mine.toml"\n'
        f'[[destination]]\nname = "x"{HTTP}',
        encoding="utf-8",
    )
    found = load(file)
    assert found.node.data == tmp_path / "e"
    assert found.reports.folder == Path("/mnt/ris")
    assert found.series.own_rules == rules
    assert found.destination[0].http is not None
    assert found.destination[0].http.api_key_file == tmp_path / "keys/api.key"


def test_a_day_without_time_begins_sharing_at_its_midnight() -> None:
    for written in ('"2026-12-01"', "2026-12-01"):
        assert config(f"[share]\nfrom = {written}").share.from_ == datetime(2026, 12, 1)  # noqa: DTZ001  # local


def test_the_owner_is_safe_as_a_folder_s_name() -> None:
    assert config('[node]\nname = "../节点 1/x"').node.owner == "..----1-x"
    assert "/" not in config().node.owner
    assert config().node.owner


def test_a_padded_ae_title_is_the_one_without_padding() -> None:
    assert config('[receive]\nae_title = " ROUTER "').receive.ae_title == "ROUTER"


def test_a_destination_is_found_by_its_name_and_else_not() -> None:
    found = config('[[destination]]\nname = "beijing"')
    assert found.destination_named("beijing") is found.destination[0]
    assert found.destination_named("nanjing") is None


def test_a_configuration_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        config().receive.port = 1  # type: ignore[misc]  # that is the point


def test_a_file_that_is_not_there_not_toml_or_not_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        parse("[hospital", base=BASE)
    file = tmp_path / "router.toml"
    file.write_bytes(HOSPITAL.encode("gb18030"))
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        load(file)


def test_records_of_exams_must_last_as_long_as_the_audit() -> None:
    text = HOSPITAL + '[retention]\nrecords = "1094 d"\n'
    assert any("records must not end before" in fault for fault in faults(text))


def test_a_senders_certificate_is_named_only_where_certificates_are_asked_for() -> None:
    named = '\n[receive]\nsenders = [{ ae_title = "CT01", certificate = "ct01" }]\n'
    with pytest.raises(ConfigurationError) as caught:
        parse(HOSPITAL + named, base=BASE)
    assert "certificate" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '[alarms]\ntargets = ["s3cret"]',
        '[alarms]\ntargets = ["wecombot://s3cret with blank"]',
        '[alarms]\ntargets = "wecombot://s3cret"',
        '[alarms.webhook]\nurl = "ftp://hook/s3cret"',
        '[alarms.webhook]\nurl = "http://hook/s3cret"',
        '[alarms.heartbeat]\nurl = "http://user:s3cret@hook/s3cret"',
    ],
)
def test_no_fault_shows_a_secret_of_an_address_that_alarms_go_to(text: str) -> None:
    assert "s3cret" not in the_fault(text)


def test_the_addresses_that_alarms_go_to_are_not_shown_with_the_configuration() -> None:
    assert "s3cret" not in repr(config('[alarms]\ntargets = ["wecombot://s3cret"]'))
