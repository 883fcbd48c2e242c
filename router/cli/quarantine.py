"""`quarantine`: files received that cannot be filed, kept until a person decides."""

from collections.abc import Mapping
from pathlib import Path

import click

from router.alarms import Alarm
from router.cli.opened import clock_of, opened
from router.cli.options import (
    are_several,
    common_options,
    config_option,
    configured,
    has_node,
    hospital_option,
    person,
    print_json,
    require_hospital,
    require_node,
)
from router.cli.speech import echo
from router.config.hospitals import UNREGISTERED
from router.config.sections import Config
from router.errors import InvalidData
from router.events import Event, Kind
from router.review.refusal_owners import quarantine_owners
from router.storage.quarantine import Kept, Quarantine


@click.group("quarantine")
def command() -> None:
    """Files received that cannot be filed; they stay until you delete them.

    Send a repaired file to the node again by DICOM, or drop it again, like any other.
    """


@command.command("list")
@hospital_option
@common_options
def listed(hospital: str | None, config_file: Path, as_json: bool) -> None:
    """Everything in it, the oldest first.

    An image is of the hospital whose sender it came from, else of the one that brought the rest of its study; a file of
    the drop folder of the hospital in whose own folder it was, else of that of its exam.

    \b
    --json: an array of {name, reason, bytes, hospital}; hospital "" where nothing tells.
    """
    config = configured(config_file)
    require_hospital(hospital, config)
    of = _owners(config)
    found = [
        one for one in _quarantine(config).listed() if hospital in (None, of.get(one.name) or UNREGISTERED)
    ]  # fmt: skip
    if as_json:
        print_json([
            {"name": one.name, "reason": one.reason, "bytes": one.size, "hospital": of.get(one.name, "")}
            for one in found
        ])  # fmt: skip
        return
    if not found:
        echo("nothing is in quarantine", err=True)
    for one in found:
        whose = f"  {of.get(one.name) or '-'}" if are_several(config) else ""
        echo(f"{one.name}{whose}  {one.size} bytes: {one.reason}")


@command.command("show")
@config_option
@click.argument("name")
def show(config_file: Path, name: str) -> None:
    """Show why it is there, and its files."""
    one = _named(_quarantine(configured(config_file)), name)
    echo(one.reason)
    for path in one.files:
        click.echo(str(path))


@command.command("delete")
@config_option
@click.argument("names", nargs=-1, required=True)
@click.option("--why", required=True, help="The reason, for the history.")
def delete(config_file: Path, names: tuple[str, ...], why: str) -> None:
    """Remove it for good."""
    config = configured(config_file)
    require_node(config)
    quarantine = _quarantine(config)
    chosen = [_named(quarantine, name) for name in names]
    with opened(config) as (catalogue, bus):
        clock = clock_of(catalogue)
        for one in chosen:
            quarantine.delete(one)
            text = f"deleted from quarantine: {one.name}: {why}"
            bus.record(Event(clock.now(), Kind.PURGED, text, who=person(), fields={"folder": one.name}))
            if one.name.partition("-")[2].startswith("poison"):
                subject = f"quarantine {one.name}"
                bus.record(Event(clock.now(), Kind.CLEARED, text, alarm=Alarm.POISON, subject=subject))
    echo(f"{len(chosen)} deleted")


def _quarantine(config: Config) -> Quarantine:
    return Quarantine(config.node.data / "quarantine")


def _owners(config: Config) -> Mapping[str, str]:
    """The hospitals of what lies there, by name; none where there is one alone."""
    if not (are_several(config) and has_node(config)):
        return {}
    with opened(config) as (catalogue, _):
        return quarantine_owners(config, catalogue)


def _named(quarantine: Quarantine, name: str) -> Kept:
    for one in quarantine.listed():
        if one.name == name:
            return one
    raise InvalidData("nothing of that name is in quarantine", hint="see `quarantine list`")
