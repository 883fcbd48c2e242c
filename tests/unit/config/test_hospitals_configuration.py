"""The registry of hospitals in the configuration: one, several, a file each, and what each has of its own."""

from pathlib import Path

import pytest

from router.config.file import load, parse
from router.config.sections import Config, HospitalConfig
from router.errors import ConfigurationError

_DESTINATION = """
[[destination]]
name = "cloud"
[destination.http]
api_key_file = "keys/api.key"
signing_key_file = "keys/sign.pem"
signing_key_passphrase_file = "keys/words"
platform_signing_key_file = "keys/platform-sign.pem"
platform_encryption_key_file = "keys/platform-encrypt.pem"
"""
_CT = 'senders = [{ae_title = "CT"}]'


def _hospital(name: str, number: int, more: str = "") -> str:
    return f"""
[[hospital]]
name = "{name}"
USCI = "12110000400000000{number}"
HospitalCode = "H{number}"
HospitalName = "医院{number}"
HospitalBranchCode = "01"
{more}
"""


def _faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, base=Path("/etc/router"))
    return caught.value.faults


def _of(config: Config, name: str) -> HospitalConfig:
    found = config.for_hospital(name)
    assert found is not None
    return found


def test_the_only_hospital_has_the_common_configuration_and_needs_no_name() -> None:
    text = '[identity]\nignore_case = true\n[hospital]\nUSCI = "1"\nHospitalCode = "2"\nHospitalName = "3"\n'
    config = parse(f'{text}HospitalBranchCode = "01"', base=Path("/etc/router"))
    own = _of(config, "")
    assert (own.own.USCI, own.identity, own.reports) == ("1", config.identity, config.reports)
    assert not config.several


def test_a_hospital_changes_the_keys_that_it_names_and_no_others() -> None:
    more = (
        '[hospital.identity]\nstrip = "^0+"\n[hospital.reports]\nfolder = "../reports-a"\n[hospital.share]\nlevel = 3'
    )
    text = f'[identity]\nignore_case = true\nstrip = "x"\n{_hospital("a", 1, more)}{_hospital("b", 2)}'
    config = parse(text, base=Path("/etc/router"))
    a, b = _of(config, "a"), _of(config, "b")
    assert (a.identity.strip, a.identity.ignore_case, b.identity.strip) == ("^0+", True, "x")
    assert (a.reports.folder, b.reports.folder) == (Path("/etc/reports-a"), Path("/etc/reports"))
    assert (a.share.level, b.share.level) == (3, 4)
    assert config.for_hospital("c") is None


def test_devices_and_departments_of_its_own_come_before_the_common_ones() -> None:
    common = '[[device]]\nstation_name = "S"\nDeviceCode = "common"\n'
    own = '[[hospital.device]]\nstation_name = "S"\nDeviceCode = "own"\n'
    config = parse(common + _hospital("a", 1, own) + _hospital("b", 2), base=Path("/etc/router"))
    assert [device.DeviceCode for device in _of(config, "a").device] == ["own", "common"]
    assert [device.DeviceCode for device in _of(config, "b").device] == ["common"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (_hospital("a", 1) + _hospital("a", 2), "two are named 'a'"),
        (_hospital("a", 1) + _hospital("b", 1), "the same USCI and HospitalCode"),
        (_hospital("", 1) + _hospital("b", 2), "each needs a name"),
        (_hospital("a", 1, "former = true") + _hospital("b", 2, "former = true"), "of one hospital"),
        (_hospital("a", 1, _CT) + _hospital("b", 2, _CT), "sender"),
        (_hospital("a", 1, "[[hospital.study]]"), "at least one of InstitutionName"),
        (_hospital("a", 1) + _DESTINATION + '[[destination.account]]\nhospital = "c"', "has the name 'c'"),
        (_hospital("a", 1) + '[[destination]]\nname = "x"\nhospitals = ["c"]', "has the name 'c'"),
        (_hospital("a", 1) + '[[destination]]\nname = "x"\n[[destination.accept]]\nStudyUid = "1"', "StudyUid"),
    ],
)  # fmt: skip
def test_a_registry_that_contradicts_itself_is_refused(text: str, fault: str) -> None:
    (found,) = _faults(text)
    assert fault in found


def test_an_account_replaces_what_it_names_and_no_passphrase_of_the_common_key_stays() -> None:
    own = '[[destination.account]]\nhospital = "a"\napp = "a-1"\nsigning_key_file = "keys/a.pem"'
    config = parse(_hospital("a", 1) + _hospital("b", 2) + _DESTINATION + own, base=Path("/etc/router"))
    destination = config.destination[0]
    a, b = destination.http_of("a"), destination.http_of("b")
    assert a is not None
    assert b is not None
    assert (a.app, a.signing_key_file, a.signing_key_passphrase_file) == ("a-1", Path("/etc/router/keys/a.pem"), None)
    assert a.api_key_file == b.api_key_file
    assert (b.app, b.signing_key_passphrase_file) == ("hospital-1", Path("/etc/router/keys/words"))


def test_a_hospital_without_an_account_goes_by_the_common_one_and_one_that_is_not_served_by_none() -> None:
    hospitals = _hospital("a", 1) + _hospital("b", 2) + _hospital("c", 3)
    own = '[[destination.account]]\nhospital = "b"\n[[destination.account]]\nhospital = "c"\n'
    config = parse(hospitals + _DESTINATION + own, base=Path("/etc/router"))
    (destination,) = config.destination
    assert config.accounts(destination) == ("", "b", "c")
    assert [config.served(destination, one) for one in (None, "", "b", "c")] == [
        ("a", "b", "c"),
        ("a",),
        ("b",),
        ("c",),
    ]
    some = destination.model_copy(update={"hospitals": ("b", "c")})
    assert (config.accounts(some), config.served(some), config.served(some, "")) == (("b", "c"), ("b", "c"), ())


def _file(folder: Path, name: str, number: int, more: str = "") -> None:
    folder.mkdir(exist_ok=True)
    constants = f'USCI = "{number}"\nHospitalCode = "H{number}"\nHospitalName = "n"\nHospitalBranchCode = "01"\n'
    (folder / f"{name}.toml").write_text(constants + more, encoding="utf-8")


def test_a_file_beside_the_configuration_is_a_hospital_named_after_it(tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text(_DESTINATION, encoding="utf-8")
    account = '[reports]\nfolder = "in"\n[[account]]\ndestination = "cloud"\napi_key_file = "a.key"'
    _file(tmp_path / "hospitals", "a", 1, account)
    _file(tmp_path / "hospitals", "b", 2)
    config = load(tmp_path / "router.toml")
    assert [one.name for one in config.hospital] == ["a", "b"]
    assert _of(config, "a").reports.folder == tmp_path / "hospitals" / "in"
    http = config.destination[0].http_of("a")
    assert http is not None
    assert http.api_key_file == tmp_path / "hospitals" / "a.key"


def test_faults_of_all_files_are_reported_at_once_with_their_file(tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text("[node]\nnam = 1\n", encoding="utf-8")
    _file(tmp_path / "hospitals", "a", 1, "[report]\n")
    _file(tmp_path / "hospitals", "b", 2, '[[account]]\ndestination = "nowhere"\n')
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "router.toml")
    text = "\n".join(caught.value.faults)
    assert "a.toml: report: unknown key" in text
    assert "did you mean" in text
    assert "b.toml: account.destination = 'nowhere'" in text
    assert "node.nam: unknown key" in text


def test_a_sole_hospital_beside_files_of_hospitals_is_refused(tmp_path: Path) -> None:
    sole = '[hospital]\nUSCI = "9"\nHospitalCode = "9"\nHospitalName = "9"\nHospitalBranchCode = "01"\n'
    (tmp_path / "router.toml").write_text(sole, encoding="utf-8")
    _file(tmp_path / "hospitals", "a", 1)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "router.toml")
    assert "use [[hospital]]" in caught.value.faults[0]
