"""A backfill: what was approved before sharing began goes after all, behind today's work and outside every rate."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from test_pausing import Terminal

from router.catalogue.images.ledger import Fate, Outcome
from router.catalogue.images.tombstones import bury
from router.catalogue.queue.backfills import Stage
from router.catalogue.queue.queue import Delivery
from router.cli.opened import trail_of
from router.correlator.backfilling import Admission
from router.delivery.breaker_gate import Route
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.events import EventBus
from router.intake.exam_reader import ExamReader
from router.model import Channel
from router.policy.backfill import Backfill
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.review.answers import Answers
from router.review.deliveries import Review
from router.review.punctuality import findings
from router.review.reconcile import Reconciliation
from support.exam_workflow import CLOUD as TABLES
from support.exam_workflow import ExamWorkflow
from support.harness import command_here
from support.intake_folder import CONFIG, E1, E2, START, another, exam, printed

BEIJING = ZoneInfo("Asia/Shanghai")
SHARE = '[share]\nfrom = "2026-03-01"\n'
THEN = "2026-02-10 11:00:00"  # of the approval
STUDY, OTHER = "1.2.3", "1.2.4"
DONE = SendResult(State.DELIVERED, "sent", units=1)
SPAN = {"first": datetime(2026, 2, 1, tzinfo=BEIJING), "last": datetime(2026, 3, 1, tzinfo=BEIJING)}


class History(ExamWorkflow):
    """Sharing began yesterday."""

    def __init__(self, folder: Path, readers: Readers) -> None:
        super().__init__(folder, readers, SHARE)

    def _open(self) -> None:
        super()._open()
        self.admission = Admission(self.catalogue, self.clock)
        self.dispatcher = Dispatcher(self.catalogue, "node-1", EventBus(), self.clock, BEIJING)

    def old(self, exam_id: str = E1, study: str = STUDY, **changes: object) -> None:
        """An exam of before the start, with its images where there is a study."""
        made = exam if exam_id == E1 else another
        at: dict[str, object] = {"Report__ApproveTime": THEN, "Study__StudyInstanceUIDs": [study]}
        self.drop(f"{exam_id}.json", made(exam_id, **(at | {"Study__StudyDate": "2026-02-10 09:00:00"} | changes)))
        self.settle()

    def begin(self, **more: object) -> None:
        values = SPAN | {"since": self.clock.now(), "who": "wang"} | more
        assert self.catalogue.backfills.begin(Backfill(**values), "begun")  # type: ignore[arg-type]
        self.admit()

    def stop(self) -> None:
        assert self.catalogue.backfills.stop("li", "stopped", self.clock.now())

    def admit(self) -> None:
        while self.admission.step():
            self.settle()

    def send(self, channel: Channel = Channel.IMAGES) -> bool:
        return self.dispatcher.run_one(Route(destination="cloud", channel=channel, width=1, sender=Taking(self)))

    def send_images(self, exam: int) -> None:
        accounts = self.catalogue.ledger
        sent = [
            Outcome(key=one.key, fate=Fate.SENT, status=0, association="a")
            for one in accounts.to_send(exam, "cloud", 99)
        ]
        accounts.record(sent, self.clock.now())

    def state(self, exam_id: str = E1, channel: Channel = Channel.IMAGES) -> State:
        return self.delivery(exam_id, channel).state


def gaps(clinic: History) -> list[tuple[str, ...]]:
    """Of the daily report."""
    accounts = Reconciliation(clinic.catalogue, ExamReader(clinic.config), clinic.storage.reports.read)
    return [one.gaps for one in accounts.ledger(SPAN["first"], SPAN["last"])]


class Taking:
    """A destination that takes everything."""

    def __init__(self, history: History) -> None:
        self._history = history

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        del stop
        self._history.send_images(delivery.exam)
        return DONE


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[History]:
    """An exam approved before the start, whose images are here."""
    (tmp_path / "router.toml").write_text(CONFIG + TABLES + SHARE, encoding="utf-8")
    made = History(tmp_path, readers)
    made.old()
    made.pacs(STUDY)
    made.later(minutes=2)
    assert made.state() == State.NOT_SHARED
    yield made
    made.catalogue.engine.close_thread()


def test_report_and_images_of_before_the_start_go_without_a_due_time_and_alarm_nobody(clinic: History) -> None:
    clinic.drop(f"{E1}.pdf", printed(E1))
    clinic.begin()
    for channel in Channel:
        found = clinic.delivery(E1, channel)
        assert (found.state, found.due, found.legal_due) == (State.READY, None, None)
        assert clinic.correlator.objection(found) == ""
    assert clinic.attention() == []
    assert clinic.catalogue.alarms.standing() == []
    assert findings(clinic.config, clinic.catalogue, START - timedelta(days=90), START, START) == []
    assert gaps(clinic) == []
    assert [sum(one.ages) + one.late for one in clinic.catalogue.survey.places(clinic.clock.now())] == [0, 0]
    [line] = [one for one in Review(clinic.catalogue, clinic.clock).listed([], None, None)
              if one.delivery.channel == Channel.IMAGES]  # fmt: skip
    clinic.catalogue.nodes.beat("node-1")
    [told] = Answers(clinic.catalogue, clinic.config, clinic.clock).of([line])
    assert str(told.answer.what).startswith("belongs to a backfill")
    assert told.answer.command == "scripts/queue backfill --status"
    assert clinic.send()
    assert clinic.send(Channel.REPORT)
    assert (clinic.state(), clinic.state(channel=Channel.REPORT)) == (State.DELIVERED, State.DELIVERED)
    assert clinic.catalogue.backfills.stages(clinic.catalogue.backfills.all()[0])[Stage.DELIVERED] == 1
    assert len(gaps(clinic)) == 1
    clinic.later(days=1)
    clinic.lookout.step()
    assert clinic.catalogue.alarms.standing() == []
    assert findings(clinic.config, clinic.catalogue, START - timedelta(days=90), clinic.clock.now(), START) == []


def test_an_exam_of_the_span_that_comes_later_goes_too_and_one_without_images_waits_in_silence(
    clinic: History,
) -> None:
    clinic.begin()
    clinic.old(E2, OTHER)
    assert clinic.state(E2) == State.WAITING
    clinic.later(days=3)
    clinic.lookout.step()
    assert [one.alarm for one in clinic.catalogue.alarms.standing() if one.exam == clinic.case(E2).exam] == []
    clinic.pacs(OTHER, accession="A0002", patient_id="P0002", name="Li^Si=李^四")
    clinic.later(minutes=2)
    assert (clinic.state(E2), clinic.delivery(E2).due) == (State.READY, None)


def test_an_exam_of_other_days_stays_kept_back_and_a_correction_approved_today_is_todays_work(
    clinic: History,
) -> None:
    clinic.old(E2, OTHER, Report__ApproveTime="2026-01-31 23:59:59")
    clinic.begin()
    assert clinic.state(E2) == State.NOT_SHARED
    clinic.send()
    clinic.later(minutes=1)
    clinic.old(E1, Report__ApproveTime=f"{clinic.clock.now().astimezone(BEIJING):%Y-%m-%d %H:%M:%S}")
    clinic.pacs(STUDY, number=2)
    clinic.later(minutes=2)
    assert clinic.state() == State.READY
    assert clinic.delivery().due is not None


def test_todays_work_goes_first_and_what_is_under_way_gives_way_to_it(clinic: History) -> None:
    clinic.begin()
    gave_way: list[bool] = []

    class Sender:
        def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            clinic.ris(E2, **TODAY)
            clinic.pacs(OTHER, accession="A0002", patient_id="P0002", name="Li^Si=李^四")
            clinic.later(minutes=2)
            gave_way.append(stop())
            return SendResult(State.READY, "others are as urgent")

    assert clinic.dispatcher.run_one(Route(destination="cloud", channel=Channel.IMAGES, width=1, sender=Sender()))
    assert gave_way == [True]
    assert clinic.send()
    assert (clinic.state(), clinic.state(E2)) == (State.READY, State.DELIVERED)
    assert clinic.send()
    assert clinic.state() == State.DELIVERED


TODAY: dict[str, object] = {
    "Order__AccessionNumber": "A0002", "Patient__Name": "李四", "Patient__PatientId": "P0002",
    "Study__StudyInstanceUIDs": [OTHER], "Report__ApproveTime": "2026-03-02 17:50:00",
}  # fmt: skip


def test_at_night_means_from_22_to_6_at_the_hospital_and_so_many_an_hour(clinic: History) -> None:
    clinic.old(E2, OTHER)
    clinic.pacs(OTHER, accession="A0002", patient_id="P0002", name="Li^Si=李^四")
    clinic.later(minutes=2)
    clinic.begin(at_night=True, per_hour=2)
    assert not clinic.send()
    clinic.clock.advance((datetime(2026, 3, 2, 22, tzinfo=BEIJING) - clinic.clock.now()).total_seconds())
    assert clinic.send()
    assert not clinic.send()
    clinic.clock.advance(29 * 60)
    assert not clinic.send()
    clinic.restart()
    assert not clinic.send()
    clinic.clock.advance(60)
    assert clinic.send()
    assert not clinic.send()


def test_it_survives_a_restart_and_what_is_stopped_is_kept_back_again_at_once(clinic: History) -> None:
    clinic.catalogue.backfills.begin(Backfill(**SPAN, since=clinic.clock.now(), who="wang"), "begun")  # type: ignore[arg-type]
    clinic.restart()
    clinic.admit()
    assert clinic.state() == State.READY
    clinic.stop()
    assert "[share] from" in clinic.correlator.objection(clinic.delivery())
    clinic.clock.advance(2)
    assert not clinic.send()
    clinic.restart()
    clinic.admit()
    assert clinic.state() == State.NOT_SHARED
    clinic.begin()
    assert clinic.send()
    assert clinic.state() == State.DELIVERED


def test_what_was_delivered_stays_so_when_it_is_stopped(clinic: History) -> None:
    clinic.begin()
    assert clinic.send()
    clinic.stop()
    clinic.admit()
    clinic.catalogue.exams.request_evaluation([clinic.case().exam], clinic.clock.now())
    clinic.settle()
    found = clinic.delivery()
    assert (found.state, found.legal_due) == (State.DELIVERED, None)
    assert clinic.state(channel=Channel.REPORT) == State.NOT_SHARED


def test_an_exam_whose_images_retention_has_removed_stays_kept_back_with_the_reason(clinic: History) -> None:
    engine = clinic.catalogue.engine
    with engine.write():
        [(study, key)] = engine.execute("SELECT study_id, id FROM instance", ())
        bury(engine, study, [key], {}, clinic.clock.now())
    clinic.begin()
    assert clinic.state() == State.NOT_SHARED
    assert "removed by [retention]" in clinic.correlator.objection(clinic.delivery())
    assert not clinic.send()


def test_a_doubt_and_a_rule_hold_an_exam_of_before_as_any_other(clinic: History) -> None:
    clinic.old(E2, OTHER)
    clinic.pacs(OTHER, accession="A0002", patient_id="P0009", name="Wang^Wu=王^五")
    clinic.later(minutes=2)
    clinic.begin()
    assert clinic.state(E2) == State.HELD
    assert clinic.catalogue.backfills.stages(clinic.catalogue.backfills.all()[0])[Stage.HELD] == 1


# -- the command


Run = Callable[..., str]


@pytest.fixture
def run(clinic: History, tmp_path: Path) -> Run:
    del clinic

    def run(*arguments: str, status: int = 0) -> str:
        answer = command_here("queue", "backfill", *arguments, "--config", tmp_path / "router.toml")
        assert answer.returncode == status, answer.stderr
        return answer.stdout if status == 0 else answer.stderr

    return run


FEBRUARY = ("--from", "2026-02-01", "--to", "2026-02-28")


def test_the_command_begins_shows_and_stops_one_and_the_audit_trail_has_who(run: Run, clinic: History) -> None:
    assert json.loads(run("--status", "--json")) == {"backfill": None, "exams": {}}
    assert "no backfill was ever begun" in run("--status")
    begun = json.loads(run(*FEBRUARY, "--at", "night", "--per-hour", "200", "--yes", "--json"))
    wanted = {"from": "2026-02-01", "to": "2026-02-28", "at_night": True, "per_hour": 200, "until": None}
    assert begun["backfill"].items() >= wanted.items()
    assert begun["exams"]["kept"] == 1
    [one] = clinic.catalogue.backfills.all()
    assert (one.first, one.last) == (SPAN["first"], SPAN["last"])
    clinic.admit()
    assert json.loads(run("--status", "--json"))["exams"]["kept"] == 0
    shown = run("--status")
    assert "2026-02-01 - 2026-02-28" in shown
    assert "at night, at most 200 exam(s) an hour" in shown
    assert "already" in run(*FEBRUARY, "--yes", status=1)
    assert json.loads(run("--stop", "--json"))["backfill"]["until"]
    assert "stopped at" in run("--status")
    assert "no backfill stands" in run("--stop", status=1)
    messages = [each.message for each in trail_of(clinic.config, clinic.config.node.owner).records()]
    assert any("a backfill of 2026-02-01 - 2026-02-28 is begun" in each for each in messages)
    assert any("the backfill of 2026-02-01 - 2026-02-28 is stopped" in each for each in messages)


@pytest.mark.parametrize("says_yes", [True, False])
def test_at_a_terminal_a_person_is_asked_with_count_and_volume(
    run: Run, clinic: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says_yes: bool
) -> None:
    assert "--yes" in run(*FEBRUARY, status=2)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda *_: "y" if says_yes else "n")
    told = command_here("queue", "backfill", *FEBRUARY, "--per-hour", "1", "--config", tmp_path / "router.toml").stderr
    assert "1 exam(s) are kept back here, about 0.0 GiB" in told
    assert "to cloud, at any hour, at most 1 exam(s) an hour" in told
    assert (clinic.catalogue.backfills.standing() is not None) == says_yes


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "use one of"), (("--status", "--stop"), "use one of"), ((*FEBRUARY, "--stop"), "use one of"),
    (("--from", "2026-02-01"), "name both days"), (("--from", "2026-02-02", "--to", "2026-02-01"), "before --from"),
    (("--from", "2026-03-01", "--to", "2026-03-02"), "shared anyway"), (("--from", "1.2.26", "--to", "x"), "--from"),
    ((*FEBRUARY, "--per-hour", "0"), "--per-hour"), ((*FEBRUARY, "--at", "noon"), "--at"),
])  # fmt: skip
def test_wrong_use_says_what_is_wrong_and_begins_nothing(
    run: Run, clinic: History, arguments: tuple[str, ...], said: str
) -> None:
    assert said in run(*arguments, "--yes", status=2)
    assert clinic.catalogue.backfills.all() == []


def test_days_that_reach_beyond_the_start_end_there_and_without_a_start_there_is_nothing_to_do(
    run: Run, clinic: History, tmp_path: Path
) -> None:
    begun = json.loads(run("--from", "2026-02-27", "--to", "2026-12-31", "--yes", "--json"))
    assert (begun["backfill"]["from"], begun["backfill"]["to"]) == ("2026-02-27", "2026-02-28")
    run("--stop")
    (tmp_path / "router.toml").write_text(CONFIG + TABLES, encoding="utf-8")
    assert "[share] from is not set" in run(*FEBRUARY, "--yes", status=2)
