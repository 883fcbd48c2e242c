"""The view of one reader: language, clock, session and what is masked; pages are rendered from templates for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from router.admin.console.rights import right_of
from router.admin.http.session import Session
from router.policy.roles import Right
from router.policy.states import CLOSED
from router.review.statistics import percent
from router.text.decoding import shown
from router.text.language import LANGUAGES, N_, Tongue

LONGEST_REASON = 200
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The reader's language, clock and session. `node` is the node's name, `path` where the page is.

    `hospitals` are the names of several that the reader may see, none where the node serves one alone; `hospital` is
    the one that was chosen.

    A `live` page refreshes itself: one that a form has asked for does not, since its address shows something else.
    """

    node: str
    tongue: Tongue
    zone: ZoneInfo
    session: Session | None
    path: str
    now: datetime
    live: bool = False
    hospitals: Sequence[str] = ()
    hospital: str | None = None

    def here(self, path: str) -> str:
        """The address with the chosen hospital in it, so that the next page shows the same one."""
        if self.hospital is None:
            return path
        return path + ("&" if "?" in path else "?") + urlencode({"hospital": self.hospital})

    @property
    def tag(self) -> str:
        """The language as browsers name it (BCP 47)."""
        return self.tongue.language.replace("_", "-")

    @property
    def who(self) -> str:
        """The person who has logged in; "" for nobody."""
        return self.session.who if self.session else ""

    @property
    def mine(self) -> tuple[str, ...]:
        """The hospitals whose exams are shown to the person who has logged in; none: those of all."""
        return self.session.person.hospitals if self.session else ()

    @property
    def scope(self) -> tuple[str, ...]:
        """The hospitals whose exams are shown: the one that was chosen, else the reader's; none: those of all."""
        return self.mine if self.hospital is None else (self.hospital,)

    def may(self, right: str) -> bool:
        """Whether the person who has logged in has this right, by the name of a member of Right: `decide`."""
        return self.session is not None and self.session.person.may(Right[right.upper()])

    def can(self, act: str) -> bool:
        """Whether the person who has logged in may do what a form at this path does."""
        return self.session is not None and self.session.person.may(right_of("POST", act))

    @property
    def csrf(self) -> str:
        """The mark by which a form is of this session; "" without one."""
        return self.session.csrf if self.session else ""

    def say(self, text: str, /, **values: object) -> str:
        """A text in this language, with `values` at its places or with its values already in it."""
        return self.tongue.say(text, **values) if values else self.tongue.told(text)

    def told(self, text: str, values: Mapping[str, object]) -> str:
        """A text of ours with these values at its places, of which those that are texts are said, too."""
        return self.tongue.say(text, **{n: self.say(v) if isinstance(v, str) else v for n, v in values.items()})

    def listed(self, texts: Iterable[str]) -> str:
        """Texts in this language, one after the other; "-" for none."""
        return ", ".join(map(self.say, texts)) or "-"

    def at(self, instant: datetime) -> str:
        """An instant as the hospital's clock shows it."""
        return f"{instant.astimezone(self.zone):%Y-%m-%d %H:%M:%S}"

    def brief(self, instant: datetime) -> str:
        """The same in few characters: without the day where it is today, without the seconds."""
        local, today = instant.astimezone(self.zone), self.now.astimezone(self.zone).date()
        return f"{local:%H:%M}" if local.date() == today else f"{local:%m-%d %H:%M}"

    def left(self, seconds: float) -> str:
        """Time left, or how late it is, in words."""
        size, say = abs(seconds), self.tongue.say
        if size >= 3600:
            text = say("{hours} h", hours=f"{size / 3600:.1f}")
        else:
            text = say("{minutes} min", minutes=f"{size / 60:.0f}")
        return text if seconds >= 0 else say("{time} late", time=text)


def render(view: View, template: str, page: object) -> bytes:
    """A whole page: the template with the values of `page`, every one of them escaped."""
    return _ENVIRONMENT.get_template(template).render(view=view, say=view.say, page=page).encode()


def masked(text: str) -> str:
    """So much of an identifier that a person who knows it recognises it."""
    return f"{text[:2]}…{text[-2:]}" if len(text) > 6 else "…"


def masked_name(name: str) -> str:
    """The same of a file's name, which may hold the patient's: its digits only."""
    return masked("".join(c for c in name if c in "0123456789"))


def reason_of(fields: Mapping[str, str]) -> str:
    """The reason given in a form; "" where there is none."""
    return " ".join(fields.get("why", "").split())[:LONGEST_REASON]


def _visible(value: object) -> object:
    """The value of an expression as text without invisible characters; what a macro made is HTML already."""
    return value if hasattr(value, "__html__") else shown(str(value))


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, finalize=_visible, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True, auto_reload=False,
)  # fmt: skip
_ENVIRONMENT.globals.update(headings=lambda names: [names[0], N_("Hospital"), *names[1:]])
_ENVIRONMENT.globals.update(percent=percent)
_ENVIRONMENT.globals.update(N_=N_, CLOSED=CLOSED, LANGUAGES=LANGUAGES, LONGEST_REASON=LONGEST_REASON)
_ENVIRONMENT.filters.update(masked=masked, masked_name=masked_name)
