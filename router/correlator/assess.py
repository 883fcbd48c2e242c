"""The assessment of an exam: a pure judgement of all that is known of it, the same for every destination."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.queue.queue import Delivery
from router.config.hospitals import registered
from router.config.sections import HospitalConfig, Reports
from router.correlator.document import keep_apart
from router.correlator.joining import headers_of
from router.exam.key import ExamKey
from router.intake.report_pdfs import Weighed
from router.matching.exam.approval import UnreadApproval, unread_approval
from router.matching.exam.institution import another_hospital
from router.matching.exam.readiness import DAMAGED, PDF, VERSIONS, Images
from router.matching.exam.share import Aside, SharePolicy, aside, share_policy
from router.matching.exam.versions import (
    Approval,
    JsonVersion,
    PdfVersion,
    Unread,
    contradicted,
    of_patient,
    successive,
    unapproved,
    withdrawn,
)
from router.matching.patient.doubt import Doubt
from router.matching.patient.identity import IdentityPolicy, same_patient
from router.matching.report_pdf.naming import identifiers
from router.model import Channel
from router.policy.backfill import Backfill, covered, standing
from router.policy.deadlines import Deadline, approval_instant, deadline
from router.policy.states import HeldBy, State
from router.policy.withdrawal import number_in

_GOES_NOT = "nothing of the exam goes any more: of its last version, "
WITHDRAWN = f"{HeldBy.APPROVAL}: {_GOES_NOT}"
_BY_PERSON = "a person has withdrawn it: "
_DAMAGE_REMEDY = "drop the same file again, or put it back from a backup and `queue release` the delivery"
_PDF_REMEDY = "drop this exam's PDF under its name, or `queue release` the delivery to send the PDF that is here"
_PURGED = "approved before [share] from, and its images were removed by [retention]"
_CONTRADICTED = (
    "the version that came last is the older one by one of its times and the later one by another: a clock is wrong;"
    " drop the exam's JSON with its right times, or `queue release` the delivery to have the last version count"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamFacts:
    """All that is known of an exam at an instant.

    `key` and `document` are of the JSON that counts, `others` the keys of all other JSONs, stale ones too: an ExamId
    that came with another patient is a doubt in any order. `said` are the texts that exclude rules ask for, `unsettled`
    the identity doubts that hold and that nobody has settled. `backfills` are known of an exam that was approved before
    sharing began, and `purged`: images of it were removed. `behind` is when the oldest instance came that is not
    catalogued yet; it was asked for before the case was read.
    A person has `withdrawn` this version for that reason, "" where nobody has.
    """

    case: ExamSnapshot
    taken: Sequence[JsonVersion]
    document: Mapping[str, object]
    key: ExamKey
    others: Sequence[ExamKey]
    policy: IdentityPolicy
    said: Mapping[str, tuple[str, ...]]
    unsettled: Sequence[Doubt]
    weighed: Weighed
    now: datetime
    backfills: Sequence[Backfill] = ()
    purged: bool = False
    behind: datetime | None = None
    withdrawn: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing of an exam may go, "" where nothing speaks against it; the studies that all of it is about, if so."""

    why: str = ""
    studies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Findings about an exam, the same for every destination.

    `versions` are those that counted, the last one counts. `hold` is why nothing of the exam may go; `weighed` is which
    report PDF goes with the version that counts, if any. `apart` are the studies in doubt without which the report may
    go all the same ([identity] doubt = "images"). `closed`: a rule excludes the exam by what is certain, so that
    nothing of it is held for a doubt. `history`: it belongs to a backfill and is due at no time.
    """

    case: ExamSnapshot
    key: ExamKey
    document: Mapping[str, object]
    versions: Sequence[JsonVersion]
    weighed: Weighed
    approved_at: datetime | None
    hold: str
    aside: Aside | None
    images: Images
    now: datetime
    apart: frozenset[str] = field(default=frozenset())
    closed: bool = False
    history: bool = False

    def due(self, within: timedelta, cause: datetime | None = None) -> Deadline | None:
        """The due time of a delivery that has so much time; None before the approval, and of a backfill."""
        return None if self.approved_at is None or self.history else deadline(self.approved_at, within, cause)

    @property
    def version(self) -> JsonVersion:
        """The version that counts."""
        return self.versions[-1]

    @property
    def taken_back(self) -> bool:
        """Whether the exam is withdrawn by an explicit word: of the RIS, or of a person."""
        said = self.hold.removeprefix(WITHDRAWN)
        return said != self.hold and (said == Approval.WITHDRAWN or said.startswith(_BY_PERSON))

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

    @property
    def waits_for_new_pdf(self) -> bool:
        """Whether the report was changed and only the PDF of an earlier version is here, or its own is purged."""
        absent = self.pdf is None or not self.pdf.here
        read = all(pdf.unread != Unread.ONCE for pdf in self.case.pdfs)  # else it is read again in a minute
        return self.approved_at is not None and absent and bool(self.case.pdfs) and read and not self.pdf_doubt

    def damage_of(self, pdf: PdfVersion | None) -> str:
        """Why a report of these documents is held that are not what came; "" when nothing is known against them."""
        documents = [self.version.document, *([pdf.document] if pdf else [])]
        said = [self.case.proofs[one].damaged for one in documents if one in self.case.proofs]
        return next((damaged_hold(why) for why in said if why), "")

    def overdue_pdf(self, due: Deadline | None) -> str:
        """Why a report is held that was changed and has no new PDF by half of its time; "" while it is not."""
        if due is None or self.now < due.half or not self.waits_for_new_pdf:
            return ""
        return f"{PDF}: the report was changed and half of the time for it is over without a new PDF; {_PDF_REMEDY}"


def assess(facts: ExamFacts, config: HospitalConfig) -> Assessment:
    """Judge an exam of that hospital: whether it is approved, shared, held, and by which report PDF it goes."""
    case, versions, share = facts.case, successive(facts.taken), share_policy(config)
    approved_at = approval_of(versions[-1], config.reports, facts.now)
    hold = _hold(facts, versions, approved_at, config)
    # A hold for another cause than a study's identity, or one of all that the JSON says, comes before exclusion.
    certain = _aside(keep_apart(case, hold.studies), share, None, facts.said) if hold.studies or not hold.why else None
    return Assessment(
        case=case, key=facts.key, document=facts.document, versions=versions, weighed=facts.weighed,
        approved_at=approved_at, hold=hold.why,
        aside=_unless_backfilled(facts, _aside(case, share, approved_at, facts.said), approved_at),
        images=images_of(case, facts.behind), now=facts.now,
        apart=_apart(hold, facts) if config.identity.doubt == "images" else frozenset(),
        closed=certain is not None and certain.state == State.EXCLUDED,
        history=approved_at is not None and covered(facts.backfills, approved_at, case.hospital),
    )  # fmt: skip


def objection(found: Assessment, delivery: Delivery) -> str:
    """Why nothing of the delivery may go; "" when nothing of the exam speaks against it."""
    if number_in(delivery.wanted) is not None:
        return "" if found.taken_back else "approved again: nothing is withdrawn"
    of_report = delivery.channel == Channel.REPORT
    goes_without = of_report and bool(found.apart) and without(delivery.wanted) == found.apart
    if found.hold and not goes_without:
        return found.hold
    if found.approved_at is None:
        return "approval: the exam is not approved any more"
    if found.aside is not None:
        return found.aside.why
    if of_report and (found.pdf is None or f" pdf={found.pdf.document} " not in delivery.wanted):
        return "another report PDF belongs to it now, or none"
    return ""


def taken_of(case: ExamSnapshot, reports: Reports) -> list[JsonVersion]:
    """All versions; all approved where the RIS exports nothing else, but HL7, which says it itself."""
    if not reports.approved_only:
        return list(case.jsons)
    hl7 = {document for document, place in case.places.items() if place.endswith(".hl7")}
    return [version if version.document in hl7 else replace(version, approved=True) for version in case.jsons]


def approval_of(version: JsonVersion, reports: Reports, now: datetime) -> datetime | None:
    """The instant from which the version's approval counts; None without one, and while it lies in the future."""
    if not version.approved:
        return None
    if version.approve_time is None:
        return version.arrived
    return approval_instant(version.approve_time, version.arrived, reports.clock_tolerance, now)


def pdfs_of(
    case: ExamSnapshot, key: ExamKey, others: Sequence[ExamKey], policy: IdentityPolicy
) -> Sequence[PdfVersion]:  # fmt: skip
    """The exam's PDFs; where its JSONs name several patients, in doubt unless they name the right one."""
    if all(same_patient(other.patient, key.patient, policy) for other in others):
        return case.pdfs
    return of_patient(case.pdfs, identifiers("", key.accession_number, key.patient.name))


def _hold(
    facts: ExamFacts, versions: Sequence[JsonVersion], approved_at: datetime | None, config: HospitalConfig
) -> Hold:  # fmt: skip
    if foreign := another_hospital(facts.key, registered(config)):
        return Hold(foreign.text)
    if facts.unsettled:
        why = "; ".join(dict.fromkeys(doubt.text for doubt in facts.unsettled))
        studies = frozenset(doubt.study_uid for doubt in facts.unsettled)
        return Hold(f"{HeldBy.IDENTITY}: {why}", studies if "" not in studies else frozenset())
    if facts.withdrawn or withdrawn(versions):
        said = f"{_BY_PERSON}{facts.withdrawn}" if facts.withdrawn else unapproved(facts.key.status)
        return Hold(f"{WITHDRAWN}{said}")
    if facts.policy.checks > 1 and contradicted(facts.taken) is not None:
        return Hold(f"{VERSIONS}: {_CONTRADICTED}")
    if versions[-1].approved and approved_at is None:
        return Hold(f"{HeldBy.APPROVAL}: ApproveTime (审核时间) lies in the future; check the clock of the RIS")
    return Hold()


def _apart(hold: Hold, facts: ExamFacts) -> frozenset[str]:
    """The studies in doubt without which the report is certain; none where the doubt is not about studies alone.

    The PDF must name the JSON's patient, and no other exam have one of the studies.
    """
    shared, pdf = {sibling.study_uid for sibling in facts.case.siblings}, facts.weighed.choice.pdf
    if pdf is None or pdf.doubt or shared & hold.studies:
        return frozenset()
    return hold.studies if pdf.named & identifiers("", "", facts.key.patient.name) else frozenset()


def _aside(
    case: ExamSnapshot, policy: SharePolicy, approved_at: datetime | None, said: Mapping[str, Sequence[str]]
) -> Aside | None:  # fmt: skip
    modalities = frozenset(modality for study in case.studies.values() for modality in study.modalities)
    return aside(policy, headers_of(case.studies), modalities, approved_at, said)


def _unless_backfilled(facts: ExamFacts, away: Aside | None, approved_at: datetime | None) -> Aside | None:
    """Why the exam is not shared; one approved before the start is, by a backfill, while its images are here."""
    current = standing(facts.backfills)
    if away is None or away.state != State.NOT_SHARED or approved_at is None or current is None:
        return away
    if not current.covers(approved_at, facts.case.hospital):
        return away
    return Aside(State.NOT_SHARED, _PURGED) if facts.purged else None


def images_of(case: ExamSnapshot, behind: datetime | None) -> Images:
    """The state of the exam's images; `behind` as in ExamFacts."""
    last = max((study.last_received for study in case.studies.values()), default=None)
    absent = len(set(case.links) - set(case.studies)) + len(case.foreign)  # its own are still to come
    return Images(absent, len(case.studies), last, behind)


def damaged_hold(why: str) -> str:
    """The reason to hold, in words."""
    return f"{DAMAGED}: {why}; {_DAMAGE_REMEDY}"


def without(wanted: str) -> frozenset[str]:
    """The studies that a report goes without, by what is wanted of its delivery."""
    named = dict(part.split("=", 1) for part in wanted.split()).get("without", "")
    return frozenset(named.split(",")) - {""}
