"""Texts of messages about alarms: whole commands, counts, the console's link, in both languages."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from router.admin.notify.notification import Style, commands_of, from_json, notification_of, trial_of
from router.alarms import REMEDY, Alarm
from router.policy.folding import AlarmNews, Cause, Folded, State
from router.text.language import tongue_of

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def style(language: str = "en", link: str = "") -> Style:
    return Style(node="n1", language=language, zone=ZoneInfo("Asia/Shanghai"), link=link)


def folded(state: State, count: int = 1, standing: int = 1, exam: int | None = 17) -> Folded:
    news = AlarmNews(raised=state != State.CLEARED, subject="e17", text="it waits", at=NOW, exam=exam)
    return Folded(
        cause=Cause(Alarm.EXAM_JSON), state=state, count=count, standing=standing, news=news, names=("e17", "e18")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("remedy", "exam", "delivery", "commands"),
    [
        ("see `queue explain` for it", 17, 85, ("scripts/queue explain e17",)),
        ("see `queue explain` for it", None, 85, ("scripts/queue explain d85",)),
        ("see `queue explain` for it", None, None, ("scripts/queue explain",)),
        ("see `queue list --state held`, then `status`", 17, 85, ("scripts/queue list --state held", "scripts/status")),
        ("see `scripts/queue unreported`", 17, None, ("scripts/queue unreported",)),
        ("run `quarantine show`", 17, None, ("scripts/quarantine show",)),
        ("make room", 17, None, ()),
    ],
)
def test_commands_are_whole(remedy: str, exam: int | None, delivery: int | None, commands: tuple[str, ...]) -> None:
    assert commands_of(remedy, exam, delivery) == commands


@pytest.mark.parametrize("alarm", Alarm)
@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_alarm_has_a_name_and_a_remedy_in_every_language(alarm: Alarm, language: str) -> None:
    name, remedy = tongue_of(language).alarm(alarm)
    assert name
    assert (remedy == REMEDY[alarm]) == (language == "en")


def test_more_of_a_cause_are_counted_and_named() -> None:
    more = notification_of(folded(State.MORE, 12, 14), style(), "1")
    assert (more.state, more.count, more.standing) == ("standing", 12, 14)
    assert more.title == "[n1] 12 more: exam-json (e17)"
    assert "This is about 12 alarms of one kind, among them: e17, e18\n14 of them stand now\n" in more.body
    chinese = notification_of(folded(State.MORE, 12, 14), style("zh_CN"), "1")
    assert chinese.title == "[n1] 告警新增 12 条：检查JSON有误（e17）"
    assert "本条包括 12 条同类告警，其中：e17, e18\n目前共有 14 条未解除\n" in chinese.body
    assert "命令：scripts/queue explain e17\n" in chinese.body


def test_the_end_says_how_many_there_were_and_asks_for_nothing() -> None:
    over = notification_of(folded(State.CLEARED, 14, 0), style(), "1")
    assert (over.state, over.remedy, over.commands) == ("cleared", "", ())
    assert "There were 14 of them, and all are over\n" in over.body
    assert "What to do" not in over.body


@pytest.mark.parametrize(("exam", "link"), [(17, "https://r/x/exam?id=17"), (None, "https://r/x/")])
def test_the_link_leads_to_the_exam_or_to_the_console(exam: int | None, link: str) -> None:
    assert notification_of(folded(State.STANDING, exam=exam), style(link="https://r/x/"), "1").link == link
    assert "Console" not in notification_of(folded(State.STANDING, exam=exam), style(), "1").body


def test_what_was_kept_is_read_as_it_was() -> None:
    for made in (notification_of(folded(State.STANDING), style("zh_CN"), "1"), trial_of(style(), NOW, "2")):
        assert from_json(made.to_json()) == made


@pytest.mark.parametrize(("language", "line"), [("en", "Hospital: renmin, xiehe"), ("zh_CN", "医院：renmin, xiehe")])
def test_a_message_names_the_hospitals_that_its_alarms_concern(language: str, line: str) -> None:
    known = folded(State.STANDING, 2, 2)
    found = notification_of(replace(known, hospitals=("renmin", "xiehe")), style(language), "1")
    assert line in found.body.splitlines()
    assert from_json(found.to_json()) == found
    assert notification_of(known, style(language), "1").hospitals == ()


def test_a_message_that_waits_since_before_hospitals_is_read() -> None:
    found = notification_of(folded(State.STANDING), style(), "1")
    text = json.dumps({name: value for name, value in json.loads(found.to_json()).items() if name != "hospitals"})
    assert from_json(text) == found
