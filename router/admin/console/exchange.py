"""The last exchange of reports with a destination, as it was recorded: masked, and closed until somebody opens it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from router.admin.console.context import ConsoleContext
from router.admin.console.view import View, render
from router.admin.http.server import Answer, Request, html
from router.errors import InvalidData
from router.events import Kind
from router.forward.recorded import last_exchange
from router.policy.account import at, fields_of
from router.policy.roles import sees
from router.text.language import N_

_LONGEST = 20_000  # characters of a body that are shown
_VERDICTS = N_({
    "Granted": "granted", "Accepted": "accepted", "Refused": "refused", "Later": "to be tried later", "Down": "down",
    "Untrue": "not proved to be the platform's", "Renew": "another token is needed", "NotOffered": "not offered",
    "Unknown": "unknown there", "Listed": "listed",
})  # fmt: skip
_GOOD = frozenset({"Granted", "Accepted", "Listed"})  # verdicts by which the exchange goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A destination with the account that reports go by; "" is the one that hospitals share."""

    destination: str
    account: str

    @property
    def name(self) -> str:
        """Both in words."""
        return at(self.destination, self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangePage:
    """The calls with the chosen partner; `open`: with what the record keeps of values, which may be a patient's."""

    partners: Sequence[Partner]
    chosen: Partner | None
    calls: Sequence[Mapping[str, Any]]
    open: bool

    def mood(self, call: Mapping[str, Any]) -> str:
        """The colour of a call by how its answer was judged."""
        return "good" if call.get("verdict") in _GOOD else "bad"

    def verdict(self, call: Mapping[str, Any]) -> str:
        """How its answer was judged, in words."""
        said = str(call.get("verdict", ""))
        return _VERDICTS.get(said, said)

    def when(self, call: Mapping[str, Any], view: View) -> str:
        """The time of a call as the hospital's clock shows it."""
        try:
            return view.at(datetime.fromtimestamp(int(call["at"]) / 1000, UTC))
        except (KeyError, TypeError, ValueError, OverflowError):
            return "-"

    def path(self, call: Mapping[str, Any]) -> str:
        """The path of a call; a part of it may name an exam."""
        return str(call["request"]["path"]) if self.open else "…"

    def text(self, body: object) -> str:
        """A body, or headers, one value a line."""
        written = "\n".join(_lines(body if self.open else closed(body), ""))
        return written if len(written) <= _LONGEST else written[:_LONGEST] + " …"


class ExchangePages:
    """The page; who may see it is decided before."""

    def __init__(self, context: ConsoleContext) -> None:
        self.use(context)

    def use(self, context: ConsoleContext) -> None:
        """Show what this configuration says from now on."""
        self._context = context

    def show(self, view: View, request: Request) -> Answer:
        """The page; by its form with values, for the person who asks, which is recorded before they are shown."""
        is_open, partners = request.method == "POST", self._partners(view)
        wanted = (request.form if is_open else request.query).get("destination", "")
        fitting = (one for one in partners if wanted in ("", one.destination, one.name))
        partner = next(fitting, None)
        if wanted and partner is None:
            raise InvalidData("no such destination")
        if is_open and partner is not None:
            about = fields_of(partner.destination, partner.account)
            self._context.record(Kind.VIEWED, "the last exchange shown at the console", view.who, fields=about)
            self._context.seal()
        folder = self._context.config.node.data / "exchanges"
        calls = last_exchange(folder, partner.destination, partner.account) if partner else ()
        return html(render(view, "exchange.html", ExchangePage(
            partners=partners, chosen=partner, calls=calls, open=is_open
        )))  # fmt: skip

    def _partners(self, view: View) -> Sequence[Partner]:
        """Accounts that bring reports of the reader's hospitals, and of no other one's."""
        config, found = self._context.config, []
        for one in config.destination:
            for account in config.accounts(one) if one.http is not None else ():
                served = config.served(one, account)
                if all(sees(view.mine, name) for name in served) and view.hospital in (None, *served):
                    found.append(Partner(destination=one.name, account=account))
        return found


def closed(value: object) -> object:
    """The same with names alone."""
    if isinstance(value, dict):
        return {name: closed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [closed(one) for one in value]
    return value if value is None or isinstance(value, bool) or str(value).startswith("<") else "…"


def _lines(value: object, before: str) -> Sequence[str]:
    if isinstance(value, dict) and value:
        return [line for name, one in value.items() for line in _lines(one, f"{before}.{name}".lstrip("."))]
    if isinstance(value, list) and value:
        return [line for n, one in enumerate(value, 1) for line in _lines(one, f"{before}[{n}]")]
    return [f"{before}: {'-' if value in (None, {}, []) else value}" if before else str(value)]
