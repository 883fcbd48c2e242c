"""Stopping and starting all sending: the queue, the dispatcher, the commands, the console, the report of the day."""

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from test_due_times import HOUR, ReportQueue
from test_failure_classes import Bench, Scripted

from router.admin.http.metrics import Gauges, Metrics
from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.queue.backlog import Place
from router.catalogue.queue.pauses import Pauses
from router.catalogue.queue.queue import Delivery
from router.cli.opened import trail_of
from router.config.sections import Admin
from router.delivery.breaker_gate import Route
from router.delivery.senders import SendResult
from router.errors import DestinationDown, Outage
from router.events import Event, Kind
from router.model import Channel
from router.policy.breaker import Position
from router.policy.pause import EVERY, Pause
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.review.answers import Answers
from router.review.deliveries import Review
from router.storage import open_storage
from support.catalogue_rows import CLOUD, Database
from support.console_site import Site
from support.exam_workflow import CLOUD as TABLES
from support.exam_workflow import ExamWorkflow
from support.harness import command_here
from support.intake_folder import CONFIG, E1, START

DONE = SendResult(State.DELIVERED, "sent", units=1)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[ReportQueue]:
    opened = ReportQueue(tmp_path)
    yield opened
    opened.catalogue.engine.close_thread()


@pytest.fixture
def bench(sqlite: Database) -> Iterator[Bench]:
    told: list[Event] = []
    catalogue = sqlite.open(told.append)
    yield Bench(catalogue, told, Channel.IMAGES, 2)
    catalogue.engine.close_thread()


# -- sending


def test_while_sending_is_paused_nothing_is_claimed_and_the_destination_is_not_asked(bench: Bench) -> None:
    probes: list[int] = []
    down = Route(
        destination=CLOUD,
        channel=Channel.IMAGES,
        width=1,
        sender=Scripted(DestinationDown("no line")),
        probe=lambda: probes.append(1),
    )
    assert bench.dispatcher.run_one(down)
    assert bench.catalogue.pauses.begin(CLOUD, "wang", "moves house", bench.clock.now())
    for _ in range(100):
        bench.clock.advance(2)
        assert not bench.dispatcher.run_one(down)
    assert (probes, bench.position()) == ([], Position.OPEN)
    assert bench.catalogue.pauses.end(CLOUD, "wang", "", bench.clock.now())
    bench.clock.advance(2)
    lane = Route(
        destination=CLOUD, channel=Channel.IMAGES, width=1, sender=Scripted(DONE), probe=lambda: probes.append(1)
    )
    assert bench.dispatcher.run_one(lane)
    assert probes == [1]


def test_what_is_under_way_stops_within_two_seconds_and_counts_no_try(bench: Bench) -> None:
    asked: list[bool] = []

    class Sender:
        def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            asked.append(stop())
            bench.catalogue.pauses.begin(EVERY, "wang", "a fire", bench.clock.now())
            bench.clock.advance(2)
            asked.append(stop())
            return SendResult(State.READY, "given back")

    assert bench.dispatcher.run_one(Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=Sender()))
    assert asked == [False, True]
    assert (bench.get(0).state, bench.get(0).attempts) == (State.READY, 0)
    assert not bench.dispatcher.run_one(
        Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=Scripted(DONE))
    )


def test_who_sends_looks_at_the_pauses_once_a_second_however_often_it_asks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    pauses, standing = bench.catalogue.pauses, type(bench.catalogue.pauses).standing

    def counted(self: Pauses) -> Sequence[Pause]:
        looks.append(1)
        return standing(self)

    monkeypatch.setattr(type(pauses), "standing", counted)

    class Sender:
        def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            for _ in range(1000):
                stop()
            return DONE

    lane = Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=Sender())
    while bench.dispatcher.run_one(lane):
        pass
    assert looks == [1]


# -- being late


@pytest.mark.ends("paused")
@pytest.mark.fires("paused")
def test_a_pause_is_an_alarm_while_it_stands_also_when_it_ended_while_no_node_ran(ward: ReportQueue) -> None:
    pauses = ward.catalogue.pauses
    pauses.begin("cloud", "wang", "moves house", ward.clock.now())
    for _ in range(3):
        ward.lookout.step()
    assert ward.alarms() == [Alarm.PAUSED]
    (standing,) = ward.catalogue.alarms.standing()
    assert standing.text == "sending to cloud is paused by wang: moves house"
    pauses.end("cloud", "li", "", ward.clock.now())  # by a command, with nobody there to see it
    ward.lookout.step()
    assert not ward.catalogue.alarms.standing()
    (raised, cleared) = [event for event in ward.told if event.alarm == Alarm.PAUSED]
    assert [each.fields for each in (raised, cleared)] == [{"destination": "cloud"}] * 2
    assert cleared.kind == Kind.CLEARED


def test_two_pauses_are_two_alarms_and_end_one_by_one(ward: ReportQueue) -> None:
    pauses, now = ward.catalogue.pauses, ward.clock.now()
    pauses.begin("cloud", "wang", "x", now)
    pauses.begin(EVERY, "wang", "y", now)
    ward.lookout.step()
    pauses.end(EVERY, "li", "", now)
    ward.lookout.step()
    assert [one.subject for one in ward.catalogue.alarms.standing()] == ["sending to cloud"]


def test_a_deadline_is_not_missed_in_silence_by_a_pause_and_the_alarm_says_who_paused(ward: ReportQueue) -> None:
    ward.ready("E1", START + HOUR)
    ward.catalogue.pauses.begin("cloud", "wang", "moves house", ward.clock.now())
    for _ in range(70):
        ward.lookout.step()
        ward.clock.advance(60)
    of_time = [event for event in ward.told if event.kind == Kind.ALARM and event.alarm != Alarm.PAUSED]
    assert [event.alarm for event in of_time] == [Alarm.HALF_TIME, Alarm.AT_RISK, Alarm.MISSED]
    assert all(event.text.endswith("; sending to cloud is paused by wang: moves house") for event in of_time)


def test_nothing_is_expected_while_sending_is_paused_or_the_destination_is_down(ward: ReportQueue) -> None:
    def expected() -> bool:
        ward.lookout.step()
        return ward.get(made).expected is not None

    ward.ready("E0", START + HOUR)
    ward.send(takes=60)
    made = ward.ready("E1", START + HOUR)
    assert expected()
    ward.catalogue.pauses.begin("cloud", "wang", "x", ward.clock.now())
    assert not expected()
    ward.catalogue.pauses.end("cloud", "wang", "", ward.clock.now())
    assert expected()
    ward.clock.advance(2)
    ward.dispatcher.run_one(
        Route(destination="cloud", channel=Channel.REPORT, width=1, sender=Scripted(DestinationDown("no line")))
    )
    assert not expected()


def test_the_report_of_the_day_tells_what_a_pause_made_late_and_by_whom(ward: ReportQueue) -> None:
    for name in ("PAUSED", "STILL", "OURS"):
        ward.ready(name, START + HOUR)
    ward.clock.advance(1800)
    ward.catalogue.pauses.begin(EVERY, "wang", "the platform moves", ward.clock.now())
    ward.clock.advance(3600)
    ward.catalogue.pauses.end(EVERY, "wang", "", ward.clock.now())
    ward.send()
    ward.clock.advance(3600)
    ward.send()
    ward.send()
    day = ("--day", "2026-03-02", "--config", ward.file)
    answered = json.loads(command_here("queue", "report", *day, "--json").stdout)
    assert answered["counts"] == {
        "met": 0, "pending": 0, "missed by us": 2, "arrived late": 0, "missed while paused": 1
    }  # fmt: skip
    (paused,) = [one for one in answered["deliveries"] if one["verdict"] == "missed while paused"]
    assert (paused["exam_id"], paused["reason"]) == ("PAUSED", "paused by wang: the platform moves")
    assert "paused by wang: the platform moves" in command_here("queue", "report", *day).stdout


def test_a_pause_of_one_hospital_stops_its_exams_and_lets_the_others_go(sqlite: Database) -> None:
    told: list[Event] = []
    bench = Bench(sqlite.open(told.append), told, Channel.REPORT, 3)
    catalogue, now = bench.catalogue, bench.clock.now
    for one, hospital in zip(bench.made, "aba", strict=True):
        catalogue.engine.execute("UPDATE delivery SET hospital = ? WHERE id = ?", (hospital, one))
    route = Route(
        destination=CLOUD, channel=Channel.REPORT, width=1, sender=Scripted(DONE, DONE, DONE), hospitals=("a", "b")
    )
    catalogue.pauses.begin(CLOUD, "wang", "its key", now(), "a")
    assert [bench.dispatcher.run_one(route), bench.dispatcher.run_one(route)] == [True, False]
    assert bench.states() == [State.READY, State.DELIVERED, State.READY]
    catalogue.pauses.end(CLOUD, "wang", "", now(), "a")
    bench.clock.advance(2)
    assert [bench.dispatcher.run_one(route), bench.dispatcher.run_one(route)] == [True, True]
    assert bench.states() == [State.DELIVERED] * 3
    catalogue.engine.close_thread()


@pytest.mark.ends("paused")
def test_the_alarm_of_one_hospitals_pause_names_it_and_ends_with_it(ward: ReportQueue) -> None:
    pauses, now = ward.catalogue.pauses, ward.clock.now()
    for place in ("cloud", EVERY):
        pauses.begin(place, "wang", "its key", now, "a")
    ward.lookout.step()
    subjects = {one.subject for one in ward.catalogue.alarms.standing()}
    assert subjects == {"sending to cloud for a", "sending to all destinations for a"}
    for place in ("cloud", EVERY):
        pauses.end(place, "wang", "", now, "a")
    ward.lookout.step()
    assert not ward.catalogue.alarms.standing()
    told = [event.fields for event in ward.told if event.alarm == Alarm.PAUSED]
    assert told == [{"hospital": "a"}, {"destination": "cloud", "hospital": "a"}] * 2


# -- the commands


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    """An exam whose images may go."""
    made = ExamWorkflow(tmp_path, readers)
    (tmp_path / "router.toml").write_text(CONFIG + TABLES, encoding="utf-8")
    made.ris(Study__StudyInstanceUIDs=["1.2.3"])
    made.pacs("1.2.3")
    assert made.delivery().state == State.READY
    yield made
    made.catalogue.engine.close_thread()


Run = Callable[..., str]


@pytest.fixture
def run(clinic: ExamWorkflow, tmp_path: Path) -> Run:
    del clinic

    def run(*arguments: str, status: int = 0) -> str:
        answer = command_here(*arguments, "--config", tmp_path / "router.toml")
        stopped = arguments[0] == "status"  # no node runs here
        assert answer.returncode == (1 if stopped else status), answer.stderr
        return answer.stdout if status == 0 else answer.stderr

    return run


def paused(run: Run) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = json.loads(run("status", "--json"))["paused"]
    return found


def test_a_pause_is_shown_by_status_list_and_explain_until_it_is_ended(run: Run, clinic: ExamWorkflow) -> None:
    assert paused(run) == []
    run("queue", "pause", "--why", "the platform moves", "--yes")
    (one,) = paused(run)
    assert (one["destination"], one["why"]) == (None, "the platform moves")
    line = f"PAUSED: sending to all destinations, since .* by {one['who']}: the platform moves; `scripts/queue resume`"
    for shown in (run("status"), run("queue", "list")):
        assert line.split(", since", maxsplit=1)[0] in shown
        assert f"by {one['who']}: the platform moves; `scripts/queue resume` ends it" in shown
    assert run("queue", "list").splitlines()[0].startswith("PAUSED: ")
    clinic.catalogue.nodes.beat("node-1")
    assert "is paused by" in run("queue", "list").splitlines()[-1]
    first = next(one for one in run("queue", "explain", E1).splitlines() if " images " in one)
    assert f"sending to all destinations is paused by {one['who']}: the platform moves" in first
    assert first.endswith("; an administrator must act: `scripts/queue resume`")
    told = run("queue", "resume")
    assert f"{one['who']} had paused it: the platform moves" in told
    assert paused(run) == []
    assert "PAUSED" not in run("queue", "list")


def test_without_a_terminal_a_pause_wants_yes_and_always_a_reason(run: Run) -> None:
    assert "--yes" in run("queue", "pause", "--why", "x", status=2)
    assert "--why" in run("queue", "pause", "--yes", status=2)
    assert "no destination is called clod" in run("queue", "pause", "--destination", "clod", "--why", "x", status=2)
    assert paused(run) == []


class Terminal(io.StringIO):
    """A person's."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("says_yes", [True, False])
def test_at_a_terminal_a_person_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch, says_yes: bool) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("click.confirm", lambda *_, **__: says_yes)
    run("queue", "pause", "--why", "x", status=0 if says_yes else 1)
    assert bool(paused(run)) == says_yes


def test_what_is_paused_is_not_paused_again_and_what_is_not_is_not_resumed(run: Run) -> None:
    assert "nothing is paused" in run("queue", "resume", status=1)
    run("queue", "pause", "--destination", "cloud", "--why", "x", "--yes")
    assert "paused already" in run("queue", "pause", "--destination", "cloud", "--why", "y", "--yes", status=1)
    assert "no destination is called clod" in run("queue", "resume", "--destination", "clod", status=2)
    run("queue", "resume", "--destination", "cloud", "--why", "moved")
    assert "is not paused" in run("queue", "resume", "--destination", "cloud", status=1)


def test_one_destination_is_not_resumed_while_all_are_paused_and_all_are_by_one_command(run: Run) -> None:
    run("queue", "pause", "--why", "x", "--yes")
    assert "`scripts/queue resume`" in run("queue", "resume", "--destination", "cloud", status=1)
    answer = json.loads(run("queue", "pause", "--destination", "cloud", "--why", "y", "--yes", "--json"))
    assert [one["destination"] for one in answer["paused"]] == [None, "cloud"]
    assert json.loads(run("queue", "resume", "--json")) == {"paused": []}


def test_one_hospital_is_paused_shown_and_resumed_by_its_name(tmp_path: Path) -> None:
    config = tmp_path / "router.toml"
    constants = 'USCI = "U-{0}"\nHospitalCode = "{0}"\nHospitalName = "{0}"\nHospitalBranchCode = "01"\n'
    hospitals = "".join(f'[[hospital]]\nname = "{name}"\n{constants.format(name)}' for name in "ab")
    config.write_text(hospitals + CONFIG[CONFIG.index("[node]") :] + TABLES, encoding="utf-8")
    open_storage(tmp_path / "data", "test")
    Database("", tmp_path / "data").open().engine.close_thread()

    def run(*arguments: str, status: int = 0) -> str:
        answer = command_here(*arguments, "--config", config)
        assert answer.returncode == status, answer.stdout + answer.stderr
        return answer.stdout if status == 0 else answer.stderr

    why = ("--why", "its key", "--yes")
    assert "no hospital is called c; registered: a, b" in run("queue", "pause", "--hospital", "c", *why, status=2)
    told = run("queue", "pause", "--hospital", "a", *why)
    assert "PAUSED: sending to all destinations for a, since " in told
    assert "its key; `scripts/queue resume --hospital a` ends it" in run("queue", "list")
    assert "paused already" in run("queue", "pause", "--hospital", "a", *why, status=1)
    assert "is not paused" in run("queue", "resume", "--hospital", "b", status=1)
    told = run("queue", "pause", "--destination", "cloud", "--hospital", "b", *why, "--json")
    (one,) = json.loads(told)["paused"][1:]
    assert (one["destination"], one["hospital"]) == ("cloud", "b")
    run("queue", "resume", "--hospital", "a")
    run("queue", "pause", *why)
    run("queue", "resume", "--hospital", "b")
    assert "run `scripts/queue resume`" in run("queue", "resume", "--hospital", "b", status=1)
    assert json.loads(run("queue", "resume", "--json")) == {"paused": []}


def test_who_pauses_and_who_resumes_is_in_the_audit_trail(run: Run, clinic: ExamWorkflow) -> None:
    run("queue", "pause", "--destination", "cloud", "--why", "the platform moves", "--yes")
    run("queue", "resume", "--why", "moved")
    messages = [one.message for one in trail_of(clinic.config, clinic.config.node.owner).records()]
    assert any("sending is paused to cloud: the platform moves" in one for one in messages)
    assert any("sending goes on to cloud: moved" in one for one in messages)


def test_a_name_that_is_given_is_the_one_who_paused_and_who_resumed(run: Run, clinic: ExamWorkflow) -> None:
    [standing] = json.loads(run("queue", "pause", "--why", "the platform moves", "--yes", "--who", "wang", "--json"))[
        "paused"
    ]
    assert standing["who"] == "wang"
    run("queue", "resume", "--why", "moved", "--who", "li")
    messages = [one.message for one in trail_of(clinic.config, clinic.config.node.owner).records()]
    assert [("wang" in one, "li" in re.findall(r'UserID="(.*?)"', one)) for one in messages] == [
        (True, False), (False, True),
    ]  # fmt: skip


def test_hold_says_that_it_concerns_what_is_here_and_names_pause(run: Run) -> None:
    told = " ".join(run("queue", "hold", "--help").split())
    assert "those that are here" in told
    assert "queue pause" in told


def test_the_names_that_the_answer_gives_are_taken_by_the_commands(run: Run, clinic: ExamWorkflow) -> None:
    one = clinic.delivery()
    told = json.loads(run("queue", "list", "--json"))
    assert {(each["name"], each["exam"]) for each in told} == {(f"d{n}", f"e{one.exam}") for n in (1, 2)}
    for name in (f"d{one.id}", f"D:{one.id}", f"e{one.exam}", f"e:{one.exam}", E1):
        assert json.loads(run("queue", "explain", name, "--json"))[0]["number"] == one.exam
    assert json.loads(run("queue", "hold", f"d{one.id}", "--why", "x", "--json"))["done"] == [str(one.id)]
    assert len(json.loads(run("queue", "hold", f"e{one.exam}", "--why", "x", "--json"))["done"]) == 2
    assert "no delivery" in run("queue", "explain", "d99", status=1)


def test_a_word_that_is_two_exams_is_told_with_the_forms_that_are_one(run: Run, clinic: ExamWorkflow) -> None:
    clinic.ris("e1", Order__AccessionNumber="A7", Study__StudyInstanceUIDs=["7.7"])
    assert "e:1, e:2" in run("queue", "explain", "e1", status=2)
    assert json.loads(run("queue", "explain", "e:1", "--json"))[0]["exam_id"] == E1


# -- the answer, from what is known


def answered(clinic: ExamWorkflow, channel: Channel = Channel.IMAGES) -> tuple[str, str, str]:
    catalogue: Catalogue = clinic.catalogue
    catalogue.nodes.beat("node-1")
    lines = Review(catalogue, clinic.clock).listed((), None, None)
    (one,) = [
        each for each in Answers(catalogue, clinic.config, clinic.clock).of(lines)
        if each.line.delivery.channel == channel
    ]  # fmt: skip
    return str(one.answer.what), one.answer.who, one.answer.command


def test_what_is_known_is_gathered_for_the_answer(clinic: ExamWorkflow) -> None:
    queue = "scripts/queue list --destination cloud"
    assert answered(clinic) == ("is number 1 of 1 in the queue", "the node itself", queue)
    assert answered(clinic, Channel.REPORT)[0] == "waits for the report PDF"
    clinic.catalogue.nodes.forget("node-1")
    lines = Review(clinic.catalogue, clinic.clock).listed((), None, None)
    told = {str(one.answer.what) for one in Answers(clinic.catalogue, clinic.config, clinic.clock).of(lines)}
    assert told == {"no node runs: nothing is taken, evaluated or sent"}


@pytest.mark.parametrize("outage", Outage)
def test_an_outage_is_kept_with_its_kind_until_the_answer(bench: Bench, outage: Outage) -> None:
    error = DestinationDown("it said no", outage=outage, hint="see there")
    assert bench.dispatcher.run_one(Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=Scripted(error)))
    found = bench.catalogue.breakers.of(CLOUD, Channel.IMAGES)
    assert (found.outage, found.why) == (outage, "it said no (see there)")

    def probe() -> None:
        raise DestinationDown("it still says no", outage=Outage.KEYS)

    bench.clock.advance(60)
    assert not bench.dispatcher.run_one(
        Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=Scripted(DONE), probe=probe)
    )
    assert bench.catalogue.breakers.of(CLOUD, Channel.IMAGES).outage == Outage.KEYS


def test_the_wait_for_a_quiet_study_says_until_when(clinic: ExamWorkflow) -> None:
    clinic.pacs("1.2.3", number=2)
    until = (clinic.clock.now() + timedelta(seconds=60)).astimezone(clinic.config.node.timezone)
    (one,) = [one for one in clinic.catalogue.queue.in_state([State.WAITING]) if one.channel == Channel.REPORT]
    clinic.catalogue.queue.update(one, waiting_for="stable", due=None)
    assert answered(clinic, Channel.REPORT)[0] == f"waits for its study to be quiet, until {until:%H:%M:%S}"


def test_an_approval_that_cannot_be_read_is_the_answer_of_both_channels(tmp_path: Path, readers: Readers) -> None:
    clinic = ExamWorkflow(tmp_path, readers)
    clinic.ris(Report__ApproveTime="soon", Study__StudyInstanceUIDs=["1.2.3"])
    clinic.pacs("1.2.3")
    for channel in Channel:
        what, _, command = answered(clinic, channel)
        assert what.startswith("its approval cannot be read: ")
        assert command == "scripts/codes unknown"
    clinic.catalogue.engine.close_thread()


def test_json_faults_are_the_answer_with_the_first_and_their_number(tmp_path: Path, readers: Readers) -> None:
    clinic = ExamWorkflow(tmp_path, readers)
    clinic.ris(Study__StudyInstanceUIDs=["1.2.3"], Patient__IdNo="1", Patient__Telephone="", Visit__ClinicNo="")
    what, who, _ = answered(clinic, Channel.REPORT)
    assert what.startswith("its exam JSON has ")
    found = clinic.delivery(channel=Channel.REPORT).error
    assert found.startswith("exam JSON: ")
    assert who == "the RIS"
    clinic.catalogue.engine.close_thread()


# -- the console


@pytest.fixture
def site(clinic: ExamWorkflow) -> Iterator[Site]:
    made = Site(clinic, Admin())
    yield made
    made.server.stop()


def test_the_console_pauses_and_resumes_with_name_and_reason(site: Site) -> None:
    assert "Pause sending" not in site.ask("/").text
    site.log_in()
    assert "Pause sending" in site.ask("/").text
    form = {"csrf": site.csrf, "destination": "cloud", "why": "the platform moves"}
    assert site.ask("/pause", form | {"what": "pause"}).status == 303
    (one,) = site.clinic.catalogue.pauses.standing()
    assert (one.destination, one.who, one.why) == ("cloud", "wang", "the platform moves")
    for path in ("/", "/queue"):
        text = site.ask(path).text
        assert "Sending to cloud is paused since" in text
        assert "by wang: the platform moves" in text
    assert site.ask("/pause", form | {"what": "resume"}).status == 303
    assert not site.clinic.catalogue.pauses.standing()
    told = [(event.who, event.text) for event in site.clinic.events if event.kind == Kind.DECIDED]
    assert told == [
        ("wang", "sending is paused to cloud: the platform moves"),
        ("wang", "sending goes on to cloud: the platform moves"),
    ]


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"csrf": "another"}, 403), ({"why": " "}, 400), ({"what": "stop"}, 400), ({"destination": "clod"}, 400)],
)
def test_the_console_pauses_nothing_without_session_form_reason_and_destination(
    site: Site, changes: dict[str, str], status: int
) -> None:
    form = {"csrf": "", "destination": "", "why": "x", "what": "pause"}
    assert site.ask("/pause", form).status == 303  # to the login
    site.log_in()
    assert site.ask("/pause", form | {"csrf": site.csrf} | changes).status == status
    assert site.ask("/pause").status == 405
    assert not site.clinic.catalogue.pauses.standing()


@pytest.mark.parametrize(
    ("language", "what"), [("en", "is number 1 of 1 in the queue"), ("zh_CN", "在队列中排第 1 位，共 1 个")]
)
def test_the_pages_open_with_the_answer(site: Site, language: str, what: str) -> None:
    site.clinic.catalogue.nodes.beat("node-1")
    exam = site.ask(f"/exam?id={site.exam}&lang={language}").text
    assert exam.index(what) < exam.index("<h2>")
    assert "<code>scripts/queue list --destination cloud</code>" in exam
    assert what in site.ask(f"/queue?lang={language}").text


def test_a_metric_tells_of_a_pause(clinic: ExamWorkflow) -> None:
    places = [Place(name, Channel.IMAGES, HOUR) for name in ("cloud", "other")]
    gauges = Gauges(clinic.catalogue, lambda: places, "n1", lambda: 0, clinic.clock, list)
    metrics = Metrics(gauges, lambda: places)
    clinic.catalogue.pauses.begin("cloud", "wang", "x", clinic.clock.now())
    text = metrics.answer(None).body.decode()
    assert 'router_paused{destination="cloud"} 1.0' in text
    assert 'router_paused{destination="other"} 0.0' in text
