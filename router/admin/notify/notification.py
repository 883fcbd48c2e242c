"""Notification: a message about alarms for people and for programs, in the language of [node] language.

It holds the node's own ids, UIDs and configured names, never patient data.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from router.alarms import REMEDY
from router.clock import zoned
from router.config.sections import Config
from router.events import Event, Kind
from router.policy.folding import Cause, Folded, State
from router.text.language import N_, Tongue, tongue_of, typed

# Commands that want the name of an exam or a delivery behind them.
_OF_ONE = frozenset({"compare", "explain", "fail", "release", "resolve", "retry", "show"})

_TITLES = N_({
    State.STANDING: "[{node}] alarm: {name} ({about})",
    State.MORE: "[{node}] {count} more: {name} ({about})",
    State.CLEARED: "[{node}] over: {name} ({about})",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message. `state` is "standing", "cleared", "report" (daily, by mail only) or "test"; `at` is ISO 8601.

    `alarm` is "summary" for the message that lists the standing alarms to a new receiver.
    `count` is the number of alarms that it stands for, `standing` how many of its cause stand now. `commands` are whole
    ones, to be copied. `id` is the same when a message comes twice. `hospitals` are those that its alarms concern, by
    name, where the node serves several.
    """

    id: str
    node: str
    alarm: str
    state: str
    subject: str
    text: str
    at: str
    title: str
    body: str
    remedy: str = ""
    commands: tuple[str, ...] = ()
    exam: int | None = None
    delivery: int | None = None
    destination: str = ""
    count: int = 1
    standing: int = 0
    link: str = ""
    hospitals: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The notification as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)


def from_json(text: str) -> Notification:
    """The notification that `to_json` wrote."""
    found = json.loads(text)
    several = {name: tuple(found.get(name, ())) for name in ("commands", "hospitals")}
    return Notification(**{**found, **several})


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """The style of messages: node, language, zone. `link` is the console's address, or ""."""

    node: str
    language: str
    zone: ZoneInfo
    link: str = ""

    @property
    def tongue(self) -> Tongue:
        """Its language."""
        return tongue_of(self.language)

    def say(self, text: str, /, **values: object) -> str:
        """A text in this language, with values at its places."""
        return self.tongue.say(text, **values)


def style_of(config: Config) -> Style:
    """The style of a node's messages."""
    node = config.node
    return Style(node=node.owner, language=node.language, zone=node.timezone, link=config.admin.link)


def notification_of(folded: Folded, style: Style, number: str) -> Notification:
    """The message about a cause; `number` is its id."""
    news, alarm, over = folded.news, folded.cause.alarm, folded.state == State.CLEARED
    name, remedy = style.tongue.alarm(alarm)
    about = folded.cause.destination or news.name
    commands = () if over else commands_of(REMEDY[alarm], news.exam, news.delivery)
    link = _link(style.link, news.exam)
    lines = [
        *([style.tongue.told(news.text)] if news.text else []),
        *_counts(folded, style),
        *([style.say("Hospital: {name}", name=", ".join(folded.hospitals))] if folded.hospitals else []),
        *([] if over else [style.say("What to do: {remedy}", remedy=remedy)]),
        *(style.say("Command: {command}", command=command) for command in commands),
        *([style.say("Console: {link}", link=link)] if link else []),
        _from(style, about if news.name in ("", about) else f"{about}, {news.name}", news.at),
    ]
    return Notification(
        id=number, node=style.node, alarm=alarm, state="cleared" if over else "standing", subject=news.subject,
        text=news.text, at=news.at.isoformat(), remedy="" if over else remedy, commands=commands,
        exam=news.exam, delivery=news.delivery, destination=folded.cause.destination,
        count=folded.count, standing=folded.standing, link=link, hospitals=folded.hospitals,
        title=style.say(_TITLES[folded.state], node=style.node, name=name, about=about, count=folded.count),
        body="\n".join(lines),
    )  # fmt: skip


def _counts(folded: Folded, style: Style) -> list[str]:
    count, names, over = folded.count, ", ".join(folded.names), folded.state == State.CLEARED
    lines = []
    if count > 1 and over:
        lines.append(style.say("There were {count} of them, and all are over", count=count))
    elif count > 1:
        text = N_("This is about {count} alarms of one kind, among them: {names}")
        lines.append(style.say(text, count=count, names=names))
    if folded.standing > 1 and not over:
        lines.append(style.say("{standing} of them stand now", standing=folded.standing))
    return lines


def _from(style: Style, about: str, at: datetime) -> str:
    return style.say("Node {node}, {about}, {at}", node=style.node, about=about, at=zoned(at, style.zone))


def _link(console: str, exam: int | None) -> str:
    if not console:
        return ""
    return console.rstrip("/") + ("/" if exam is None else f"/exam?id={exam}")


def commands_of(remedy: str, exam: int | None, delivery: int | None) -> tuple[str, ...]:
    """The commands that stand in backquotes in a remedy, whole: `scripts/queue explain e17`."""
    name = f"e{exam}" if exam is not None else f"d{delivery}" if delivery is not None else ""
    found = []
    for words in re.findall(r"`([^`]+)`", remedy):
        command = f"scripts/{words.removeprefix('scripts/')}"
        if name and command.startswith("scripts/queue ") and command.rsplit(maxsplit=1)[-1] in _OF_ONE:
            command += f" {name}"
        found.append(typed(command))
    return tuple(found)


def summary_of(standing: Mapping[Cause, int], style: Style, at: datetime, number: str) -> Notification:
    """The first message to a receiver: the alarms that stand already, by kind and destination."""
    causes = sorted(standing.items(), key=lambda one: (one[0].alarm, one[0].destination))
    total = sum(standing.values())
    first = style.say("This receiver is new. These alarms stand already, by kind:")
    kinds = [f"{count} x {style.tongue.alarm(cause.alarm)[0]}{_at(cause)}" for cause, count in causes]
    command, link = typed("scripts/status"), _link(style.link, None)
    last = [style.say("Command: {command}", command=command)]
    last += [style.say("Console: {link}", link=link)] if link else []
    about = style.say("alarms that stand already")
    return Notification(
        id=number, node=style.node, alarm="summary", state="standing", subject="alarms", at=at.isoformat(),
        text="; ".join(f"{count} x {cause.alarm}{_at(cause)}" for cause, count in causes), commands=(command,),
        count=total, standing=total, link=link,
        title=style.say("[{node}] {count} alarm(s) stand already", node=style.node, count=total),
        body="\n".join([first, *kinds, *last, _from(style, about, at)]),
    )  # fmt: skip


def _at(cause: Cause) -> str:
    return f" ({cause.destination})" if cause.destination else ""


def report_of(event: Event, node: str, number: str) -> Notification | None:
    """The daily report as it is mailed, with the heads of the audit trails; None when the event is none."""
    if event.kind != Kind.REPORTED:
        return None
    heads = event.fields.get("heads", ())
    text = "\n".join([event.text, *(str(head) for head in heads)] if isinstance(heads, Sequence) else [event.text])
    at = event.at.isoformat()
    return Notification(
        id=number, node=node, alarm="daily", state="report", subject="daily report", text=text, at=at, count=0,
        title=f"[{node}] daily report: daily report", body=f"{text}\n\nNode {node}, daily report, {at}",
    )  # fmt: skip


def trial_of(style: Style, at: datetime, number: str) -> Notification:
    """The test message."""
    text = style.say("This is a test by doctor --alarm: whoever reads it is reached by alarms.")
    last, title = _from(style, "doctor --alarm", at), style.say("[{node}] test of the alarms", node=style.node)
    return Notification(
        id=number, node=style.node, alarm="test", state="test", subject="doctor --alarm", text=text,
        at=at.isoformat(), title=title, body=f"{text}\n{last}", count=0,
    )  # fmt: skip
