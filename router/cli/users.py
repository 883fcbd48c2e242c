"""`users`: the people at the console, their roles and passwords."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from router.admin.people.accounts import Accounts
from router.catalogue.node.users import User
from router.cli.opened import clock_of, opened, reading
from router.cli.options import (
    common_options,
    config_option,
    node_config,
    person,
    print_json,
    reason_given,
    why_option,
)  # fmt: skip
from router.cli.speech import echo, say
from router.cli.tables import show
from router.errors import InvalidData
from router.policy.roles import Role

_Act = Callable[[Accounts, str, str, str], None]
role_argument = click.Choice([role.value for role in Role])
hospital_option = click.option(
    "--hospital", "hospitals", multiple=True, metavar="NAME",
    help="For the exams of this hospital alone; repeat it for several.",
)  # fmt: skip


@click.group()
def command() -> None:
    """The people at the console: who they are, what they may do, and whether they may log in.

    A password is asked for twice, or read from stdin; it is never an argument. The user changes it at the first login.
    Who runs these commands can read the node's files, and is an administrator.
    """


@command.command("list")
@common_options
def listed(config_file: Path, as_json: bool) -> None:
    """Every user: role, hospitals, and whether a login is possible."""
    config = node_config(config_file)
    with reading(config) as catalogue:
        users, now = catalogue.users.all(), clock_of(catalogue).now()
    if as_json:
        print_json([_document(user, now) for user in users])
        return
    if not users:
        echo("there are no users yet: `scripts/users add NAME --role administrator`", err=True)
        return

    def at(instant: datetime | None) -> str:
        return "-" if instant is None else f"{instant.astimezone(config.node.timezone):%Y-%m-%d %H:%M}"

    rows = [
        (one.name, say(one.role), ", ".join(one.hospitals) or "-", say(one.state(now)), at(one.seen),
         at(one.changed))
        for one in users
    ]  # fmt: skip
    show("", ["User", "Role", "Hospitals", "State", "Last login", "Password since"], rows)


@command.command("add")
@config_option
@click.argument("name")
@click.option("--role", type=role_argument, required=True, help="What this person may do.")
@hospital_option
def add(config_file: Path, name: str, role: str, hospitals: tuple[str, ...]) -> None:
    """Add a user, with a password for the first login; for all hospitals, if none is named."""
    with _accounts(config_file) as accounts:
        accounts.require_new(name)
        accounts.add(name, Role(role), hospitals, _password(), person())
    echo(f"user {name} is added; the password is to be changed at the first login")


@command.command("role")
@config_option
@click.argument("name")
@click.argument("role", type=role_argument)
@hospital_option
@click.option("--all-hospitals", "everyone", is_flag=True, help="For the exams of all hospitals.")
def assign(config_file: Path, name: str, role: str, hospitals: tuple[str, ...], everyone: bool) -> None:
    """Give a user another role; for the same hospitals, if no other ones are named."""
    if hospitals and everyone:
        raise click.UsageError("name hospitals, or say --all-hospitals")
    chosen = None if not (hospitals or everyone) else hospitals
    with _accounts(config_file) as accounts:
        accounts.assign(name, Role(role), chosen, person())
    echo("done")


@command.command("password")
@config_option
@click.argument("name")
def password(config_file: Path, name: str) -> None:
    """Set another password, to be changed at the next login. It ends a lock."""
    with _accounts(config_file) as accounts:
        accounts.require(name)
        accounts.reset(name, _password(), person())
    echo("done")


def _simple(name: str, act: _Act, help_: str) -> None:
    """A command that does one thing to one user, for a reason."""

    @command.command(name, help=help_)
    @config_option
    @click.argument("user")
    @why_option
    def run(config_file: Path, user: str, why: str) -> None:
        with _accounts(config_file) as accounts:
            act(accounts, user, reason_given(why), person())
        echo("done")


_simple("disable", Accounts.disable, "Nobody logs in as this user until `enable`; open sessions end.")
_simple("enable", Accounts.enable, "A user who was disabled may log in again.")
_simple("unlock", Accounts.unlock, "End the lock after failed logins, which ends by itself after 15 minutes.")
_simple("remove", Accounts.remove, "The user goes for good. The name stays taken: in the history it is this person's.")


@contextmanager
def _accounts(config_file: Path) -> Iterator[Accounts]:
    config = node_config(config_file)
    with opened(config) as (catalogue, bus):
        yield Accounts(config, catalogue, bus, clock_of(catalogue))


def _password() -> str:
    """A new password: asked for twice on a terminal, else the first line of stdin."""
    if sys.stdin.isatty():
        given: str = click.prompt(say("Password"), hide_input=True, confirmation_prompt=say("Once more"), err=True)
        return given
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise InvalidData("stdin holds no password: pass it as one line, or run this in a terminal")
    return line


def _document(user: User, now: datetime) -> dict[str, object]:
    seen = user.seen and user.seen.isoformat()
    return {
        "name": user.name, "role": user.role, "hospitals": list(user.hospitals), "state": user.state(now),
        "last_login": seen, "password_since": user.changed.isoformat(),
    }  # fmt: skip
