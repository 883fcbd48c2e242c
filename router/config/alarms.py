"""The section of alarms: which go out, and by which ways."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from router.alarms import Alarm
from router.config.section import PROXY, HttpPeer, Section, one_or_several
from router.config.types import Budget, ConfigPath, Name, is_loopback

_MAIL_ADDRESS = r"^[^@\s]+@[^@\s]+$"
_HOSPITALS = "of several hospitals: only alarms about these; all alarms, and those about the node, when empty"


class Webhook(HttpPeer):
    hospitals: tuple[Name, ...] = Field((), description=_HOSPITALS)


class Mail(Section):
    host: Annotated[str, Field(min_length=1)] = Field(description="of the mail server")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(587, description="of the mail server")
    from_: Annotated[str, Field(pattern=_MAIL_ADDRESS)] = Field(alias="from", description="the sender's address")
    to: Annotated[tuple[Annotated[str, Field(pattern=_MAIL_ADDRESS)], ...], Field(min_length=1)] = Field(
        description="the recipients' addresses"
    )
    user: str = Field("", description="with passphrase_file, whose first line is the passphrase; 0600")
    passphrase_file: ConfigPath | None = Field(None, description="of the user")
    ca_file: ConfigPath | None = Field(None, description="else the system's authorities")
    starttls: bool = Field(True, description="without it only to loopback, or with allow_plain = true")
    allow_plain: bool = Field(False, description="beyond loopback without starttls")
    hospitals: tuple[Name, ...] = Field((), description=_HOSPITALS)

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> Self:
        if not self.starttls and not self.allow_plain and not is_loopback(self.host):
            raise ValueError("mail without starttls goes beyond loopback only with allow_plain = true")
        if bool(self.user) != (self.passphrase_file is not None):
            raise ValueError("user and passphrase_file go together")
        return self


class Heartbeat(HttpPeer):
    """A watcher outside, which raises an alarm of its own when no call comes."""

    url: Annotated[str, Field(pattern=r"^https?://[^/]+")] = Field(
        description="Uptime Kuma, healthchecks.io: gets a GET; the rest as in [alarms.webhook]"
    )
    every: Budget = Field(
        timedelta(minutes=5), description="while images can be received and every part of the node works"
    )


@dataclass(frozen=True, slots=True)
class Target:
    """A chat or other service, by its address for apprise; of several `hospitals` alarms about these alone."""

    url: SecretStr
    hospitals: tuple[str, ...] = ()


def _target(given: Any) -> Target:
    """An address, or a table of `url` and `hospitals`. The value may be a secret: no fault shows it."""
    table = given if isinstance(given, dict) else {"url": given}
    url, hospitals = table.get("url"), table.get("hospitals", [])
    if not (isinstance(url, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", url)):
        raise ValueError('expected an address that apprise reads, like "wecombot://KEY" (the value is not shown)')
    names = isinstance(hospitals, list) and all(isinstance(name, str) for name in hospitals)
    if table.keys() - {"url", "hospitals"} or not names:
        raise ValueError('expected { url = "wecombot://KEY", hospitals = ["renmin"] } (the value is not shown)')
    return Target(SecretStr(url), tuple(hospitals))


class Alarms(Section):
    only: tuple[Alarm, ...] = Field(
        (), description='these alarms, like ["missed", "breaker"]; [] is all (router/docs/operations.md lists them)'
    )
    targets: tuple[Annotated[Target, BeforeValidator(_target)], ...] = Field(
        (),
        description='chat and other services through apprise: ["wecombot://KEY", "dingtalk://TOKEN", '
        "\"feishu://TOKEN\"]; needs pip install 'imaging-cloud-router[notify]'. One for alarms about some of several "
        'hospitals alone: { url = "wecombot://KEY", hospitals = ["renmin"] }',
    )
    targets_file: ConfigPath | None = Field(
        None, description="more of them, one a line, so that no secret stands here; 0600"
    )
    proxy: Annotated[str, Field(pattern=PROXY)] = Field("", description="on the way to the targets; none when empty")
    program: tuple[str, ...] = Field(
        (),
        description='["/usr/local/bin/sms", "--to", "13800000000"]: gets the JSON object below on stdin and has 30 s. '
        "Exit status 0: delivered; 65: never will be; else tried again",
    )
    webhook: Annotated[tuple[Webhook, ...], BeforeValidator(one_or_several)] = Field(
        (),
        description='POST of one JSON object: id, node, alarm, state ("standing", "cleared"), subject, text, remedy, '
        "commands, at, exam, delivery, destination, hospitals, count, standing, link, title, body; any 2xx will do. "
        "allow_plain, ca_file, client_certificate_file, client_key_file, proxy, source_address, allowed_networks as in "
        "[destination.http]. Several: [[alarms.webhook]]",
    )
    mail: Annotated[tuple[Mail, ...], BeforeValidator(one_or_several)] = Field(
        (), description="by a mail server. Several: [[alarms.mail]]"
    )
    heartbeat: Heartbeat | None = Field(
        None, description="a watcher outside raises an alarm of its own when no call comes"
    )

    @property
    def hospitals(self) -> frozenset[str]:
        """The hospitals that a webhook, a mail or a target names."""
        lists = [one.hospitals for some in (self.webhook, self.mail, self.targets) for one in some]
        return frozenset(name for hospitals in lists for name in hospitals)

    @field_validator("program")
    @classmethod
    def _found_without_a_search(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and not value[0].startswith("/"):
            raise ValueError("expected the program's whole path, and then its arguments")
        return value
