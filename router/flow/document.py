"""The exam JSON as one destination gets it: filled from what the node knows, and what is still wrong with it."""

from collections.abc import Mapping
from datetime import datetime

from router.catalogue.exams import Case, StudyHere
from router.config import Config, Destination
from router.exam.fill import Filled, Sources, StudyFacts, fill
from router.exam.validate import validate

# An exam that is not approved yet lacks these by nature; it waits for its approval, not for its JSON.
_OF_APPROVAL = ("Order.Status", "Report.")


def fill_for(config: Config, case: Case, document: Mapping[str, object], image_count: int | None) -> Filled:
    """Fill the gaps of the RIS's document; `image_count` is what was selected, None without images."""
    studies = tuple(_facts(study) for study in case.studies.values())
    return fill(document, Sources(config.hospital, case.branch, studies, image_count, config.node.timezone))


def json_faults(
    destination: Destination, config: Config, case: Case, document: Mapping[str, object],
    image_count: int | None, approved_at: datetime | None, now: datetime,
) -> list[str]:  # fmt: skip
    """What keeps the filled document from being sent, as `path (name): message`, without any value of it."""
    findings = validate(
        fill_for(config, case, document, image_count).document,
        accept_empty=frozenset(destination.accept_empty),
        now=now,
        tolerance=config.reports.clock_tolerance,
        zone=config.node.timezone,
    )
    return [
        f"{fault.path} ({fault.name}): {fault.message}"
        for fault in findings.errors
        if approved_at is not None or not fault.path.startswith(_OF_APPROVAL)
    ]


def _facts(study: StudyHere) -> StudyFacts:
    return StudyFacts(
        uid=study.uid,
        accession_number=study.accession_number,
        study_date=study.study_date + study.study_time[:6].ljust(6, "0") if study.study_time else study.study_date,
        description=study.description,
        modality="\\".join(study.modalities),
        manufacturer=study.manufacturer,
        model=study.model,
        station_name=study.station_name,
    )
