"""The judgement of every state in which a delivery can stay: a cause that waits for a person, or a way on."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click
import pytest

from router.alarms import ENDS_BY, Alarm, EndsBy, waits_for_a_person
from router.catalogue.node.alarms import Standing
from router.catalogue.node.restore import LOST
from router.catalogue.queue.attention import Unread
from router.catalogue.queue.backlog import Place
from router.catalogue.queue.breakers import OpenBreaker
from router.cli import module
from router.errors import DestinationDown
from router.events import Event, Kind
from router.exam.key import ExamKey, ExamPatient
from router.forward.answer import Answer, granted, refusal
from router.matching.exam.approval import ANOTHER_WORD, NO_WORD, Part, UnreadApproval, shown_word, unread_approval
from router.model import Channel
from router.policy.attention import ALARM_OF, LEDGER_LOST, SAYS, Cause, Onward, Stuck, command_of, judge, names
from router.policy.breaker import Breaker, Position
from router.policy.states import CLOSED, HeldBy, Needs, State
from router.review.attention import Facts, active, alarms_of, command_for, listed, tallied
from router.text.language import tongue_of

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
WAITS = Stuck(
    id=1, exam=17, destination="cloud", channel=Channel.REPORT, state=State.WAITING, changed=NOW - HOUR,
    approved_at=NOW - MINUTE, due=NOW + HOUR - MINUTE, check_at=NOW + MINUTE,
)  # fmt: skip
PLACES = [Place("cloud", Channel.REPORT, HOUR), Place("cloud", Channel.IMAGES, 6 * HOUR)]


def facts(**changes: object) -> Facts:
    empty = Facts(places=PLACES, deliveries=(), unread=(), alarms=(), tripped=(), quarantined=())
    return replace(empty, **changes)  # type: ignore[arg-type]  # names of the fields


def held(by: str, *, error: str = "", exam: int = 17) -> Stuck:
    return replace(WAITS, id=exam, exam=exam, state=State.HELD, held_by=by, error=error or f"{by}: why")


def standing(alarm: Alarm, subject: str = "it", *, exam: int | None = None, destination: str = "") -> Standing:
    return Standing(
        alarm=alarm, subject=subject, text="what it says", exam=exam, delivery=None, since=NOW, destination=destination
    )


# -- deliveries


@pytest.mark.parametrize("by", [*HeldBy, "", "a cause of a later version"])
def test_every_hold_is_a_persons(by: str) -> None:
    assert isinstance(judge(held(by), HOUR, NOW), Cause)
    assert isinstance(judge(replace(held(by), approved_at=None, due=None), None, NOW), Cause)


def test_a_hold_for_a_lost_ledger_is_told_from_a_persons_own() -> None:
    assert LOST.startswith(LEDGER_LOST)
    assert judge(held(HeldBy.PERSON, error=LOST), HOUR, NOW) == Cause.LEDGER
    assert judge(held(HeldBy.PERSON, error="held by Li: a complaint"), HOUR, NOW) == Cause.PERSON


@pytest.mark.parametrize(("channel", "error", "cause"), [
    (Channel.REPORT, "the platform does not accept the exam JSON", Cause.FAILED),
    (Channel.REPORT, "3 of 10 refused", Cause.FAILED),
    (Channel.IMAGES, "3 of 10 refused", Cause.REFUSED),
    (Channel.IMAGES, "2 of 10 damaged, 3 of 10 refused", Cause.DAMAGED),
    (Channel.IMAGES, "failed by Li: no", Cause.FAILED),
])  # fmt: skip
def test_what_failed_is_told_by_what_failed(channel: Channel, error: str, cause: Cause) -> None:
    assert judge(replace(WAITS, state=State.FAILED, channel=channel, error=error), HOUR, NOW) == cause


def test_an_approved_exam_with_faults_waits_for_a_person_from_the_first_minute() -> None:
    assert judge(replace(WAITS, needs=(Needs.JSON, Needs.PDF)), HOUR, NOW) == Cause.EXAM_JSON
    assert judge(replace(WAITS, needs=(Needs.APPROVAL, Needs.JSON), approved_at=None, due=None), HOUR, NOW) == (
        Onward.APPROVAL
    )


@pytest.mark.parametrize(("need", "cause"), [
    (Needs.PDF, Cause.PDF_MISSING), (Needs.IMAGES, Cause.IMAGES_MISSING), (Needs.OTHERS, Cause.OTHERS),
])  # fmt: skip
def test_what_does_not_come_waits_for_a_person_from_half_of_the_time_on(need: Needs, cause: Cause) -> None:
    one = replace(WAITS, needs=(need, Needs.STABLE))
    assert one.due is not None
    half = one.due - HOUR / 2
    assert judge(one, HOUR, half - timedelta(microseconds=1)) == Onward.HALF
    assert judge(one, HOUR, half) == cause


@pytest.mark.parametrize("state", sorted(set(State) - CLOSED - {State.HELD, State.FAILED}))
def test_an_approved_exam_does_not_go_where_nothing_is_configured(state: State) -> None:
    assert judge(replace(WAITS, state=state), None, NOW) == Cause.NOT_CONFIGURED
    assert judge(replace(WAITS, state=state, approved_at=None), None, NOW) != Cause.NOT_CONFIGURED


@pytest.mark.parametrize("lost", [
    replace(WAITS, state=State.DEFERRED), replace(WAITS, state=State.SENDING), replace(WAITS, check_at=None),
    replace(WAITS, needs=(Needs.STABLE,), check_at=None), replace(WAITS, needs=(Needs.PDF,), due=None, check_at=None),
])  # fmt: skip
def test_what_nothing_would_ever_look_at_again_is_a_defect_that_is_seen(lost: Stuck) -> None:
    assert judge(lost, HOUR, NOW) == Cause.STUCK


def test_what_was_moved_this_minute_is_about_to_be_evaluated() -> None:
    assert judge(replace(WAITS, check_at=None, changed=NOW), HOUR, NOW) == Onward.EVALUATION


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_what_is_closed_waits_for_nobody(state: State) -> None:
    assert judge(replace(WAITS, state=state), None, NOW) == Onward.CLOSED


# -- the list


def test_one_entry_a_cause_and_destination_with_the_exams_the_oldest_time_and_the_command() -> None:
    old = NOW - 3 * HOUR
    rows = [
        held(HeldBy.IDENTITY), replace(held(HeldBy.IDENTITY), id=2, channel=Channel.IMAGES),
        replace(held(HeldBy.IDENTITY, exam=18), changed=old, approved_at=old),
        replace(held(HeldBy.IDENTITY, exam=19), destination="other"), held(HeldBy.PDF, exam=20), WAITS,
    ]  # fmt: skip
    found = listed(facts(deliveries=rows), NOW)
    assert [(one.what, one.destination, one.count, one.exams) for one in found] == [
        ("identity", "cloud", 2, (17, 18)), ("identity", "other", 1, (19,)), ("pdf", "cloud", 1, (20,)),
    ]  # fmt: skip
    assert (found[0].since, found[0].deliveries) == (old, (17, 2, 18))
    assert [one.command for one in found] == [
        "scripts/queue list --attention", "scripts/queue explain e19", "scripts/queue explain e20",
    ]  # fmt: skip


def test_an_alarm_that_a_person_ends_is_an_entry_unless_its_exam_is_counted_already() -> None:
    alarms = [
        standing(Alarm.DOUBT, "e17", exam=17), standing(Alarm.DOUBT, "e18", exam=18),
        standing(Alarm.DELIVERED_IN_DOUBT, "e17", exam=17), standing(Alarm.DISK), standing(Alarm.BREAKER),
    ]  # fmt: skip
    found = listed(facts(deliveries=[held(HeldBy.IDENTITY)], alarms=alarms), NOW)
    assert {(one.what, one.count, one.exams) for one in found} == {
        ("identity", 1, (17,)), ("doubt", 1, (18,)), ("delivered-in-doubt", 1, (17,)), ("disk", 1, ()),
    }  # fmt: skip


def test_approvals_that_cannot_be_read_are_one_entry_a_source_and_word() -> None:
    def unread(exam: int, source: str, word: str) -> Unread:
        approval = UnreadApproval(part=Part.STATUS if word else Part.TIME, word=word)
        return Unread(exam=exam, source=source, approval=approval, since=NOW, deliveries=(exam * 2,))

    rows = [unread(1, "branch 01", "已审核"), unread(2, "branch 01", "已审核"), unread(3, "HL7", "已审核"),
            unread(4, "HL7", "张三"), unread(5, "HL7", "13800138000"), unread(6, "HL7", "")]  # fmt: skip
    withdrawn = held(HeldBy.APPROVAL, exam=1)
    found = listed(facts(unread=rows, deliveries=[withdrawn]), NOW)
    assert [(one.about, one.exams) for one in found] == [
        ("branch 01: Order.Status 已审核", (1, 2)), ("HL7: Order.Status 已审核", (3,)),
        ("HL7: Order.Status another word", (4, 5)), ("HL7: Report.ApproveTime", (6,)),
    ]  # fmt: skip
    assert {one.command for one in found} == {"scripts/codes unknown"}
    assert tallied(found) == {("approval", ""): 6}


def test_quarantine_counts_what_no_alarm_of_its_own_tells() -> None:
    poison = standing(Alarm.POISON, "quarantine a")
    found = listed(facts(alarms=[poison], quarantined=["a", "b", "c"]), NOW)
    assert {(one.what, one.count, one.command) for one in found} == {
        ("quarantine", 2, "scripts/quarantine list"), ("poison", 1, "scripts/quarantine list"),
    }  # fmt: skip


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("meaning", [granted, refusal])
def test_a_platform_that_refuses_our_account_waits_for_a_person(
    status: int, meaning: Callable[[Answer, datetime], object]
) -> None:
    try:
        found = meaning(Answer(status, {}, b""), NOW)
        assert isinstance(found, DestinationDown)
    except DestinationDown as error:
        found = error
    breaker = Breaker(
        position=Position.OPEN, failures=1, width=0, since=NOW, probe_at=NOW, why=str(found), outage=found.outage
    )
    tripped = OpenBreaker("cloud", Channel.REPORT, breaker)
    down = OpenBreaker(
        "other",
        Channel.REPORT,
        Breaker(position=Position.OPEN, failures=1, width=0, since=NOW, probe_at=NOW, why="no answer"),
    )
    (entry,) = listed(facts(tripped=[tripped, down]), NOW)
    assert (entry.what, entry.destination, entry.since) == ("account", "cloud", NOW)


# -- alarms of the list


def test_the_list_raises_an_alarm_where_no_exams_own_tells_it_and_ends_it_with_its_cause() -> None:
    entries = listed(facts(deliveries=[held(HeldBy.PDF), held(HeldBy.LATE, exam=18)]), NOW)
    raised = alarms_of({"": entries}, [], NOW)
    assert [(one.kind, one.alarm, one.subject, one.fields) for one in raised] == [
        (Kind.ALARM, Alarm.DOUBT, "pdf at cloud", {"destination": "cloud"}),
        (Kind.ALARM, Alarm.HELD, "late-images at cloud", {"destination": "cloud"}),
    ]  # fmt: skip
    assert not alarms_of({"": entries}, _standing(raised), NOW)
    own = [standing(Alarm.DOUBT, "e17", exam=17)]
    assert [one.subject for one in alarms_of({"": entries}, own, NOW)] == ["late-images at cloud"]
    over = alarms_of({}, [*_standing(raised), *own], NOW)
    assert [(one.kind, one.alarm, one.subject) for one in over] == [
        (Kind.CLEARED, Alarm.DOUBT, "pdf at cloud"), (Kind.CLEARED, Alarm.HELD, "late-images at cloud"),
    ]  # fmt: skip


def test_an_alarm_that_the_list_raised_is_no_entry_of_it() -> None:
    entries = listed(facts(deliveries=[held(HeldBy.PDF)]), NOW)
    again = facts(deliveries=[held(HeldBy.PDF)], alarms=_standing(alarms_of({"": entries}, [], NOW)))
    assert listed(again, NOW) == entries


def test_an_alarm_of_the_list_counts_and_names_what_the_list_does() -> None:
    entries = listed(facts(deliveries=[held(HeldBy.LATE, exam=n) for n in range(1, 34)], quarantined=["a", "b"]), NOW)
    folded = {one.alarm: one for one in active(_standing(alarms_of({"": entries}, [], NOW)), entries)}
    assert (folded[Alarm.HELD].count, names(folded[Alarm.HELD].exams)) == (33, "e1, e2, e3 and 30 more")
    assert (folded[Alarm.QUARANTINE].count, folded[Alarm.QUARANTINE].exams) == (2, ())


def test_a_lost_ledger_is_over_when_nothing_is_held_for_it() -> None:
    lost = [standing(Alarm.LEDGER, "ledger")]
    entries = listed(facts(deliveries=[held(HeldBy.PERSON, error=LOST)], alarms=lost), NOW)
    assert [(one.what, one.count) for one in entries] == [("ledger", 1)]
    assert not alarms_of({"": entries}, lost, NOW)
    (over,) = alarms_of({}, lost, NOW)
    assert (over.kind, over.alarm, over.subject) == (Kind.CLEARED, Alarm.LEDGER, "ledger")


def _standing(events: list[Event]) -> list[Standing]:
    return [
        Standing(
            alarm=one.alarm, subject=one.subject, text=one.text, exam=one.exam, delivery=one.delivery, since=one.at,
            destination=str(one.fields.get("destination", "")),
        )
        for one in events if one.alarm is not None
    ]  # fmt: skip


# -- tables that are whole


@pytest.mark.parametrize("alarm", Alarm)
def test_every_alarm_is_ended_by_a_person_or_by_itself(alarm: Alarm) -> None:
    assert ENDS_BY[alarm] in EndsBy, f"say in router/alarms.py ENDS_BY who ends {alarm}"


def test_an_alarm_without_a_class_waits_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ENDS_BY, Alarm.GAPS)
    assert waits_for_a_person(Alarm.GAPS)


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_words_in_both_languages_and_its_alarm(cause: Cause) -> None:
    assert SAYS[cause]
    assert cause in (Cause.HELD,) or tongue_of("zh_CN").say(SAYS[cause]) != SAYS[cause]
    assert cause in ALARM_OF


COMMANDS = {
    *(command_of(cause, "cloud", exams) for cause in Cause for exams in ((), (17,), (17, 18))),
    *(command_for(alarm, exams) for alarm in Alarm for exams in ((), (17,), (17, 18))),
}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_of_the_list_is_whole_and_there_is_one(command: str) -> None:
    words_ = command.split()
    assert words_[0].startswith("scripts/")
    found = module(words_[0].removeprefix("scripts/"))
    for word in words_[1:]:
        if isinstance(found, click.Group):
            found = found.commands[word]
        elif word.startswith("--"):
            assert word in {name for option in found.params for name in option.opts}
    needed = [one for one in found.params if isinstance(one, click.Argument) and one.required]
    assert not needed or re.search(r" e17$", command)
    assert not isinstance(found, click.Group)


def test_names_are_few_and_the_rest_is_counted() -> None:
    assert (names([]), names([17]), names([17, 18, 19])) == ("", "e17", "e17, e18, e19")
    assert names(range(1, 34)) == "e1, e2, e3 and 30 more"


# -- approvals


def key(status: str, *, time: bool = True, unread: bool = False) -> ExamKey:
    patient = ExamPatient({}, "张三")
    return ExamKey(
        hospital="", branch="01", exam_id="E1", accession_number="A1", study_uids=(), patient=patient, status=status,
        approve_time=NOW if time else None, submit_time=None, image_count=None, study_date=None, reported=("", ""),
        modality="CT", unread_approval=unread,
    )  # fmt: skip


@pytest.mark.parametrize(("given", "part"), [
    (key("已审核"), Part.STATUS), (key("Approved", time=False, unread=True), Part.STATUS), (key(""), Part.STATUS),
    (key("5"), Part.STATUS), (key("reported"), Part.STATUS), (key("Reported", time=False, unread=True), Part.TIME),
    (key("Reported"), None), (key("Reported", time=False), None), (key("已审核", time=False), None),
    (key("Submitted"), None), (key("Cancelled"), None), (key("已取消"), None), (key("退费"), None),
])  # fmt: skip
def test_an_approval_cannot_be_read_where_its_time_is_given_and_its_word_is_not_known(
    given: ExamKey, part: Part | None
) -> None:
    found = unread_approval(given)
    assert (found.part if found else None) == part


@pytest.mark.parametrize("word", [
    "已审核", "审核", "已报告", "报告已审核", "终审完成", "主任审核", "Approved", "FINAL", "signed-off", "Final Report",
])  # fmt: skip
def test_a_word_that_speaks_of_reports_is_shown(word: str) -> None:
    assert shown_word(word) == word


@pytest.mark.parametrize("word", [
    "张三", "李核", "毕完", "欧阳审核", "ZHANG SAN", "Zhang", "Wang^Final", "13800138000", "A0001", "已审核1",
    "审核 张三",
    "F", "5", "审" * 25, "已审核\n", "报告医生王伟", "\ufffd",
])  # fmt: skip
def test_a_word_that_may_be_a_patients_is_not_shown(word: str) -> None:
    assert shown_word(word) == ANOTHER_WORD


def test_no_word_is_said_to_be_none() -> None:
    assert shown_word("") == NO_WORD
