"""The audit: from the event bus's events to the trail, and on to a syslog server over TLS."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from router.admin.audit.audit import Audit
from router.admin.audit.syslog import Syslog
from router.alarms import Alarm
from router.clock import FakeClock
from router.config.sections import Syslog as SyslogConfig
from router.config.sections import Tls
from router.crypto.symmetric import sm3
from router.dicom.scp.store import Received
from router.dicom.ul.tls import server_context
from router.events import Event, EventBus, Kind
from router.model import Channel, InstanceUids
from router.policy.states import State
from router.storage.trail import Trail
from support.catalogue_rows import NOW
from support.certificates import Authority
from support.harness import wait_for

NODE = "node-1"
KEEP = timedelta(days=1095)


class Site:
    """An audit with its trail."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOW)
        self.trail = Trail(folder / "audit" / NODE, sm3)
        self.audit = Audit(self.trail, NODE, self.clock, KEEP)
        self.bus = EventBus(self.audit.take)

    def tell(self, kind: Kind, text: str = "", **about: object) -> None:
        self.bus.record(Event(NOW, kind, text, **about))  # type: ignore[arg-type]  # the caller names its fields

    def messages(self) -> list[ElementTree.Element]:
        self.audit.write(flush=True)
        return [ElementTree.fromstring(record.message) for record in self.trail.records()]  # our own


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def code(element: ElementTree.Element, path: str) -> str | None:
    found = element.find(path)
    return None if found is None else found.get("csd-code")


EVENTS: dict[Kind, tuple[dict[str, object], str, str | None]] = {
    Kind.STARTED: ({}, "110100", "110120"),
    Kind.STOPPED: ({}, "110100", "110121"),
    Kind.RELOADED: ({}, "110113", "110131"),
    Kind.PINNED: ({"who": "wang"}, "110113", "110129"),
    Kind.REFUSED: ({"fields": {"calling_ae": "EVIL", "address": "10.9.9.9"}}, "110113", "110126"),
    Kind.ALARM: ({"alarm": Alarm.CRYPTO, "subject": "destination x"}, "110113", None),
    Kind.CONFIRMED: ({"exam": 7, "fields": {"destination": "x", "channel": Channel.IMAGES}}, "110104", None),
    Kind.MOVED: ({"who": "wang", "fields": {"to": State.HELD}}, "110109", "110132"),
    Kind.DECIDED: ({"who": "wang", "exam": 7}, "110109", "110132"),
    Kind.PURGED: ({"study_uid": "1.2.3"}, "110105", None),
    Kind.LOGGED_IN: ({"who": "wang", "fields": {"address": "10.1.2.3"}}, "110114", "110122"),
    Kind.LOGGED_OUT: ({"who": "wang"}, "110114", "110123"),
    Kind.USER: ({"who": "wang"}, "110113", "110137"),
}


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_is_the_message_that_the_standard_has_for_it(site: Site, kind: Kind) -> None:
    about, event_id, event_type = EVENTS[kind]
    site.tell(kind, 'what <happened> & "why"', **about)
    (found,) = site.messages()
    assert code(found, "EventIdentification/EventID") == event_id
    assert code(found, "EventIdentification/EventTypeCode") == event_type
    assert 'what <happened> & "why"' in str(found.findtext("EventIdentification/EventOutcomeDescription"))
    source = found.find("AuditSourceIdentification")
    assert source is not None
    assert source.get("AuditSourceID") == NODE


def test_a_report_is_an_export_and_names_exam_and_destination(site: Site) -> None:
    site.tell(Kind.CONFIRMED, "receipt", exam=7, fields={"destination": "beijing", "channel": Channel.REPORT})
    (found,) = site.messages()
    assert code(found, "EventIdentification/EventID") == "110106"
    assert [one.get("UserID") for one in found.findall("ActiveParticipant")] == [NODE, "beijing"]
    (about,) = found.findall("ParticipantObjectIdentification")
    assert about.get("ParticipantObjectID") == "7"


def test_a_refused_sender_is_named_with_its_address(site: Site) -> None:
    site.tell(Kind.REFUSED, "not a sender", fields={"calling_ae": "EVIL", "address": "10.9.9.9"})
    (found,) = site.messages()
    sender = found.find("ActiveParticipant")
    assert sender is not None
    assert (sender.get("UserID"), sender.get("NetworkAccessPointID")) == ("EVIL", "10.9.9.9")


@pytest.mark.parametrize(("name", "user"), [("wang", "wang"), ("", "unknown")])
def test_a_failed_login_names_the_user_whom_there_is_and_the_address(site: Site, name: str, user: str) -> None:
    site.tell(Kind.REFUSED, "a login failed", fields={"login": name, "address": "10.9.9.9"})
    (found,) = site.messages()
    assert code(found, "EventIdentification/EventID") == "110114"
    assert code(found, "EventIdentification/EventTypeCode") == "110122"
    (person,) = found.findall("ActiveParticipant")
    assert (person.get("UserID"), person.get("NetworkAccessPointID")) == (user, "10.9.9.9")
    event = found.find("EventIdentification")
    assert event is not None
    assert event.get("EventOutcomeIndicator") == "4"


def test_a_command_is_audited_with_the_account_that_ran_it_beside_the_name_that_was_given(site: Site) -> None:
    for who in ("wang", "root"):
        site.tell(Kind.DECIDED, "released", who=who, fields={"account": "root"})
    found = [[one.get("UserID") for one in each.findall("ActiveParticipant")] for each in site.messages()]
    assert found == [["wang", "root"], ["root"]]


def test_what_the_node_does_every_moment_is_no_audit_event(site: Site) -> None:
    for kind in (Kind.JOINED, Kind.DOCUMENT, Kind.SENT, Kind.STALE):
        site.tell(kind, "work")
    site.tell(Kind.MOVED, "by the node itself")
    assert site.messages() == []


def test_an_old_day_that_cannot_be_removed_does_not_end_the_writing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_before: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(site.trail, "purge", refused)
    for exam in (1, 2):
        site.tell(Kind.DECIDED, "released", exam=exam)
        site.audit.write()
    assert [record.n for record in site.trail.records()] == [1, 2]


def test_received_instances_are_counted_by_study_and_sender(site: Site) -> None:
    for n in range(5):
        uids = InstanceUids("1.2", "1.2.1", f"1.2.1.{n}")
        site.audit.count(Received(uids=uids, sop_class="1.2.840", calling_ae="CT01", address="10.1.1.1", size=9))
    site.audit.count(
        Received(
            uids=InstanceUids("1.3", "1.3.1", "1.3.1.1"),
            sop_class="1.2.840",
            calling_ae="CT01",
            address="10.1.1.1",
            size=9,
        )
    )
    site.audit.write()
    assert list(site.trail.records()) == [], "for a minute they are counted"
    site.clock.advance(61)
    site.audit.write()
    texts = [record.message for record in site.trail.records()]
    assert ["5 instance(s)" in text and '"1.2"' in text for text in texts] == [True, False]


def test_a_trail_that_cannot_be_written_is_written_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Trail, "append", full)
        site.tell(Kind.STARTED)
        site.audit.write()
    site.tell(Kind.STOPPED)
    assert len(site.messages()) == 2
    assert site.trail.verify().faults == ()


class Sink:
    """A syslog server: takes connections one at a time, keeps what comes."""

    def __init__(self, tls: Tls | None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = server_context(tls) if tls else None
        self.port: int = self._listener.getsockname()[1]
        self.data = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def messages(self) -> list[str]:
        found, rest = [], self.data
        while rest:
            length, _, rest = rest.partition(b" ")
            found.append(rest[: int(length)].decode())
            rest = rest[int(length) :]
        return found

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._wrapped(connection) as wrapped:
                while data := wrapped.recv(65536):
                    self.data += data

    def _wrapped(self, connection: socket.socket) -> socket.socket:
        return self._context.wrap_socket(connection, server_side=True) if self._context else connection


@pytest.fixture(params=["tls", "plain"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Sink, Tls | None]]:
    tls = Authority(tmp_path).issue("syslog") if request.param == "tls" else None
    found = Sink(tls)
    yield found, tls
    found.close()


def test_every_record_reaches_the_syslog_server_once_through_restarts(
    site: Site, sink: tuple[Sink, Tls | None]
) -> None:
    server, tls = sink
    config = SyslogConfig(host="127.0.0.1", port=server.port, tls=tls)
    for kind in (Kind.STARTED, Kind.STOPPED):
        site.tell(kind, "张三 is no patient")
        site.audit.write()
        syslog = Syslog(config, site.trail, NODE)
        syslog.start()
        syslog.stop()
    wait_for(lambda: len(server.messages()) == 2)
    first, second = server.messages()
    assert first.startswith(f"<85>1 {NOW.isoformat()} {NODE} router - DICOM+RFC3881 - \ufeff<?xml")
    assert "110120" in first
    assert "110121" in second


def test_a_server_that_is_not_there_gets_everything_later(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    server = Sink(None)
    server.close()
    config = SyslogConfig(host="127.0.0.1", port=server.port)
    site.tell(Kind.STARTED)
    site.audit.write()
    syslog = Syslog(config, site.trail, NODE)
    syslog.start()
    syslog.stop()
    assert "takes no audit messages" in caplog.text
    again = Sink(None)
    syslog = Syslog(config.model_copy(update={"port": again.port}), site.trail, NODE)
    syslog.start()
    syslog.stop()
    wait_for(lambda: len(again.messages()) == 1)
    again.close()


def test_beyond_loopback_syslog_wants_tls() -> None:
    with pytest.raises(ValueError, match="beyond loopback"):
        SyslogConfig(host="10.1.1.1")
