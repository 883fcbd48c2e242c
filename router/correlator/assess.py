"""What was found about an exam and what follows from it for a delivery: the correlator's values, and pure decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from router.catalogue.exams.exams import ExamSnapshot
from router.config.sections import EXCLUDE_FIELDS, Config, Exclude
from router.exam.key import ExamKey
from router.intake.report_pdfs import Weighed
from router.matching.exam.approval import UnreadApproval, unread_approval
from router.matching.exam.readiness import DAMAGED, PDF, Images, Readiness
from router.matching.exam.share import Aside, ExcludeRule, SharePolicy
from router.matching.exam.versions import JsonVersion, PdfVersion, Unread
from router.matching.patient.doubt import Doubt
from router.matching.report_pdf.naming import identifiers
from router.policy.deadlines import Deadline, deadline
from router.policy.states import HeldBy, State

_DAMAGE_REMEDY = "drop the same file again, or put it back from a backup and `queue release` the delivery"
_PDF_REMEDY = "drop this exam's PDF under its name, or `queue release` the delivery to send the PDF that is here"


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing of an exam may go, "" where nothing speaks against it; the studies that all of it is about, if so."""

    why: str = ""
    studies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was found about an exam, the same for every destination.

    `hold` is why nothing of it may go; `weighed` is which report PDF goes with the version that counts, if any. `apart`
    are the studies in doubt without which the report may go all the same ([identity] doubt = "images"). `closed`: a
    rule excludes the exam by what is certain, so that nothing of it is held for a doubt. `history`: it belongs to a
    backfill and is due at no time.
    """

    case: ExamSnapshot
    key: ExamKey
    document: Mapping[str, object]
    version: JsonVersion
    weighed: Weighed
    approved_at: datetime | None
    hold: str
    aside: Aside | None
    images: Images
    now: datetime
    apart: frozenset[str] = frozenset()
    closed: bool = False
    history: bool = False

    def due(self, within: timedelta, cause: datetime | None = None) -> Deadline | None:
        """When what has so much time is due; None before the approval, and of a backfill."""
        return None if self.approved_at is None or self.history else deadline(self.approved_at, within, cause)

    @property
    def unread_approval(self) -> UnreadApproval | None:
        """The part of the approval that cannot be read, where that is why it does not go."""
        away = self.approved_at is not None or self.aside is not None or self.closed
        return None if away else unread_approval(self.key)

    @property
    def pdf(self) -> PdfVersion | None:
        """The PDF that goes with the version that counts."""
        return self.weighed.choice.pdf

    @property
    def doubted(self) -> PdfVersion | None:
        """The PDF that is here where it may be another exam's, or another version's."""
        return self.weighed.choice.in_question if self.weighed.choice.doubt else None

    @property
    def pdf_doubt(self) -> str:
        """Why the report may not go; "" when nothing speaks against it."""
        return f"{PDF}: {self.weighed.choice.doubt}; {_PDF_REMEDY}" if self.doubted else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a delivery should be: shown needs, due time, and what is to be delivered (`wanted`, "" while unknown).

    `hold` is why it may not go.
    """

    readiness: Readiness
    deadline: Deadline | None
    wanted: str
    news: bool
    hold: str
    error: str = ""


def images_of(case: ExamSnapshot, behind: datetime | None) -> Images:
    """The state of the exam's images. What the cataloguer is `behind` with was asked for before the case was read."""
    here = case.studies.values()
    last = max((study.last_received for study in here), default=None)
    return Images(len(set(case.links) - set(case.studies)), len(case.studies), last, behind)


def held_for(unsettled: Sequence[Doubt]) -> Hold:
    """The hold that identity doubts are."""
    why = f"{HeldBy.IDENTITY}: " + "; ".join(dict.fromkeys(doubt.text for doubt in unsettled))
    studies = frozenset(doubt.study_uid for doubt in unsettled)
    return Hold(why, studies if "" not in studies else frozenset())


def set_apart(hold: Hold, case: ExamSnapshot, key: ExamKey, pdf: PdfVersion | None) -> frozenset[str]:
    """The studies in doubt without which the report is certain; none where the doubt is not about studies alone.

    The PDF must name the JSON's patient, and no other exam have one of the studies.
    """
    shared = {sibling.study_uid for sibling in case.siblings}
    if pdf is None or pdf.doubt or shared & hold.studies:
        return frozenset()
    return hold.studies if pdf.named & identifiers("", "", key.patient.name) else frozenset()


def _waits_for_new_pdf(found: Assessment) -> bool:
    """Whether the report was changed and only the PDF of an earlier version is here, or its own is purged."""
    absent = found.pdf is None or not found.pdf.here
    read = all(pdf.unread != Unread.ONCE for pdf in found.case.pdfs)  # else it is read again in a minute
    return found.approved_at is not None and absent and bool(found.case.pdfs) and read and not found.pdf_doubt


def damage_of(found: Assessment, pdf: PdfVersion | None) -> str:
    """Why a report is held whose stored documents are not what came; "" when nothing is known against them."""
    documents = [found.version.document, *([pdf.document] if pdf else [])]
    said = [found.case.proofs[one].damaged for one in documents if one in found.case.proofs]
    return next((damaged_hold(why) for why in said if why), "")


def damaged_hold(why: str) -> str:
    """The reason to hold, in words."""
    return f"{DAMAGED}: {why}; {_DAMAGE_REMEDY}"


def overdue_pdf(found: Assessment, due: Deadline | None) -> str:
    """Why a report is held that was changed and has no new PDF by half of its time; "" while it is not."""
    if due is None or found.now < due.half or not _waits_for_new_pdf(found):
        return ""
    return f"{PDF}: the report was changed and half of the time for it is over without a new PDF; {_PDF_REMEDY}"


def until_half(readiness: Readiness, found: Assessment, due: Deadline | None) -> Readiness:
    """Look again when a new PDF is overdue."""
    if due is None or not _waits_for_new_pdf(found) or found.now >= due.half:
        return readiness
    return replace(readiness, look_again=min(readiness.look_again or due.half, due.half))


def reason(to: State, plan: Plan, found: Assessment) -> str:
    """Why a delivery moves there, in words."""
    if to == State.HELD:
        return plan.hold
    if found.aside is not None and to == found.aside.state:
        return found.aside.why
    if to == State.READY:
        return "everything is there" + ("; the studies in doubt are not named" if without(plan.wanted) else "")
    if plan.news:
        return "there is something new to deliver"
    return "waits for " + (", ".join(plan.readiness.needs) or "evaluation")


def without(wanted: str) -> frozenset[str]:
    """The studies that a report goes without, by what is wanted of its delivery."""
    named = dict(part.split("=", 1) for part in wanted.split()).get("without", "")
    return frozenset(named.split(",")) - {""}


def share_policy(config: Config) -> SharePolicy:
    """The [share] section."""
    share = config.share
    rules = tuple(map(_exclude_rule, share.exclude))
    start = share.from_
    if start is not None and start.tzinfo is None:
        start = start.replace(tzinfo=config.node.timezone)
    return SharePolicy(frozenset(share.modalities), start, rules)


def _exclude_rule(rule: Exclude) -> ExcludeRule:
    named = rule.model_extra or {}
    header = {name: expression for name, expression in named.items() if name in EXCLUDE_FIELDS}
    return ExcludeRule(rule.name, header, {name: e for name, e in named.items() if name not in header})
