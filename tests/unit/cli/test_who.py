"""Who does it: a person's act never passes for the node's own, which the audit trail leaves out."""

import getpass

import pytest
from click.testing import CliRunner

from router.cli.options import person
from router.cli.queue.decide import resolve


@pytest.mark.parametrize("name", ["node", " Node", ""])
def test_nobody_decides_as_the_node(name: str) -> None:
    answer = CliRunner().invoke(resolve, ["E1", "--why", "asked", "--who", name])
    assert answer.exit_code == 2
    assert "name the person" in answer.output


def test_an_account_called_node_is_told_from_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "node")
    assert person() == "account node"
    monkeypatch.setattr(getpass, "getuser", lambda: "wang")
    assert person() == "wang"
