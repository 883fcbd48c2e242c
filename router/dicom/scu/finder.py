"""C-FIND at a destination over one association (PS3.4 C.4.1): the count of a study's instances, and their UIDs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import Dataset

from router.config.sections import DicomDestination
from router.dicom.dataset.dataset import Elements, read_elements
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.dataset.tags import ACCESSION_NUMBER, SOP_INSTANCE, STUDY
from router.dicom.dataset.uid import clean
from router.dicom.scu.query import FIND, FIND_SECONDS, INSTANCES, MOST_COUNTED, QueryClient, encoded, responses
from router.dicom.scu.requestor import Requestor, Waits
from router.dicom.ul import dimse
from router.dicom.ul.contexts import Context
from router.dicom.ul.dimse import Operation
from router.dicom.ul.status import DESTINATION, PENDING, queried, refuses_query
from router.errors import DestinationDown, InvalidData, NotOffered, Outage, TransientError

_MOST = 20_000  # answers to one question
_NOT_OFFERED = frozenset({Outage.SERVICE, Outage.ASSOCIATION, Outage.PROTOCOL})


@dataclass(frozen=True, slots=True)
class Counted:
    """A study as the destination has it; `instances` is None where it does not count them, or counts them twice."""

    instances: int | None


@dataclass(frozen=True, slots=True)
class Listed:
    """SOP instance UIDs that the destination names; `whole`: it says that these are all."""

    instances: frozenset[str]
    whole: bool


class Finder:
    """Asks one question after the other. Every method raises TransientError as `Requestor` does."""

    def __init__(self, association: Requestor, context: Context, seconds: float, stop: Callable[[], bool]) -> None:
        self._association = association
        self._context = context
        self._seconds = seconds
        self._stop = stop
        self._answered = False

    def study(self, uid: str) -> Counted | None:
        """The study, None where it is not there. NotOffered where the destination answers no such question."""
        counts = {_count(one) for one in self._whole(_study(uid)) if clean(one.text(STUDY)) == uid}
        return Counted(counts.pop() if len(counts) == 1 else None) if counts else None

    def of_accession(self, number: str) -> dict[str, int | None]:
        """The studies with this accession number, which holds no wildcard, and their counts of instances."""
        asked = _study("")
        asked.AccessionNumber = number
        if not number.isascii():
            asked.SpecificCharacterSet = "ISO_IR 192"
        found = self._whole(asked)
        return {clean(one.text(STUDY)): _count(one) for one in found if one.text(ACCESSION_NUMBER) == number}

    def instances(self, study: str, series: str, instance: str = "") -> Listed:
        """The instances of a series, or that one alone where it is named."""
        asked = Dataset()
        asked.QueryRetrieveLevel, asked.StudyInstanceUID, asked.SeriesInstanceUID = "IMAGE", study, series
        asked.SOPInstanceUID = instance
        status, found = self._ask(asked)
        mine = (one for one in found if clean(one.text(STUDY)) in ("", study))
        return Listed(frozenset(clean(one.text(SOP_INSTANCE)) for one in mine), status == dimse.SUCCESS)

    def _whole(self, asked: Dataset) -> list[Elements]:
        try:
            status, found = self._ask(asked)
        except TransientError as error:
            if self._answered:
                raise
            # So Orthanc, say, answers a sender that it does not know as one that may ask.
            text = f"no answer to the first C-FIND: {error.message}"
            raise NotOffered(text, association=self._association.name) from error
        if status == dimse.SUCCESS:
            self._answered = True
            return found
        text = f"the destination answers C-FIND with {queried(status)}"
        if refuses_query(status) and not self._answered:
            raise NotOffered(text, association=self._association.name)
        raise TransientError(text, association=self._association.name)

    def _ask(self, asked: Dataset) -> tuple[int, list[Elements]]:
        """The final status and the answers."""
        association, found = self._association, list[Elements]()
        command = dimse.composite_rq(Operation.C_FIND, association.next_message(), FIND)
        association.send(association.accepted[self._context], command, encoded(asked, self._context))
        for response, data in responses(association, Operation.C_FIND, self._seconds, self._stop):
            if response.status in PENDING:
                found.append(self._read(data))
            if len(found) > _MOST:
                raise association.broken(f"it gives more than {_MOST} answers")
        return response.status, found

    def _read(self, data: bytes) -> Elements:
        try:
            return read_elements(BytesIO(preamble_and_meta(FIND, "", self._context[1], "", "") + data))
        except InvalidData as error:
            raise self._association.broken("an identifier that cannot be read") from error


@contextmanager
def finding(peer: DicomDestination, stop: Callable[[], bool], waits: Waits | None = None) -> Iterator[Finder]:
    """A Finder at this destination. NotOffered where it takes no C-FIND; TransientError as `Requestor`."""
    waits = waits or Waits(response=FIND_SECONDS)
    client = QueryClient(peer, waits, DESTINATION)
    try:
        with client.associated(FIND) as (association, context):
            yield Finder(association, context, waits.response, stop)
    except DestinationDown as error:
        if error.outage in _NOT_OFFERED:
            raise NotOffered(error.message, hint=error.hint) from error
        raise


def _study(uid: str) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID, asked.NumberOfStudyRelatedInstances = "STUDY", uid, None
    return asked


def _count(found: Elements) -> int | None:
    text = found.text(INSTANCES)
    return int(text) if text.isdecimal() and int(text) <= MOST_COUNTED else None
