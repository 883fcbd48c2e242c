"""The console's frame: what every page is put together from. Everything from outside is escaped in `cell`."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from router.admin.http.session import Session
from router.text.decoding import shown
from router.text.language import LANGUAGES, N_, Say, Tongue

_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class View:
    """The reader's language, clock and session. `node` is the node's name, `path` where the page is."""

    node: str
    tongue: Tongue
    zone: ZoneInfo
    session: Session | None
    path: str

    @property
    def tag(self) -> str:
        """The language as browsers name it (BCP 47)."""
        return self.tongue.language.replace("_", "-")

    @property
    def say(self) -> Say:
        """A text, also one with its values in it, in this language."""
        return self.tongue.told

    @property
    def who(self) -> str:
        """The person who has logged in; "" for nobody."""
        return self.session.who if self.session else ""

    def at(self, instant: datetime | None) -> str:
        """An instant as the hospital's clock shows it, as a cell."""
        return "-" if instant is None else word(f"{instant.astimezone(self.zone):%Y-%m-%d %H:%M:%S}")

    def left(self, seconds: float | None) -> str:
        """Time left in words, as a cell."""
        if seconds is None:
            return "-"
        size, say = abs(seconds), self.tongue.say
        if size >= 3600:
            text = say("{hours} h", hours=f"{size / 3600:.1f}")
        else:
            text = say("{minutes} min", minutes=f"{size / 60:.0f}")
        return word(text) if seconds >= 0 else f'<span class="late word">{say("{time} late", time=text)}</span>'


def mark(seen: object) -> str:
    """A short word for exactly what a page shows; a change makes it another one."""
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def masked(text: str) -> str:
    """So much of an identifier that a person who knows it recognises it."""
    return f"{text[:2]}…{text[-2:]}" if len(text) > 6 else "…"


def masked_name(name: str) -> str:
    """The same of a file's name, which may hold the patient's: its digits only."""
    return masked("".join(c for c in name if c in "0123456789"))


def frame(view: View, body: str, refresh: bool = False) -> bytes:
    """A whole page."""
    say = view.say
    others = " ".join(f'<a href="{view.path}{_joint(view.path)}lang={code}">{name}</a>'
                      for code, name in LANGUAGES.items() if code != view.tongue.language)  # fmt: skip
    who = f'<a href="/login">{say("Log in")}</a>'
    if view.session is not None:
        who = f"{escape(view.session.who)} {form(view, '/logout', button(say('Log out')))}"
    again = '<meta http-equiv="refresh" content="30">' if refresh else ""
    title = say("Imaging cloud router")
    return (
        f'<!doctype html><html lang="{view.tag}"><head><meta charset="utf-8"><title>{title}</title>{again}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/console.css"></head>'
        f'<body><header><h1>{title}: {escape(view.node)}</h1><a href="/">{say("Overview")}</a>'
        f'<a href="/queue">{say("Queue")}</a>{_lists(view)}<span class="right">{others} {who}</span></header>'
        f"<main>{body}</main></body></html>"
    ).encode()


def _lists(view: View) -> str:
    """Links to the pages of what has no delivery."""
    names = N_({"/unreported": "Without report", "/refused": "Refused", "/files": "Drop folder"})
    return "".join(f'<a href="{path}">{view.say(name)}</a>' for path, name in names.items())


def cell(value: object) -> str:
    """Text as HTML; what would be no visible character is written out."""
    return escape(shown(str(value)))


def word(value: object) -> str:
    """Text as HTML that is not broken into lines, as Chinese is between any two characters."""
    return f'<span class="word">{cell(value)}</span>'


def _joint(path: str) -> str:
    return "&amp;" if "?" in path else "?"


def button(text: str) -> str:
    """A button that sends its form."""
    return f'<button type="submit">{escape(text)}</button>'


def form(view: View, action: str, inside: str, style: str = "line") -> str:
    """A form of this session; `inside` is HTML already."""
    csrf = hidden(csrf=view.session.csrf if view.session else "")
    return f'<form class="{style}" method="post" action="{action}">{csrf}{inside}</form>'


def hidden(**fields: object) -> str:
    """Fields of a form that are not shown."""
    return "".join(
        f'<input type="hidden" name="{name}" value="{escape(str(value))}">' for name, value in fields.items()
    )


def reason_of(fields: Mapping[str, str]) -> str:
    """The reason that was given; "" where there is none."""
    return " ".join(fields.get("why", "").split())[:_LONGEST_REASON]


def reason(say: Say) -> str:
    """The field for the reason, without which nothing is done."""
    return f'<label>{say("Why")} <input name="why" required maxlength="{_LONGEST_REASON}" size="40"></label>'


def table(view: View, head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> str:
    """A table, with a heading where it has one; the cells of `rows` are HTML already."""
    say = view.say
    top = f"<h2>{say(title)}</h2>" if title else ""
    if not rows:
        return "" if title else f'<p class="note">{say("Nothing here.")}</p>'
    names = [cell(say(name)) for name in head]
    cells = "".join(f"<tr>{''.join(_td(n, each) for n, each in zip(names, row, strict=True))}</tr>" for row in rows)
    heads = "".join(f"<th>{name}</th>" for name in names)
    return f'{top}<div class="wide"><table><tr>{heads}</tr>{cells}</table></div>'


def _td(name: str, inside: str) -> str:
    """A cell that knows its column's name, which a narrow screen shows beside it."""
    return f'<td data-name="{name}">{inside}</td>'


def tile(name: str, value: str, style: str) -> str:
    """A number with its name; `style` is warn, bad or nothing."""
    return f'<div class="tile {style}">{cell(name)}<b>{cell(value)}</b></div>'


def said(view: View, text: str) -> str:
    """Result of the person's last action; nothing without a text."""
    return f'<p class="said">{view.say(text)}</p>' if text else ""


def trouble(inside: str) -> str:
    """A cell of long words, UIDs and field names, that may be broken anywhere."""
    return f'<span class="trouble">{inside}</span>' if inside else ""


def choice(name: str, values: Sequence[str], chosen: str, say: Say) -> str:
    """A list to choose one of the values from, or all of them."""
    options = "".join(
        f'<option value="{cell(v)}"{" selected" if v == chosen else ""}>{cell(say(v))}</option>' for v in values
    )
    every = f'<option value="">{say("All")}</option>'
    return f'<label>{say(name)} <select name="{name.lower()}">{every}{options}</select></label>'
