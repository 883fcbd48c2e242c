"""The part of a story that is not about deliveries: arrivals and near fits, in words and as JSON."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from rich.markup import escape

from router.alarms import Alarm
from router.catalogue.exams.provenance import Arrival, File
from router.catalogue.exams.retrievals import Asked
from router.cli.queue.files import files_json, tell_files
from router.cli.queue.refused import refusal_json, tell_hints, tell_refused
from router.cli.queue.unreported import unreported_json
from router.cli.speech import say, tongue
from router.cli.tables import console, iso, local, show
from router.correlator.refused import RefusalSum
from router.review.explain import Background, Candidate, Stray
from router.review.unreported import Listed
from router.text.language import N_


def tell_background(found: Background, *, waits_for_images: bool, zone: ZoneInfo) -> None:
    """Print what stands behind an exam."""
    out = console()
    if found.next_look is not None:
        out.print(f"  looked at again {local(found.next_look, zone)}, and at once when something comes")
    for alarm in found.alarms:
        name, todo = tongue().alarm(alarm.alarm)
        stands = tongue().say("alarm {name} since {since}", name=name, since=local(alarm.since, zone))
        out.print(f"  {stands}: {say(alarm.text)}", markup=False)
        out.print(f"      {todo}", markup=False)
    if found.asked is not None:
        _tell_asked(found.asked, zone)
    files = [(say(f.kind), f.name, local(f.arrived, zone), _remark(f)) for f in found.files]
    show("Files", ("Kind", "Name", "Came", ""), files)
    if found.lying:
        out.print("Files of the drop folder that seem to be meant for it", style="bold")
        tell_files(found.lying, zone)
    _tell_arrivals(found.arrivals, zone)
    tell_refused(found.refused, found.arrivals, zone)
    missing = waits_for_images or any(alarm.alarm == Alarm.IMAGES_MISSING for alarm in found.alarms)
    hints = found.hints if missing and not found.refused else ()
    tell_hints(hints, zone)
    if found.near:
        rows = [(c.name, say(c.why)) for c in found.near]
        show("Studies without an exam that nearly fit", ("StudyInstanceUID", "Why"), rows)
        out.print("  `queue link EXAM STUDY --why ...` joins one of them by hand")
    elif waits_for_images and not (found.refused or hints):
        out.print("  no study without an exam comes near it, and this node refused nothing in that time:")
        out.print("      see in the PACS whether it was routed to this node")


def tell_stray(stray: Stray, zone: ZoneInfo) -> None:
    """Print the story of a study that no exam has."""
    out, study_uid = console(), escape(stray.study_uid)
    out.print(f"[bold]Study {study_uid}[/bold]: no exam lists it, and none has its accession number and patient")
    _tell_arrivals(stray.arrivals, zone)
    if stray.unreported is not None:
        _tell_unreported(stray.unreported, zone)
    tell_refused(stray.refused, stray.arrivals, zone)
    out.print("  it is kept and not sent: it waits for the exam JSON that lists it")
    if stray.near:
        show("Exams that nearly fit", ("ExamId 检查记录ID", "Why"), [(c.name, say(c.why)) for c in stray.near])
        out.print(f"  `queue link EXAM {stray.study_uid} --why ...` joins it by hand; or have the data corrected")
    else:
        out.print("  no exam comes near it; a prior or an unreported study stays so")
    events = [(local(e.at, zone), say(e.kind), say(e.text), e.who) for e in stray.events]
    show("Events", ("When", "What", "", "Who"), events)


def _tell_unreported(one: Listed, zone: ZoneInfo) -> None:
    out, study = console(), one.study
    source = f"{study.sender or '-'} ({say(study.address or 'address not kept')})"
    lacks = tongue().say("no report since {since}, {days} working days; it came from {source}",
                         since=local(study.came, zone), days=f"{one.working_days:g}", source=source)  # fmt: skip
    out.print(f"  {lacks}", markup=False)
    if one.passed_over:
        out.print(f"  it is listed by `scripts/queue unreported`, and raises no alarm: {one.passed_over}", markup=False)
    elif one.dismissed:
        out.print("  it is listed by `scripts/queue unreported`, and raises no alarm: its sender is dismissed")
    else:
        out.print("  it counts as unreported: `scripts/queue unreported`, alarm `unreported`")


def tell_unseen(study_uid: str, refused: Sequence[RefusalSum], zone: ZoneInfo) -> None:
    """Print the story of a study that was refused as a whole."""
    console().print(f"[bold]Study {escape(study_uid)}[/bold]: nothing of it is here, and no exam lists it")
    tell_refused(refused, (), zone)


def tell_unpaired(file: File, zone: ZoneInfo) -> None:
    """Print the story of a file without an exam."""
    out, name = console(), file.name
    out.print(f"[bold]File {escape(name)}.{file.kind}[/bold]: taken {local(file.arrived, zone)}, it has no exam yet")
    out.print(f"  it waits for the exam JSON of the same name ({name}.json), or one that `name_pattern` finds in it")


def background_json(found: Background) -> dict[str, Any]:
    """An exam's background, for programs."""
    return {
        "next_look": iso(found.next_look),
        "alarms": [{"alarm": a.alarm, "since": a.since.isoformat(), "text": a.text} for a in found.alarms],
        "pacs": found.asked and {
            "tries": found.asked.tries, "said": found.asked.said, "at": iso(found.asked.at),
            "ask_at": iso(found.asked.ask_at),
        },
        "files": [file_json(f) for f in found.files],
        "arrivals": _arrivals_json(found.arrivals),
        "near": _near_json(found.near),
        "lying": files_json(found.lying),
        "refused": [refusal_json(one) for one in found.refused],
        "refused_meanwhile": [refusal_json(one) for one in found.hints],
    }  # fmt: skip


def stray_json(stray: Stray) -> dict[str, Any]:
    """A study that no exam has, for programs."""
    found = {"study": stray.study_uid, "arrivals": _arrivals_json(stray.arrivals), "near": _near_json(stray.near)}
    found |= {"refused": [refusal_json(one) for one in stray.refused]}
    return found | {"unreported": unreported_json(stray.unreported) if stray.unreported else None}


def unseen_json(study_uid: str, refused: Sequence[RefusalSum]) -> dict[str, Any]:
    """A study of which nothing is here, for programs."""
    return {"study": study_uid, "arrivals": [], "near": [], "refused": [refusal_json(one) for one in refused]}


def file_json(file: File) -> dict[str, Any]:
    """A file, for programs."""
    arrived = file.arrived.isoformat()
    return {"kind": file.kind, "name": file.name, "arrived": arrived, "approved": file.approved, "stale": file.stale}


def _arrivals_json(found: Sequence[Arrival]) -> list[dict[str, Any]]:
    return [
        {"study": a.study_uid, "ae": a.sending_ae, "instances": a.instances, "first": a.first.isoformat(),
         "last": a.last.isoformat()}
        for a in found
    ]  # fmt: skip


def _near_json(found: Sequence[Candidate]) -> list[dict[str, str]]:
    return [{"name": one.name, "why": one.why} for one in found]


def _tell_asked(asked: Asked, zone: ZoneInfo) -> None:
    out = console()
    if asked.at is not None:
        text = f"the PACS was asked {asked.tries} time(s), last {local(asked.at, zone)}: {asked.said}"
        out.print(f"  {text}", markup=False)
    if asked.ask_at is not None:
        what = asked.missing or N_("how many images it has")
        out.print(f"  the PACS is asked {local(asked.ask_at, zone)}: {what}", markup=False)


def _tell_arrivals(found: Sequence[Arrival], zone: ZoneInfo) -> None:
    rows = [(a.study_uid, a.sending_ae, str(a.instances), local(a.first, zone), local(a.last, zone)) for a in found]
    show("Images that came", ("StudyInstanceUID", "From AE", "Instances", "First", "Last"), rows)


def _remark(file: File) -> str:
    if file.stale:
        return say("older than what was known: changes nothing")
    return say("approved") if file.approved else say("not approved") if file.kind == "json" else ""
