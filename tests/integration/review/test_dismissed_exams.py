"""`queue dismiss` of an exam: a person says that the platform was told of what it has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue.queue.queue import Delivery
from router.delivery.breaker_gate import Route
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.errors import WrongUse
from router.events import Kind
from router.model import Channel
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.review.attention import command_for
from router.review.decisions import OperatorReason
from router.review.dismissals import Dismissals
from support import node_without_sockets
from support.alarm_causes.causes import NOW_APPROVED, House
from support.harness import command_here
from support.intake_folder import E1, another, exam, printed
from support.node_without_sockets import Node, slice_of
from support.two_exams import E1 as N1
from support.two_exams import HOUR, PATIENT, QUIET, S1, pacs, ris


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Two images of E1 are delivered."""
    (tmp_path / "router.toml").write_text(node_without_sockets.CONFIG, encoding="utf-8")
    made = Node(tmp_path)
    for step in (pacs(S1, 1, 2), ris(N1, S1)):
        step(made)
    made.wait(HOUR)
    yield made
    made.close()


def dismiss(node: Node, *words: str, why: str = "told their operator by telephone") -> tuple[int, str]:
    file = node.config.node.data.parent / "router.toml"
    done = command_here("queue", "dismiss", *words, "--why", why, "--who", "wang", "--config", file)
    return done.returncode, done.stdout + done.stderr


def alarms(node: Node) -> list[str]:
    return [one.alarm for one in node.catalogue.alarms.standing()]


def rejects(node: Node, number: int) -> None:
    """A note of the PACS rejects an image that was sent."""
    node.receive(slice_of(S1, 10 + number, PATIENT, "A1", references=(f"{S1}.1.{number}",)))
    node.wait(QUIET)


@pytest.mark.parametrize("word", ["e1", "d1", N1])
@pytest.mark.ends("rejected-after-delivery")
def test_that_the_platform_was_told_of_rejected_images_ends_the_alarm_until_others_are_rejected(
    node: Node, word: str
) -> None:
    rejects(node, 2)
    (alarm,) = node.catalogue.alarms.standing()
    assert (alarm.alarm, alarm.destination, alarm.exam) == (Alarm.REJECTED_AFTER_DELIVERY, "cloud", 1)
    assert command_for(alarm.alarm, (1,)) == "scripts/queue explain e1"
    code, said = dismiss(node, word)
    assert (code, said.strip()) == (0, f"dismissed: rejected-after-delivery of {word}")
    assert alarms(node) == []
    node.restart()
    node.wait(QUIET)
    assert alarms(node) == []
    rejects(node, 1)
    assert alarms(node) == [Alarm.REJECTED_AFTER_DELIVERY]


def test_who_and_why_are_kept_and_without_a_reason_or_an_alarm_nothing_is_done(node: Node) -> None:
    rejects(node, 2)
    assert dismiss(node, "e1", why=" ")[0] == 2
    assert alarms(node) == [Alarm.REJECTED_AFTER_DELIVERY]
    assert dismiss(node, "e2")[0] == dismiss(node, "nobody")[0] == 1
    assert dismiss(node, "e1", "--kind", "rejected")[0] == 2
    assert dismiss(node, "e1", "--json")[0] == 0
    code, said = dismiss(node, "e1")
    assert (code, "no alarm of this exam can be dismissed" in said) == (1, True)
    events = [event for _, event in node.catalogue.history.of([1], [S1]) if event.kind == Kind.DECIDED]
    assert [(event.who, event.text) for event in events] == [
        ("wang", "dismissed (rejected-after-delivery): told their operator by telephone")
    ]


@pytest.mark.fires("delivered-in-doubt")
@pytest.mark.ends("delivered-in-doubt")
def test_that_the_platform_was_told_of_a_doubt_ends_that_alarm_and_leaves_the_doubt(node: Node) -> None:
    ris(N1, S1, minute=5, patient="李四")(node)
    node.wait(QUIET)
    assert set(alarms(node)) == {Alarm.DOUBT, Alarm.DELIVERED_IN_DOUBT}
    assert dismiss(node, N1)[0] == 0
    assert alarms(node) == [Alarm.DOUBT]
    node.restart()
    node.wait(HOUR)
    assert alarms(node) == [Alarm.DOUBT]


SECOND = (
    '\n[[destination]]\nname = "other"\n[destination.http]\napi_key_file = "k"\nsigning_key_file = "k"\n'
    'platform_signing_key_file = "k"\nplatform_encryption_key_file = "k"\n'
)


@pytest.fixture
def house(tmp_path: Path, readers: Readers) -> Iterator[House]:
    """Both destinations were handed a PDF with E1 that belongs to E2."""
    made = House(tmp_path, readers, SECOND)
    made.drop("r.json", exam(E1, **NOW_APPROVED))
    made.drop("r.pdf", printed("No. A0002"))
    made.settle()
    (place,) = [place for place in made.case().places.values() if place.endswith(".pdf")]
    for one in reports(made):
        made.catalogue.uploads.freeze(
            one.id, 1, "i", "w", exam_place="x", pdf_place=place, now=made.clock.now(), exam_checksum="",
            pdf_checksum="",
        )  # fmt: skip
    made.drop("r.json", another())
    yield made
    made.close()


def reports(house: House) -> list[Delivery]:
    return [one for one in house.catalogue.queue.of_exam(1) if one.channel == Channel.REPORT]


def in_doubt(house: House) -> list[str]:
    house.settle()
    house.lookout.step()
    standing = house.catalogue.alarms.standing()
    return sorted(one.destination for one in standing if one.alarm == Alarm.DELIVERED_IN_DOUBT)


def test_a_pdf_of_another_exam_is_an_alarm_at_each_destination_until_the_right_one_is_delivered(house: House) -> None:
    assert in_doubt(house) == ["cloud", "other"], "also after the exam is evaluated anew"
    done = SendResult(State.DELIVERED, "receipt for revision 2")

    class Takes:
        def send(self, delivery: Delivery, stop: object) -> SendResult:
            del delivery, stop
            return done

    house.clock.advance(3600)
    house.drop("r-2.json", exam(E1, **(NOW_APPROVED | {"Report__SubmitTime": "2026-03-02 18:30:00"})))
    house.drop("r-2.pdf", printed("No. A0001"))
    house.settle()
    dispatcher = Dispatcher(house.catalogue, "node-1", house.bus, house.clock)
    lane = Route(destination="other", channel=Channel.REPORT, width=1, sender=Takes())
    while dispatcher.run_one(lane):
        pass
    assert {one.destination: one.state for one in reports(house)} == {
        "cloud": State.READY, "other": State.DELIVERED,
    }  # fmt: skip
    assert in_doubt(house) == ["cloud"]


def test_a_delivery_that_is_named_concerns_its_destination_alone(house: House) -> None:
    dismissals = Dismissals(house.catalogue, house.bus, house.clock)
    (cloud,) = [one for one in reports(house) if one.destination == "cloud"]
    dismissals.dismiss_exam(f"d{cloud.id}", OperatorReason("wang", "told"))
    assert in_doubt(house) == ["other"]
    dismissals.dismiss_exam("e1", OperatorReason("wang", "told"))
    assert in_doubt(house) == []


def test_a_word_that_names_a_file_too_is_wrong_use_and_its_forms_are_told(house: House) -> None:
    (house.inbox / "e1").write_text("a note")
    loop = house.pickup()
    for _ in range(3):
        house.clock.advance(400)
        loop.step()
    dismissals = Dismissals(house.catalogue, house.bus, house.clock)
    with pytest.raises(WrongUse, match=r"say which: f1, e:1"):
        dismissals.is_of_a_file("e1")
    assert (dismissals.is_of_a_file("e:1"), dismissals.is_of_a_file("f1")) == (False, True)
