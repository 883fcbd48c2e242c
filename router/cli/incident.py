"""`audit incident`: everything recorded about an exam or a study, in one document."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click

from router.cli.opened import opened, record_look, trail_of
from router.cli.options import config_option, node_config, person, print_json
from router.cli.queue.story import Teller
from router.config.sections import Config
from router.text.language import N_


@click.command("incident")
@click.argument("name", metavar="ID")
@click.option("--why", required=True, help="What it is for; that it was exported, and why, is in the audit trail.")
@config_option
def incident(name: str, why: str, config_file: Path) -> None:
    """One JSON document on stdout: story, ledger, events, receipts as they were kept, audit records.

    ID is a delivery's id, an ExamId, a study UID or a file name. It holds identifiers of the patient.
    """
    config = node_config(config_file)
    with opened(config) as (catalogue, bus):
        stories = Teller(catalogue, config).as_json(name)
        exams = [one["number"] for one in stories if "number" in one]
        record_look(catalogue, bus, N_(f"the records of an incident are exported: {why}"), exams or [None])
        uids = [study["study"] for one in stories for study in (one, *one.get("studies", ())) if "study" in study]
        about = {str(exam) for exam in exams} | set(uids)
        print_json({
            "at": datetime.now(UTC).isoformat(),
            "node": config.node.owner,
            "asked_by": person(),
            "why": why,
            "records": stories,
            "receipts": [document for one in stories for document in _receipts(one)],
            "audit": list(_audit(config, about)),
        })  # fmt: skip


def _receipts(story: Mapping[str, Any]) -> Iterator[Any]:
    """Whole receipts, so that each can be checked again; of one that is gone or unreadable the name."""
    for upload in story.get("uploads", ()):
        if upload["receipt_file"]:
            try:
                yield json.loads(Path(upload["receipt_file"]).read_bytes())
            except (OSError, ValueError):
                yield {"gone": upload["receipt_file"]}


def _audit(config: Config, about: set[str]) -> Iterator[dict[str, Any]]:
    """Audit records of every node that name one of these exams or studies."""
    for folder in sorted((config.node.data / "audit").iterdir()):
        if folder.is_dir():
            for record in trail_of(config, folder.name).records():
                if about & _named(record.message):
                    yield {"node": folder.name, **asdict(record)}


def _named(message: str) -> set[str]:
    try:
        found = ElementTree.fromstring(message)  # noqa: S314 written by the node itself, read under its seal
    except ElementTree.ParseError:
        return set()
    return {one.get("ParticipantObjectID", "") for one in found.iter("ParticipantObjectIdentification")}
