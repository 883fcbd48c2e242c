"""`status`: one screen on the node, its destinations, and what needs attention."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.cells import cell_len
from rich.markup import escape
from rich.text import Text

from router.admin.status.finder import Presence
from router.admin.status.node_status import NodeStatus, node_status, read_configuration, waits_for_a_person
from router.alarms import REMEDY, Alarm
from router.catalogue.node.alarms import ActiveAlarm
from router.catalogue.node.nodes import Absent
from router.catalogue.queue.survey import Place, former
from router.cli.options import are_several, common_options, hospital_option, print_json, require_hospital
from router.cli.queue.files import COMMAND, counted
from router.cli.queue.pause import paused_json, tell_paused
from router.cli.queue.rename import RENAME
from router.cli.speech import echo, say, speak, tongue
from router.cli.status_all import show_instances
from router.cli.tables import brief, console, is_narrow, iso, left, local, packed, shortened, show, watching
from router.clock import SystemClock
from router.config.file import load
from router.config.sections import Config
from router.policy.account import at
from router.policy.attention import Attention, names
from router.policy.states import State
from router.review.attention import active
from router.review.database_status import DatabaseStatus
from router.text.decoding import shown
from router.text.language import N_

_AGES = N_(("< 10 min", "< 1 h", "< 6 h", "older"))
_ALARMS = 20
_SILENT, _NONE = N_(("silent", "none gives a sign of life"))
RECONCILE = "scripts/queue reconcile --remote"
_NAMED = 3  # exams of what waits for a person
_PRESSING = ("ID", "ExamId 检查记录ID", "Destination", "Channel", "State", "Due", "Left")
_EXAM_ID, _NAME = 17, 11  # characters on a narrow screen
_EXAMS = 20  # named in --json; `queue list --attention --json` has all
_WENT = N_({Absent.STOPPED: "stopped", Absent.DEAD: "dead"})
_MARKS = N_({True: "[green]listens[/green]", False: "[red]does not answer[/red]", None: "port picked at start"})
_PRESENCE = N_({
    Presence.SILENT: "runs and does NOT receive: it does not answer",
    Presence.STARTS: "runs and does NOT receive: it does not listen yet",
    Presence.STOPPED: "does not run",
    Presence.CRASHED: "does not run: it ended without being stopped",
    Presence.UNKNOWN: "does not answer, and its data folder cannot be read: whether it runs is not known",
})  # fmt: skip
_REMEDIES = N_({
    Presence.SILENT: "see `journalctl -u imaging-cloud-router`; then `systemctl restart imaging-cloud-router`",
    Presence.STARTS: "it catalogues what came before it listens; see its log, `journalctl -u imaging-cloud-router`",
    Presence.STOPPED: "`systemctl start imaging-cloud-router`, or scripts/run",
    Presence.CRASHED: "see `journalctl -u imaging-cloud-router`; then `systemctl start imaging-cloud-router`",
    Presence.UNKNOWN: "see the disk of the data folder",
})  # fmt: skip


@click.command("status")
@common_options
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
@click.option("--attention", is_flag=True, help="Exit status 1 also when something waits for a person.")
@hospital_option
@click.option("--all", "every", is_flag=True, help="Every instance of this machine on one screen, the worst first.")
def command(config_file: Path, as_json: bool, watch: bool, attention: bool, hospital: str | None, every: bool) -> None:
    """Listeners, disk, destinations, what is at risk, what waits for a person, alarms and what to do about them.

    The running node itself is asked. Exit status 1 if it does not run, or does not receive
    (with --watch always 0).
    Without a running node it shows what the data folder says. --all asks every node that is installed on this machine
    (`scripts/install --instance`), each by its own command, and exits with the worst status.
    """
    if watch and as_json:
        raise click.UsageError("--watch is for people, --json for programs: use one of them")
    if every:
        if hospital is not None:
            raise click.UsageError("--all shows every instance, --hospital one hospital of a node: use one of them")
        raise click.exceptions.Exit(show_instances(as_json, watch, attention=attention))
    if not config_file.exists():
        load(config_file)  # says so
    well = True

    def tell() -> None:
        nonlocal well
        asked = read_configuration(config_file)
        speak(asked.config)
        require_hospital(hospital, asked.config)
        found = node_status(asked, SystemClock().now(), hospital)
        _show(found, asked.config, as_json, hospital)
        well = found.node.receives and not (attention and waits_for_a_person(found))

    watching(tell, time.sleep, again=watch)
    if not well and not watch:
        raise click.exceptions.Exit(1)


def _show(found: NodeStatus, config: Config, as_json: bool, hospital: str | None) -> None:
    if as_json:
        print_json({"hospital": hospital, **status_json(found)})
        return
    _tell_node(found, config)
    if found.database is not None:
        for part in _PARTS:
            part(found.database, config)


def _tell_node(found: NodeStatus, config: Config) -> None:
    out, node = console(), found.node
    state, style = N_("runs and receives"), "bold"
    if not node.receives:
        state = _PRESENCE.get(node.presence, f"runs and does NOT receive: {'; '.join(node.why_not)}")
        style = "bold red"
    out.print(Text(tongue().say("Node {name} {stands}", name=node.name, stands=say(state)), style), soft_wrap=True)
    if remedy := _REMEDIES.get(node.presence):
        out.print(f"  -> {say(remedy)}", markup=False, soft_wrap=True)
    for one in node.degraded:
        if not one.get("stops_images"):
            out.print(f"Degraded: {one.get('text', '')}", style="yellow", markup=False, soft_wrap=True)
    for note in found.notes:
        out.print(note, style="yellow", markup=False, soft_wrap=True)
    if not node.runs:
        text = f"What follows is what the data folder {config.node.data} tells, not the node"
        out.print(text, markup=False, soft_wrap=True)
    listeners = []
    for each in found.listeners:
        where = f"{each.name} {each.host}:{each.port}" if each.port else each.name
        listeners.append(f"{escape(where)} {say(_MARKS[each.up])}")
    listeners[0] = f"{local(found.at, config.node.timezone)}: {listeners[0]}"
    for line in packed(listeners, out.width):
        out.print(line, soft_wrap=True)
    _tell_folder(found)


def _tell_folder(found: NodeStatus) -> None:
    folder, out = found.folder, console()
    if folder is None:
        return
    free, size, least = (f"{n / 2**30:.1f} GiB" for n in (folder.free, folder.size, found.min_free))
    if folder.free > found.min_free:
        out.print(f"Disk: {free} of {size} free, min_free {least}: enough")
    else:
        out.print(f"Disk: {free} of {size} free, min_free {least}: images are refused", style="red")
    out.print(f"  {folder.incoming} instance(s) in incoming/")
    if found.database is None and folder.quarantined:
        out.print(f"Quarantine: {folder.quarantined} (`quarantine list`)")


def _tell_nodes(found: DatabaseStatus, config: Config) -> None:
    out, lease = console(), config.node.lease
    signs = (f"{s.node} {_ago(s.ago)}" + ("" if s.ago <= lease else f" [red]{say(_SILENT)}[/red]") for s in found.nodes)
    out.print(f"Nodes: {', '.join(signs) or f'[red]{say(_NONE)}[/red]'}")
    if found.absent:
        went = ", ".join(f"{one.node} {say(_WENT[one.how])} {_ago(one.ago)}" for one in found.absent)
        out.print(f"Absent nodes: {went}")
    for each in found.reloads:
        text = f"Reload: {each.node} {local(each.at, config.node.timezone)}: {each.text}"
        out.print(text, markup=False, soft_wrap=True)


def _tell_places(found: DatabaseStatus, config: Config) -> None:
    columns = ("Destination", "Channel", "Deliveries", "Late", "Open", "Last trouble")
    rows, out = [_row(place, config) for place in found.places], console()
    show("Destinations (open: approved and not delivered, by the time since approval)", columns, rows)
    for name, number in former(found.places, [one.name for one in config.destination]).items():
        out.print(f"{number} exam(s) were delivered to {name}, which is not configured:", style="yellow", markup=False)
        out.print("  no correction of them goes; where it has another name by now:", style="yellow", markup=False)
        out.print(f"  {RENAME.format(old=name)}", style="yellow", markup=False, soft_wrap=True)
    for each in found.tripped:
        destination, one = at(each.destination, each.account), each.breaker
        out.print(f"breaker {one.position}: {each.channel} to {destination}: {one.why}", style="red", markup=False)


def _tell_hospitals(found: DatabaseStatus, config: Config) -> None:
    """Print what is open for each of several hospitals, the worst first."""
    if not are_several(config):
        return
    rows = [
        (one.hospital or "-", *map(str, (one.late, one.soon, one.open - one.held, one.held, one.failed)))
        for one in found.hospitals
    ]
    show("Hospitals, the worst first", ("Hospital", "Late", "Within 30 min", "Open", "Held", "Failed"), rows)


def _tell_compared(found: DatabaseStatus, config: Config) -> None:
    """Print the last comparison with each destination; nothing where none was made."""
    for one in found.compared:
        name, when = at(one.destination, one.hospital), local(one.at, config.node.timezone)
        text = f"Compared with {name} {when}, {one.channel} of {one.day}: {one.ours} confirmed, {one.theirs} there"
        console().print(text, markup=False, soft_wrap=True)
        if one.missing:
            console().print(f"  {one.missing} missing there: `{RECONCILE}`", style="red", markup=False, soft_wrap=True)


def _row(place: Place, config: Config) -> list[str]:
    destination = config.destination_named(place.destination)
    known = destination is not None and place.channel in destination.channels
    states = _counted((state, place.states.get(state, 0)) for state in State)
    return [
        place.destination if known else tongue().say("{name} (not configured)", name=place.destination),
        say(place.channel), states, str(place.late), _counted(zip(_AGES, place.ages, strict=True)), say(place.trouble),
    ]  # fmt: skip


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    """Counts that are not zero: `waiting 12, delivered 30411`."""
    return ", ".join(f"{say(name)} {number}" for name, number in counts if number) or "-"


def _tell_risk(found: DatabaseStatus, config: Config) -> None:
    if not found.pressing_count:
        console().print()
        console().print("At risk: nothing is late, or due within half an hour")
        return
    title, narrow = f"At risk: {found.pressing_count} late or due within half an hour", is_narrow()
    rows = [
        (f"d{p.id}", shortened(p.exam_id, _EXAM_ID) if narrow else p.exam_id,
         shortened(p.destination, _NAME) if narrow else p.destination, say(p.channel), say(p.state),
         brief(p.due, config.node.timezone), left((p.due - found.at).total_seconds()))
        for p in found.pressing
    ]  # fmt: skip
    troubles = [say(p.trouble) for p in found.pressing]
    if narrow:
        show(title, _PRESSING, rows, troubles)
    else:
        wide = zip(rows, troubles, strict=True)
        show(title, (*_PRESSING, "Waits for / trouble"), [(*row, trouble) for row, trouble in wide])


def _tell_waiting(found: DatabaseStatus, config: Config) -> None:
    """Print what waits for a person, files of the drop folder that wait, and studies that lack their report."""
    out, total, lacking = console(), sum(one.count for one in found.attention), found.unreported
    out.print(f"\nWaits for a person: {total or 'nothing'}")
    for one in found.attention:
        tell_attention(one, config)
    text = counted(found.files)
    out.print(f"Drop folder: {text} (`{COMMAND}`)" if text else "Drop folder: nothing waits there")
    text, since = "Without a report: no study", brief(lacking.oldest, config.node.timezone)
    if lacking.count:
        count, recent = lacking.count, lacking.recent
        text = f"Without a report: {count} ({recent} recent), the oldest since {since}: `scripts/queue unreported`"
    out.print(text)


def tell_attention(one: Attention, config: Config) -> None:
    """Print an entry of what waits for a person on one or two lines, and its command on the next."""
    our, where, exams = tongue(), one.where(say), names(one.exams[:_NAMED])
    first = "  " + our.say("{count} x {says}", count=one.count, says=say(one.says)) + (f" ({where})" if where else "")
    rest = our.say("since {time}", time=brief(one.since, config.node.timezone)) if one.since else ""
    if len(one.exams) > _NAMED:
        exams = our.say("{exams} and {count} more", exams=exams, count=len(one.exams) - _NAMED)
    if exams:
        rest = our.say("{since}: {exams}", since=rest, exams=exams)
    line = our.say("{first}, {rest}", first=first, rest=rest) if rest else first
    if cell_len(shown(line)) <= console().width:
        click.echo(line)
    else:
        click.echo(f"{first}\n      {rest}")
    echo(f"      {one.command}")


def _tell_alarms(found: DatabaseStatus, config: Config) -> None:
    standing = active(found.alarms, found.attention)
    rows = [
        (brief(a.since, config.node.timezone), name, str(a.count), _about(a, config), say(a.text), todo)
        for a in standing[:_ALARMS]
        for name, todo in [tongue().alarm(a.alarm)]
    ]  # fmt: skip
    rest = f"; {_ALARMS} of {len(standing)} kinds, `--json` shows all" if len(standing) > _ALARMS else ""
    columns = ("Since", "Alarm", "Count", "About", "What", "What to do")
    if found.alarms:
        show(f"Alarms: {len(found.alarms)} standing{rest}", columns, rows)
    else:
        console().print("Alarms: see what waits for a person" if found.attention else "Alarms: none")
    for one in found.undelivered:
        text = f"Alarms cannot be delivered: {one.way} since {local(one.since, config.node.timezone)}: {one}"
        console().print(text, style="red", markup=False, soft_wrap=True)


def _about(one: ActiveAlarm, config: Config) -> str:
    """The exams, subject or destination of an alarm, and the hospital whose it is, where there are several."""
    about = names(one.exams) or say(one.subject) or one.destination or ", ".join(one.hospitals)
    if not are_several(config) or len(one.hospitals) != 1 or one.hospitals[0] in about:
        return about
    return f"{one.hospitals[0]}: {about}"


_PARTS: tuple[Callable[[DatabaseStatus, Config], None], ...] = (
    _tell_nodes, lambda found, config: tell_paused(found.pauses, config), _tell_places, _tell_hospitals,
    _tell_compared, _tell_risk, _tell_waiting,
    _tell_alarms,
)  # fmt: skip


def status_json(found: NodeStatus) -> dict[str, Any]:
    """The status for programs; times ISO 8601 with zone. Null is unknown, for a reason in `notes`."""
    node, folder = found.node, found.folder
    return {
        "running": node.runs,
        "receiving": node.receives,
        "node": {
            "name": node.name, "presence": node.presence, "pid": node.health.get("pid"),
            "started": node.health.get("started"),
        },
        "degraded": list(node.degraded),
        "notes": list(found.notes),
        "at": found.at.isoformat(),
        "listeners": [asdict(one) for one in found.listeners],
        "disk": folder and {
            "free": folder.free, "size": folder.size, "min_free": found.min_free,
            "receiving": folder.free > found.min_free,
        },
        "incoming": folder and folder.incoming,
        "quarantine": folder and folder.quarantined,
        **(dict.fromkeys(_OF_THE_DATABASE) if found.database is None else _database_json(found.database)),
    }  # fmt: skip


_OF_THE_DATABASE = (
    "destinations", "breakers", "at_risk", "pressing", "for_a_person", "alarms", "configuration", "nodes",
    "absent_nodes", "paused", "files", "unreported", "undelivered", "hospitals", "compared",
)  # fmt: skip


def _database_json(found: DatabaseStatus) -> dict[str, Any]:
    return {
        "paused": paused_json(found.pauses),
        "destinations": [
            {"destination": p.destination, "channel": p.channel, "states": p.states, "late": p.late,
             "open_by_age": dict(zip(_AGES, p.ages, strict=True)), "trouble": p.trouble or None}
            for p in found.places
        ],
        "breakers": [
            {"destination": t.destination, "channel": t.channel, "hospital": t.account or None,
             "position": t.breaker.position, "why": t.breaker.why}
            for t in found.tripped
        ],
        "hospitals": [asdict(one) for one in found.hospitals],
        "at_risk": found.pressing_count,
        "pressing": [
            {"id": str(p.id), "exam_id": p.exam_id, "destination": p.destination, "channel": p.channel,
             "state": p.state, "due": p.due.isoformat(), "trouble": p.trouble or None}
            for p in found.pressing
        ],
        **_attention_json(found),
        "configuration": [{"node": one.node, "at": iso(one.at), "text": one.text} for one in found.reloads],
        "nodes": [{"node": sign.node, "seconds_ago": sign.ago.total_seconds()} for sign in found.nodes],
        "compared": [
            {"destination": one.destination, "hospital": one.hospital or None, "channel": str(one.channel),
             "day": one.day.isoformat(), "at": one.at.isoformat(), "ours": one.ours, "there": one.theirs,
             "missing": one.missing, "unknown": one.strange}
            for one in found.compared
        ],
        "absent_nodes": [
            {"node": one.node, "how": one.how, "seconds_ago": one.ago.total_seconds()} for one in found.absent
        ],
    }  # fmt: skip


def _attention_json(found: DatabaseStatus) -> dict[str, Any]:
    unproved = sum(one.alarm == Alarm.UNPROVED for one in found.alarms)
    return {
        "for_a_person": {
            "held": found.held, "failed": found.failed, "unproved": unproved, "quarantine": found.quarantined,
        },
        "attention": [attention_json(one) for one in found.attention],
        "unreported": {
            "count": found.unreported.count, "recent": found.unreported.recent,
            "oldest": iso(found.unreported.oldest),
        },
        "files": dict(found.files),
        "alarms": [
            {"alarm": a.alarm, "about": a.subject, "destination": a.destination or None,
             "hospital": a.hospital or None, "text": a.text, "since": a.since.isoformat(), "remedy": REMEDY[a.alarm]}
            for a in found.alarms
        ],
        "undelivered": [
            {"way": one.way, "since": one.since.isoformat(), "error": one.error, "waiting": one.waiting,
             "refused": one.refused, "down": one.down}
            for one in found.undelivered
        ],
    }  # fmt: skip


def attention_json(one: Attention) -> dict[str, Any]:
    """An entry of what waits for a person; `text` says `what` in words."""
    return {
        "what": one.what, "count": one.count, "command": one.command, "destination": one.destination or None,
        "since": iso(one.since), "text": one.says, "about": one.about or None,
        "exams": [f"e{number}" for number in one.exams[:_EXAMS]],
    }  # fmt: skip


def _ago(time_since: timedelta) -> str:
    return tongue().say("{time} ago", time=left(max(time_since.total_seconds(), 0)))
