"""The PACS's own account of a day: which studies of the shared modalities it has, by C-FIND."""

from collections.abc import Callable
from datetime import date

from router.config.sections import Config
from router.dicom.scu.query import QueryClient
from router.dicom.ul.status import queried
from router.errors import TransientError
from router.review.outcomes import PacsStudy


def ask_pacs(config: Config, day: date, stop: Callable[[], bool]) -> list[PacsStudy]:
    """Its studies of the day, modality by modality; none without [query].

    TransientError where one of the questions is not answered to the end: half an answer would look like studies that
    are gone.
    """
    if config.query is None:
        return []
    client = QueryClient(config.query.peer(config.receive.ae_title))
    found: dict[str, PacsStudy] = {}
    for modality in sorted(config.share.modalities):
        answer = client.of_day(day, modality, stop)
        if answer.status:
            raise TransientError(f"the PACS answers C-FIND of {modality}: {queried(answer.status)}")
        for one in answer.studies:
            found.setdefault(one.study_uid, PacsStudy(one.study_uid, modality))
    return list(found.values())
