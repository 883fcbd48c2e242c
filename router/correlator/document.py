"""The exam JSON as one destination gets it: filled from the node's knowledge, with its remaining faults."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.studies import StudyHere
from router.config.sections import Config, Destination, HospitalConfig
from router.exam.codes import Tables
from router.exam.faults import Fault, Findings, name_of
from router.exam.fill import Filled, Sources, fill
from router.exam.key import REPORTED
from router.exam.offers import StudyFacts
from router.exam.validate import validate
from router.exam.values import is_empty, uids

# An exam that is not approved yet lacks these by nature; it waits for its approval, not for its JSON.
_OF_APPROVAL = ("Order.Status", "Report.")
_APPROVE_TIME = "Report.ApproveTime"


def fill_for(
    config: HospitalConfig, tables: Tables, case: ExamSnapshot, document: Mapping[str, object], image_count: int | None
) -> Filled:
    """Fill the gaps of the RIS's document; `image_count`: None without images.

    Studies that are kept apart, or are of other hospitals, are not named.
    """
    study = document.get("Study")
    if (away := case.apart | case.foreign) and isinstance(study, Mapping):
        kept = [uid for uid in uids(study.get("StudyInstanceUIDs")) if uid not in away]
        document = {**document, "Study": {**study, "StudyInstanceUIDs": kept}}
    branch = case.branch
    if branch == config.own.HospitalBranchCode:  # the default one: perhaps its images came from another branch
        calling = {one.sending_ae for one in case.studies.values()}
        branch = next((one.code for one in config.own.branch if calling & set(one.senders)), branch)
    studies = tuple(_facts(one) for one in case.studies.values())
    return fill(document, sources_of(config, tables, branch, studies, image_count))


def keep_apart(case: ExamSnapshot, study_uids: frozenset[str]) -> ExamSnapshot:
    """The exam as if a person kept these studies apart from it, too."""
    studies = {uid: study for uid, study in case.studies.items() if uid not in study_uids}
    return replace(case, apart=case.apart | study_uids, studies=studies)


def listed(filled: Filled) -> str:
    """A short digest of the studies that a filled document names."""
    study = filled.document.get("Study")
    named = uids(study.get("StudyInstanceUIDs")) if isinstance(study, Mapping) else []
    return hashlib.sha256(" ".join(sorted(map(str, named))).encode()).hexdigest()[:8]


def sources_of(
    config: HospitalConfig,
    tables: Tables,
    branch: str,
    studies: tuple[StudyFacts, ...] = (),
    image_count: int | None = None,
) -> Sources:
    """The sources by which gaps are filled, by this configuration."""
    senders = config.senders
    passing = {sender.ae_title for sender in senders if not sender.modality}
    return Sources(
        hospital=config.own, branch=branch, studies=studies, image_count=image_count, zone=config.node.timezone,
        tables=tables, devices=config.device, departments=config.department,
        modality_aes=frozenset({sender.ae_title for sender in senders} - passing),
    )  # fmt: skip


def json_faults(
    destination: Destination, config: Config, tables: Tables, filled: Filled, approved_at: datetime | None,
    now: datetime,
) -> list[str]:  # fmt: skip
    """Faults that keep the filled document from being sent, as `path (name): message`, values masked."""
    findings = _findings(config, tables, filled, now=now, accept_empty=frozenset(destination.accept_empty))
    later = () if approved_at is not None else _OF_APPROVAL
    order, report = filled.document.get("Order"), filled.document.get("Report")
    reported = isinstance(order, Mapping) and order.get("Status") == REPORTED
    # An approval time that the RIS gives and that does not read is a fault at once.
    unread = reported and isinstance(report, Mapping) and not is_empty(report.get("ApproveTime"))
    errors = (f for f in findings.errors if not f.path.startswith(later) or (unread and f.path == _APPROVE_TIME))
    return [in_words(fault) for fault in errors]


def json_warnings(config: Config, tables: Tables, filled: Filled) -> list[str]:
    """Oddities of the filled document and changes made to it, as `path (name)`, without values."""
    faults = (*filled.notes, *_findings(config, tables, filled).warnings)
    return list(dict.fromkeys(f"{f.path} ({f.name})" if f.name else f.path for f in faults))


def _findings(
    config: Config, tables: Tables, filled: Filled, *, now: datetime | None = None,
    accept_empty: frozenset[str] = frozenset(),
) -> Findings:  # fmt: skip
    tolerance, zone = config.reports.clock_tolerance, config.node.timezone
    return validate(
        filled.document, tables=tables, accept_empty=accept_empty, now=now, tolerance=tolerance, zone=zone
    )  # fmt: skip


def in_words(fault: Fault) -> str:
    """A fault in one line."""
    return f"{fault.path} ({fault.name}): {fault.message}" if fault.name else f"{fault.path}: {fault.message}"


def platform_faults(faults: Iterable[tuple[str, str]]) -> str:
    """The faults that a platform names in a 422, in the same words as our own."""
    return "; ".join(
        in_words(Fault(path=path, name=name_of(path), expected=message)) if path else message
        for path, message in faults
    )


def _facts(study: StudyHere) -> StudyFacts:
    return StudyFacts(
        uid=study.uid, accession_number=study.accession_number, description=study.description,
        study_date=study.study_date + study.study_time[:6].ljust(6, "0") if study.study_time else study.study_date,
        modality="\\".join(study.modalities), manufacturer=study.manufacturer, model=study.model,
        station_name=study.station_name, serial_number=study.serial_number, sending_ae=study.sending_ae,
    )  # fmt: skip
