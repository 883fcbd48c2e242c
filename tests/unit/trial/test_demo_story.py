"""The demo's story where it goes wrong: it ends as soon as nothing moves, with what did not go and where to look."""

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from router.catalogue.queue.queue import Delivery
from router.cli import demo as command
from router.config.sections import Hospital
from router.errors import TransientError
from router.model import Channel, Patient
from router.policy.states import Needs, State
from router.review.deliveries import Line
from router.trial.demo import story as told
from router.trial.demo.scenes import Order, Scene
from router.trial.demo.stage import configuration
from router.trial.demo.standing import delivered, expected, held, patience, remainder
from router.trial.demo.studies import DemoStudy

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HOSPITAL = Hospital(USCI="121100004000000001", HospitalCode="H0001", HospitalName="示范医院", HospitalBranchCode="01")
ORDERS = [Order.IMAGES_FIRST, Order.JSON_FIRST, Order.OTHER_PATIENT, Order.NO_REPORT]


def scene(number: int, order: Order) -> Scene:
    study = DemoStudy(
        uid=f"1.2.{number}",
        files=(),
        patient=Patient("P1", "Zhang^San"),
        accession_number=f"A77{number}",
        modality="CT",
        date="20260302",
        time="",
        description="",
    )
    return Scene(order, f"V{number}", study)


SCENES = [scene(n, order) for n, order in enumerate(ORDERS, 1)]


def line(number: int, state: State, channel: Channel = Channel.IMAGES, error: str = "", waits: str = "") -> Line:
    delivery = Delivery(
        id=number, exam=number, destination="cloud", channel=channel, state=state,
        waiting_for=tuple(Needs(word) for word in waits.split()), legal_due=None, due=None, next_try=None, attempts=0,
        error=error, held_by="", lease=0, lease_owner="", wanted="", delivered="", changed=NOW,
    )  # fmt: skip
    return Line(delivery=delivery, exam_id=f"V{number}", selected=1, sent=0, slack_seconds=None)


def both(number: int, state: State, **more: str) -> list[Line]:
    return [line(number, state, channel, **more) for channel in Channel]


WRONG = both(3, State.HELD, error="identity: study 1.2.3 differs from the exam in patient id")


def test_what_is_to_go_and_what_is_held_is_counted_by_the_scenes() -> None:
    lines = [*both(1, State.DELIVERED), *both(2, State.HELD), *WRONG]
    assert (expected(SCENES), delivered(lines)) == (4, 2)
    assert held(lines, SCENES) == WRONG


def test_what_did_not_go_has_the_name_that_commands_take_and_its_reason() -> None:
    lines = [line(1, State.HELD, error="cut-off images: 1"), line(1, State.WAITING, Channel.REPORT, waits="json pdf")]
    found = [(one.name, one.channel, one.why) for one in remainder([*lines, *WRONG], SCENES)]
    assert found[:2] == [("e1", "images", "held: cut-off images: 1"), ("e1", "report", "waiting: json, pdf")]
    assert [(name, channel) for name, channel, _ in found[2:]] == [("1.2.2", "report")], "no exam of it"
    assert "rejected/" in found[2][2]


def test_nothing_is_left_of_what_is_delivered_and_of_what_must_not_leave() -> None:
    assert remainder([*both(1, State.DELIVERED), *both(2, State.DELIVERED), *WRONG], SCENES) == []


@pytest.mark.parametrize("state", [State.READY, State.SENDING, State.DEFERRED])
def test_what_is_tried_again_gets_more_time_than_what_waits_and_that_more_than_what_is_held(state: State) -> None:
    settled = [*both(1, State.DELIVERED), *both(2, State.HELD), *WRONG]
    waiting, absent = [*both(1, State.DELIVERED), *both(2, State.WAITING)], both(1, State.DELIVERED)
    moving = [*both(1, state), *both(2, State.HELD)]
    assert patience(settled, SCENES) < patience(waiting, SCENES) == patience(absent, SCENES) < patience(moving, SCENES)
    assert patience(both(1, State.FAILED) + both(2, State.DELIVERED), SCENES) == patience(settled, SCENES)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Pacs:
    """One that sends nothing, and is refused nothing."""

    def __init__(self, _: int) -> None:
        self.refused: list[object] = []

    def send(self, _: DemoStudy) -> None:
        pass


def play(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lines: Sequence[Line], *, runs: bool = True
) -> tuple[told.Story, list[str], float]:
    """A story whose queue stands still; what it told, and how many seconds it took."""
    clock, lines_told = Time(), list[str]()
    monkeypatch.setattr(told, "time", clock)
    monkeypatch.setattr(told, "Pacs", Pacs)
    config = SimpleNamespace(
        hospital=(HOSPITAL,),
        reports=SimpleNamespace(folder=folder),
        node=SimpleNamespace(timezone=ZoneInfo("UTC"), data=folder),
    )
    node = SimpleNamespace(name="run", runs=runs, ports={"dicom": 1})
    stage = SimpleNamespace(config=config, node=node, cloud=SimpleNamespace(name="platform", runs=True))
    story = told.Story(cast("Any", stage), SCENES, lambda: list(lines), lines_told.append, None)
    assert not story.play()
    return story, lines_told, clock.now


def test_a_modality_of_odd_text_does_not_break_the_nodes_configuration() -> None:
    odd = frozenset({"CT", '"]\\', "\ufffd\n"})
    text = configuration("en", odd, {}, {"dicom": 11113, "http": 8443})
    read = tomllib.loads(text)
    assert set(read["share"]["modalities"]) == odd
    assert (read["receive"]["port"], read["admin"]["port"], read["destination"][0]["dicom"]["port"]) == (0, 0, 11113)
    assert "identity" not in read, "evidence as by default"


def test_a_queue_in_which_all_is_held_ends_the_story_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = [*both(1, State.HELD, error="cut-off images"), *both(2, State.FAILED), *WRONG]
    story, lines, seconds = play(tmp_path, monkeypatch, stuck)
    assert story.trouble == "nothing moves any more"
    assert seconds < 5
    assert any("e3 is held: identity" in each for each in lines)


def test_the_story_ends_where_the_wrong_patient_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story, _, _ = play(tmp_path, monkeypatch, [*both(1, State.DELIVERED), *both(3, State.DELIVERED)])
    assert story.trouble == "the report with another patient's id is not held"


def test_a_node_that_has_ended_ends_the_story_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story, _, seconds = play(tmp_path, monkeypatch, both(1, State.SENDING), runs=False)
    assert story.trouble == "the run process has ended by itself"
    assert seconds == 0


def test_a_failure_names_what_did_not_go_why_and_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(play=lambda: False, refused=[("1.2.9", "status A900")], trouble="nothing moves any more")
    monkeypatch.setattr(command, "Story", lambda **_: fake)
    lines = [*both(1, State.DELIVERED), *both(2, State.HELD, error="versions: no PDF"), *WRONG]
    node, cloud = (SimpleNamespace(log=f"/demo/{name}.log") for name in ("run", "platform"))
    stage = SimpleNamespace(node=node, cloud=cloud, config_file="/demo/router.toml")
    said = list[str]()
    screen = SimpleNamespace(tell=said.append, watch=None, is_terminal=True)
    review = SimpleNamespace(listed=lambda *_: lines)
    with pytest.raises(TransientError, match=r"2 of 4 deliveries did not go .nothing moves any more"):
        command._play(cast("Any", stage), SCENES, cast("Any", review), cast("Any", screen))
    assert said == [
        "not taken by the node: instance 1.2.9: status A900",
        "did not go: e2 report: held: versions: no PDF",
        "did not go: e2 images: held: versions: no PDF",
        "see `scripts/queue explain e2 --config /demo/router.toml`, /demo/run.log and /demo/platform.log",
    ]
