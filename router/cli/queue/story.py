"""`queue show` and `queue explain`: an exam's story in words, and as JSON."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.markup import escape

from router.catalogue import Catalogue
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.exams.files import FolderFile
from router.catalogue.exams.provenance import File
from router.catalogue.images.versions import Several
from router.catalogue.queue.attention import Unread
from router.catalogue.queue.queue import Delivery
from router.cli.opened import clock_of, opened
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
from router.cli.queue.background import (
    background_json,
    file_json,
    stray_json,
    tell_background,
    tell_stray,
    tell_unpaired,
    tell_unseen,
    unseen_json,
)
from router.cli.queue.evidence import tell_uploads, upload_json
from router.cli.queue.files import files_json, tell_files
from router.cli.speech import say, tongue
from router.cli.tables import console, iso, left, local, show
from router.clock import SystemClock
from router.config.hospitals import UNREGISTERED
from router.config.sections import Config
from router.correlator.refused import RefusalSum
from router.errors import InvalidData
from router.images.rulebook import books_of
from router.matching.exam.approval import Part
from router.matching.exam.readiness import PDF, VERSIONS
from router.matching.images.renewal import CUT_OFF, LATE
from router.model import Channel
from router.policy.answer import Actor
from router.policy.states import PENDING, Needs, State
from router.review.answers import Answers, Explained
from router.review.comparison import IdentityComparison, unreadable
from router.review.deliveries import Line, Review, Story
from router.review.explain import Background, Provenance, Stray
from router.storage.reports import Reports
from router.text.language import N_

_NEEDS = N_({
    "approval": "the report's approval (审核): Order.Status Reported and Report.ApproveTime",
    "json": "a complete exam JSON",
    "pdf": "the report PDF",
    "images": "images of every study that belongs to the exam",
    "stable": "the study to be quiet, so that no more images are on their way",
    "commitment": "the destination's word that it keeps what it has taken (storage commitment)",
    "others": "the approval of other exams of its studies that can still be approved ([share] shared_study)",
})  # fmt: skip

_RELEASES = N_({
    "identity": "says that report and images are of one patient",
    LATE: "sends them",
    CUT_OFF: "sends them as they are",
    PDF: "says that the report PDF that is here belongs to it",
    VERSIONS: "says that the version that came last counts",
})  # fmt: skip

_ACTS = N_({Actor.NOBODY: "", Actor.NODE: "; the node goes on by itself"})


class Teller:
    """Tells what is known under a name: exams, a study that no exam has, files without an exam."""

    def __init__(self, catalogue: Catalogue, config: Config, hospital: str | None = None) -> None:
        clock, self._several = clock_of(catalogue), are_several(config)
        self._node, self._zone, self._rules = config.node, config.node.timezone, books_of(config)
        self._review, self._provenance = Review(catalogue, clock, hospital), Provenance(catalogue, config)
        self._answers = Answers(catalogue, config, clock)
        self._comparison = IdentityComparison(config, Reports(config.node.data).read, catalogue.decisions.classes)

    def tell(self, name: str) -> None:
        """Print it; InvalidData when nothing is known under that name."""
        stories, stray, files, lying, unseen = self._known(name)
        if unseen:
            tell_unseen(name, unseen, self._zone)
        for story in stories:
            _tell_answers(self._answers.of(story.lines), self._zone)
            self._tell_exam(story)
        if stray is not None:
            tell_stray(stray, self._zone)
        for file in files:
            tell_unpaired(file, self._zone)
        tell_files(lying, self._zone)

    def as_json(self, name: str) -> list[dict[str, Any]]:
        """One object an exam, a study or a file; InvalidData as above."""
        stories, stray, files, lying, unseen = self._known(name)
        found = [self._exam_json(story) for story in stories]
        found += [stray_json(stray)] if stray else []
        found += [unseen_json(name, unseen)] if unseen else []
        return [*found, *(file_json(file) for file in files), *files_json(lying)]

    def _known(self, name: str) -> tuple[list[Story], Stray | None, list[File], list[FolderFile], Sequence[RefusalSum]]:
        """Exams, a study without one, files without one, other files of the drop folder, and refusals of a study of
        which nothing is here."""
        provenance = self._provenance
        stories, files = self._review.stories(name), provenance.unpaired(name)
        stray = None if stories else provenance.stray(name, SystemClock().now())
        listed = {one.id for story in stories for one in self._background(story).lying}
        lying = [one for one in provenance.lying(name) if one.id not in listed]
        unseen = () if stories or stray else provenance.refused([name])
        if not (stories or stray or files or lying or unseen):
            hint = N_("this node refuses senders, see `scripts/queue refused`") if provenance.refuses() else ""
            raise InvalidData(N_("no delivery, exam, study or file of that name is known"), hint=hint)
        return stories, stray, files, lying, unseen

    def _background(self, story: Story) -> Background:
        return self._provenance.background(story.case.exam, list(story.case.links))

    def _tell_exam(self, story: Story) -> None:
        zone, case, out = self._zone, story.case, console()
        exam_id, branch = escape(case.exam_id), escape(case.branch)
        out.print(f"[bold]Exam {exam_id}[/bold] (branch {branch}, number {case.exam} of this node)")
        if self._several:
            out.print(f"  {whose(case.hospital)}", markup=False)
        for line in story.lines:
            _tell_delivery(line, zone)
        for unread in self._review.unread(case.exam):
            since = tongue().say(", since {since}", since=local(unread.since, zone))
            out.print(f"  {say(_unread(unread))}{since}", markup=False)
        if case.chosen.evidence:
            out.print(f"  {case.chosen.evidence}", markup=False)
        waits = any(Needs.IMAGES in line.delivery.waiting_for for line in story.lines)
        tell_background(self._background(story), waits_for_images=waits, zone=zone)
        self._tell_studies(case)
        for one in (line.delivery for line in story.lines if line.delivery.channel == Channel.IMAGES):
            self._tell_ledger(one)
        tell_uploads(story.uploads, self._node.data, zone)
        events = [
            (local(e.at, zone), say(e.kind), f"d{e.delivery}" if e.delivery else "", say(e.text), e.who)
            for e in story.events
        ]
        show("Events", ("When", "What", "Delivery", "", "Who"), events)

    def _tell_studies(self, case: ExamSnapshot) -> None:
        """Print the studies, remarks about their patient, and their series."""
        out, none_here = console(), say("none here yet")
        rows = [
            (uid, say(how), str(case.studies[uid].instances) if uid in case.studies else none_here)
            for uid, how in case.links.items()
        ]
        show("Studies", ("StudyInstanceUID", "Joined by", "Instances"), rows)
        for remark in self._comparison.remarks(case):
            out.print(f"  {remark}; see `queue compare`", markup=False)
        for uid, study in case.studies.items():
            if fields := unreadable(study.identities):
                out.print(f"  study {uid}: no certain reading of {', '.join(fields)}, so it agrees with nothing")
                out.print(
                    "      the bytes are not of the declared character set; have the modality's setting corrected"
                )
        for uid, study in case.studies.items():
            found = self._review.series(uid, self._rules(study.hospitals))
            series = [(one.series_uid, say(one.series_class), str(one.count), one.rule, one.used) for one in found]
            show(f"Series of {uid}", ("SeriesInstanceUID", "Class", "Instances", "Rule", "Facts"), series)
        self._tell_versions(case)

    def _tell_versions(self, case: ExamSnapshot) -> None:
        versions = [
            (one.sop_uid, one.series_uid, str(one.version) if one.newest else say(f"{one.version} (kept)"),
             local(one.received, self._zone), _difference(one))
            for one in self._review.versions(case)
        ]  # fmt: skip
        if versions:
            columns = ("SOPInstanceUID", "SeriesInstanceUID", "Version", "Came", "")
            show("Instances that came in several versions", columns, versions)

    def _tell_ledger(self, one: Delivery) -> None:
        """Print the fate of a delivery's images by series, and requests for storage commitment without an answer."""
        entries = self._review.ledger(one)
        counts = Counter((e.uids.series, e.series_class, e.class_rule, e.fate, e.rule, e.status) for e in entries)
        rows = [
            (series, say(kind), class_rule, say(fate), say(rule), "-" if status is None else f"{status:04X}", str(n))
            for (series, kind, class_rule, fate, rule, status), n in counts.items()
        ]
        columns = ("SeriesInstanceUID", "Class", "by rule", "Fate", "because", "Status", "Instances")
        show(f"Ledger of {one.destination}", columns, rows)
        requests = self._review.requests(one)
        if requests:
            title = f"Storage commitment asked of {one.destination}, no report yet"
            asked = [(r.transaction, local(r.asked, self._zone), str(r.instances)) for r in requests]
            show(title, ("Transaction UID", "Asked", "Instances"), asked)

    def _exam_json(self, story: Story) -> dict[str, Any]:
        case, chosen, review = story.case, story.case.chosen, self._review
        return {
            "exam_id": case.exam_id, "hospital": case.hospital, "branch": case.branch, "number": case.exam,
            "report_pdf": {"document": chosen.pdf, "in_question": chosen.candidate, "evidence": chosen.evidence},
            "deliveries": [_delivery_json(one.line, review) | named_json(one) for one in self._answers.of(story.lines)],
            **self._studies_json(case),
            "unread_approval": [
                {"part": one.approval.part, "word": one.approval.word, "source": one.source, "since": iso(one.since)}
                for one in review.unread(case.exam)
            ],
            "uploads": [upload_json(upload, self._node.data) for upload in story.uploads],
            "events": [
                {"at": iso(e.at), "kind": e.kind, "delivery": e.delivery, "text": e.text, "who": e.who}
                for e in story.events
            ],
            "patient_remarks": list(self._comparison.remarks(case)),
        } | background_json(self._background(story))  # fmt: skip

    def _studies_json(self, case: ExamSnapshot) -> dict[str, Any]:
        return {
            "studies": [
                {"study": uid, "joined_by": how,
                 "instances": case.studies[uid].instances if uid in case.studies else 0,
                 "unreadable": unreadable(case.studies[uid].identities) if uid in case.studies else []}
                for uid, how in case.links.items()
            ],
            "series": [
                {"study": uid, "series": one.series_uid, "class": one.series_class, "rule": one.rule, "facts": one.used,
                 "instances": one.count}
                for uid, study in case.studies.items() for one in self._review.series(uid, self._rules(study.hospitals))
            ],
            "versions": [
                {"study": one.study_uid, "series": one.series_uid, "instance": one.sop_uid, "version": one.version,
                 "newest": one.newest, "came": iso(one.received), "differs": list(one.differs)}
                for one in self._review.versions(case)
            ],
        }  # fmt: skip


def whose(hospital: str) -> str:
    """The hospital of an exam, in words."""
    if hospital == UNREGISTERED:
        return say(N_("Hospital: none that is registered; its exam JSON, folder and port do not name one for certain"))
    return tongue().say("Hospital: {name}", name=hospital)


def _tell_answers(lines: Sequence[Explained], zone: ZoneInfo) -> None:
    """Print why each delivery has not arrived: the obstacle, since when, who must act, and how."""
    for one in lines:
        delivery, answer, our = one.line.delivery, one.answer, tongue()
        since = our.say(", since {since}", since=local(answer.since, zone)) if answer.since else ""
        acts = _ACTS.get(answer.who)
        acts = our.say("; {who} must act", who=say(answer.who)) if acts is None else say(acts)
        place, what = say(f"{delivery.channel} to {delivery.destination}"), say(str(answer.what))
        click.echo(f"d{delivery.id} {place}: {what}{since}{acts}: {say(f'`{answer.command}`')}")


def named_json(one: Explained) -> dict[str, Any]:
    """Further keys of a delivery's JSON: the names that people use, and the answer."""
    delivery, answer = one.line.delivery, one.answer
    return {
        "name": f"d{delivery.id}",
        "exam": f"e{delivery.exam}",
        "answer": {"what": str(answer.what), "since": iso(answer.since), "who": answer.who, "command": answer.command},
    }


def _tell_delivery(line: Line, zone: ZoneInfo) -> None:
    one, out = line.delivery, console()
    open_ = one.state in PENDING
    slack = f" ({left(line.slack_seconds)})" if open_ else ""
    due = tongue().say(", due {due}{slack}", due=local(one.due, zone), slack=slack) if one.due else ""
    since = local(one.changed, zone)
    out.print(f"  d{one.id}: {one.channel} to {one.destination}: [bold]{one.state}[/bold] since {since}{due}")
    for need in one.waiting_for:
        out.print(f"      {tongue().say('waits for {need}', need=say(_NEEDS[need]))}", markup=False)
    if one.error:
        out.print(f"      {one.error}", markup=False)
    if one.next_try and one.state == State.DEFERRED:
        out.print(f"      next try {local(one.next_try, zone)}; `queue retry d{one.id}` tries now")
    if one.state == State.HELD:
        remedy = "resolve" if one.held_by == "identity" else "release"
        what = _RELEASES.get(one.held_by, N_("has it evaluated anew"))
        out.print(f"      `queue {remedy} d{one.id} --why ...` {what}")
    if one.state == State.FAILED:
        out.print(f"      `queue retry d{one.id} --why ...` tries again; new data does, too")
    if one.state == State.CANCELLED:
        out.print(f"      `queue retry d{one.id} --why ...` takes that back")


def _unread(unread: Unread) -> str:
    """Why an exam waits whose approval cannot be read, with the command; the RIS's word is for a person to see."""
    if unread.approval.part == Part.TIME:
        return N_("the approval cannot be read: Report.ApproveTime (审核时间); see the exam JSON fault above")
    word = f"Order.Status {unread.approval.word!r}" if unread.approval.word else N_("no Order.Status")
    return N_(f"the approval cannot be read: ApproveTime with {word}; `scripts/codes unknown` prints the line to paste")


def _difference(one: Several) -> str:
    if one.differs:
        return say(f"differs in {', '.join(one.differs)}")
    return "" if one.version == 1 else say("header or encoding")


def _delivery_json(line: Line, review: Review) -> dict[str, Any]:
    one = line.delivery
    ledger = review.ledger(one) if one.channel == Channel.IMAGES else []
    requests = review.requests(one) if one.channel == Channel.IMAGES else []
    return {
        "id": str(one.id), "destination": one.destination, "channel": one.channel, "state": one.state,
        "since": iso(one.changed), "due": iso(one.due), "waiting_for": list(one.waiting_for),
        "error": one.error or None, "next_try": iso(one.next_try),
        "ledger": [
            {"series": e.uids.series, "instance": e.uids.sop, "version": e.version, "class": e.series_class,
             "class_rule": e.class_rule, "state": e.fate, "rule": e.rule, "status": e.status}
            for e in ledger
        ],
        "commitment_requests": [
            {"transaction": r.transaction, "asked": iso(r.asked), "instances": r.instances} for r in requests
        ],
    }  # fmt: skip


def _command(name: str) -> click.Command:
    @click.command(name, short_help="An exam's story: what came, waits, went, and why.")
    @click.argument("name", metavar="ID", required=False)
    @exam_id_option
    @hospital_option
    @common_options
    def tell_story(
        name: str | None, exam_ids: tuple[str, ...], hospital: str | None, config_file: Path, as_json: bool
    ) -> None:
        """Tell what came from where, what it waits for, which key joined it or what nearly fits, and what went where.

        ID is e17, d85, an ExamId (检查记录ID), a study UID or a file name. The first lines say why each delivery has
        not gone: since when, who must act, and the command for it. Refusals by this node are listed, too.
        """
        word, config = the_name(name, exam_ids), node_config(config_file)
        require_hospital(hospital, config)
        with opened(config) as (catalogue, _):
            teller = Teller(catalogue, config, hospital)
            if as_json:
                print_json(teller.as_json(word))
            else:
                teller.tell(word)

    return tell_story


COMMANDS = (_command("show"), _command("explain"))
