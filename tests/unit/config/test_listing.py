"""The configuration key by key: nothing secret in it, and what the file has otherwise."""

from pathlib import Path

import pytest

from router.config.changes import compare
from router.config.file import parse
from router.config.listing import Setting, listed
from router.config.sections import Config

SECRET = "s3cret"
TEXT = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
[database]
url = "postgresql://router:s3cret@db.hospital:5433/router?password=s3cret"
[alarms]
targets = ["wecombot://s3cret", "feishu://s3cret"]
program = ["/usr/local/bin/sms", "--token", "s3cret"]
[alarms.webhook]
url = "https://hook.hospital/s3cret?key=s3cret"
[alarms.heartbeat]
url = "https://s3cret@ping.hospital/"
[[share.exclude]]
name = "refused"
PatientID = "s3cret"
"$.s3cret.vip" = "1"
[[receive.senders]]
ae_title = "CT1"
address = "10.0.0.1"
[[receive.senders]]
ae_title = "CT1"
address = "10.0.0.2"
[[destination]]
name = "cloud"
accept = [{ branch = "01", "Patient.Name" = "s3cret" }]
[destination.dicom]
[destination.http]
url = "https://user:s3cret@cloud.city:8443/s3cret"
allow_plain = true
api_key_file = "keys/api"
signing_key_file = "keys/sign"
platform_signing_key_file = "keys/p1"
platform_encryption_key_file = "keys/p2"
[destination.http.settings]
app_secret = "s3cret"
[destination.http.secrets]
token = "keys/token"
"""


def config(*changes: tuple[str, str]) -> Config:
    text = TEXT.replace('"$.s3cret.vip"', '"$.data.vip"')
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse(text, base=Path("/etc/router"))


def value(settings: list[Setting], table: str, key: str) -> str:
    (found,) = [one for one in settings if (one.table, one.key) == (table, key)]
    return found.value


def test_no_secret_and_no_patient_of_a_rule_is_in_any_value() -> None:
    found = listed(config())
    assert [one for one in found if SECRET in f"{one.key} {one.value}"] == []
    assert value(found, "database", "url") == '"postgresql://db.hospital:5433/•••"'
    assert value(found, "alarms", "targets") == "[•••, •••]"
    assert value(found, "alarms", "program").startswith('["/usr/local/bin/sms", "•••"')
    assert value(found, "destination cloud.http", "url") == '"https://cloud.city:8443/•••"'
    assert value(found, "destination cloud.http", "settings") == "app_secret = •••"
    assert value(found, "destination cloud.http", "secrets") == 'token = "/etc/router/keys/token"'
    assert value(found, "destination cloud.accept", "branch") == '"01"'
    assert value(found, "share.exclude refused", "PatientID") == "•••"


def test_a_change_of_something_hidden_is_a_change_all_the_same() -> None:
    running, wanted = config(), config(('app_secret = "s3cret"', 'app_secret = "another"'))
    (found,) = [one for one in listed(running, compare(running, wanted), wanted) if one.wanted is not None]
    assert (found.table, found.key, found.wanted, found.waits) == (
        "destination cloud.http", "settings", "app_secret = •••", False,
    )  # fmt: skip


def test_each_table_of_a_kind_is_told_apart_though_two_have_one_name() -> None:
    found = listed(config())
    assert [(one.table, one.value) for one in found if one.key == "address"] == [
        ("receive.senders CT1 1", '"10.0.0.1"'), ("receive.senders CT1 2", '"10.0.0.2"'),
    ]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "where", "values", "waits"), [
    ("[destination.dicom]", '[destination.dicom]\nhost = "10.0.0.9"\nallow_plain = true',
     "destination cloud.dicom host", ('"127.0.0.1"', '"10.0.0.9"'), False),
    ('data = "data"', 'data = "data"\nlease = "90 s"', "node lease", ('"30 s"', '"90 s"'), True),
    ('data = "data"', 'data = "other"', "node data", ('"/etc/router/data"', '"/etc/router/other"'), True),
])  # fmt: skip
def test_a_key_that_the_file_has_otherwise_says_how_it_is_taken_up(
    old: str, new: str, where: str, values: tuple[str, str], waits: bool
) -> None:
    running, wanted = config(), config((old, new))
    found = {f"{one.table} {one.key}": one for one in listed(running, compare(running, wanted), wanted)}
    assert (found[where].value, found[where].wanted, found[where].waits) == (*values, waits)
    assert sum(one.wanted is not None for one in found.values()) == (2 if "host" in new else 1)


def test_a_table_that_the_file_has_no_longer_is_listed_with_nothing_there() -> None:
    running, wanted = config(), config(('[[receive.senders]]\nae_title = "CT1"\naddress = "10.0.0.2"\n', ""))
    gone = {f"{one.table} {one.key}": one for one in listed(running, compare(running, wanted), wanted)}
    assert gone["receive.senders CT1 2 address"].wanted == ""
    assert gone["receive.senders CT1 address"].value == ""
