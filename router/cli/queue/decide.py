"""`queue resolve`, `alias`, `link`, `unlink`: decisions about exams and their patients."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from router.cli.opened import clock_of, opened
from router.cli.options import (
    are_several,
    common_options,
    configured,
    exam_id_option,
    hospital_option,
    node_config,
    print_json,
    reason_given,
    require_hospital,
    the_name,
    who_option,
    why_option,
)
from router.cli.queue.many import agreed
from router.cli.speech import echo
from router.cli.tables import local, show, with_hospital
from router.config.hospitals import the_only
from router.correlator.checks import resolved
from router.errors import InvalidData
from router.review.decisions import Decisions, OperatorReason
from router.text.language import N_

_yes = click.option("--yes", is_flag=True, help="Do not ask; needed where no terminal is there.")


@contextmanager
def _decisions(config_file: Path, hospital: str | None) -> Iterator[Decisions]:
    """Decisions by the identity rules of that hospital, else by the common ones; names mean its exams alone."""
    config = node_config(config_file)
    require_hospital(hospital, config)
    with opened(config) as (catalogue, bus):
        whole = resolved(config, catalogue.settings)
        own = None if hospital is None else whole.for_hospital(hospital)
        yield Decisions((own or whole).identity, catalogue, bus, clock_of(catalogue), hospital)


def _of_patients(hospital: str | None, config_file: Path) -> str:
    """The hospital whose patients' numbers are meant: the only one's, else UsageError unless it is named."""
    only = the_only(node_config(config_file))
    if hospital is None and only is None:
        raise click.UsageError("numbers of patients are those of a hospital: name it by --hospital")
    return hospital or only or ""


@click.command("resolve", short_help="Settle an identity doubt: both are of one patient.")
@click.argument("exam", required=False)
@exam_id_option
@hospital_option
@why_option
@click.option("--seen", default="", metavar="MARK", help="Settle what this mark stands for, and only that.")
@_yes
@who_option
@common_options
def resolve(
    exam: str | None, exam_ids: tuple[str, ...], hospital: str | None, why: str, seen: str, yes: bool, who: str,
    config_file: Path, as_json: bool,
) -> None:  # fmt: skip
    """Settle an identity doubt: report and images of EXAM (e17, d85 or an ExamId) are of one patient.

    It prints what differs, and settles exactly that; what contradicts later in another way is a doubt again.
    """
    word, reason = the_name(exam, exam_ids), OperatorReason(who, reason_given(why))
    with _decisions(config_file, hospital) as decisions:
        found = decisions.differences(word)
        if seen not in ("", found.mark):
            raise InvalidData("what differs is not what was seen", hint=f"now it is --seen {found.mark}: look again")
        lines = [f"  {text}" for text in found.texts]
        agreed(f"resolve e{found.exam} ({found.exam_id}); --seen {found.mark}", lines, yes=yes or bool(seen))
        settled = decisions.resolve(word, reason, found)
    if as_json:
        print_json({"settled": settled})
        return
    for text in settled:
        echo(f"settled: {text}")


@click.command("alias", short_help="Two patient numbers are of one patient.")
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--list", "listing", is_flag=True, help="Show what is known, and what HL7 messages propose.")
@click.option("--remove", is_flag=True, help="Take it back, or refuse a proposal.")
@hospital_option
@why_option
@_yes
@who_option
@common_options
def alias(
    old: str | None, new: str | None, listing: bool, remove: bool, hospital: str | None, why: str, yes: bool, who: str,
    config_file: Path, as_json: bool,
) -> None:  # fmt: skip
    """Two patient numbers are of one patient (merged patients): OLD and NEW agree from now on, in every exam.

    Numbers are a hospital's: where there are several, --hospital says whose.
    """
    if listing:
        _list(config_file, hospital, as_json)
        return
    if old is None or new is None:
        raise click.UsageError("name two patient numbers, or use --list")
    reason = OperatorReason(who, reason_given(why))
    own = _of_patients(hospital, config_file)
    with _decisions(config_file, own or None) as decisions:
        said = "are not of one patient any more" if remove else "are of one patient, in every exam"
        agreed(f"alias: {old} and {new} {said}", [], yes=yes)
        exams = (decisions.unalias if remove else decisions.alias)(old, new, reason, own)
    if as_json:
        print_json({"exams": exams})
        return
    echo(f"alias: {exams} exam(s) are evaluated anew")


def _list(config_file: Path, hospital: str | None, as_json: bool) -> None:
    with _decisions(config_file, hospital) as decisions:
        known = [one for one in decisions.aliases() if hospital in (None, one.hospital)]
        proposed = [one for one in decisions.proposals() if hospital in (None, one.hospital)]
    if as_json:
        print_json([
            *({"hospital": a.hospital, "old": a.old, "new": a.new, "why": a.why, "who": a.who, "at": a.at.isoformat()}
              for a in known),
            *({"hospital": p.hospital, "old": p.old, "new": p.new, "proposed": True, "at": p.at.isoformat()}
              for p in proposed),
        ])  # fmt: skip
        return
    config = configured(config_file)
    zone, several = config.node.timezone, are_several(config)
    columns = with_hospital(N_(("Old", "New", "Why", "Who", "When")), several)
    show("", columns, [
        (a.old, *([a.hospital] if several else []), a.new, a.why, a.who, local(a.at, zone)) for a in known
    ])  # fmt: skip
    if proposed:
        columns = with_hospital(N_(("Old", "New", "When")), several)
        rows = [(one.old, *([one.hospital] if several else []), one.new, local(one.at, zone)) for one in proposed]
        show("Proposed by HL7 ADT^A40; `queue alias OLD NEW` accepts one", columns, rows)


@click.command("link", short_help="Join a study to an exam by hand.")
@click.argument("exam")
@click.argument("study")
@hospital_option
@why_option
@_yes
@who_option
@common_options
def link(
    exam: str, study: str, hospital: str | None, why: str, yes: bool, who: str, config_file: Path, as_json: bool
) -> None:
    """Join STUDY (a StudyInstanceUID, here or still to come) to EXAM by hand; identity is still checked."""
    reason = OperatorReason(who, reason_given(why))
    _decide(exam, study, reason, config_file, hospital, apart=False, yes=yes, as_json=as_json)


@click.command("unlink", short_help="Keep a study apart from an exam.")
@click.argument("exam")
@click.argument("study")
@hospital_option
@why_option
@_yes
@who_option
@common_options
def unlink(
    exam: str, study: str, hospital: str | None, why: str, yes: bool, who: str, config_file: Path, as_json: bool
) -> None:
    """Keep STUDY apart from EXAM, whatever names it, until it is linked again."""
    reason = OperatorReason(who, reason_given(why))
    _decide(exam, study, reason, config_file, hospital, apart=True, yes=yes, as_json=as_json)


def _decide(
    word: str, study: str, reason: OperatorReason, config_file: Path, hospital: str | None, *, apart: bool, yes: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Join a study to an exam, or keep it apart, after asking; print what was done."""
    with _decisions(config_file, hospital) as decisions:
        found = decisions.exam(word)
        joined = f"link study {study} to e{found.number} ({found.exam_id})"
        parted = f"keep study {study} apart from e{found.number} ({found.exam_id})"
        agreed(parted if apart else joined, [], yes=yes)
        exam = (decisions.unlink if apart else decisions.link)(word, study, reason)
    if as_json:
        print_json({"exam": exam, "study": study})
        return
    done = "kept apart from" if apart else "joined to"
    echo(f"study {study} {done} exam e{exam}")


COMMANDS = (resolve, alias, link, unlink)
