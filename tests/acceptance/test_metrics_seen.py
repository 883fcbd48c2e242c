"""Every metric moves when what it counts happens to a real node; no label grows without bound or names a patient."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE

from router.alarms import Alarm
from router.catalogue.images.ledger import Fate
from router.catalogue.queue.backlog import Age
from router.cluster.membership import DUTIES
from router.config.file import shipped
from router.events import Kind
from router.model import Channel
from router.policy.attention import Cause
from router.policy.breaker import Position
from router.policy.states import State
from support.harness import Exam, Site, SlowCloud, command_here, make_exam, send_all

STATUS = re.compile(r"association|[0-9A-F]{4}")
LABELS: Mapping[str, set[str]] = {
    "destination": {"cloud", "dead", ""},
    "channel": set(Channel),
    "state": set(State),
    "age": set(Age),
    "position": set(Position),
    "alarm": set(Alarm),
    "what": set(Cause) | set(Alarm),
    "kind": set(Kind),
    "duty": set(DUTIES),
    "sender": {"PACS"},
    "outcome": {"new", "duplicate"} | set(Fate) | set(State),
}
DEAD = '\n[[destination]]\nname = "dead"\n[destination.dicom]\nport = 1\n'
PATIENT = "SECRETAE"


class Watched:
    """A node with one destination that is slow and one that is dead, and all that its metrics ever said."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.said: list[Metric] = []
        self.pages: list[str] = []
        self.exams: list[Exam] = []

    def look(self) -> None:
        url = f"http://127.0.0.1:{self.site.node.ports['admin']}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            self.pages.append(answer.read().decode())
        self.said += text_string_to_metric_families(self.pages[-1])

    def seen(self, family: str, ok: Callable[[Any], bool] = lambda sample: sample.value != 0) -> bool:
        return any(ok(sample) for one in self.said if one.name == family for sample in one.samples)

    def wait_for(self, family: str, ok: Callable[[Any], bool] = lambda sample: sample.value != 0) -> None:
        def looked() -> bool:
            self.look()
            return self.seen(family, ok)

        self.site.wait_until(looked, f"{family} is seen")

    @property
    def families(self) -> set[str]:
        """As they are declared: also those that have no sample."""
        found = re.findall(r"^# HELP (\w+)", self.pages[-1], re.MULTILINE)
        return {re.sub(r"_total$", "", name) for name in found if not name.endswith("_created")}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    cloud = SlowCloud(pause=0.02)
    site = Site(
        tmp_path_factory.mktemp("metrics"), dicom_port=cloud.port, stable_after="300 ms",
        accept_empty=["Patient.IdNo"], settings=DEAD,
    )  # fmt: skip
    try:
        yield _lived(Watched(site.start()))
    finally:
        site.stop()
        cloud.stop()


def _lived(watched: Watched) -> Watched:
    """What a node sees in a bad week, in a few seconds."""
    site = watched.site
    good, risky, late = (make_exam(site, number, instances=12) for number in (1, 2, 3))
    watched.exams += [good, risky, late]
    send_all(site.port, good.study.files)
    watched.wait_for("router_unreported_studies")
    site.report(good)
    watched.wait_for("router_leases")
    _refused(site.port)
    for exam, minutes in ((risky, 60), (late, 120)):  # approved ten minutes after that, and no PDF comes
        site.drop(f"{exam.id}.json", exam.json(minutes_ago=minutes))
    site.wait_for(State.DELIVERED, good.id, (Channel.REPORT,))
    watched.wait_for("router_instances_sent", lambda s: s.value >= 12 and s.labels["outcome"] == Fate.SENT)
    watched.wait_for("router_breaker", lambda s: s.value == 1 and s.labels["position"] != Position.CLOSED)
    for family in ("router_at_risk", "router_missed", "router_refused", "router_delivery_seconds"):
        watched.wait_for(family)
    pause = command_here("queue", "pause", "--destination", "dead", "--why", "x", "--yes", "--config", site.config_file)
    assert pause.returncode == 0, pause.stderr
    watched.wait_for("router_paused")
    return watched


def _refused(port: int) -> None:
    """An association that calls somebody else."""
    entity: Any = AE(ae_title=PATIENT)
    entity.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    assert entity.associate("127.0.0.1", port, ae_title="NOBODY").is_rejected


def test_every_metric_is_seen_to_say_something(watched: Watched) -> None:
    """One that is declared anew fails here until the node above does what it counts."""
    quiet = {name for name in watched.families if not watched.seen(name)}
    assert quiet == {"router_confirmed"}, "that one is of several hospitals: test_console_hospitals.py"
    assert len(watched.families) > 15


def test_a_gauge_of_positions_says_more_than_the_usual_one(watched: Watched) -> None:
    assert watched.seen("router_breaker", lambda s: s.value == 1 and s.labels["position"] == Position.OPEN)
    assert watched.seen("router_breaker", lambda s: s.value == 1 and s.labels["position"] == Position.CLOSED)
    assert watched.seen("router_alarms_standing", lambda s: s.value == 1 and s.labels["alarm"] == Alarm.BREAKER)


def test_every_label_has_one_of_a_few_values_known_beforehand(watched: Watched) -> None:
    used = {label for one in watched.said for sample in one.samples for label in sample.labels.items()}
    assert {name for name, _ in used} == {*LABELS, "status", "le"}
    for name, value in used - {label for label in used if label[0] == "le"}:
        assert STATUS.fullmatch(value) if name == "status" else value in LABELS[name], (name, value)


def test_no_page_names_a_patient_an_exam_a_study_or_a_sender(watched: Watched) -> None:
    everything = "\n".join(watched.pages)
    for exam in watched.exams:
        for secret in (*exam.secrets(), exam.study.uid):
            assert secret not in everything
    assert PATIENT not in everything


def test_the_shipped_dashboard_and_rules_ask_by_labels_that_there_are(watched: Watched) -> None:
    panels = json.loads(shipped("grafana.json").read_text(encoding="utf-8"))["panels"]
    asked = " ".join(t["expr"] for panel in panels for t in panel["targets"])
    asked += shipped("alert_rules.yml").read_text(encoding="utf-8")
    named = set(re.findall(r'\b(\w+)(?:=|!=|=~|!~)"', asked))
    assert named <= {*LABELS, "status", "le", "job"}  # the last one is of Prometheus itself
