"""`audit verify` and `audit export`: the audit trail, checked and taken elsewhere."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from router.cli.opened import trail_of
from router.cli.options import config_option, json_option, print_json
from router.config import Config, load
from router.errors import InvalidData
from router.storage.trail import Record, Trail, Verified


def _trails(config: Config) -> dict[str, Trail]:
    """One for each node that has written any."""
    folder = config.node.data / "audit"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []
    if not names:
        raise InvalidData("there is no audit trail here yet", hint="start scripts/run first")
    return {name: trail_of(config, name) for name in names}


@click.command("verify")
@config_option
@json_option
@click.option("--head", help="A head that was noted before: NODE:NUMBER:SEAL. The trail must still hold it.")
def verify(config_file: Path, as_json: bool, head: str | None) -> None:
    """Whether the trail of each node is unbroken. Status 1 when it is not.

    What was cut off at the end is seen only by a head that was noted elsewhere, or by the syslog server.
    """
    trails = _trails(load(config_file))
    found = {name: trail.verify() for name, trail in trails.items()}
    missing = [] if head is None else _missing(trails, head)
    if as_json:
        print_json({"faults": missing, "nodes": {name: _document(one) for name, one in found.items()}})
    else:
        for name, one in found.items():
            _tell(name, one)
        for fault in missing:
            click.echo(f"wrong: {fault}")
    raise SystemExit(1 if missing or any(one.faults for one in found.values()) else 0)


def _tell(name: str, found: Verified) -> None:
    for fault in found.faults:
        click.echo(f"wrong: {name}: {fault}")
    if not found.faults:
        click.echo(f"right: {name}: {found.count} record(s), head {_head(name, found.last)}")


def _head(name: str, last: Record | None) -> str:
    return f"{name}:{last.n}:{last.seal}" if last else "none"


def _document(found: Verified) -> dict[str, object]:
    last = None if found.last is None else {"n": found.last.n, "at": found.last.at, "seal": found.last.seal}
    return {"records": found.count, "head": last, "faults": list(found.faults)}


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
def export(config_file: Path, since: datetime | None) -> None:
    """Every record as one line of JSON, in order, with the node's name; `message` is the DICOM audit message in XML."""
    config = load(config_file)
    begin = since.replace(tzinfo=config.node.timezone) if since else None
    for name, trail in _trails(config).items():
        for record in _later(trail, begin):
            click.echo(json.dumps({"node": name, **asdict(record)}, ensure_ascii=False))


def _later(trail: Trail, begin: datetime | None) -> Iterator[Record]:
    return (r for r in trail.records() if begin is None or datetime.fromisoformat(r.at) >= begin)
