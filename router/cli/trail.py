"""`audit verify`, `audit accept` and `audit export`: the audit trail checked, accepted as it is, exported."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from router.admin.audit.seals import head_faults, seals_here
from router.cli.opened import audited, clock_of, reading, trail_of
from router.cli.options import common_options, config_option, configured, has_node, node_config, print_json, who_option
from router.cli.speech import confirm, echo
from router.config.sections import Config
from router.errors import InvalidData, RouterError
from router.events import Event, Kind
from router.model import Head
from router.storage.trail import Trail, Verified

# A record is older than its head, and a day goes as a whole.
_SURELY_KEPT = timedelta(days=3)


def _trails(config: Config) -> dict[str, Trail]:
    """The trails, one for each node that has written any."""
    folder = config.node.data / "audit"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []
    if not names:
        raise InvalidData("there is no audit trail here yet", hint="start scripts/run first")
    return {name: trail_of(config, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Findings about a node's trail and its heads; `faults` of both. `heads` is None without a database."""

    trail: Verified
    heads: Sequence[Head] | None
    faults: tuple[str, ...]


@click.command("verify")
@common_options
@click.option("--head", help="A head that was noted before: NODE:NUMBER:SEAL. The trail must still hold it.")
def verify(config_file: Path, as_json: bool, head: str | None) -> None:
    """Check that each node's trail is unbroken: from when to when, and against whom. Status 1 if one is not.

    Its end is compared with the heads that the node has signed: those in the database, and the one that --head names,
    which may come from the syslog server or from a daily report.
    """
    config = configured(config_file)
    trails, heads = _trails(config), _heads(config)
    found = {name: _judged(config, name, trail, heads) for name, trail in trails.items()}
    missing = [] if head is None else _missing(trails, head)
    gone = [f"{name}: its trail is gone, and it has signed heads" for name in heads or () if name not in trails]
    if as_json:
        print_json({"faults": missing + gone, "nodes": {name: _document(one) for name, one in found.items()}})
    else:
        for fault in missing + gone:
            echo(f"wrong: {fault}")
        for name, one in found.items():
            _tell(name, one)
    raise SystemExit(1 if missing or gone or any(one.faults for one in found.values()) else 0)


def _heads(config: Config) -> Mapping[str, Sequence[Head]] | None:
    """The heads of each node; None if the database does not answer, which is no fault of the trail."""
    if not has_node(config):
        return None
    try:
        with reading(config) as catalogue:
            return {node: catalogue.audit_heads.of(node) for node in catalogue.audit_heads.nodes()}
    except RouterError:
        return None


def _judged(config: Config, name: str, trail: Trail, heads: Mapping[str, Sequence[Head]] | None) -> Found:
    mine = (heads or {}).get(name, ())
    verified = trail.verify(max((head.n for head in mine if head.accepted), default=0))
    if heads is None:
        return Found(trail=verified, heads=None, faults=verified.faults)
    oldest = datetime.now(UTC) - config.retention.audit + _SURELY_KEPT
    faults = verified.faults + tuple(head_faults(mine, trail, seals_here(config.node.data, name), oldest))
    return Found(trail=verified, heads=mine, faults=faults)


def _tell(name: str, found: Found) -> None:
    for fault in (f"{name}: {each}" for each in found.faults):
        echo(f"wrong: {fault}")
    trail, last = found.trail, found.trail.last
    if not found.faults:
        echo(f"right: {name}: {trail.count} record(s)")
    for line in _vouching(trail):
        echo(f"  {line}")
    echo(f"  {_signed(found.heads)}")
    for head in found.heads or ():
        if head.accepted:
            echo(f"  at record {head.n}, {head.at}, the trail was taken as it was by {head.accepted}")
    if not found.faults:
        end = f"{name}:{last.n}:{last.seal}" if last else "none"
        echo(f"  head {end}")


def _vouching(trail: Verified) -> Iterator[str]:
    """The time that the seals cover, and against whom they hold."""
    if trail.unkeyed and trail.first is not None:
        yield (
            f"{trail.unkeyed} record(s) from {trail.first.at} on are of before the trail had a key: they are chained, "
            "and whoever could write the files could have written them"
        )
    if trail.foreign:
        yield f"{trail.foreign} record(s) are sealed under a key that is not here: nothing vouches for what they say"
    if trail.vouched is not None and trail.last is not None:
        yield (
            f"vouched for by key {trail.vouched.key}: records {trail.vouched.n} to {trail.last.n}, "
            f"{trail.vouched.at} to {trail.last.at}, against whoever can write these files and cannot read the key; "
            "not against root or the node's own account"
        )


def _signed(heads: Sequence[Head] | None) -> str:
    if heads is None:
        return "signed heads: the database does not answer, so the trail's end is not compared with them"
    if not heads:
        return "signed heads: none, so nothing tells whether records were cut off at the end"
    last = heads[-1]
    return f"signed heads: {len(heads)}, the last one of record {last.n}, {last.at}, by key {last.key}"


def _document(found: Found) -> dict[str, object]:
    trail = found.trail
    last = None if trail.last is None else {"n": trail.last.n, "at": trail.last.at, "seal": trail.last.seal}
    vouched = trail.vouched and {"n": trail.vouched.n, "at": trail.vouched.at, "key": trail.vouched.key}
    heads = None if found.heads is None else [asdict(head) for head in found.heads]
    return {
        "records": trail.count, "head": last, "vouched_from": vouched, "unkeyed": trail.unkeyed,
        "foreign": trail.foreign, "heads": heads, "faults": list(found.faults),
    }  # fmt: skip


@click.command("accept")
@config_option
@who_option
@click.option("--why", required=True, help="What happened to the trail. It is kept in the trail, and in its head.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def accept(config_file: Path, who: str, why: str, yes: bool) -> None:
    """Take this node's audit trail as it is, where it was cut, replaced or lost its key and cannot be put back.

    Until then the node does nothing that a person asks for. `audit verify` goes on to report what was accepted, by whom
    and why.
    """
    config = node_config(config_file)
    with audited(config) as (catalogue, audit, guard):
        fault = audit.fault(guard)
        if not fault:
            echo("nothing speaks against the audit trail")
            return
        echo(fault)
        if not yes:
            confirm("Take the trail as it is from now on?", abort=True)
        text = f"the audit trail is taken as it is, though {fault}: {why}"
        guard.bus.record(Event(clock_of(catalogue).now(), Kind.DECIDED, text, who=who))
        audit.accept(guard, who, why)


def _missing(trails: dict[str, Trail], head: str) -> list[str]:
    name, _, rest = head.partition(":")
    number, _, seal = rest.partition(":")
    if name not in trails or not number.isdecimal():
        raise click.UsageError("--head: expected NODE:NUMBER:SEAL, as `audit verify` prints it")
    record = next(trails[name].after(int(number) - 1), None)
    if record is None or (record.n, record.seal) != (int(number), seal):
        return [f"{name}: record {number} is not there any more as it was"]
    return []


@click.command("export")
@config_option
@click.option("--since", type=click.DateTime(), help="Only records of this local time and later.")
@click.option("--until", type=click.DateTime(), help="Only records of before this local time.")
def export(config_file: Path, since: datetime | None, until: datetime | None) -> None:
    """Every record as one line of JSON, in order, with the node's name; `message` is the DICOM audit message in XML."""
    config = configured(config_file)
    begin, end = (each.replace(tzinfo=config.node.timezone) if each else None for each in (since, until))
    for name, trail in _trails(config).items():
        for record in trail.records():
            at = datetime.fromisoformat(record.at)
            if (begin is None or at >= begin) and (end is None or at < end):
                click.echo(json.dumps({"node": name, **asdict(record)}, ensure_ascii=False))
