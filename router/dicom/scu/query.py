"""Query/Retrieve SCU, study root (PS3.4 C.4.1, C.4.2): finds studies at a PACS, and has it send one."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import BytesIO

from pydicom import dcmwrite
from pydicom.dataset import Dataset

from router.config.sections import DicomDestination
from router.dicom import libraries
from router.dicom.dataset.dataset import Elements, read_elements
from router.dicom.dataset.elements import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.dataset.tags import ACCESSION_NUMBER, STUDY
from router.dicom.dataset.uid import valid
from router.dicom.scu.requestor import VERIFY, Requestor, Waits
from router.dicom.ul import dimse
from router.dicom.ul.connection import connect
from router.dicom.ul.contexts import Context
from router.dicom.ul.dimse import Operation, Response
from router.dicom.ul.status import PACS, PENDING, Peer
from router.dicom.ul.tls import client_context
from router.errors import DestinationDown, InvalidData, Outage, TransientError

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
MOST = 100  # studies in one answer: a PACS that names more did not understand the question
MOST_OF_DAY = 10_000  # likewise of a day and a modality

_SYNTAXES = (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN)
INSTANCES, _STUDY_DATE, _MODALITIES = 0x00201208, 0x00080020, 0x00080061
_LARGEST = 2**16  # bytes of an identifier
_LOOK_SECONDS = 0.2
_CANCEL_SECONDS = 3.0
FIND_SECONDS = 60.0
MOST_COUNTED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Held:
    """A study at the PACS; `instances` is its NumberOfStudyRelatedInstances, None when not given."""

    study_uid: str
    instances: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a C-FIND: the last response's status, and the studies if it succeeded."""

    status: int
    studies: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """The answer to a C-MOVE: the last response's status and its numbers of sub-operations (PS3.4 C.4.2.1.6)."""

    status: int
    completed: int = 0
    failed: int = 0
    warning: int = 0


class QueryClient:
    """Queries one PACS, with an association for each query."""

    def __init__(self, peer: DicomDestination, waits: Waits | None = None, called: Peer = PACS) -> None:
        """`called` is the peer as people call it. Raises ConfigurationError when a file of `tls` cannot be used."""
        libraries.settle()
        self.calling = peer.calling_ae_title
        self._peer = peer
        self._called = called
        self._waits = waits or Waits(response=FIND_SECONDS)
        self._tls = None if peer.tls is None else client_context(peer.tls)

    def echo(self) -> None:
        """C-ECHO. Raises TransientError as `Requestor` does."""
        with self._associate([VERIFY]) as association:
            association.verify()

    def study(self, uid: str, stop: Callable[[], bool]) -> Found:
        """The study as the PACS has it. Raises TransientError as `Requestor` does."""
        found = self._find(uid, "", stop)
        return Found(found.status, tuple(one for one in found.studies if one.study_uid == uid))

    def of_accession(self, number: str, stop: Callable[[], bool]) -> Found:
        """The studies with this accession number, which holds no wildcard. Raises as `study` does."""
        return self._find("", number, stop)

    def of_day(self, day: date, modality: str, stop: Callable[[], bool]) -> Found:
        """The studies of a day that have images of the modality, also where the PACS does not match it.

        Raises as `study` does. A study for which the PACS gives another date, or other modalities alone, is left out.
        """
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", ""
        identifier.StudyDate, identifier.ModalitiesInStudy = f"{day:%Y%m%d}", modality
        identifier.NumberOfStudyRelatedInstances = None

        def fits(found: Elements) -> bool:
            dates, kinds = found.text(_STUDY_DATE), found.text(_MODALITIES)
            return dates in ("", f"{day:%Y%m%d}") and (not kinds or modality in map(str.strip, kinds.split("\\")))

        return self._ask(identifier, fits, MOST_OF_DAY, stop)

    def move(self, uid: str, to: str, seconds: float, stop: Callable[[], bool]) -> Moved:
        """Have a study sent to the AE `to` within so many seconds; cancel when `stop()` is true. Raises as `study`."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", uid
        with self.associated(MOVE) as (association, context):
            number = association.next_message()
            command = dimse.composite_rq(Operation.C_MOVE, number, MOVE, destination=to)
            association.send(association.accepted[context], command, encoded(identifier, context))
            for response, _ in responses(association, Operation.C_MOVE, seconds, stop):
                last = response
        return Moved(last.status, last.completed, last.failed, last.warning)

    def _find(self, uid: str, accession: str, stop: Callable[[], bool]) -> Found:
        identifier = Dataset()
        if not accession.isascii():
            identifier.SpecificCharacterSet = "ISO_IR 192"
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID, identifier.AccessionNumber = uid, accession
        identifier.NumberOfStudyRelatedInstances = None
        return self._ask(
            identifier, lambda found: not accession or found.text(ACCESSION_NUMBER) == accession, MOST, stop
        )

    def _ask(
        self, identifier: Dataset, fits: Callable[[Elements], bool], most: int, stop: Callable[[], bool]
    ) -> Found:  # fmt: skip
        studies: dict[str, Held] = {}
        with self.associated(FIND) as (association, context):
            command = dimse.composite_rq(Operation.C_FIND, association.next_message(), FIND)
            association.send(association.accepted[context], command, encoded(identifier, context))
            for response, data in responses(association, Operation.C_FIND, self._waits.response, stop):
                if response.status in PENDING:
                    held = _held(association, data, context, fits)
                    studies |= {held.study_uid: held} if held else {}
                if len(studies) > most:
                    raise association.broken(f"it names more than {most} studies")
        return Found(response.status, tuple(studies.values()) if response.status == 0 else ())

    @contextmanager
    def associated(self, sop_class: str) -> Iterator[tuple[Requestor, Context]]:
        """An association with a context for FIND or MOVE; DestinationDown when the peer accepts none."""
        contexts = [(sop_class, syntax) for syntax in _SYNTAXES]
        with self._associate(contexts) as association:
            accepted = [context for context in contexts if context in association.accepted]
            if not accepted:
                operation = "C-FIND" if sop_class == FIND else "C-MOVE"
                raise DestinationDown(
                    f"{self._called.name} does not accept {operation} of the study root",
                    outage=Outage.SERVICE,
                    hint=f"does it know our AE title {self.calling}, our address and port, and allow us that?",
                    association=association.name,
                )
            yield association, accepted[0]

    def _associate(self, contexts: Sequence[Context]) -> Requestor:
        connection = connect(self._peer, self._tls, self._waits.connect)
        association = Requestor(connection, self._peer, self._waits, peer=self._called)
        association.request(contexts)
        return association


def responses(
    association: Requestor, operation: Operation, seconds: float, stop: Callable[[], bool]
) -> Iterator[tuple[Response, bytes]]:
    """Every response to the request just sent, the final one last.

    After `stop()` the peer is asked to cancel (PS3.7 9.3.2.3), and has a few seconds to do so.
    """
    number, until, cancelled = association.last_message, time.monotonic() + seconds, False
    while True:
        if stop() and not cancelled:
            cancelled, until = True, time.monotonic() + _CANCEL_SECONDS
            association.send(next(iter(association.accepted.values())), dimse.c_cancel_rq(number))
        if not association.speaks(_LOOK_SECONDS):
            if time.monotonic() > until:
                association.abort()
                text = f"{association.peer.name} does not answer to the end in time"
                raise TransientError(text, association=association.name)
            continue
        message = association.receive(until, _LARGEST)
        response = association.understand(dimse.read_response, message.command)
        if (response.operation, response.message_id) != (operation, number):
            raise association.broken("it answers what was not asked")
        yield response, message.data_set
        if response.status not in PENDING:
            return


def _held(
    association: Requestor, data: bytes, context: Context, fits: Callable[[Elements], bool]
) -> Held | None:  # fmt: skip
    """The study in a pending response; None when it is not what was asked for."""
    try:
        found = read_elements(BytesIO(preamble_and_meta(FIND, "", context[1], "", "") + data))
        fitting, uid = fits(found), valid(found.text(STUDY))
        count = found.text(INSTANCES)
        instances = int(count) if count else None
    except (InvalidData, ValueError) as error:
        raise association.broken("an identifier that cannot be read") from error
    if not fitting:
        return None
    return Held(uid, instances if instances is None or 0 <= instances <= MOST_COUNTED else None)


def encoded(identifier: Dataset, context: Context) -> bytes:
    """The identifier in the context's transfer syntax."""
    written = BytesIO()
    dcmwrite(written, identifier, implicit_vr=context[1] == IMPLICIT_LITTLE_ENDIAN, little_endian=True)
    return written.getvalue()
