"""Plans of deliveries: pure decisions on the content, the readiness and the due time of one delivery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from router.catalogue.images.ledger import Tally
from router.catalogue.queue.queue import Delivery
from router.catalogue.queue.uploads import Frozen
from router.config.sections import Destination, HospitalConfig
from router.correlator.assess import Assessment, without
from router.correlator.document import fill_for, json_faults, keep_apart, listed
from router.exam.codes import Tables
from router.exam.labels import is_critical
from router.exam.write import dump
from router.matching.exam.readiness import Readiness, images_readiness, looking_again, report_readiness
from router.matching.exam.recount import Ending, corrected, count_alone
from router.matching.images.renewal import cut_off, late
from router.matching.images.requests import Companion, goes_without, held_for, looks_for
from router.policy.deadlines import Deadline
from router.policy.states import HeldBy, State
from router.policy.withdrawal import Withdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesFacts:
    """Facts of an images delivery beside its row: it waits for `others`; commitment is asked for at `ask_at`, if so."""

    destination: Destination
    tally: Tally
    others: Sequence[Companion] = ()
    ask_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """Facts of a report delivery beside its row.

    `apart` are the studies that the report does not name, `tally` counts those of the others. `images` is the images
    delivery of the same destination and `uploads` are the report's, as far as its state asks for them; `refused` is the
    exam JSON that the platform refused last. `tables` are the code tables that gaps are filled by. `withdrawal` is the
    one to carry out, unless it is `stopped`; `withdrawn` is the last that was.
    """

    destination: Destination
    tally: Tally
    tables: Tables
    apart: frozenset[str] = frozenset()
    images: Delivery | None = None
    uploads: Sequence[Frozen] = ()
    refused: bytes | None = None
    withdrawal: Withdrawal | None = None
    stopped: bool = False
    withdrawn: Withdrawal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A delivery as it should be: its needs, its due time, and the sources of what is to be delivered (`wanted`).

    `news`: there is something that the destination does not have. `hold` is why it may not go, `error` why it waits.
    `critical`: the report says a critical value.
    """

    readiness: Readiness
    deadline: Deadline | None
    wanted: str
    news: bool
    hold: str
    error: str = ""
    critical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """A report as it would go now: its filled JSON, what is wrong with it, and what names its sources."""

    document: Mapping[str, object]
    faults: Sequence[str]
    sources: str
    wanted: str


def plan(found: Assessment, delivery: Delivery, facts: ImagesFacts | ReportFacts, config: HospitalConfig) -> Plan:
    """Plan a delivery by the assessment of its exam."""
    if isinstance(facts, ImagesFacts):
        made = _plan_images(found, delivery, facts, config)
    else:
        made = _plan_report(found, delivery, facts, config)
    made = replace(made, critical=is_critical(found.document))
    if (unread := found.unread_approval) is not None:
        made = replace(made, error="; ".join(filter(None, (f"{HeldBy.APPROVAL}: {unread.says}", made.error))))
    return replace(made, hold="") if found.closed else made


def _plan_images(found: Assessment, delivery: Delivery, facts: ImagesFacts, config: HospitalConfig) -> Plan:
    tally, others, now = facts.tally, facts.others, found.now
    due = found.due(facts.destination.images_within, found.images.last_received if delivery.delivered else None)
    something = tally.selected > 0 or not tally.withheld  # an exam does not end with nothing of its studies sent
    alone = something and (not others or goes_without(config.share.shared_study_then, due, now))
    readiness = images_readiness(
        approved=found.approved_at is not None, others=alone,
        unsent=tally.unsent, images=found.images, ask_at=facts.ask_at,
        stable_after=config.study.stable_after, now=now,
    )  # fmt: skip
    for at in looks_for(others, due):
        readiness = looking_again(readiness, at, now)
    rest = tally.unsent + tally.stored
    # What is whole goes first, so that it does not wait for a person.
    done = readiness.ready and not rest and found.aside is None
    broken = cut_off(tally.cut, tally.selected + tally.cut, tally.refused) if done else ""
    waits = held_for(others, due, now) if tally.unsent and config.share.shared_study_then == "hold" else ""
    return Plan(
        readiness=readiness, deadline=due, wanted=f"instances={tally.selected}",
        news=rest + tally.late + tally.cut > 0, hold=found.hold or late(tally.late) or broken or waits,
    )  # fmt: skip


def _plan_withdrawal(found: Assessment, delivery: Delivery, facts: ReportFacts, one: Withdrawal) -> Plan:
    """The withdrawal goes at its time; until then the delivery is as it was, and held where it was not at its end."""
    at, within = one.due_from(facts.destination.withdraws_after), facts.destination.report_within
    ready = at is not None and at <= found.now and not facts.stopped
    due = delivery.due if at is None else at + within
    legal = delivery.legal_due or due
    return Plan(
        readiness=looking_again(Readiness((), ready), at, found.now),
        deadline=None if due is None or legal is None else Deadline(legal, due, within), wanted=one.wanted, news=ready,
        hold="" if ready else found.hold,
    )  # fmt: skip


def _plan_report(found: Assessment, delivery: Delivery, facts: ReportFacts, config: HospitalConfig) -> Plan:
    if facts.withdrawal is not None:
        return _plan_withdrawal(found, delivery, facts, facts.withdrawal)
    pdf = found.pdf or found.doubted  # a doubt about what was delivered is nothing new to deliver
    causes = [found.version.arrived, pdf.arrived if pdf else None, found.images.last_received]
    cause = max(c for c in causes if c is not None) if delivery.delivered else None
    due = found.due(facts.destination.report_within, cause)
    content = _content(found, facts, config)
    readiness = _report_readiness(found, due, config, json_ok=not content.faults)
    # Late images change what is listed once they are quiet: one revision, not one for each of them.
    quiet = not found.images.needs(config.study.stable_after, found.now)
    if delivery.state == State.DELIVERED and count_alone(content.wanted, delivery.delivered):
        ending = _ending(found, facts)
        sent = ((upload.wanted, upload.frozen) for upload in facts.uploads)
        over = config.share.count_revisions and ending.over(found.now, quiet=quiet)
        news = over and not corrected(sent, ending.cause)  # it goes again for its ImageCount alone
        readiness = looking_again(readiness, ending.due, found.now)
    else:
        settled = quiet or not delivery.delivered.startswith(content.sources)
        later = delivery.state != State.WITHDRAWN or _is_later(found, facts.withdrawn)
        news = settled and later and _differs(delivery, content, facts)
    hold = ("" if facts.apart else found.hold) or found.pdf_doubt or found.damage_of(pdf) or found.overdue_pdf(due)
    return Plan(
        readiness=readiness, deadline=due, wanted=content.wanted, news=news and found.approved_at is not None,
        hold=hold, error="exam JSON: " + "; ".join(content.faults) if content.faults else "",
    )  # fmt: skip


def _report_readiness(found: Assessment, due: Deadline | None, config: HospitalConfig, *, json_ok: bool) -> Readiness:
    half = due.half if due else None
    readiness = report_readiness(
        approved=found.approved_at is not None, json_ok=json_ok, pdf=found.pdf is not None and found.pdf.here,
        images=found.images, stable_after=config.study.stable_after, half=half, now=found.now,
    )  # fmt: skip
    return looking_again(readiness, half, found.now) if found.waits_for_new_pdf else readiness


def _content(found: Assessment, facts: ReportFacts, config: HospitalConfig) -> _Content:
    tally, pdf = facts.tally, found.pdf or found.doubted
    goes = tally.selected - tally.refused - tally.damaged
    count = goes if found.images.present and facts.destination.dicom is not None else None
    filled = fill_for(config, facts.tables, keep_apart(found.case, facts.apart), found.document, count)
    # An approval that had come when its JSON did has come, though the clock was put back since.
    come = max(found.now, found.version.arrived)
    faults = json_faults(facts.destination, config, facts.tables, filled, found.approved_at, come)
    sources = f"json={found.version.document} pdf={pdf.document if pdf else '-'} images="
    wanted = f"{sources}{'-' if count is None else count} studies={listed(filled)}"
    wanted += f" without={','.join(sorted(facts.apart))}" if facts.apart else ""
    return _Content(document=filled.document, faults=faults, sources=sources, wanted=wanted)


def _differs(delivery: Delivery, content: _Content, facts: ReportFacts) -> bool:
    """Whether the report differs from what was delivered or is wanted, or by other tables from what was refused."""
    last = delivery.delivered if delivery.state == State.DELIVERED else delivery.wanted
    return content.wanted != last or (facts.refused is not None and facts.refused != dump(content.document))


def _is_later(found: Assessment, withdrawn: Withdrawal | None) -> bool:
    """Whether the version that counts came after the withdrawal's word."""
    return withdrawn is None or found.version.document != withdrawn.document


def _ending(found: Assessment, facts: ReportFacts) -> Ending:
    """How the delivery of the images that the report counts stands."""
    images = facts.images
    causes = [found.images.last_received, images.delivered_at if images else None]
    return Ending(
        state=images.state if images else State.DELIVERED, open=facts.tally.unsent + facts.tally.stored > 0,
        due=images.due if images else None, cause=max((each for each in causes if each is not None), default=None),
    )  # fmt: skip


def apart_of(found: Assessment, delivery: Delivery, destination: Destination) -> frozenset[str]:
    """The studies in doubt without which the report may go: it names another, or need not, and none was given.

    What was delivered with them stays until a person has decided.
    """
    named = {*found.key.study_uids, *found.case.studies} - found.case.apart - found.case.foreign - found.apart
    given = bool(delivery.delivered) and not found.apart <= without(delivery.delivered)
    may = not given and (bool(named) or "Study.StudyInstanceUIDs" in destination.accept_empty)
    return found.apart if may else frozenset()
