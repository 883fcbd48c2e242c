"""`queue recheck`: delivered exams that the newest checks would hold."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from router.catalogue import Catalogue
from router.cli.opened import clock_of, reading
from router.cli.options import (
    common_options,
    hospital_option,
    node_config,
    print_json,
    require_hospital,
    since_option,
)
from router.cli.speech import echo, say
from router.cli.tables import bar, local, show
from router.config.sections import Config
from router.intake.exam_reader import ExamReader
from router.review.recheck import CHECKS, Judged, Recheck, by_rule
from router.storage.reports import Reports
from router.storage.studies import Studies
from router.text.language import N_

_EXAMS_SHOWN = 200


@click.command("recheck", short_help="What the rules of now would hold of what was delivered.")
@since_option("Delivered so long ago or later.", "30d")
@hospital_option
@common_options
def recheck(since: datetime, hospital: str | None, config_file: Path, as_json: bool) -> None:
    """Judge delivered exams by the newest checks: how many would be held, by rule. Nothing is changed.

    Every exam with a delivery `delivered` since then is judged by [identity] checks = 2, whatever the node uses;
    what a person has settled stays settled. Headers are read again from the files that are still here.

    \b
    --json:
      since, checks   from when, and by which set of checks
      exams           how many were judged
      held            how many of them would be held
      rules           [{rule, checks, exams}]: by rule, and the set of checks that brought it
      found           [{exam: "e17", hospital, deliveries: ["d33"], doubts: [{rule, checks, text, study_uid}]}]
      not_judged      [{exam: "e18", hospital, deliveries: ["d35"], why}]
    """
    config = node_config(config_file)
    require_hospital(hospital, config)
    with reading(config) as catalogue, catalogue.engine.patient():
        delivered = catalogue.delivered.since(since)
        of = catalogue.exams.hospitals(delivered)
        delivered = {exam: its for exam, its in delivered.items() if hospital in (None, of.get(exam))}
        found = recheck_of(config, catalogue).judged(delivered, clock_of(catalogue).now())
        judged = list(bar(found, N_("Judging"), len(delivered)))
    if as_json:
        print_json({"since": since.isoformat(), "checks": CHECKS, **as_document(judged, of)})
    else:
        _tell(judged, since, config)


def recheck_of(config: Config, catalogue: Catalogue) -> Recheck:
    """A recheck on this data folder, whose node may run."""
    studies, reports = Studies(config.node.data / "studies"), Reports(config.node.data)
    return Recheck(config=config, references=ExamReader(config), catalogue=catalogue, studies=studies, reports=reports)


def as_document(judged: Sequence[Judged], hospitals: Mapping[int, str]) -> dict[str, Any]:
    """The findings for a program, as --help describes them; `hospitals` by exam."""
    held = [one for one in judged if one.doubts]
    return {
        "exams": sum(not one.unread for one in judged),
        "held": len(held),
        "rules": [{"rule": rule, "checks": checks, "exams": n} for (checks, rule), n in _most_first(judged)],
        "found": [{**_named(one, hospitals), "doubts": [
            {"rule": doubt.rule, "checks": doubt.since, "text": doubt.text, "study_uid": doubt.study_uid}
            for doubt in one.doubts
        ]} for one in held],
        "not_judged": [{**_named(one, hospitals), "why": one.unread} for one in judged if one.unread],
    }  # fmt: skip


def _named(one: Judged, hospitals: Mapping[int, str]) -> dict[str, Any]:
    deliveries = [f"d{number}" for number in one.deliveries]
    return {"exam": f"e{one.exam}", "hospital": hospitals.get(one.exam, ""), "deliveries": deliveries}


def _most_first(judged: Sequence[Judged]) -> list[tuple[tuple[int, str], int]]:
    return sorted(by_rule(judged).items(), key=lambda item: (-item[1], item[0]))


def _tell(judged: Sequence[Judged], since: datetime, config: Config) -> None:
    held, unread = [one for one in judged if one.doubts], [one for one in judged if one.unread]
    echo(
        f"{len(judged) - len(unread)} exam(s) delivered since {local(since, config.node.timezone)} are judged by"
        f" [identity] checks = {CHECKS}: {len(held)} would be held"
    )
    if unread:
        echo(f"{len(unread)} cannot be judged: {unread[0].unread}")
    if held:
        rows = [(rule, str(checks), str(n)) for (checks, rule), n in _most_first(judged)]
        show("By rule", ("Rule", "Since checks", "Exams"), rows)
        title = "Exams"
        if len(held) > _EXAMS_SHOWN:
            title = f"The first {_EXAMS_SHOWN} of {len(held)} exams; `--json` shows all"
        cells = [
            (f"e{one.exam}", " ".join(f"d{number}" for number in one.deliveries), doubt.rule, say(doubt.text))
            for one in held[:_EXAMS_SHOWN]
            for doubt in one.doubts
        ]
        show(title, ("Exam", "Deliveries", "Rule", "Why"), cells)
