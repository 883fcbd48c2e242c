"""Withdrawals: by explicit words only, after a while, few of a source at a time; a later approval makes them good."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue.queue.queue import Delivery
from router.clock import SystemClock
from router.events import Kind
from router.model import Channel
from router.policy.comparison import Ours
from router.policy.states import State
from router.policy.withdrawal import Ended
from router.review.remote import RemoteComparison, places
from support import node_without_sockets
from support.confirmed_reports import Cloud
from support.harness import command_here
from support.node_without_sockets import Node
from support.two_exams import E1, HOUR, QUIET, S1, pacs, ris

AFTER = 'withdraw_after = "10 min"'
TEN = 600


@pytest.fixture
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """Report and two images of E1 are delivered; the platform takes withdrawals after ten minutes."""
    settings = getattr(request, "param", AFTER)
    text = node_without_sockets.CONFIG.replace('name = "cloud"\n', f'name = "cloud"\n{settings}\n')
    (tmp_path / "router.toml").write_text(text, encoding="utf-8")
    made = Node(tmp_path, of_destination=settings)
    for step in (pacs(S1, 1, 2), ris(E1, S1)):
        step(made)
    made.wait(HOUR)
    yield made
    made.close()


def queue(node: Node, *words: str) -> tuple[int, str]:
    """A command, which knows the machine's clock alone: the node's then shows that, too."""
    done = command_here("queue", *words, "--config", node.config.node.data.parent / "router.toml")
    node.clock.advance(max((SystemClock().now() - node.clock.now()).total_seconds(), 0.0))
    node.settle()
    return done.returncode, done.stdout + done.stderr


def report(node: Node, exam: str = E1) -> Delivery:
    found = node.delivery(exam, Channel.REPORT)
    assert found is not None
    return found


def alarms(node: Node) -> set[str]:
    return {one.alarm for one in node.catalogue.alarms.standing()}


def taken_back(node: Node, exam: str = E1, *, minute: int = 30, status: str = "Withdrawn") -> None:
    ris(exam, S1, minute=minute, status=status)(node)


def test_an_explicit_word_takes_an_exam_back_after_the_time_that_is_set(node: Node) -> None:
    taken_back(node)
    node.wait(TEN - 5)
    assert (report(node).state, node.cloud.notices) == (State.DELIVERED, [])
    node.wait(10)
    assert report(node).state == State.WITHDRAWN
    (notice,) = node.cloud.notices
    assert (notice["ExamId"], notice["HospitalBranchCode"], notice["Revision"]) == (E1, "01", 1)
    frozen = {"ExamId", "HospitalBranchCode", "Revision", "WithdrawnTime", "Reason"}
    assert set(notice) == frozen | {"Idem", "Receipt", "idem", "org"}
    (upload,) = node.catalogue.uploads.of(report(node).id)
    assert (notice["Idem"], notice["Receipt"]) == (upload.idem, "r1")
    assert (notice["org"], len(notice["idem"])) == ("121100004000000001", 32)
    (kept,) = node.catalogue.withdrawals.of(report(node).id)
    assert (kept.ended, kept.receipt) == (Ended.CONFIRMED, "w1")
    assert b'"w1"' in (node.config.node.data / kept.receipt_place).read_bytes()
    assert not alarms(node) & {Alarm.DELIVERED_IN_DOUBT, Alarm.WITHDRAWAL, Alarm.MISSED}
    node.wait(HOUR)
    assert len(node.cloud.notices) == 1


def test_any_other_word_takes_nothing_back(node: Node) -> None:
    for number, status in enumerate(["Submitted", "Preliminary", "作废", "Registered", "whatever", ""]):
        taken_back(node, status=status, minute=10 + number)
        node.wait(HOUR)
        assert (report(node).state, node.cloud.notices) == (State.DELIVERED, [])
    assert Alarm.DELIVERED_IN_DOUBT in alarms(node)
    for minute, status in ((40, "Cancelled"), (41, "Canceled")):
        taken_back(node, status=status, minute=minute)
    node.wait(HOUR)
    assert report(node).state == State.WITHDRAWN


@pytest.mark.parametrize("node", [""], indirect=True)
def test_where_it_is_off_a_person_is_told_as_ever(node: Node) -> None:
    taken_back(node)
    node.wait(HOUR)
    assert (report(node).state, node.cloud.notices) == (State.DELIVERED, [])
    assert Alarm.DELIVERED_IN_DOUBT in alarms(node)


def test_an_approval_that_is_renewed_before_goes_as_a_correction_alone(node: Node) -> None:
    taken_back(node)
    node.wait(TEN - 60)
    ris(E1, S1, minute=40)(node)
    node.wait(HOUR)
    assert node.cloud.notices == []
    assert (report(node).state, len(node.cloud.reports)) == (State.DELIVERED, 2)
    (kept,) = node.catalogue.withdrawals.of(report(node).id)
    assert kept.ended == Ended.VOID
    taken_back(node, minute=50)
    node.wait(TEN + 5)
    assert [notice["Revision"] for notice in node.cloud.notices] == [2]


def test_a_later_approval_is_the_next_revision_also_with_the_same_content(node: Node) -> None:
    taken_back(node)
    node.wait(TEN + 5)
    assert report(node).state == State.WITHDRAWN
    ris(E1, S1, minute=40)(node)
    node.wait(HOUR)
    assert report(node).state == State.DELIVERED
    assert [one.n for one in node.catalogue.uploads.of(report(node).id)] == [1, 2]
    assert len(set(node.cloud.idems)) == 2


def test_what_waits_is_withdrawn_after_a_restart_and_frozen_before_it_is_sent(node: Node) -> None:
    taken_back(node)
    node.cloud.takes_back = "down"
    node.wait(TEN + 1)
    (frozen,) = node.catalogue.withdrawals.of(report(node).id)
    assert (report(node).state, bool(frozen.idem)) == (State.DEFERRED, True)
    node.restart()
    node.cloud.takes_back = "takes"
    node.clock.advance(HOUR)
    node.catalogue.queue.promote(node.clock.now())
    node.settle()
    assert report(node).state == State.WITHDRAWN
    assert [notice["idem"] for notice in node.cloud.notices] == [frozen.idem]


def test_what_was_lost_there_goes_again_under_its_name_and_keeps_its_time(node: Node) -> None:
    one, before = report(node), node.catalogue.uploads.of(report(node).id)
    ours = Ours(
        upload=before[0].id, delivery=one.id, exam=one.exam, revision=1, idem=before[0].idem, confirmed=node.clock.now()
    )
    remote = RemoteComparison(node.config, node.catalogue, node.bus, node.clock, ask=Cloud().ask)
    place = places(node.config)[0]
    node.clock.advance(HOUR)
    assert (remote.send_again(place, [ours, ours], "lost", "wang"), report(node).state) == (1, State.READY)
    node.restart()
    node.settle()
    after = node.catalogue.uploads.of(one.id)
    assert (node.cloud.idems, len(node.cloud.images)) == ([ours.idem] * 2, 2)
    assert (report(node).state, report(node).delivered_at) == (State.DELIVERED, one.delivered_at)
    assert [(up.n, up.receipt, up.confirmed) for up in after] == [(1, "r2", node.clock.now())]
    folder = (node.config.node.data / after[0].receipt_place).parent
    assert {path.name for path in folder.glob("receipt*")} == {"receipt.json", "receipt-2.json"}
    assert remote.send_again(place, [ours], "lost", "wang") == 1
    node.settle()
    assert node.catalogue.uploads.of(one.id)[0].receipt_place.endswith("/receipt-3.json")


def test_a_correction_that_did_not_go_yet_is_not_needed_for_a_withdrawal(node: Node) -> None:
    """The platform has the first revision; the second was held when the exam was withdrawn."""
    ris(E1, S1, minute=20, patient="李四")(node)
    node.wait(QUIET)
    assert len(node.cloud.reports) == 1
    taken_back(node)
    node.wait(TEN + 5)
    assert (report(node).state, [notice["Revision"] for notice in node.cloud.notices]) == (State.WITHDRAWN, [1])


def test_a_platform_without_the_exam_settles_it(node: Node) -> None:
    node.cloud.takes_back = "unknown"
    taken_back(node)
    node.wait(TEN + 5)
    assert report(node).state == State.WITHDRAWN
    assert [one.ended for one in node.catalogue.withdrawals.of(report(node).id)] == [Ended.UNKNOWN]


@pytest.mark.fires("withdrawal")
@pytest.mark.ends("withdrawal")
def test_a_platform_that_takes_none_is_for_a_person_to_tell(node: Node) -> None:
    node.cloud.takes_back = "refuses"
    before = report(node).delivered_at
    taken_back(node)
    node.wait(HOUR)
    assert (report(node).state, report(node).delivered_at) == (State.DELIVERED, before)
    (alarm,) = [one for one in node.catalogue.alarms.standing() if one.alarm == Alarm.WITHDRAWAL]
    assert (alarm.exam, alarm.destination, "e1 is withdrawn" in alarm.text) == (1, "cloud", True)
    node.restart()
    node.wait(HOUR)
    assert Alarm.WITHDRAWAL in alarms(node)
    assert len(node.catalogue.withdrawals.of(report(node).id)) == 1
    ris(E1, S1, minute=50)(node)
    node.wait(QUIET)
    assert Alarm.WITHDRAWAL not in alarms(node)
    taken_back(node, minute=55)
    node.wait(TEN + 5)
    assert Alarm.WITHDRAWAL in alarms(node)
    assert queue(node, "dismiss", "e1", "--why", "told them by telephone", "--who", "wang")[0] == 0
    node.wait(HOUR)
    assert Alarm.WITHDRAWAL not in alarms(node)


def several(node: Node, count: int, minute: int) -> list[str]:
    """So many exams are delivered, then withdrawn at once."""
    names = [f"V{number}" for number in range(count)]
    for number, name in enumerate(names):
        pacs(f"1.3.{number}", 1, accession=name)(node)
        ris(name, f"1.3.{number}", accession=name)(node)
    node.wait(HOUR)
    for number, name in enumerate(names):
        ris(name, f"1.3.{number}", accession=name, minute=minute, status="Withdrawn")(node)
    return names


@pytest.mark.fires("withdrawals")
@pytest.mark.ends("withdrawals")
@pytest.mark.parametrize("node", [f"{AFTER}\nwithdraw_at_most = 2"], indirect=True)
def test_too_many_of_a_source_wait_until_a_person_confirms_them(node: Node) -> None:
    names = several(node, 3, 30)
    node.wait(HOUR * 3)
    assert node.cloud.notices == []
    assert {report(node, name).state for name in names} == {State.DELIVERED}
    (alarm,) = [one for one in node.catalogue.alarms.standing() if one.alarm == Alarm.WITHDRAWALS]
    assert (alarm.destination, "branch 01" in alarm.text, alarm.exam) == ("cloud", True, None)
    assert queue(node, "withdraw", "--confirm", "--why", "the RIS says so")[0] == 2
    node.restart()
    code, said = queue(node, "withdraw", "--confirm", "--why", "the RIS says so", "--yes", "--who", "wang")
    assert (code, "3 exam(s)" in said) == (0, True)
    assert {report(node, name).state for name in names} == {State.WITHDRAWN}
    assert Alarm.WITHDRAWALS not in alarms(node)
    assert queue(node, "withdraw", "--confirm", "--why", "again", "--yes")[0] == 1


@pytest.mark.parametrize("node", [""], indirect=True)
def test_a_person_withdraws_an_exam_at_once_whatever_is_configured(node: Node) -> None:
    assert queue(node, "withdraw", "e1", "--why", "the wrong report")[0] == 2
    assert queue(node, "withdraw", "e1", "--yes")[0] == 2
    code, said = queue(node, "withdraw", E1, "--why", "the wrong report", "--yes", "--who", "wang")
    assert (code, "d" in said) == (0, True)
    assert report(node).state == State.WITHDRAWN
    assert [notice["Reason"] for notice in node.cloud.notices] == ["the wrong report"]
    told = [one for _, one in node.catalogue.history.of([1], []) if one.kind == Kind.DECIDED]
    assert (told[-1].who, told[-1].text) == ("wang", "withdrawn by a person: the wrong report")
    node.restart()
    node.wait(HOUR)
    assert (report(node).state, len(node.cloud.reports)) == (State.WITHDRAWN, 1)
    assert queue(node, "withdraw", "e1", "--why", "again", "--yes")[0] == 1
    ris(E1, S1, minute=40)(node)
    node.wait(HOUR)
    assert (report(node).state, len(node.cloud.reports)) == (State.DELIVERED, 2)


def test_a_person_is_not_kept_waiting_by_the_word_of_the_ris(node: Node) -> None:
    taken_back(node)
    assert queue(node, "withdraw", "e1", "--why", "at once", "--yes")[0] == 0
    assert (report(node).state, len(node.cloud.notices)) == (State.WITHDRAWN, 1)

    pacs("1.9.1", 1, accession="N")(node)
    ris("N", "1.9.1", accession="N", status="Submitted")(node)
    code, said = queue(node, "withdraw", "N", "--why", "never delivered", "--yes")
    assert (code, "nothing of this exam is to be withdrawn" in said) == (1, True)
