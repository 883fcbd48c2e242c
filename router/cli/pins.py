"""Change of a platform's pinned keys: before, after, and its event."""

from dataclasses import dataclass

from router.cli.opened import clock_of, opened
from router.cli.options import person
from router.config.sections import Config
from router.errors import ConfigurationError
from router.events import Event, Kind, log_event
from router.forward.profiles import load_profile
from router.policy.account import fields_of
from router.storage.durable import make_folder
from router.storage.pins import Ids, Pins


@dataclass(frozen=True, slots=True)
class Change:
    """The pins of one destination, or of one hospital's account there, before and after."""

    config: Config
    destination: str
    before: Ids
    after: Ids
    account: str = ""

    @classmethod
    def of(cls, config: Config, name: str, account: str = "") -> "Change":
        """The change its key files would make; ConfigurationError if it is not configured or its keys do not read."""
        destination = config.destination_named(name)
        http = None if destination is None else destination.http_of(account)
        if destination is None or http is None:
            raise ConfigurationError(f"no destination {name!r} with [destination.http] is configured")
        if account and not destination.account_of(account):
            known = ", ".join(one.hospital for one in destination.account) or "none"
            raise ConfigurationError(f"destination {name} has no account of a hospital {account!r}; it has: {known}")
        return cls(config, name, Pins(config.node.data).of(name, account) or {}, load_profile(http).pinned, account)

    def lines(self) -> list[str]:
        """Old and new ids, one line for each purpose."""
        lines = []
        for each in dict.fromkeys((*self.before, *self.after)):
            before, after = (", ".join(ids.get(each, ())) or "none" for ids in (self.before, self.after))
            lines.append(f"platform {each} key: {before} -> {after}")
        return lines

    def carry_out(self, why: str) -> None:
        """Write the event, then the pin: no change without a trace."""
        make_folder(self.config.node.data)
        text = f"{'; '.join(self.lines())}: {why}"
        fields = fields_of(self.destination, self.account)
        with opened(self.config, log_event) as (catalogue, bus):
            now = clock_of(catalogue).now()
            bus.record(Event(now, Kind.PINNED, text, who=person(), fields=fields))
            Pins(self.config.node.data).pin(self.destination, self.after, self.account)
