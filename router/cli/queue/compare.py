"""`queue compare`: the patient by the report and by the images, side by side."""

from dataclasses import asdict
from pathlib import Path

import click

from router.cli.opened import clock_of, opened, record_look
from router.cli.options import (
    are_several,
    common_options,
    exam_id_option,
    hospital_option,
    node_config,
    print_json,
    require_hospital,
    the_name,
)
from router.cli.queue.story import whose
from router.cli.speech import say
from router.cli.tables import show
from router.errors import InvalidData
from router.review.comparison import IdentityComparison, Side
from router.review.deliveries import Review
from router.storage.reports import Reports

_COLUMNS = (
    "Who says it", "Accession number 检查号", "Patient ID 受检者ID", "Name 姓名", "Sex 性别", "Birth date 出生日期",
)  # fmt: skip
_COMPARED = ("Study", "Agree 一致", "Differ 不一致", "Cannot be compared 无法比较", "Remarks 备注")


@click.command("compare", short_help="The patient by the report and by the images.")
@click.argument("name", metavar="ID", required=False)
@exam_id_option
@hospital_option
@common_options
def compare(
    name: str | None, exam_ids: tuple[str, ...], hospital: str | None, config_file: Path, as_json: bool
) -> None:
    """Show the patient by the report and by the images, and which fields agree. The look is recorded.

    ID is e17, d85, an ExamId (检查记录ID), a study UID or a file name.
    """
    word, config = the_name(name, exam_ids), node_config(config_file)
    require_hospital(hospital, config)
    with opened(config) as (catalogue, bus):
        comparison = IdentityComparison(config, Reports(config.node.data).read, catalogue.decisions.classes)
        cases = [story.case for story in Review(catalogue, clock_of(catalogue), hospital).stories(word)]
        if not cases:
            raise InvalidData("no exam of that name is known")
        record_look(catalogue, bus, "patient data shown by queue compare", [case.exam for case in cases])
        compared = [(case, comparison.of(case)) for case in cases]
    if as_json:
        print_json([
            {"number": case.exam, "hospital": case.hospital, "sides": [asdict(side) for side in found]}
            for case, found in compared
        ])  # fmt: skip
        return
    for case, found in compared:
        rows = [
            (one.study_uid or say("exam JSON"), one.accession_number, one.patient_id, one.name, one.sex, one.birth_date)
            for one in found
        ]
        show(f"Exam e{case.exam}", _COLUMNS, rows)
        if are_several(config):
            click.echo(whose(case.hospital))
        show("Compared with the exam JSON", _COMPARED, [_compared(one) for one in found if one.study_uid])


def _compared(one: Side) -> tuple[str, ...]:
    fields = (", ".join(map(say, some)) or "-" for some in (one.agree, one.differ, one.incomparable))
    return one.study_uid, *fields, "; ".join(map(say, one.remarks))
