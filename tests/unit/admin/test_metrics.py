"""GET /metrics: what the event bus and the catalogue say, in numbers, without patient data."""

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from router.admin.http.metrics import Gauges, Metrics
from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.queue.backlog import Age, Place
from router.clock import FakeClock
from router.config.file import shipped
from router.errors import TransientError
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.attention import Attention
from router.policy.breaker import down
from router.policy.states import State
from router.review.attention import look
from support.catalogue_rows import CLOUD, MINUTE, NOW, Database, delivery, exam, instance

IMAGES = Place(CLOUD, Channel.IMAGES, timedelta(hours=6))
GIB = 2**30


class Scraped:
    """A catalogue with its metrics, and what a scrape says of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bus = folder, EventBus()
        self.catalogue: Catalogue = Database("", folder).open(self.bus.record)
        self.clock = FakeClock(NOW)
        self.metrics = Metrics(
            Gauges(self.catalogue, lambda: [IMAGES], "n1", lambda: 7 * GIB, self.clock, self.waiting),
            lambda: [IMAGES],
        )
        self.bus.subscribe(self.metrics.on_event)

    def waiting(self) -> list[Attention]:
        return look(self.catalogue, [IMAGES], self.folder / "quarantine", self.clock.now())

    def text(self) -> str:
        return self.metrics.answer(None).body.decode()

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the samples of that name that have these labels; None when there is none."""
        families = text_string_to_metric_families(self.text())
        found = [s.value for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(found) if found else None


def test_a_scrape_that_the_database_does_not_answer_has_the_rest_in_time(
    node: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert node.value("router_database_answers") == 1
    hanging, free = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hanging.set()
        free.wait(20)
        raise TransientError("the database did not answer")

    monkeypatch.setattr("router.admin.http.metrics._PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(node.catalogue.backlog, "counts", hang)
    node.metrics.note_durable(5)
    for _ in range(12):  # more than may wait at once
        assert node.value("router_database_answers") == 0
    assert hanging.is_set()
    assert (node.value("router_backlog"), node.value("router_received_bytes_total")) == (None, 5)
    assert node.value("router_disk_free_bytes") == 7 * GIB
    free.set()
    monkeypatch.undo()
    until = time.monotonic() + 10
    while node.value("router_database_answers") == 0 and time.monotonic() < until:
        time.sleep(0.01)
    assert node.value("router_database_answers") == 1


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Scraped]:
    made = Scraped(tmp_path)
    yield made
    made.catalogue.engine.close_thread()


def test_what_the_receiving_side_tells_is_counted(node: Scraped) -> None:
    for size in (1000, 500):
        node.metrics.note_durable(size)
    node.metrics.note_refused(0xA700)
    node.metrics.note_refused(None)
    assert (node.value("router_instances_durable_total"), node.value("router_received_bytes_total")) == (2, 1500)
    assert node.value("router_refused_total", status="A700") == 1
    assert node.value("router_refused_total", status="association") == 1


def test_what_was_selected_and_sent_is_counted_by_destination_and_outcome(node: Scraped) -> None:
    for kind, fields in ((Kind.SELECTED, {"selected": 30, "filtered": 2}), (Kind.SENT, {"sent": 29, "refused": 1})):
        node.bus.record(Event(NOW, kind, "", fields={"destination": CLOUD, **fields}))
    assert node.value("router_instances_selected_total", destination=CLOUD, outcome="filtered") == 2
    assert node.value("router_instances_sent_total", destination=CLOUD, outcome="sent") == 29
    assert node.value("router_instances_sent_total", destination=CLOUD, outcome="refused") == 1


def test_a_try_and_the_whole_way_are_timed(node: Scraped) -> None:
    one = delivery(node.catalogue, exam(node.catalogue), State.READY, due=NOW + timedelta(hours=5))
    claimed = node.catalogue.queue.claim(CLOUD, Channel.IMAGES, "n1", NOW, MINUTE)
    assert claimed is not None
    node.catalogue.queue.move(claimed, State.DELIVERED, NOW + timedelta(seconds=2), "sent")
    place: dict[str, object] = {"destination": CLOUD, "channel": Channel.IMAGES}
    left = {"slack_seconds": 5 * 3600.0}
    node.bus.record(Event(NOW, Kind.CONFIRMED, "", delivery=one.id, fields=place | left))
    assert node.value("router_sending_seconds_sum", outcome="delivered") == 2
    assert node.value("router_delivery_seconds_sum", destination=CLOUD, channel="images") == 3600


@pytest.mark.parametrize(("left", "age"), [
    (timedelta(hours=4), Age.FIRST_HALF), (timedelta(hours=2), Age.SECOND_HALF), (timedelta(hours=1), Age.LAST_FIFTH),
    (timedelta(0), Age.MISSED), (-timedelta(hours=25), Age.MISSED_A_DAY), (None, Age.UNDUE),
])  # fmt: skip
def test_the_backlog_is_told_by_how_much_of_its_time_is_used(node: Scraped, left: timedelta | None, age: Age) -> None:
    delivery(node.catalogue, exam(node.catalogue), State.READY, due=None if left is None else NOW + left)
    assert node.value("router_backlog", destination=CLOUD, channel="images", state="ready", age=age) == 1
    assert node.value("router_backlog") == 1
    assert node.value("router_slack_min_seconds") == (None if left is None else left.total_seconds())
    assert node.value("router_at_risk") == (age == Age.LAST_FIFTH)
    assert node.value("router_missed") == (age in (Age.MISSED, Age.MISSED_A_DAY))


@pytest.mark.parametrize("state", State)
def test_what_is_settled_is_no_backlog(node: Scraped, state: State) -> None:
    delivery(node.catalogue, exam(node.catalogue))
    node.catalogue.engine.execute("UPDATE delivery SET state = ?", [state])
    settled = {State.DELIVERED, State.CANCELLED, State.OUT_OF_SCOPE, State.EXCLUDED, State.NOT_SHARED, State.WITHDRAWN}
    assert node.value("router_backlog") == (None if state in settled else 1)


def test_what_is_delivered_is_no_backlog_and_what_is_claimed_is_a_lease(node: Scraped) -> None:
    delivery(node.catalogue, exam(node.catalogue, "E1"), State.READY, State.SENDING, State.DELIVERED)
    assert (node.value("router_backlog"), node.value("router_leases", destination=CLOUD)) == (None, 0)
    delivery(node.catalogue, exam(node.catalogue, "E2"), State.READY, State.SENDING)
    assert node.value("router_leases", destination=CLOUD) == 1


@pytest.mark.parametrize("alarm", Alarm)
def test_every_alarm_is_told_by_name_while_it_stands(node: Scraped, alarm: Alarm) -> None:
    node.catalogue.alarms.is_news(Event(NOW, Kind.ALARM, "x", alarm=alarm, subject="one"))
    assert (node.value("router_alarms_standing", alarm=alarm), node.value("router_alarms_standing")) == (1, 1)
    node.catalogue.alarms.is_news(Event(NOW, Kind.CLEARED, "x", alarm=alarm, subject="one"))
    assert node.value("router_alarms_standing") == 0


def test_a_breaker_is_told_by_its_position(node: Scraped) -> None:
    assert node.value("router_breaker", position="closed") == 1
    node.catalogue.breakers.change(CLOUD, Channel.IMAGES, NOW, lambda one: down(one, NOW, "no answer", 0.0))
    assert (node.value("router_breaker", position="open"), node.value("router_breaker", position="closed")) == (1, 0)
    assert node.value("router_breaker") == 1


def test_disk_and_duties_are_told(node: Scraped) -> None:
    node.catalogue.nodes.hold("drop folder", "n1", MINUTE)
    node.catalogue.nodes.hold("retention", "n2", MINUTE)
    assert node.value("router_disk_free_bytes") == 7 * GIB
    assert (node.value("router_duty", duty="drop folder"), node.value("router_duty", duty="retention")) == (1, 0)


def test_studies_without_an_exam_are_told_by_sender_and_only_so_many_by_name(node: Scraped) -> None:
    for number in range(53):
        new = instance(1, f"1.2.{number}")
        header = replace(new.header, sending_ae=f"AE{number:02}" if number else "other")
        node.catalogue.instances.add([replace(new, header=header)])
    for number in range(3):
        new = instance(1, f"1.3.{number}")
        node.catalogue.instances.add([replace(new, header=replace(new.header, sending_ae="CT1"))])
    assert node.value("router_unreported_studies", sender="CT1") == 3
    assert node.value("router_unreported_studies", sender="AE49") == 1
    assert node.value("router_unreported_studies", sender="AE50") is None
    assert node.value("router_unreported_studies", sender="other") == 4, "one calls itself so"
    exam(node.catalogue, "E1", "1.3.1")
    assert node.value("router_unreported_studies", sender="CT1") == 2


def test_no_label_names_an_exam_a_study_or_a_text(node: Scraped) -> None:
    number = exam(node.catalogue, "SECRET-EXAM", "1.2.3.4")
    delivery(node.catalogue, number, State.READY, due=NOW)
    for kind in (Kind.DOUBT, Kind.RECEIVED):
        node.bus.record(Event(NOW, kind, "SECRET-TEXT", exam=number, study_uid="1.2.3.4"))
    node.catalogue.alarms.is_news(Event(NOW, Kind.ALARM, "x", alarm=Alarm.DOUBT, subject="SECRET-SUBJECT"))
    assert not re.search(r"SECRET|1\.2\.3\.4", node.text())


_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
_EXAMS = (
    "INSERT INTO exam (id, hospital, branch, exam_id, accession_number, patient_id, patient_name, touched, revisions,"
    " doubt, created) SELECT i, '', '01', 'E' || i, '', '', '', 0, 0, '', 0 FROM n"
)
_DELIVERIES = (
    "INSERT INTO delivery (exam_id, hospital, destination, channel, state, waiting_for, due, attempts, error, held_by,"
    " lease, lease_owner, wanted, delivered, created, changed) SELECT i, '', 'cloud', 'images',"
    " CASE i % 4 WHEN 0 THEN 'ready' WHEN 1 THEN 'waiting' WHEN 2 THEN 'deferred' ELSE 'delivered' END, '',"
    " i * 1000000, 0, '', '', 0, '', '', '', 0, 0 FROM n"
)


def test_a_scrape_is_quick_with_100_000_deliveries(node: Scraped) -> None:
    with node.catalogue.engine.write():
        for insert in (_EXAMS, _DELIVERIES):
            node.catalogue.engine.execute(insert.replace("INSERT", _NUMBERS + "INSERT", 1), [])
    began = time.process_time()
    counts = node.catalogue.backlog.counts([IMAGES], NOW)
    took = time.process_time() - began
    assert sum(count.deliveries for count in counts) == 75_000
    assert took < 0.1, took


@pytest.mark.parametrize("name", ["grafana.json", "alert_rules.yml"])
def test_the_shipped_samples_ask_for_metrics_that_there_are(node: Scraped, name: str) -> None:
    text = shipped(name).read_text()
    if name.endswith("json"):
        text = " ".join(t["expr"] for panel in json.loads(text)["panels"] for t in panel["targets"])
    named = {re.sub(r"_(bucket|sum|count|total)$", "", found) for found in re.findall(r"\brouter_\w+", text)}
    known = {re.sub(r"_total$", "", found) for found in re.findall(r"^# HELP (\w+)", node.text(), re.MULTILINE)}
    assert named <= known
    assert len(named) >= 5
