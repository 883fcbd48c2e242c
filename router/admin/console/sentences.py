"""Sentences on what is paused, and on why a delivery has not gone, as HTML in the language of who reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from router.policy.pause import Pause
from router.review.answers import Explained
from router.text.decoding import shown
from router.text.language import Say

At = Callable[[datetime | None], str]  # an instant as HTML


@dataclass(frozen=True, slots=True)
class Sending:
    """The pauses that stand, and the destinations that there are."""

    pauses: Sequence[Pause]
    destinations: Sequence[str]


def paused(sending: Sending, say: Say, at: At) -> str:
    """Each pause: since when, by whom, and why."""
    told = [
        say("Sending to {place} is paused since {since} by {who}: {why}").format(
            place=_cell(say(one.place)), since=at(one.since), who=_cell(one.who), why=_cell(one.why)
        )
        for one in sending.pauses
    ]
    return "".join(f'<p class="said">{text}</p>' for text in told)


def answers(lines: Sequence[Explained], say: Say, at: At) -> str:
    """Why each delivery of an exam has not gone, since when, who must act, and the command."""
    told = []
    for one in lines:
        delivery, answer = one.line.delivery, one.answer
        name = f"d{delivery.id} {_cell(say(delivery.channel))} {_cell(delivery.destination)}"
        who = f"{say('Who must act')}: {_cell(say(answer.who))}"
        since = f"{say('Since')}: {at(answer.since)}"
        command = f"<code>{_cell(answer.command)}</code>"
        told.append(f'<p class="answer"><b>{name}</b>: {what(one, say)}; {since}; {who}; {command}</p>')
    return "".join(told)


def what(one: Explained, say: Say) -> str:
    """The first part of it: what is waited for."""
    return _cell(say(str(one.answer.what)))


def _cell(value: object) -> str:
    return escape(shown(str(value)))
