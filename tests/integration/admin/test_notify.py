"""Alarms from the event bus to people: folded, kept through restarts, each way by itself, sent by one node."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from router.admin.notify import notification_queue, ways
from router.admin.notify.notification import Notification, Style, trial_of
from router.admin.notify.notification_queue import NotificationQueue
from router.admin.notify.notifier import AlarmNotifier
from router.alarms import REMEDY, Alarm
from router.catalogue import open_catalogue
from router.catalogue.node.notifications import Undelivered
from router.clock import SystemClock
from router.cluster.membership import Membership
from router.config.file import parse
from router.config.sections import Config
from router.errors import TransientError
from router.events import Event, EventBus, Kind
from router.forward import chat
from router.forward.http import Limits
from router.loop import Loop
from router.storage.takeover import Takeover
from support.alarm_receivers import TAKEN, Answer, Hook, hooked, mail_served, never, status
from support.catalogue_rows import Database

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
SOON = timedelta(milliseconds=5)
HOSPITAL = """
[node]
name = "{node}"
language = "{language}"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[admin]
link = "https://router.hospital/"
"""


ALONE = HOSPITAL[HOSPITAL.index("[hospital]") : HOSPITAL.index("[admin]")]


def config(text: str, folder: Path, node: str = "n1", language: str = "en") -> Config:
    common = HOSPITAL if "[[hospital]]" not in text else HOSPITAL.replace(ALONE, "")
    return parse(common.format(node=node, language=language) + text, base=folder)


def webhook(hook: Hook) -> str:
    return f'[alarms.webhook]\nurl = "{hook.url}"\n'


def event(
    alarm: Alarm = Alarm.BREAKER, kind: Kind = Kind.ALARM, subject: str = "images to beijing", exam: int | None = None,
    destination: str = "",
) -> Event:  # fmt: skip
    fields = {"destination": destination} if destination else {}
    return Event(NOW, kind, f"about {subject}", alarm=alarm, subject=subject, exam=exam, fields=fields)


def wait(met: Callable[[], object], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.005)


class Life:
    """A life of a node as far as alarms go."""

    def __init__(self, text: str, database: Database, node: str = "n1", language: str = "en") -> None:
        self.folder = database.data
        self.bus = EventBus()
        self.catalogue = open_catalogue(database.url, database.data, self.bus)
        self.able = True
        (database.data / "incoming" / node).mkdir(parents=True, exist_ok=True)
        clock, takeover = SystemClock(), Takeover(database.data / "incoming", node)
        lease = timedelta(seconds=30)
        self.membership = Membership(self.catalogue, takeover, node, lease=lease, bus=self.bus, clock=clock)
        self.membership.beat()
        self.notifier = AlarmNotifier(
            config(text, database.data, node, language), self.catalogue, self.membership, clock, self._loop,
            lambda: self.able,
        )  # fmt: skip
        self.bus.subscribe(self.notifier.on_event)

    def _loop(self, name: str, step: Callable[[], float], share: float) -> Loop:
        return Loop(name, step, self.bus, SystemClock(), close=self.catalogue.engine.close_thread, share=share)

    def record(self, *events: Event) -> None:
        for one in events:
            self.bus.record(one)

    def undelivered(self) -> list[Undelivered]:
        return list(self.catalogue.notifications.undelivered(datetime.now(UTC)))

    def waiting(self, way: str = "webhook") -> int:
        return len(self.catalogue.notifications.waiting(way, 2000))

    def end(self) -> None:
        self.notifier.stop()
        self.notifier.unfinished(5)
        self.membership.leave()
        self.catalogue.engine.close_thread()


@contextmanager
def living(text: str, database: Database, node: str = "n1", language: str = "en") -> Iterator[Life]:
    life = Life(text, database, node, language)
    life.notifier.start()
    try:
        yield life
    finally:
        life.end()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_queue, "backoff", lambda *_: SOON)
    monkeypatch.setattr(ways, "LIMITS", Limits(connect=1.0, answer=0.5))


def titles(hook: Hook) -> list[tuple[str, str]]:
    return [(one["alarm"], one["state"]) for one in hook.told]


def test_every_alarm_and_its_end_reach_the_webhook_once_with_what_to_do(sqlite: Database) -> None:
    with hooked() as hook, living(webhook(hook), sqlite) as life:
        for alarm in Alarm:
            life.record(event(alarm), event(alarm))
        wait(lambda: len(hook.told) == len(Alarm))
        for alarm in Alarm:
            life.record(event(alarm, Kind.CLEARED), event(alarm, Kind.CLEARED))
        wait(lambda: len(hook.told) == 2 * len(Alarm))
    assert sorted(titles(hook)) == sorted((alarm, state) for alarm in Alarm for state in ("standing", "cleared"))
    standing = {one["alarm"]: one for one in hook.told if one["state"] == "standing"}
    assert {alarm: one["remedy"] for alarm, one in standing.items()} == REMEDY
    assert all(one["remedy"] == "" and one["commands"] == [] for one in hook.told if one["state"] == "cleared")


def test_a_message_holds_everything_that_a_person_and_a_program_need(sqlite: Database) -> None:
    with hooked() as hook, living(webhook(hook), sqlite) as life:
        life.record(event(Alarm.DOUBT, subject="e17", exam=17, destination="beijing"))
        wait(lambda: hook.told)
    (told,) = hook.told
    assert told.pop("id")
    assert told == {
        "node": "n1", "alarm": "doubt", "state": "standing", "subject": "e17", "text": "about e17",
        "remedy": REMEDY[Alarm.DOUBT], "at": "2026-03-01T09:00:00+00:00", "exam": 17, "delivery": None,
        "destination": "beijing", "count": 1, "standing": 1, "link": "https://router.hospital/exam?id=17",
        "commands": ["scripts/queue compare e17", "scripts/queue resolve e17"], "hospitals": [],
        "title": "[n1] alarm: doubt (beijing)",
        "body": "about e17\n"
        f"What to do: {REMEDY[Alarm.DOUBT]}\n"
        "Command: scripts/queue compare e17\nCommand: scripts/queue resolve e17\n"
        "Console: https://router.hospital/exam?id=17\n"
        "Node n1, beijing, e17, 2026-03-01 17:00:00 Asia/Shanghai",
    }  # fmt: skip


def test_the_language_is_that_of_the_node(sqlite: Database) -> None:
    with hooked() as hook, living(webhook(hook), sqlite, language="zh_CN") as life:
        life.record(event(Alarm.DISK, subject="disk"))
        wait(lambda: hook.told)
        life.record(event(Alarm.DISK, Kind.CLEARED, subject="disk"))
        wait(lambda: len(hook.told) == 2)
    first, last = hook.told
    assert first["title"] == "[n1] 告警：磁盘空间不足（disk）"
    assert "处理方法：清理数据文件夹所在的卷" in first["body"]
    assert last["title"] == "[n1] 告警解除：磁盘空间不足（disk）"


def test_what_is_no_alarm_and_what_was_not_asked_for_is_not_told(sqlite: Database) -> None:
    text = '[alarms]\nonly = ["disk"]\n'
    with hooked() as hook, living(text + webhook(hook), sqlite) as life:
        life.record(event(Alarm.BREAKER), Event(NOW, Kind.DOUBT, "x"), event(Alarm.DISK))
        wait(lambda: hook.told)
        wait(lambda: not life.catalogue.alarm_news.waits())
    assert titles(hook) == [("disk", "standing")]


def test_while_the_webhook_is_down_alarms_wait_in_order_and_each_comes_once(sqlite: Database) -> None:
    with hooked(status(503), status(500), status(429), status(401)) as hook, living(webhook(hook), sqlite) as life:
        for alarm in list(Alarm)[:3]:
            life.record(event(alarm))
        wait(lambda: len(hook.told) == 3)
        wait(lambda: not life.undelivered())
    assert [one["alarm"] for one in hook.told] == list(Alarm)[:3]
    assert hook.asked == 7


def test_an_answer_without_a_length_silences_nothing(sqlite: Database) -> None:
    with (
        hooked(judge=lambda _: b"HTTP/1.0 200 OK\r\n\r\nok") as hook,
        living(webhook(hook), sqlite) as life,
    ):
        life.record(event(Alarm.DISK), event(Alarm.CLOCK))
        wait(lambda: len(hook.told) == 2)
        wait(lambda: life.waiting() == 0)
    assert hook.asked == 2


def test_what_cannot_be_delivered_is_known_with_its_reason_until_it_is(sqlite: Database) -> None:
    with hooked(*[status(503)] * 50) as hook, living(webhook(hook), sqlite) as life:
        life.record(event(Alarm.DISK), event(Alarm.CLOCK))
        wait(lambda: life.undelivered() and life.undelivered()[0].waiting == 2)
        (found,) = life.undelivered()
        assert (found.way, str(found), found.down) == ("webhook", "it answers 503 (2 wait)", True)
        assert list(life.notifier.degraded()) == ["alarms cannot be delivered: webhook: it answers 503"]
        wait(lambda: not life.undelivered() and not life.notifier.degraded())


def test_what_the_webhook_refuses_is_recorded_and_the_next_goes(sqlite: Database) -> None:
    with hooked(status(400)) as hook, living(webhook(hook), sqlite) as life:
        life.record(event(Alarm.DISK), event(Alarm.CLOCK))
        wait(lambda: hook.told and life.waiting() == 0)
        (found,) = life.undelivered()
    assert titles(hook) == [("clock", "standing")]
    assert (str(found), found.down) == ("it answers 400 (1 refused)", False)


@pytest.mark.parametrize("answer", [status(500), b"HTTP/1.1 999 x\r\n\r\n"], ids=["500", "999"])
def test_a_message_that_alone_is_never_taken_silences_nothing(sqlite: Database, answer: Answer) -> None:
    def judge(message: dict[str, Any]) -> Answer:
        return answer if message["alarm"] == "disk" else TAKEN

    with hooked(judge=judge) as hook, living(webhook(hook), sqlite) as life:
        life.record(event(Alarm.DISK), event(Alarm.CLOCK), event(Alarm.AUDIT))
        wait(lambda: life.waiting() == 0 and len(hook.told) == 2)
        (found,) = life.undelivered()
    assert titles(hook) == [("clock", "standing"), ("audit", "standing")]
    assert found.refused == 1


def test_an_outage_that_ends_between_two_tries_costs_no_message(sqlite: Database) -> None:
    """After ten tries of the first message the next one is tried, too; here it is the first that is taken."""
    tries, sent = itertools.count(1), list[str]()

    def send(notification: Notification) -> None:
        if next(tries) <= 11:
            raise TransientError("it is down")
        sent.append(notification.subject)

    catalogue, now = sqlite.open(), datetime.now(UTC)
    kept = catalogue.notifications
    queue = NotificationQueue("a", send, kept, SystemClock(), lambda: True, lambda _: timedelta(0))
    style = Style(node="n1", language="en", zone=ZoneInfo("Asia/Shanghai"))
    for number in ("1", "2"):
        kept.add("a", replace(trial_of(style, now, number), subject=number).to_json(), now)
    for _ in range(12):
        queue.step()
    assert (sent, kept.undelivered(now), queue.error) == (["2", "1"], [], "")
    catalogue.engine.close_thread()


def test_a_receiver_that_is_stuck_delays_no_other(sqlite: Database, tmp_path: Path) -> None:
    program, out = tmp_path / "sms", tmp_path / "out"
    program.write_text(f"#!/bin/sh\ncat >> {out}; echo >> {out}\n")
    program.chmod(0o700)
    text = f'[alarms]\nprogram = ["{program}"]\n'
    with hooked(judge=lambda _: never) as hook, living(text + webhook(hook), sqlite) as life:
        for alarm in list(Alarm)[:5]:
            life.record(event(alarm))
        wait(lambda: out.exists() and len(out.read_text().splitlines()) == 5)
        wait(lambda: [(one.way, one.waiting) for one in life.undelivered()] == [("webhook", 5)])
    assert hook.told == []


def test_what_waits_when_the_node_stops_is_sent_once_and_in_order_after_its_next_start(sqlite: Database) -> None:
    with hooked() as hook:
        hook_of_later = webhook(hook)
        with hooked(judge=lambda _: status(503)) as dead, living(webhook(dead), sqlite) as life:
            for alarm in list(Alarm)[:4]:
                life.record(event(alarm))
            wait(lambda: life.waiting() == 4)
        with living(hook_of_later, sqlite):
            wait(lambda: len(hook.told) == 4)
        with living(hook_of_later, sqlite) as last:
            last.record(*(event(alarm) for alarm in list(Alarm)[:4]))
            last.record(event(Alarm.AUDIT))
            wait(lambda: len(hook.told) == 5)
    assert [one["alarm"] for one in hook.told] == [*list(Alarm)[:4], Alarm.AUDIT]
    assert len({one["id"] for one in hook.told}) == 5


def test_an_alarm_that_was_recorded_and_not_yet_folded_is_told_after_a_restart(sqlite: Database) -> None:
    former = sqlite.open()
    bus = EventBus()
    bus.guard(former.alarms.is_news)
    bus.record(event(Alarm.DISK))
    former.engine.close_thread()
    with hooked() as hook, living(webhook(hook), sqlite):
        wait(lambda: hook.told)
    assert titles(hook) == [("disk", "standing")]


def test_what_a_command_clears_while_the_node_runs_is_told_too(sqlite: Database) -> None:
    with hooked() as hook, living(webhook(hook), sqlite) as life:
        life.record(event(Alarm.POISON, subject="1"))
        wait(lambda: hook.told)
        _by_command(sqlite, event(Alarm.POISON, Kind.CLEARED, subject="1"))
        wait(lambda: len(hook.told) == 2)
    assert titles(hook) == [("poison", "standing"), ("poison", "cleared")]


def _by_command(database: Database, one: Event) -> None:
    bus = EventBus()
    catalogue = open_catalogue(database.url, database.data, bus)
    bus.record(one)
    catalogue.engine.close_thread()


def test_of_thousands_of_alarms_at_once_there_are_two_messages_also_over_a_restart(sqlite: Database) -> None:
    count = 2_500
    with hooked() as hook:
        life = Life(webhook(hook), sqlite)
        with life.catalogue.engine.write():
            for number in range(count):
                life.record(event(Alarm.DOUBT, subject=f"e{number}", exam=number, destination="beijing"))
        life.notifier.start()
        wait(lambda: not life.catalogue.alarm_news.waits(), 60)
        wait(lambda: hook.told)
        life.end()
        with living(webhook(hook), sqlite) as again:
            with again.catalogue.engine.write():
                for number in range(count):
                    again.record(event(Alarm.DOUBT, Kind.CLEARED, subject=f"e{number}", exam=number))
            wait(lambda: len(hook.told) == 2, 60)
    first, last = hook.told
    assert (first["state"], first["standing"]) == ("standing", count)
    assert first["body"].splitlines()[1].endswith("among them: e0, e1, e2, e3, e4")
    assert (last["state"], last["count"], last["destination"]) == ("cleared", count, "beijing")


def test_one_more_of_a_cause_within_ten_minutes_waits_and_one_of_another_does_not(sqlite: Database) -> None:
    with hooked() as hook, living(webhook(hook), sqlite) as life:
        life.record(event(Alarm.DOUBT, subject="e1", exam=1, destination="beijing"))
        wait(lambda: len(hook.told) == 1)
        life.record(event(Alarm.DOUBT, subject="e2", exam=2, destination="beijing"))
        life.record(event(Alarm.DOUBT, subject="e3", exam=3, destination="tianjin"))
        wait(lambda: len(hook.told) == 2 and life.waiting() == 0)
    assert [one["destination"] for one in hook.told] == ["beijing", "tianjin"]


def test_of_two_nodes_one_sends_and_the_other_takes_over(postgresql: Database) -> None:
    with hooked() as hook:
        first, second = (Life(webhook(hook), postgresql, node) for node in ("n1", "n2"))
        try:
            for life in (first, second):
                life.notifier.start()
            for number, alarm in enumerate(list(Alarm)[:6]):
                (first, second)[number % 2].record(event(alarm))
            wait(lambda: len(hook.told) == 6)
            first.end()
            second.membership.beat()
            second.record(event(Alarm.AUDIT))
            wait(lambda: len(hook.told) == 7)
        finally:
            for life in (first, second):
                life.end()
    assert sorted(one["alarm"] for one in hook.told[:6]) == sorted(list(Alarm)[:6])
    assert {one["node"] for one in hook.told[:6]} == {"n1"}
    assert hook.told[6]["node"] == "n2"


def test_the_daily_report_is_mailed_with_the_heads_of_the_audit_trails_and_is_no_alarm(
    sqlite: Database, tmp_path: Path
) -> None:
    heads = ["Audit head n1:7:ab of today, signed by 12: c2ln", "Audit head n2:9:cd of today, signed by 34: bmF0"]
    with mail_served(tmp_path) as server, hooked() as hook:
        mail = server.settings()
        text = (
            '[alarms]\nonly = ["disk"]\n[alarms.mail]\nhost = "127.0.0.1"\nfrom = "r@h.cn"\nto = ["it@h.cn"]\n'
            f'port = {mail.port}\nca_file = "{mail.ca_file}"\n'
        )
        with living(text + webhook(hook), sqlite, language="zh_CN") as life:
            life.record(Event(NOW, Kind.REPORTED, "report of 2026-03-01: 1 met", fields={"heads": heads}))
            wait(lambda: server.mails)
        ((found, secure),) = server.mails
    assert secure
    assert found["Subject"] == "[n1] daily report: daily report"
    assert all(line in found.get_content() for line in ("report of 2026-03-01: 1 met", *heads))
    assert hook.asked == 0


def test_a_way_that_is_repaired_while_the_node_runs_gets_what_waited_and_one_that_is_gone_is_forgotten(
    sqlite: Database, tmp_path: Path
) -> None:
    program = tmp_path / "sms"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o700)
    both = f'[alarms]\nprogram = ["{program}"]\n'
    with hooked(judge=lambda _: status(503)) as dead, hooked() as hook, living(both + webhook(dead), sqlite) as life:
        life.record(event(Alarm.DISK))
        wait(lambda: {one.way for one in life.undelivered()} == {"webhook", "program"})
        life.notifier.use(life.notifier.fit(config(webhook(hook), tmp_path)))
        wait(lambda: len(hook.told) == 1)
        wait(lambda: not life.undelivered() and life.waiting("program") == 0)
        life.notifier.use(life.notifier.fit(config("", tmp_path)))
        life.record(event(Alarm.CLOCK))
        wait(lambda: not life.catalogue.alarm_news.waits())
    assert len(hook.told) == 1


def test_a_way_that_is_added_is_told_once_what_stands_and_one_that_was_there_is_not(
    sqlite: Database, tmp_path: Path
) -> None:
    with hooked() as hook, hooked() as chat:
        more = f'[alarms]\ntargets = ["json://127.0.0.1:{chat.port}/a"]\n' + webhook(hook)
        with living(webhook(hook), sqlite) as life:
            for number in range(3):
                life.record(event(Alarm.DOUBT, subject=f"e{number}", exam=number, destination="beijing"))
            life.record(event(Alarm.DISK, subject="disk"))
            wait(lambda: not life.catalogue.alarm_news.waits() and len(hook.told) == 2)
            life.notifier.use(life.notifier.fit(config(more, tmp_path)))
            wait(lambda: chat.told)
            life.record(event(Alarm.CLOCK, subject="clock"))
            wait(lambda: len(hook.told) == 3 and len(chat.told) == 2)
        with living(more, sqlite) as life:
            life.record(event(Alarm.AUDIT, subject="audit"))
            wait(lambda: len(hook.told) == 4 and len(chat.told) == 3)
    assert sorted(name for name, _ in titles(hook)) == ["audit", "clock", "disk", "doubt"], "not told again"
    assert [one["title"] for one in chat.told] == [
        "[n1] 4 alarm(s) stand already", "[n1] alarm: clock (clock)", "[n1] alarm: audit (audit)"
    ]  # fmt: skip
    said = chat.told[0]["message"].splitlines()
    assert said[1:4] == ["1 x disk", "3 x doubt (beijing)", "Command: scripts/status"]


def test_a_way_that_is_added_before_a_start_is_told_what_stands_by_the_alarms_that_are_asked_for(
    sqlite: Database,
) -> None:
    with hooked() as hook, hooked() as other, hooked() as third:
        with living("", sqlite) as life:
            life.record(event(Alarm.DISK, subject="disk"), event(Alarm.CLOCK, subject="clock"))
            wait(lambda: not life.catalogue.alarm_news.waits())
        first = f"json://127.0.0.1:{hook.port}/a"
        with living(f'[alarms]\nonly = ["disk"]\ntargets = ["{first}"]\n', sqlite, language="zh_CN"):
            wait(lambda: hook.told)
        second = f"json://127.0.0.1:{other.port}/b"
        with living(f'[alarms]\nonly = ["gaps"]\ntargets = ["{second}", "{first}"]\n', sqlite) as life:
            life.record(event(Alarm.GAPS, subject="reconciliation"))
            wait(lambda: len(hook.told) == 2 and other.told)
        with living(webhook(third), sqlite):
            wait(lambda: third.told)
    assert [one["title"] for one in hook.told] == ["[n1] 已有 1 条告警未解除", "[n1] alarm: gaps (reconciliation)"]
    assert [one["title"] for one in other.told] == ["[n1] alarm: gaps (reconciliation)"], "nothing asked for stood"
    (told,) = third.told
    assert (told["alarm"], told["state"], told["count"], told["text"]) == (
        "summary", "standing", 3, "1 x clock; 1 x disk; 1 x gaps"
    )  # fmt: skip


def test_the_heartbeat_calls_while_the_node_works_and_is_missed_when_it_does_not(sqlite: Database) -> None:
    with hooked() as hook:
        text = f'[alarms]\nheartbeat = {{ url = "{hook.url}?status=up", every = "20 ms" }}\n'
        with living(text, sqlite) as life:
            wait(lambda: hook.asked > 3)
            life.able = False
            time.sleep(0.2)
            asked = hook.asked
            time.sleep(0.2)
            assert hook.asked == asked
            life.able = True
            wait(lambda: hook.asked > asked)
    assert hook.heads[0].startswith("GET /hook?status=up HTTP/1.1")


def test_a_heartbeat_that_does_not_arrive_is_known_and_delays_no_alarm(sqlite: Database) -> None:
    with hooked(*[status(404)] * 20) as watcher, hooked() as hook:
        text = f'[alarms]\nheartbeat = {{ url = "{watcher.url}", every = "20 ms" }}\n'
        with living(text + webhook(hook), sqlite) as life:
            wait(life.undelivered)
            (found,) = life.undelivered()
            assert (found.way, str(found)) == ("heartbeat of n1", "it answers 404")
            assert list(life.notifier.degraded()) == ["alarms cannot be delivered: heartbeat of n1: it answers 404"]
            life.record(event(Alarm.DISK))
            wait(lambda: hook.told)
            wait(lambda: not life.undelivered())


def test_no_secret_of_an_address_is_logged_or_kept(
    sqlite: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def broken(url: str, *_: str) -> None:
        sent.append(url)
        raise ZeroDivisionError(url)

    monkeypatch.setattr(chat, "require_known", lambda _: None)
    monkeypatch.setattr(chat, "send", broken)
    text = '[alarms]\ntargets = ["wecombot://s3cret"]\n'
    with living(text, sqlite) as life:
        life.record(event(Alarm.DISK))
        wait(life.undelivered)
        (found,) = life.undelivered()
    assert sent == ["wecombot://s3cret"]
    assert found.way == "target 1 (wecombot)"
    assert "a defect: ZeroDivisionError" in found.error
    assert "s3cret" not in caplog.text + str(found)


DISTRICT = "".join(
    f'[[hospital]]\nname = "{name}"\nUSCI = "U{name}"\nHospitalCode = "H{name}"\nHospitalName = "{name}"\n'
    'HospitalBranchCode = "01"\n'
    for name in ("fuxing", "renmin", "xiehe")
)


def test_a_receiver_of_one_hospital_is_told_of_its_alarms_alone_and_of_their_end(sqlite: Database) -> None:
    def about(hospital: str, kind: Kind = Kind.ALARM) -> Event:
        fields = {"destination": "beijing"} | ({"hospital": hospital} if hospital else {})
        return Event(NOW, kind, f"of {hospital}", alarm=Alarm.BREAKER, subject=f"to {hospital}", fields=fields)

    with hooked() as every, hooked() as own:
        text = (
            f'[[alarms.webhook]]\nurl = "{every.url}"\n[[alarms.webhook]]\nurl = "{own.url}"\nhospitals = ["renmin"]\n'
        )
        life = Life(text + DISTRICT, sqlite)
        for one in (about("xiehe"), about(""), about("renmin")):
            life.record(one)
        life.notifier.start()
        wait(lambda: every.told and own.told)
        life.record(about("renmin", Kind.CLEARED))
        wait(lambda: len(own.told) == 2)
        life.end()
    assert titles(own) == [("breaker", "standing"), ("breaker", "cleared")]
    assert [(one["count"], one["hospitals"], one["text"]) for one in own.told] == [(1, ["renmin"], "of renmin")] * 2
    (whole,) = every.told
    assert (whole["count"], whole["standing"], whole["hospitals"]) == (3, 3, ["xiehe", "renmin"])
