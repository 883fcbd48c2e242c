"""Duties of a node: who does them, how often, and that none goes on without its node."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.clock import SystemClock
from router.cluster.membership import ALARMS, CORRELATOR, DUTIES, RETENTION
from router.config.file import parse
from router.errors import ConfigurationError
from router.loop import Untried
from router.node.duty import Duty
from router.node.node import Node

CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
[receive]
port = {port}
min_free = "0 B"
journal = "0 B"
[admin]
port = 0
[reports]
folder = "reports"
"""


@pytest.fixture
def taken() -> Iterator[int]:
    """A port where somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_duty_that_is_another_nodes_is_not_done_here_and_says_nothing_of_its_trouble() -> None:
    done: list[str] = []

    def work() -> None:
        done.append("work")

    duty = Duty(name="correlator", held_as=CORRELATOR, every=7.0, step=work, everywhere=lambda: done.append("read"))
    assert isinstance(duty.run(lambda _: False), Untried)
    assert done == ["read"]
    assert duty.run(lambda held: held == CORRELATOR) == 7.0
    assert done == ["read", "read", "work"]


def test_a_step_rests_as_long_as_it_says_itself_or_else_as_its_duty_says() -> None:
    rests = iter([0.0, 3.5, None])
    duty = Duty(name="retention", held_as=RETENTION, every=60.0, step=lambda: next(rests))
    assert [duty.run(lambda _: True) for _ in range(3)] == [0.0, 3.5, 60.0]


def test_every_duty_of_one_node_is_done_and_a_start_that_fails_leaves_no_work_behind(
    tmp_path: Path, taken: int
) -> None:
    before = {one.ident for one in threading.enumerate()}
    node = Node(parse(CONFIG.format(port=taken), base=tmp_path), SystemClock())
    # The notifier holds the duty to send alarms.
    assert {duty.held_as for duty in node.duties.all} - {""} | {ALARMS} == set(DUTIES)
    names = [duty.name for duty in node.duties.all]
    assert len(names) == len(set(names))
    with pytest.raises(ConfigurationError, match="cannot listen"):
        node.start()
    mine = {one.name for one in threading.enumerate() if one.ident not in before}
    assert not mine & {*names, "alarms"}
    os.close(node.parts.lock)
