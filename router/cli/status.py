"""`status`: one screen that says how the node stands."""

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from router.alarms import REMEDY, Alarm
from router.catalogue import open_catalogue
from router.catalogue.alarms import foremost
from router.catalogue.survey import Place
from router.cli.options import config_option, configured, json_option, print_json, require_node
from router.cli.tables import brief, console, left, local, say, show, tongue, watching
from router.clock import SystemClock
from router.config import Config
from router.events import Journal
from router.flow.outlook import Listener, Outlook, look
from router.language import N_
from router.states import State

_AGES = N_(("< 10 min", "< 1 h", "< 6 h", "older"))
_ALARMS = 20
_MARKS = N_({True: "[green]listens[/green]", False: "[red]does not answer[/red]", None: "port picked at start"})


@click.command("status")
@config_option
@json_option
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
def command(config_file: Path, as_json: bool, watch: bool) -> None:
    """Listeners, disk, destinations, what is at risk, what waits for a person, alarms and what to do about them."""
    if watch and as_json:
        raise click.UsageError("--watch is for people, --json for programs: use one of them")
    config = configured(config_file)
    require_node(config)
    catalogue = open_catalogue(config.database.url, config.node.data, Journal())
    try:
        watching(lambda: _show(look(config, catalogue, SystemClock().now()), config, as_json), time.sleep, again=watch)
    finally:
        catalogue.engine.close_thread()


def _show(found: Outlook, config: Config, as_json: bool) -> None:
    if as_json:
        print_json(outlook_json(found))
    else:
        for part in _PARTS:
            part(found, config)


def _tell_node(found: Outlook, config: Config) -> None:
    out = console()
    listeners = ", ".join(_listener(one) for one in found.listeners)
    out.print(f"[bold]Node {escape(config.node.owner)}[/bold], {local(found.at, config.node.timezone)}: {listeners}")
    room = N_("receiving" if found.receiving else "[red]below min_free: images are refused[/red]")
    out.print(f"Disk: {_gib(found.free)} of {_gib(found.size)} free ({room}; min_free {_gib(found.min_free)})")
    lease = config.node.lease
    silent = say("[red]silent[/red]")
    signs = (f"{s.node} {_ago(s.ago)}" + ("" if s.ago <= lease else f" {silent}") for s in found.nodes)
    out.print(f"Nodes: {', '.join(signs) or N_('[red]none runs[/red]')}")
    for each in found.reloads:
        told = f"Reload: {each.node} {local(each.at, config.node.timezone)}: {each.text}"
        out.print(told, markup=False, soft_wrap=True)


def _listener(one: Listener) -> str:
    where = f"{one.name} {one.host}:{one.port}" if one.port else one.name
    return f"{where} {say(_MARKS[one.up if one.port else None])}"


def _tell_places(found: Outlook, config: Config) -> None:
    columns = ("Destination", "Channel", "Deliveries", "Late", "Open", "Last trouble")
    rows = [_row(place, config) for place in found.places]
    show("Destinations (open: approved and not delivered, by the time since approval)", columns, rows)
    for each in found.tripped:
        text = f"breaker {each.breaker.position}: {each.channel} to {each.destination}: {each.breaker.why}"
        console().print(text, style="red", markup=False)


def _row(place: Place, config: Config) -> list[str]:
    destination = config.destination_named(place.destination)
    known = destination is not None and place.channel in destination.channels
    states = _counted((state, place.states.get(state, 0)) for state in State)
    return [
        place.destination if known else tongue().say("{name} (not configured)", name=place.destination),
        say(place.channel), states, str(place.late), _counted(zip(_AGES, place.ages, strict=True)), say(place.trouble),
    ]  # fmt: skip


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    """Those that there are: `waiting 12, delivered 30411`."""
    return ", ".join(f"{say(name)} {number}" for name, number in counts if number) or "-"


def _tell_risk(found: Outlook, config: Config) -> None:
    if not found.pressing_count:
        console().print()
        console().print("At risk: nothing is late, or due within half an hour")
        return
    rows = [
        (str(p.id), p.exam_id, p.destination, say(p.channel), say(p.state), brief(p.due, config.node.timezone),
         left((p.due - found.at).total_seconds()), say(p.trouble))
        for p in found.pressing
    ]  # fmt: skip
    columns = ("ID", "ExamId 检查记录ID", "Destination", "Channel", "State", "Due", "Left", "Waits for / trouble")
    show(f"At risk: {found.pressing_count} late or due within half an hour", columns, rows)


def _tell_person(found: Outlook, _: Config) -> None:
    unproved = _unproved(found)
    waiting = (
        (say(f"{found.held} held (`queue list --state held`)"), found.held),
        (say(f"{found.failed} failed (`queue list --state failed`)"), found.failed),
        (say(f"{unproved} refused by an answer that is not proved (`queue list --state deferred`)"), unproved),
        (say(f"{found.quarantined} in quarantine (`quarantine list`)"), found.quarantined),
    )
    console().print()
    console().print(f"Waits for a person: {'; '.join(text for text, n in waiting if n) or N_('nothing')}")


def _unproved(found: Outlook) -> int:
    return sum(one.alarm == Alarm.UNPROVED for one in found.alarms)


def _tell_alarms(found: Outlook, config: Config) -> None:
    if not found.alarms:
        console().print("Alarms: none")
        return
    rows = [
        (brief(a.since, config.node.timezone), name, say(a.subject), say(a.text), todo)
        for a in foremost(found.alarms, _ALARMS)
        for name, todo in [tongue().alarm(a.alarm)]
    ]
    rest = N_(f"; {_ALARMS} of them, `--json` shows all") if len(found.alarms) > _ALARMS else ""
    show(f"Alarms: {len(found.alarms)} standing{rest}", ("Since", "Alarm", "About", "What", "What to do"), rows)


_PARTS: tuple[Callable[[Outlook, Config], None], ...] = (
    _tell_node, _tell_places, _tell_risk, _tell_person, _tell_alarms,
)  # fmt: skip


def outlook_json(found: Outlook) -> dict[str, Any]:
    """The same for programs; times ISO 8601 with zone."""
    return {
        "at": found.at.isoformat(),
        "listeners": [{"name": n.name, "host": n.host, "port": n.port, "up": n.up} for n in found.listeners],
        "disk": {"free": found.free, "size": found.size, "min_free": found.min_free, "receiving": found.receiving},
        "destinations": [
            {"destination": p.destination, "channel": p.channel, "states": p.states, "late": p.late,
             "open_by_age": dict(zip(_AGES, p.ages, strict=True)), "trouble": p.trouble or None}
            for p in found.places
        ],
        "breakers": [
            {"destination": t.destination, "channel": t.channel, "position": t.breaker.position, "why": t.breaker.why}
            for t in found.tripped
        ],
        "at_risk": found.pressing_count,
        "pressing": [
            {"id": str(p.id), "exam_id": p.exam_id, "destination": p.destination, "channel": p.channel,
             "state": p.state, "due": p.due.isoformat(), "trouble": p.trouble or None}
            for p in found.pressing
        ],
        "for_a_person": {
            "held": found.held, "failed": found.failed, "unproved": _unproved(found), "quarantine": found.quarantined,
        },
        "alarms": [
            {"alarm": a.alarm, "about": a.subject, "text": a.text, "since": a.since.isoformat(),
             "remedy": REMEDY[a.alarm]}
            for a in found.alarms
        ],
        "configuration": [{"node": one.node, "at": one.at.isoformat(), "text": one.text} for one in found.reloads],
        "nodes": [{"node": sign.node, "seconds_ago": sign.ago.total_seconds()} for sign in found.nodes],
    }  # fmt: skip


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _ago(time_since: timedelta) -> str:
    return tongue().say("{time} ago", time=left(max(time_since.total_seconds(), 0)))
