"""`queue compare`: the patient by the report and by the images, side by side."""

from dataclasses import asdict
from pathlib import Path

import click

from router.cli.opened import clock_of, opened
from router.cli.options import (
    config_option,
    configured,
    exam_id_option,
    json_option,
    person,
    print_json,
    require_node,
    the_name,
)
from router.cli.speech import say
from router.cli.tables import show
from router.errors import InvalidData
from router.events import Event, Kind
from router.review.comparison import IdentityComparison, Side
from router.review.deliveries import Review
from router.storage.reports import Reports

_COLUMNS = (
    "Who says it",
    "Accession number 检查号",
    "Patient ID 受检者ID",
    "Name 姓名",
    "Sex 性别",
    "Birth date 出生日期",
)
_COMPARED = ("Study", "Agree 一致", "Differ 不一致", "Cannot be compared 无法比较", "Remarks 备注")


@click.command("compare", short_help="The patient by the report and by the images.")
@click.argument("name", metavar="ID", required=False)
@exam_id_option
@config_option
@json_option
def compare(name: str | None, exam_ids: tuple[str, ...], config_file: Path, as_json: bool) -> None:
    """Show the patient by the report and by the images, and which fields agree. The look is recorded.

    ID is e17, d85, an ExamId (检查记录ID), a study UID or a file name.
    """
    word, config = the_name(name, exam_ids), configured(config_file)
    require_node(config)
    with opened(config) as (catalogue, bus):
        clock = clock_of(catalogue)
        sides = IdentityComparison(config, Reports(config.node.data).read, catalogue.decisions.classes)
        cases = [story.case for story in Review(catalogue, clock).stories(word)]
        if not cases:
            raise InvalidData("no exam of that name is known")
        with catalogue.engine.write():  # recorded before anything is shown
            for case in cases:
                text = "patient data shown by queue compare"
                bus.record(Event(clock.now(), Kind.VIEWED, text, who=person(), exam=case.exam))
        compared = [(case.exam, sides.of(case)) for case in cases]
    if as_json:
        print_json([{"number": exam, "sides": [asdict(side) for side in found]} for exam, found in compared])
        return
    for exam, found in compared:
        rows = [_identity(one) for one in found]
        show(f"Exam e{exam}", _COLUMNS, rows)
        show("Compared with the exam JSON", _COMPARED, [_compared(one) for one in found if one.study_uid])


def _identity(one: Side) -> tuple[str, ...]:
    said_by = one.study_uid or say("exam JSON")
    return said_by, one.accession_number, one.patient_id, one.name, one.sex, one.birth_date


def _compared(one: Side) -> tuple[str, ...]:
    fields = (", ".join(map(say, some)) or "-" for some in (one.agree, one.differ, one.incomparable))
    return one.study_uid, *fields, "\n".join(map(say, one.remarks))
