"""Several keys for one purpose: which one makes, which ones are believed, and how files that change are taken up."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.config.sections import HttpDestination
from router.crypto import keys
from router.crypto.envelope import Message
from router.crypto.ring import Entry, Ring, State, load_ring
from router.crypto.sm2 import PublicKey
from router.crypto.sm2_certificates import Validity
from router.errors import ConfigurationError, DestinationDown
from router.forward.credentials import Credentials, KeyFiles, load_credentials
from router.forward.passphrase import signing_key_passphrase

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def ring(*entries: Entry[str]) -> Ring[str]:
    return Ring("signing key", entries, (Path("ring.toml"),))


def entry(name: str, state: str, **dates: datetime) -> Entry[str]:
    ends = dates.pop("ends", None)
    validity = None if ends is None else Validity(NOW - 300 * DAY, ends)
    return Entry(id=name, key=name, file=Path(name), state=State(state), validity=validity, **dates)


def test_the_active_key_makes_and_the_others_are_believed() -> None:
    found = ring(entry("a", "active"), entry("n", "next"), entry("r", "retiring"))
    assert found.active(NOW).id == "a"
    assert all(found.good(name, NOW) for name in "anr")
    assert found.good("x", NOW) is None


def test_the_next_key_takes_over_at_its_time() -> None:
    found = ring(entry("a", "active"), entry("n", "next", since=NOW))
    assert [found.active(at).id for at in (NOW - DAY, NOW, NOW + DAY)] == ["a", "n", "n"]
    assert found.good("n", NOW - DAY)
    assert found.good("a", NOW + DAY)


def test_a_key_serves_from_its_first_instant_to_before_its_last() -> None:
    found = ring(entry("a", "active", since=NOW, until=NOW + DAY))
    assert found.active(NOW).id == "a"
    assert found.good("a", NOW + DAY) is None
    with pytest.raises(DestinationDown, match="no signing key is in force"):
        found.active(NOW + DAY)


def test_a_retiring_key_never_makes() -> None:
    with pytest.raises(DestinationDown):
        ring(entry("r", "retiring")).active(NOW)


def test_an_entry_prints_no_key() -> None:
    assert "secret" not in repr(Entry(id="id", key="secret", file=Path("f")))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "k"
    keys.new_folder(folder, psk=True)
    keys.new_folder(folder / "next", psk=True)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Two sets of keys of the test's own."""
    return Path(shutil.copytree(made, tmp_path / "k"))


def write_ring(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


TWO = """
[[key]]
file = "platform-sign.pub.pem"
state = "active"
until = 2027-01-31T00:00:00+08:00
[[key]]
file = "next/platform-sign.pub.pem"
state = "next"
"""


def load(path: Path) -> Ring[PublicKey]:
    return load_ring(path, "platform signing key", keys.load_public, keys.key_id)


def test_a_ring_is_read_from_toml_and_a_key_file_is_a_ring_of_one(folder: Path) -> None:
    found = load(write_ring(folder / "ring.toml", TWO))
    assert [each.state for each in found.entries] == ["active", "next"]
    assert found.entries[0].until == datetime(2027, 1, 30, 16, 0, tzinfo=UTC)
    assert len(found.files) == 3
    alone = load(folder / "platform-sign.pub.pem")
    assert alone.ids() == (found.entries[0].id,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[key]", "not TOML"),
        ("key = 1", "does not hold"),
        ("other = 1\n" + TWO, "does not hold"),
        (TWO.replace("next\"\n", "active\"\n"), "exactly one key is active"),
        (TWO.replace('"active"', '"next"'), "exactly one key is active"),
        (TWO.replace("next/platform", "platform"), "one key comes twice"),
        (TWO.replace("2027-01-31T00:00:00+08:00", "2027-01-31"), "until is no time with an offset"),
        (TWO.replace("until", "since = 2028-01-01T00:00:00Z\nuntil"), "ends before it begins"),
        (TWO.replace("until", "untill"), "unknown untill"),
        (TWO.replace('"active"', '"old"'), "active, next, retiring"),
        (TWO.replace("until", 'id = "0000000000000000"\nuntil'), "not 0000000000000000"),
        (TWO.replace("next/platform-sign.pub.pem", "absent.pem"), "absent.pem"),
    ],
)  # fmt: skip
def test_a_ring_that_is_not_right_says_why(folder: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load(write_ring(folder / "ring.toml", text))


def destination(folder: Path, **settings: object) -> HttpDestination:
    given = {
        "api_key_file": folder / "api.key",
        "signing_key_file": folder / "hospital-sign.pem",
        "platform_signing_key_file": folder / "platform-sign.pub.pem",
        "platform_encryption_key_file": folder / "platform-encrypt.pub.pem",
        **settings,
    }
    return HttpDestination.model_validate(given)


class Watch:
    """Key files, and what was told of them."""

    def __init__(self, found: HttpDestination, accept: Callable[[Credentials], None] = lambda _: None) -> None:
        self.told: list[ConfigurationError] = []
        self.files = KeyFiles(found, found.api_key_file.parent / "pins.json", accept, self.told.append)

    def key_ids(self) -> tuple[str, ...]:
        return self.files.current().profile.pinned["signing"]


def test_a_key_file_that_changes_is_taken_up_without_a_restart(folder: Path) -> None:
    watch = Watch(destination(folder))
    before = watch.key_ids()
    assert watch.files.current() is watch.files.current()
    (folder / "next/platform-sign.pub.pem").replace(folder / "platform-sign.pub.pem")
    assert watch.key_ids() != before
    assert watch.key_ids() == (keys.key_id(keys.load_public(folder / "platform-sign.pub.pem")),)
    assert not watch.told


def test_a_ring_that_grows_is_taken_up_with_its_files(folder: Path) -> None:
    path = write_ring(folder / "ring.toml", TWO.partition('[[key]]\nfile = "next')[0])
    watch = Watch(destination(folder, platform_signing_key_file=path))
    assert len(watch.key_ids()) == 1
    write_ring(path, TWO)
    assert len(watch.key_ids()) == 2
    keys.save_public(folder / "another", keys.load_public(folder / "platform-encrypt.pub.pem"))
    (folder / "another").replace(folder / "next/platform-sign.pub.pem")
    assert keys.key_id(keys.load_public(folder / "platform-encrypt.pub.pem")) in watch.key_ids()


def test_a_file_that_does_not_read_leaves_the_former_keys_and_is_told_once(folder: Path) -> None:
    watch = Watch(destination(folder))
    before = watch.key_ids()
    whole = (folder / "api.key").read_bytes()
    (folder / "api.key").write_bytes(whole[:10])
    assert watch.key_ids() == watch.key_ids() == before
    assert len(watch.told) == 1
    (folder / "api.key").unlink()
    assert watch.key_ids() == before
    assert len(watch.told) == 2
    (folder / "api.key").write_bytes(whole)
    (folder / "api.key").chmod(0o600)
    assert watch.key_ids() == before
    assert len(watch.told) == 2


def test_a_ring_that_came_before_its_key_file_is_taken_up_when_the_file_is_there(folder: Path) -> None:
    path = write_ring(folder / "ring.toml", TWO.partition('[[key]]\nfile = "next')[0])
    watch = Watch(destination(folder, platform_signing_key_file=path))
    late = (folder / "next/platform-sign.pub.pem").rename(folder / "late")
    write_ring(path, TWO)
    assert len(watch.key_ids()) == len(watch.key_ids()) == len(watch.told) == 1
    late.rename(folder / "next/platform-sign.pub.pem")
    assert len(watch.key_ids()) == 2


def test_a_file_that_changes_while_it_is_read_first_is_seen(folder: Path) -> None:
    def change(_: Credentials) -> None:
        if (folder / "next/platform-sign.pub.pem").exists():
            (folder / "next/platform-sign.pub.pem").replace(folder / "platform-sign.pub.pem")

    watch = Watch(destination(folder), change)
    assert watch.key_ids() == (keys.key_id(keys.load_public(folder / "platform-sign.pub.pem")),)


def test_a_key_that_is_not_accepted_is_not_used_until_it_is(folder: Path) -> None:
    allowed = [keys.key_id(keys.load_public(folder / "platform-sign.pub.pem"))]

    def accept(found: Credentials) -> None:
        if found.profile.pinned["signing"] != tuple(allowed):
            raise ConfigurationError("not pinned")

    watch = Watch(destination(folder), accept)
    new = keys.key_id(keys.load_public(folder / "next/platform-sign.pub.pem"))
    (folder / "next/platform-sign.pub.pem").replace(folder / "platform-sign.pub.pem")
    assert watch.key_ids() == tuple(allowed)
    assert len(watch.told) == 1
    allowed[:] = [new]
    (folder / "pins.json").write_text("{}")
    assert watch.key_ids() == (new,)


def test_faulty_keys_at_the_start_are_a_configuration_error(folder: Path) -> None:
    (folder / "api.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="open to group or others"):
        Watch(destination(folder))


def test_a_key_is_chosen_by_the_time_of_the_message(folder: Path) -> None:
    text = TWO.replace("platform-sign.pub.pem", "psk.key").replace('"next"\n', '"next"\nsince = 2027-01-15T00:00:00Z\n')
    path = write_ring(folder / "psk.toml", text)
    profile = load_credentials(destination(folder, profile="gm-psk/1", psk_file=path)).profile

    def kid(at: datetime) -> str:
        message = Message(
            profile=profile.name,
            org="org",
            app="app",
            ts=int(at.timestamp() * 1000),
            nonce="n",
            idem="idem",
            revision=1,
        )
        return profile.exchange(message).headers("/v1/exams", b"")["X-GM-Key-Id"]

    first, second = (keys.psk_id(keys.load_psk(folder / name)) for name in ("psk.key", "next/psk.key"))
    assert (kid(NOW), kid(NOW + 60 * DAY)) == (first, second)


def test_a_passphrase_comes_from_a_file_the_environment_or_systemd(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "credentials").mkdir(mode=0o700)
    for name, mode in (("passphrase", 0o600), ("credentials/unlock", 0o440)):
        (folder / name).write_text("two words\n")
        (folder / name).chmod(mode)
    by_environment = destination(folder, signing_key_passphrase_env="UNLOCK")
    by_systemd = destination(folder, signing_key_passphrase_credential="unlock")
    for found, said in ((by_environment, "UNLOCK"), (by_systemd, "LoadCredential=unlock")):
        with pytest.raises(ConfigurationError, match=said):
            signing_key_passphrase(found)
    monkeypatch.setenv("UNLOCK", "two words")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", os.fspath(folder / "credentials"))
    by_file = destination(folder, signing_key_passphrase_file=folder / "passphrase")
    assert {signing_key_passphrase(found) for found in (by_environment, by_systemd, by_file)} == {b"two words"}
    assert signing_key_passphrase(destination(folder)) is None
