"""The `users` command on a real data folder: what is asked for is done, recorded, and in the trail with who did it."""

import json
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from router.catalogue import Catalogue
from router.cli import opened, users
from router.cli.users import command
from router.crypto import passwords
from router.policy.passwords import COMPLEX, OTHER, PLAIN
from support.catalogue_rows import NOW, Database

CONFIG = """
[node]
language = "en"
data = "data"
[reports]
folder = "drop"
[[hospital]]
name = "renmin"
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[[hospital]]
name = "zhongyi"
USCI = "121100004000000002"
HospitalCode = "H0002"
HospitalName = "中医医院"
HospitalBranchCode = "01"
"""
FIRST, SECOND = "Erste-Tulpe-8", "Zweite-Tulpe-9"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    for module in (opened, users):
        monkeypatch.setattr(module, "person", lambda: "root")
    (tmp_path / "router.toml").write_text(CONFIG, encoding="utf-8")
    for name in ("drop", "data"):
        (tmp_path / name).mkdir()
    Database("", tmp_path / "data").open().engine.close_thread()
    return tmp_path


def call(home: Path, *words: str, stdin: str = "") -> tuple[int, str]:
    found = CliRunner().invoke(command, [words[0], "--config", str(home / "router.toml"), *words[1:]], stdin)
    failed = found.exception is not None and not isinstance(found.exception, SystemExit)
    return found.exit_code, str(found.exception) if failed else found.output


def catalogue_of(home: Path) -> Catalogue:
    return Database("", home / "data").open()


def trail(home: Path) -> str:
    return "".join(file.read_text("utf-8") for file in (home / "data" / "audit").rglob("*.jsonl"))


def test_users_are_added_listed_changed_and_removed_each_with_a_record(home: Path) -> None:
    assert "no users yet" in call(home, "list")[1]
    words = "add", "li", "--role", "operator", "--hospital", "renmin", "--hospital", "zhongyi"
    code, text = call(home, *words, stdin=f"{FIRST}\r\nrest\n")
    assert (code, "changed at the first login" in text, FIRST in text) == (0, True, False)
    assert call(home, "role", "LI", "viewer")[0] == 0
    assert call(home, "role", "LI", "auditor", "--all-hospitals")[0] == 0
    for verb in ("disable", "enable", "unlock"):
        assert call(home, verb, "li", "--why", "a reason")[0] == 0
    assert call(home, "password", "li", stdin=f"{SECOND}\n")[0] == 0
    [found] = json.loads(call(home, "list", "--json")[1])
    expected: dict[str, object] = {"name": "li", "role": "auditor", "hospitals": [], "last_login": None}
    expected["state"] = "password to be changed"
    assert {key: found[key] for key in expected} == expected
    assert "li" in call(home, "list")[1]
    catalogue = catalogue_of(home)
    user = catalogue.users.of("li")
    assert user is not None
    assert passwords.agrees(user.secret, SECOND)
    assert passwords.agrees(user.former[0], FIRST)
    assert call(home, "remove", "li", "--why", "has left")[0] == 0
    assert json.loads(call(home, "list", "--json")[1]) == []
    catalogue.engine.close_thread()
    written = trail(home)
    for text in ("li added: operator, for renmin, zhongyi", "li: viewer, for renmin, zhongyi",
                 "li: auditor, for all hospitals", "disabled: a reason",
                 "enabled: a reason", "unlocked: a reason", "new password", "removed: has left"):  # fmt: skip
        assert text in written
    assert (FIRST in written, SECOND in written, "argon2" in written) == (False, False, False)
    assert written.count('UserID=\\"root\\"') >= 7


@pytest.mark.parametrize(("words", "stdin", "said"), [
    (("add", "li", "--role", "king"), FIRST, "king"), (("add", "node", "--role", "viewer"), FIRST, "no name of"),
    (("add", "li", "--role", "viewer", "--hospital", "x"), FIRST, "no hospital is called x; configured"),
    (("add", "li", "--role", "viewer"), "tulpewiesen", COMPLEX),
    (("add", "li", "--role", "viewer"), "", "stdin holds no"),
    (("add", "Zhao", "--role", "viewer"), FIRST, "for ever"),
    (("add", "li", "--role", "viewer"), "Li-Tulpe-778", PLAIN),
    (("password", "li"), FIRST, "there is no user li"), (("password", "zhao"), FIRST, OTHER),
    (("role", "zhao", "viewer", "--hospital", "renmin", "--all-hospitals"), "", "name hospitals, or"),
    (("disable", "zhao"), "", "say why"), (("remove", "li", "--why", "x"), "", "no user li"),
])  # fmt: skip
def test_what_may_not_be_is_not_done_and_is_told(home: Path, words: tuple[str, ...], stdin: str, said: str) -> None:
    assert call(home, "add", "zhao", "--role", "viewer", stdin=FIRST)[0] == 0
    code, text = call(home, *words, stdin=stdin)
    assert (code != 0, said in text) == (True, True), text
    assert [one["name"] for one in json.loads(call(home, "list", "--json")[1])] == ["zhao"]


def test_a_locked_user_is_listed_as_that_and_unlocked(home: Path) -> None:
    call(home, "add", "li", "--role", "viewer", stdin=FIRST)
    catalogue = catalogue_of(home)
    later = NOW.replace(year=NOW.year + 50)
    catalogue.users.change("li", locked=later, initial=False)
    catalogue.engine.close_thread()
    assert json.loads(call(home, "list", "--json")[1])[0]["state"] == "locked"
    call(home, "unlock", "li", "--why", "asked by phone")
    assert json.loads(call(home, "list", "--json")[1])[0]["state"] == "may log in"


def test_no_password_is_an_argument(home: Path) -> None:
    for verb in ("add", "password"):
        assert "--password" not in call(home, verb, "--help")[1]
