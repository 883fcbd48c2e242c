"""An exam's story in words, and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import click
from rich.markup import escape

from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.exams.files import FolderFile
from router.catalogue.exams.provenance import File
from router.catalogue.images.versions import Several
from router.catalogue.queue.attention import Unread
from router.catalogue.queue.queue import Delivery
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
from router.cli.tables import console, left, local, show
from router.clock import SystemClock
from router.config.sections import Node
from router.correlator.refused import RefusalSum
from router.errors import InvalidData
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
from router.series.classify import Rulebook
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


class _Known(NamedTuple):
    """Everything known under a name; `unseen` are refusals of a study of which nothing is here."""

    stories: list[Story]
    stray: Stray | None
    files: list[File]
    lying: list[FolderFile]
    unseen: Sequence[RefusalSum]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Tells what is known under a name: exams, a study that no exam has, files without an exam."""

    review: Review
    traces: Provenance
    rules: Rulebook
    node: Node
    sides: IdentityComparison
    answers: Answers

    def tell(self, name: str) -> None:
        """Print it; InvalidData when nothing is known under that name."""
        stories, stray, files, lying, unseen = self._known(name)
        if unseen:
            tell_unseen(name, unseen, self.node.timezone)
        for story in stories:
            _tell_answers(self.answers.of(story.lines), self.node.timezone)
            _tell(story, self._background(story), self.review, self.rules, self.node, self.sides.remarks(story.case))
        if stray is not None:
            tell_stray(stray, self.node.timezone)
        for file in files:
            tell_unpaired(file, self.node.timezone)
        tell_files(lying, self.node.timezone)

    def as_json(self, name: str) -> list[dict[str, Any]]:
        """One object an exam, a study or a file; InvalidData as above."""
        stories, stray, files, lying, unseen = self._known(name)
        found = [
            _json(story, self.review, self.rules, self.node, self.answers.of(story.lines))
            | {"patient_remarks": list(self.sides.remarks(story.case))}
            | background_json(self._background(story))
            for story in stories
        ]
        found += [stray_json(stray)] if stray else []
        found += [unseen_json(name, unseen)] if unseen else []
        return [*found, *(file_json(file) for file in files), *files_json(lying)]

    def _known(self, name: str) -> _Known:
        stories, files = self.review.stories(name), self.traces.unpaired(name)
        stray = None if stories else self.traces.stray(name, SystemClock().now())
        lying = self._lying(name, stories)
        unseen = () if stories or stray else self.traces.refused([name])
        if not (stories or stray or files or lying or unseen):
            hint = N_("this node refuses senders, see `scripts/queue refused`") if self.traces.refuses() else ""
            raise InvalidData(N_("no delivery, exam, study or file of that name is known"), hint=hint)
        return _Known(stories=stories, stray=stray, files=files, lying=lying, unseen=unseen)

    def _lying(self, name: str, stories: Sequence[Story]) -> list[FolderFile]:
        """Files of the drop folder under that name, except those listed with their exam."""
        listed = {one.id for story in stories for one in self._background(story).lying}
        return [one for one in self.traces.lying(name) if one.id not in listed]

    def _background(self, story: Story) -> Background:
        return self.traces.background(story.case.exam, list(story.case.links))


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
        "answer": {
            "what": str(answer.what),
            "since": answer.since.isoformat() if answer.since else None,
            "who": answer.who,
            "command": answer.command,
        },
    }


def _tell(
    story: Story, background: Background, review: Review, rules: Rulebook, node: Node, remarks: Sequence[str]
) -> None:
    zone = node.timezone
    case, out = story.case, console()
    out.print(
        f"[bold]Exam {escape(case.exam_id)}[/bold] (branch {escape(case.branch)}, number {case.exam} of this node)"
    )
    for line in story.lines:
        _tell_delivery(line, zone)
    for unread in review.unread(case.exam):
        since = tongue().say(", since {since}", since=local(unread.since, zone))
        out.print(f"  {say(_unread(unread))}{since}", markup=False)
    if case.chosen.evidence:
        out.print(f"  {case.chosen.evidence}", markup=False)
    waits = any(Needs.IMAGES in line.delivery.waiting_for for line in story.lines)
    tell_background(background, waits_for_images=waits, zone=zone)
    rows = [
        (uid, say(how), str(case.studies[uid].instances) if uid in case.studies else say("none here yet"))
        for uid, how in case.links.items()
    ]
    show("Studies", ("StudyInstanceUID", "Joined by", "Instances"), rows)
    for remark in remarks:
        out.print(f"  {remark}; see `queue compare`", markup=False)
    for uid, study in case.studies.items():
        if fields := unreadable(study.identities):
            out.print(f"  study {uid}: no certain reading of {', '.join(fields)}, so it agrees with nothing")
            out.print("      the bytes are not of the declared character set; have the modality's setting corrected")
    for uid in case.studies:
        found = review.series(uid, rules)
        series = [(one.series_uid, say(one.series_class), str(one.count), one.rule, one.used) for one in found]
        show(f"Series of {uid}", ("SeriesInstanceUID", "Class", "Instances", "Rule", "Facts"), series)
    _tell_versions(case, review, zone)
    for line in story.lines:
        if line.delivery.channel == Channel.IMAGES:
            _tell_ledger(line.delivery, review)
            _tell_requests(line.delivery, review, zone)
    tell_uploads(story.uploads, node.data, zone)
    events = [(local(e.at, zone), say(e.kind), str(e.delivery or ""), say(e.text), e.who) for e in story.events]
    show("Events", ("When", "What", "Delivery", "", "Who"), events)


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


def _tell_versions(case: ExamSnapshot, review: Review, zone: ZoneInfo) -> None:
    rows = [
        (one.sop_uid, one.series_uid, str(one.version) if one.newest else say(f"{one.version} (kept)"),
         local(one.received, zone), _difference(one))
        for one in review.versions(case)
    ]  # fmt: skip
    if rows:
        columns = ("SOPInstanceUID", "SeriesInstanceUID", "Version", "Came", "")
        show("Instances that came in several versions", columns, rows)


def _difference(one: Several) -> str:
    if one.differs:
        return say(f"differs in {', '.join(one.differs)}")
    return "" if one.version == 1 else say("header or encoding")


def _tell_ledger(one: Delivery, review: Review) -> None:
    entries = review.ledger(one)
    counts = Counter((e.uids.series, e.series_class, e.class_rule, e.fate, e.rule, e.status) for e in entries)
    rows = [
        (series, say(kind), class_rule, say(fate), say(rule), "-" if status is None else f"{status:04X}", str(n))
        for (series, kind, class_rule, fate, rule, status), n in counts.items()
    ]
    columns = ("SeriesInstanceUID", "Class", "by rule", "Fate", "because", "Status", "Instances")
    show(f"Ledger of {one.destination}", columns, rows)


def _tell_requests(one: Delivery, review: Review, zone: ZoneInfo) -> None:
    rows = [(r.transaction, local(r.asked, zone), str(r.instances)) for r in review.requests(one)]
    if rows:
        columns = ("Transaction UID", "Asked", "Instances")
        show(f"Storage commitment asked of {one.destination}, no report yet", columns, rows)


def _json(
    story: Story, review: Review, rules: Rulebook, node: Node, explained: Sequence[Explained]
) -> dict[str, Any]:  # fmt: skip
    case = story.case
    return {
        "exam_id": case.exam_id,
        "branch": case.branch,
        "number": case.exam,
        "report_pdf": {
            "document": case.chosen.pdf,
            "in_question": case.chosen.candidate,
            "evidence": case.chosen.evidence,
        },
        "deliveries": [_delivery_json(one.line, review) | named_json(one) for one in explained],
        "studies": [
            {
                "study": uid,
                "joined_by": how,
                "instances": case.studies[uid].instances if uid in case.studies else 0,
                "unreadable": unreadable(case.studies[uid].identities) if uid in case.studies else [],
            }
            for uid, how in case.links.items()
        ],
        "series": [
            {
                "study": uid,
                "series": one.series_uid,
                "class": one.series_class,
                "rule": one.rule,
                "facts": one.used,
                "instances": one.count,
            }
            for uid in case.studies
            for one in review.series(uid, rules)
        ],
        "versions": [
            {
                "study": one.study_uid,
                "series": one.series_uid,
                "instance": one.sop_uid,
                "version": one.version,
                "newest": one.newest,
                "came": one.received.isoformat(),
                "differs": list(one.differs),
            }
            for one in review.versions(case)
        ],
        "unread_approval": [
            {"part": one.approval.part, "word": one.approval.word, "source": one.source, "since": one.since.isoformat()}
            for one in review.unread(case.exam)
        ],
        "uploads": [upload_json(upload, node.data) for upload in story.uploads],
        "events": [
            {"at": e.at.isoformat(), "kind": e.kind, "delivery": e.delivery, "text": e.text, "who": e.who}
            for e in story.events
        ],
    }


def _delivery_json(line: Line, review: Review) -> dict[str, Any]:
    one = line.delivery
    ledger = review.ledger(one) if one.channel == Channel.IMAGES else []
    requests = review.requests(one) if one.channel == Channel.IMAGES else []
    return {
        "id": str(one.id),
        "destination": one.destination,
        "channel": one.channel,
        "state": one.state,
        "since": one.changed.isoformat(),
        "due": one.due.isoformat() if one.due else None,
        "waiting_for": list(one.waiting_for),
        "error": one.error or None,
        "next_try": one.next_try.isoformat() if one.next_try else None,
        "ledger": [
            {"series": e.uids.series, "instance": e.uids.sop, "version": e.version, "class": e.series_class,
             "class_rule": e.class_rule, "state": e.fate, "rule": e.rule, "status": e.status}
            for e in ledger
        ],
        "commitment_requests": [
            {"transaction": r.transaction, "asked": r.asked.isoformat(), "instances": r.instances} for r in requests
        ],
    }  # fmt: skip
