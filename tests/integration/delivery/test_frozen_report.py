"""A node that freezes while it writes a report, and wakes when another node has sent it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.policy.states import State
from simulation.far_ends import version_of
from simulation.node import hook
from simulation.steps import Step
from simulation.world import World, small_batches

EVERYTHING = 33  # picks three images of the first study


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with small_batches():
        made = World(tmp_path, 1)
        yield made
        made.close()


def approved(world: World, node: int) -> None:
    """A version of the first exam comes and is evaluated."""
    world.hospital.drop(27)
    world.take(Step("correlate", node))


@pytest.mark.parametrize("name", ["exam.json", "receipt.json"])
def test_a_frozen_node_leaves_alone_what_another_one_has_sent(world: World, name: str) -> None:
    world.hospital.receive(EVERYTHING - EVERYTHING % 3)
    approved(world, 0)
    world.advance(3 * 3600 * 10**6)
    world.take(Step("correlate", 0))
    reports, write = world.nodes[0].storage.reports, world.nodes[0].storage.reports.write

    def frozen(place: str, data: bytes, claim: int) -> str:
        if place.endswith(name):
            world.nodes[0].frozen = True
            world.take(Step("lapse", 1))
            approved(world, 1)
            world.take(Step("reports", 1))
            world.nodes[0].frozen = False
        return write(place, data, claim)

    with hook(reports, "write", frozen):
        world.take(Step("reports", 0))
    assert world.watch.found is None
    rows = world.desk.engine.execute("SELECT exam_place, exam_checksum, receipt_place, idem, n FROM upload ORDER BY n")
    sent = [one.version for one in world.ends["reports"].taken]
    assert sent[-1] == 2
    for exam_place, checksum, receipt_place, idem, _ in rows:
        data = (world.data / exam_place).read_bytes()
        assert hashlib.sha256(data).hexdigest() == checksum
        if receipt_place:
            assert json.loads((world.data / receipt_place).read_bytes())["idem"] == idem
    assert version_of(json.loads((world.data / rows[-1][0]).read_bytes())) == 2
    assert {one.state for one in world.desk.queue.in_state(list(State)) if one.channel == "report"} == {State.DELIVERED}
