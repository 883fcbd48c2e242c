"""Who does it: a person's act never passes for the node's own, which the audit trail leaves out."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.cli import options
from router.cli.options import person
from router.cli.queue.decide import resolve
from router.process.account import account


@pytest.mark.parametrize("name", ["node", " Node", ""])
def test_nobody_decides_as_the_node(name: str) -> None:
    answer = CliRunner().invoke(resolve, ["E1", "--why", "asked", "--who", name])
    assert answer.exit_code == 2
    assert "name the person" in answer.output


@pytest.mark.parametrize(("name", "expected"), [("node", "account node"), ("wang", "wang")])
def test_an_account_called_node_is_told_from_the_node(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: str
) -> None:
    monkeypatch.setattr(options, "account", lambda: name)
    assert person() == expected


@pytest.mark.parametrize(("login", "here", "expected"), [
    ("4294967295", 0, "root"), ("0", 0, "root"), ("1", 0, "daemon as root"), ("", 0, "root"),
    ("4294967295", 61234, "uid 61234"), ("0", 61234, "root as uid 61234"),
])  # fmt: skip
def test_the_account_is_the_kernels_with_who_has_logged_in_whatever_a_variable_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, login: str, here: int, expected: str
) -> None:
    for name in ("LOGNAME", "USER", "SUDO_USER"):
        monkeypatch.setenv(name, "mallory")
    (tmp_path / "loginuid").write_text(login)
    monkeypatch.setattr("router.process.account._LOGIN", tmp_path / "loginuid")
    monkeypatch.setattr(os, "geteuid", lambda: here)
    assert account() == expected
    (tmp_path / "loginuid").unlink()
    assert account() == expected.rpartition(" as ")[2]
