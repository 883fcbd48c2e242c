"""The one state of an exam, the rates it adds to, and the reason of a miss: pure decisions."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from router.model import Channel
from router.policy import completeness
from router.policy.attention import Cause
from router.policy.completeness import Completeness, Course, Examined, Miss, Moved, Whose, outcome
from router.policy.pause import Pause
from router.policy.states import Needs, State

APPROVED = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOW = APPROVED + 12 * HOUR
WAITING, READY, SENDING, DEFERRED = State.WAITING, State.READY, State.SENDING, State.DEFERRED
BUDGETS = {Channel.REPORT: HOUR, Channel.IMAGES: 6 * HOUR}


def course(channel: Channel, *steps: tuple[float, str, str], **other: Any) -> Course:
    """A delivery by its moves: minutes after approval, the state that it goes to, and why."""
    moves, state = [], str(WAITING)
    for minutes, to, why in steps:
        moves.append(Moved(APPROVED + minutes * MINUTE, state, to, why))
        state = to
    done = [one.at for one in moves if one.to == State.DELIVERED]
    given: dict[str, Any] = {
        "destination": "cloud", "channel": channel, "state": state, "legal_due": APPROVED + BUDGETS[channel],
        "budget": BUDGETS[channel], "delivered_at": done[-1] if done else None, "moves": tuple(moves),
    }  # fmt: skip
    return Course(**{**given, **other})


def sent(channel: Channel, minutes: float, ready: float = 1) -> Course:
    way = [(ready, READY, ""), (minutes - 0.1, SENDING, "claimed"), (minutes, State.DELIVERED, "confirmed")]
    return course(channel, *way)


def exam(*courses: Course, **other: Any) -> Examined:
    given: dict[str, Any] = {"approved_at": APPROVED, "images": True, "courses": courses}
    return Examined(**given | other)


REPORT, IMAGES = Channel.REPORT, Channel.IMAGES
BOTH = exam(sent(REPORT, 20), sent(IMAGES, 90))


def test_an_exam_of_which_both_channels_were_in_time_counts_for_every_rate() -> None:
    found = outcome(BOTH, NOW)
    assert found.state == Completeness.ON_TIME
    assert (found.due, found.uploaded, found.on_time, found.first_time) == (True, True, True, True)
    assert (found.report_took, found.images_took) == (20 * MINUTE, 90 * MINUTE)
    assert found.miss is None


HELD = course(IMAGES, (1, State.HELD, "identity: the name differs"), cause=Cause.IDENTITY)
PAUSE = Pause(destination="cloud", since=APPROVED + 2 * MINUTE, who="zhang", why="upgrade")
ENDED = replace(PAUSE, until=APPROVED + 100 * MINUTE)
STUCK = {"needs": (Needs.IMAGES,), "cause": Cause.IMAGES_MISSING}
EXCLUDED = course(IMAGES, (0, State.EXCLUDED, "rule 'phantoms' of [[share.exclude]]"))


@pytest.mark.parametrize(
    ("one", "now", "state", "reason", "miss"),
    [
        (exam(sent(REPORT, 90), sent(IMAGES, 90)), NOW, "late", "", ("it stood in the queue", "ours")),
        (exam(sent(REPORT, 90, 58), sent(IMAGES, 90)), NOW, "late", "", ("its last part came too late", "others'")),
        (exam(course(REPORT, (1, READY, ""), (2, SENDING, ""), (3, DEFERRED, "no route"), (80, READY, ""),
                     (90, SENDING, ""), (91, State.DELIVERED, "")), sent(IMAGES, 90)), NOW, "late", "",
         ("the destination did not take it", "others'")),
        (exam(replace(sent(REPORT, 110), pauses=(ENDED,)), sent(IMAGES, 90)), NOW, "late", "",
         ("sending was paused", "ours")),
        (exam(sent(REPORT, 20), HELD), APPROVED + HOUR, "waits for a person", "identity", ("identity", "ours")),
        (exam(course(REPORT, (1, READY, "")), HELD), NOW, "waits for a person", "identity",
         ("it stood in the queue", "ours")),
        (exam(sent(REPORT, 20), course(IMAGES, (1, READY, ""))), APPROVED + HOUR, "on its way", "", None),
        (exam(sent(REPORT, 20), course(IMAGES, (1, READY, ""))), NOW, "late", "", ("it stood in the queue", "ours")),
        (exam(sent(REPORT, 20), course(IMAGES, (1, READY, ""), pauses=(PAUSE,))), APPROVED + HOUR, "paused", "", None),
        (exam(sent(REPORT, 20), course(IMAGES, (1, READY, ""), pauses=(ENDED,))), APPROVED + HOUR, "on its way", "",
         None),
        (exam(sent(REPORT, 20), course(IMAGES, **STUCK), images=False), NOW, "never came", "no images came",
         ("images-missing", "others'")),
        (exam(sent(REPORT, 20), course(IMAGES, **STUCK)), NOW, "waits for a person", "images-missing",
         ("images-missing", "others'")),
        (exam(sent(REPORT, 20), course(IMAGES, needs=(Needs.STABLE,))), NOW, "late", "",
         ("images still come", "others'")),
        (exam(EXCLUDED), NOW, "not shared", "rule 'phantoms' of [[share.exclude]]", None),
        (exam(course(REPORT, (1, State.CANCELLED, "张三 asked"))), NOW, "not shared", "cancelled by a person", None),
        (exam(), NOW, "not shared", "no destination takes it", None),
        (exam(approved_at=None), NOW, "unreported", "", None),
        (exam(course(REPORT), course(IMAGES), approved_at=None), NOW, "unreported", "", None),
        (exam(course(REPORT), approved_at=None, unread=True), NOW, "waits for a person", "approval", None),
        (exam(course(IMAGES, cause=Cause.WITHDRAWN, state=State.HELD), approved_at=None), NOW, "unreported", "", None),
        (exam(HELD, approved_at=None), NOW, "waits for a person", "identity", None),
        (exam(EXCLUDED, approved_at=None), NOW, "not shared", "rule 'phantoms' of [[share.exclude]]", None),
        (exam(sent(REPORT, 20), sent(IMAGES, 900), history=True), NOW, "on time", "approved before [share] from", None),
    ],
)  # fmt: skip
def test_an_exam_is_in_one_state_and_a_miss_has_one_reason(
    one: Examined, now: datetime, state: str, reason: str, miss: tuple[str, str] | None
) -> None:
    found = outcome(one, now)
    assert (found.state, found.reason) == (state, reason)
    assert found.miss == (miss and Miss(reason=miss[0], whose=Whose(miss[1])))


def test_held_exams_are_due_and_what_is_not_shared_or_of_a_backfill_is_not() -> None:
    assert outcome(exam(sent(REPORT, 20), HELD), NOW).due
    assert not outcome(exam(EXCLUDED), NOW).due
    assert not outcome(replace(BOTH, history=True), NOW).due
    assert not outcome(exam(course(REPORT), approved_at=None), NOW).due


def test_late_images_that_follow_do_not_make_late_what_was_in_time() -> None:
    again = course(
        IMAGES, (1, READY, ""), (2, SENDING, ""), (3, State.DELIVERED, ""), (4000, WAITING, "late images"),
    )  # fmt: skip
    assert outcome(exam(sent(REPORT, 20), again), NOW).state == Completeness.ON_TIME
    more = course(
        IMAGES, (1, READY, ""), (2, SENDING, ""), (3, State.DELIVERED, ""), (4000, WAITING, ""), (4001, READY, ""),
        (4002, SENDING, ""), (4003, State.DELIVERED, ""),
    )  # fmt: skip
    found = outcome(exam(sent(REPORT, 20), more), NOW + 4003 * MINUTE)
    assert found.on_time
    assert found.images_took == 3 * MINUTE


def test_a_correction_is_in_time_by_its_own_approval_while_the_images_of_before_stay() -> None:
    later = APPROVED + 300 * MINUTE
    report = course(REPORT, (1, READY, ""), (2, SENDING, ""), (3, State.DELIVERED, ""), (300, WAITING, "revision"))
    report = replace(report, legal_due=later + HOUR)
    images = replace(sent(IMAGES, 90), legal_due=later + 6 * HOUR)
    going = outcome(exam(report, images, approved_at=later), later + MINUTE)
    assert (going.state, going.uploaded, going.on_time) == (Completeness.ON_ITS_WAY, True, False)
    assert outcome(exam(report, images, approved_at=later), later + 2 * HOUR).state == Completeness.LATE
    done = (Moved(later + 30 * MINUTE, SENDING, State.DELIVERED),)
    report = replace(report, state=State.DELIVERED, delivered_at=done[0].at, moves=(*report.moves, *done))
    found = outcome(exam(report, images, approved_at=later), later + 2 * HOUR)
    assert (found.state, found.report_took, found.images_took) == (Completeness.ON_TIME, 30 * MINUTE, None)


@pytest.mark.parametrize("minutes", [20, 90])
@pytest.mark.parametrize("approved", [None, APPROVED])  # a person may withdraw what is approved
def test_what_a_destination_has_taken_back_counts_as_it_was_delivered(
    minutes: float, approved: datetime | None
) -> None:
    way = [(1, READY, ""), (2, SENDING, ""), (minutes, State.DELIVERED, "")]
    back = [(200, WAITING, ""), (210, READY, ""), (211, SENDING, ""), (212, State.WITHDRAWN, "receipt")]
    taken_back = course(REPORT, *way, *back)
    found = outcome(exam(taken_back, sent(IMAGES, 30), approved_at=approved, withdrawn=APPROVED), NOW)
    timely = minutes < 60
    assert (found.state, found.reason) == ("on time" if timely else "late", "taken back there after its delivery")
    assert (found.due, found.uploaded, found.on_time, found.report_took) == (True, True, timely, minutes * MINUTE)
    on_its_way = course(REPORT, *way, *back[:2])
    assert outcome(exam(on_its_way, approved_at=approved, withdrawn=APPROVED), NOW).uploaded
    again = course(REPORT, *way, *back, (300, WAITING, "approved again"), (301, READY, ""), (302, SENDING, ""),
                   (303, State.DELIVERED, ""))  # fmt: skip
    found = outcome(exam(again, approved_at=APPROVED), NOW)
    assert (found.state, found.reason) == ("on time" if timely else "late", "")


def test_what_was_delivered_and_then_withdrawn_stays_due_and_uploaded() -> None:
    held = [replace(one, state=State.DELIVERED, legal_due=None) for one in BOTH.courses]
    found = outcome(exam(*held, approved_at=None, withdrawn=APPROVED), NOW)
    assert (found.due, found.uploaded, found.on_time) == (True, True, True)
    assert outcome(exam(course(REPORT), approved_at=None, withdrawn=APPROVED), NOW).state == Completeness.UNREPORTED


def test_only_a_refusal_spoils_the_first_try_and_not_a_line_that_broke() -> None:
    way = [(1, READY, ""), (2, SENDING, ""), (3, DEFERRED, "no route"), (4, READY, ""), (5, SENDING, "")]
    broke = course(REPORT, *way, (6, State.DELIVERED, ""))
    assert outcome(exam(broke, sent(IMAGES, 9)), NOW).first_time
    refused = course(REPORT, *way, (6, State.FAILED, "422"), (7, READY, ""), (8, SENDING, ""), (9, State.DELIVERED, ""))
    found = outcome(exam(refused, sent(IMAGES, 9)), NOW)
    assert (found.uploaded, found.on_time, found.first_time) == (True, True, False)


def test_an_exam_is_uploaded_and_in_time_only_at_every_destination() -> None:
    other = replace(sent(REPORT, 70), destination="district")
    found = outcome(exam(*BOTH.courses, other), NOW)
    assert (found.uploaded, found.report_on_time, found.images_on_time, found.on_time) == (True, False, True, False)
    assert found.report_took == 70 * MINUTE
    assert not outcome(exam(*BOTH.courses, course(REPORT, destination="district")), NOW).uploaded


# -- generated days


def generated(chance: random.Random) -> Examined:
    """An exam by chance: any states, causes and times that a row can have."""

    def one(channel: Channel) -> Course:
        minutes = sorted(chance.uniform(-60, 900) for _ in range(chance.randrange(7)))
        to = [chance.choice([WAITING, READY, SENDING, DEFERRED, State.HELD, State.FAILED, State.DELIVERED])
              for _ in minutes]  # fmt: skip
        made = course(channel, *zip(minutes, to, ["why"] * len(to), strict=True))
        state = chance.choice([made.state, made.state, *State])
        return replace(
            made, state=state, cause=chance.choice([None, None, *Cause]), destination=chance.choice(["a", "b"]),
            needs=tuple(chance.sample(list(Needs), chance.randrange(3))),
            legal_due=chance.choice([None, made.legal_due]), pauses=chance.choice([(), (PAUSE,), (ENDED,)]),
        )  # fmt: skip

    courses = [one(channel) for channel in Channel for _ in range(chance.randrange(3))]
    return exam(
        *courses, approved_at=chance.choice([None, APPROVED, APPROVED, APPROVED + 300 * MINUTE]),
        images=chance.random() < 0.8, history=chance.random() < 0.1, unread=chance.random() < 0.1,
        withdrawn=chance.choice([None, APPROVED]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_through_generated_days_the_states_sum_up_and_the_counts_agree_with_each_other(seed: int) -> None:
    chance = random.Random(seed)
    day = [generated(chance) for _ in range(300)]
    found = [outcome(one, APPROVED + chance.uniform(0, 30) * HOUR) for one in day]
    assert sum(Counter(one.state for one in found).values()) == len(day)
    for one in found:
        assert one.due or not (one.on_time or one.miss), "what is not due is no miss"
        assert not (one.on_time and one.miss)
        assert one.uploaded or not (one.on_time or one.first_time)
        if one.due and not one.on_time and one.miss is None:
            assert one.state in (Completeness.ON_ITS_WAY, Completeness.PAUSED), one
        if one.state == Completeness.LATE:
            assert one.miss is not None
        if one.state in (Completeness.NOT_SHARED, Completeness.UNREPORTED):
            assert not one.due
        if one.miss is not None:
            known = {*completeness._WAITS.values(), *Cause, completeness.QUEUE, completeness.INTERRUPTED,
                     completeness.PAUSED, completeness.ARRIVED_LATE, completeness.DESTINATION,
                     completeness.REFUSED}  # fmt: skip
            assert one.miss.reason in known, "no text of a row, which may have patient data, is a reason"
