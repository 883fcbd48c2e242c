"""The patient by the report and by the images on an exam's page, and the form by which a doubt is settled."""

from collections.abc import Sequence
from dataclasses import dataclass

from router.admin.console.frame import View, button, cell, form, hidden, reason, table
from router.review.comparison import Side
from router.review.decisions import Differences
from router.text.language import N_

_SIDES = N_(("Who says it", "Accession number", "Patient ID", "Patient's name", "Sex", "Birth date"))
_FIELDS = N_(("Studies", "Agree", "Differ", "Cannot be compared", "Remarks"))
_DOUBT = N_("Report and images may be of different patients. What differs and is not settled:")
_LOOK = N_("To settle it, compare both sides: show the patient data.")
_SETTLED = N_("What differs later in another way is a doubt again. Where they are of two patients, have the RIS or the "
              "PACS correct the data.")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """Both sides, none while patient data is masked, and the unsettled differences, None where nothing differs."""

    sides: Sequence[Side]
    differences: Differences | None


def compared(view: View, exam: int, found: Compared) -> str:
    """Both sides with what differs; a person who sees them may settle the doubt."""
    say, differences = view.say, found.differences
    doubt = "" if differences is None else f"<h2>{say('Identity doubt')}</h2>{_differences(view, differences)}"
    if view.session is None:
        note = N_("Log in to hold, release or retry, to settle a doubt, and to see patient data.")
        return f'{doubt}<p class="note">{say(note)}</p>'
    if not found.sides:
        look = "" if differences is None else f'<p class="note">{say(_LOOK)}</p>'
        ask = button(say("Show patient data (this is recorded)"))
        return f"{doubt}{look}{form(view, '/patient', hidden(id=exam) + ask)}"
    both = _sides(view, found.sides)
    return both if differences is None else f"{both}{doubt}{_settling(view, exam, differences)}"


def _differences(view: View, differences: Differences) -> str:
    told = "".join(f"<li>{cell(view.say(text))}</li>" for text in differences.texts)
    return f"<p>{view.say(_DOUBT)}</p><ul>{told}</ul>"


def _settling(view: View, exam: int, differences: Differences) -> str:
    """The form; `seen` stands for exactly the differences that are shown with it."""
    say = view.say
    ask = button(say("Settle: both are of one patient"))
    fields = hidden(id=exam, seen=differences.mark) + reason(say) + ask
    return f'{form(view, "/resolve", fields)}<p class="note">{say(_SETTLED)}</p>'


def _sides(view: View, sides: Sequence[Side]) -> str:
    fields = [_fields(view, side) for side in sides if side.study_uid]
    return (
        table(view, _SIDES, [_values(view, side) for side in sides])
        + table(view, _FIELDS, fields, "Compared with the exam JSON")
    )  # fmt: skip


def _values(view: View, side: Side) -> list[str]:
    values = (side.accession_number, side.patient_id, side.name, side.sex, side.birth_date)
    return [cell(side.study_uid or view.say("exam JSON")), *(cell(each or "-") for each in values)]


def _fields(view: View, side: Side) -> list[str]:
    names = (", ".join(map(view.say, some)) or "-" for some in (side.agree, side.differ, side.incomparable))
    return [cell(side.study_uid), *map(cell, names), "<br>".join(cell(view.say(text)) for text in side.remarks)]
