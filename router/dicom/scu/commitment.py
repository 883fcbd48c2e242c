"""Storage Commitment SCU over one association (PS3.4 J.3): requests, and reports that come on the same one."""

import logging
import time
from collections.abc import Callable, Sequence

from router.dicom.scu.requestor import Message, Requestor
from router.dicom.ul import commitment, dimse
from router.dicom.ul.commitment import Reference, TakeReport
from router.errors import DestinationDown, InvalidData, Outage, TransientError

_REQUEST = 1  # Action Type ID, PS3.4 J.3.2
_LOOK_SECONDS = 0.2
_REPORT_SECONDS = 30.0  # for a whole report, once it begins to arrive

_log = logging.getLogger(__name__)


class CommitmentScu:
    """Requests commitment over an association of its own; reports that come meanwhile are passed to `take`."""

    def __init__(self, association: Requestor, take: TakeReport, response_seconds: float) -> None:
        """Raises DestinationDown when the acceptor does not accept storage commitment."""
        accepted = [context for context in commitment.CONTEXTS if context in association.accepted]
        if not accepted:
            raise DestinationDown(
                "the destination does not accept storage commitment",
                outage=Outage.SERVICE,
                hint="ask its operator to allow it for our calling_ae_title, "
                "or set commitment = false in [destination.dicom]",
                association=association.name,
            )
        self._association = association
        self._take = take
        self._seconds = response_seconds
        self._context = accepted[0]

    def request(self, transaction: str, references: Sequence[Reference]) -> int:
        """Request commitment of up to `commitment.MOST` instances; the response's status. Raises TransientError."""
        association, context_id = self._association, self._association.accepted[self._context]
        message_id = association.next_message()
        command = dimse.n_action_rq(message_id, commitment.SOP_CLASS, commitment.SOP_INSTANCE, _REQUEST)
        association.send(context_id, command, commitment.request_data_set(transaction, references, self._context[1]))
        until = time.monotonic() + self._seconds
        while (response := self._turn(until)) is None:
            pass
        if (response.operation, response.message_id) != (dimse.Operation.N_ACTION, message_id):
            raise association.broken("it answers what was not asked")
        return response.status

    def await_reports(self, seconds: float, settled: Callable[[], bool]) -> None:
        """Take reports on this association for so many seconds, until `settled()` (none is due), or until it ends."""
        until = time.monotonic() + seconds
        while not settled() and (left := until - time.monotonic()) > 0:
            if self._association.speaks(min(left, _LOOK_SECONDS)):
                try:
                    self._turn(time.monotonic() + _REPORT_SECONDS)
                except TransientError as error:
                    _log.info("no storage commitment report on this association: %s", error)
                    return

    def _turn(self, until: float) -> dimse.Response | None:
        """Receive a message: returns a response; answers a request and returns None."""
        message = self._association.receive(until, commitment.LARGEST)
        try:
            if dimse.is_response(message.command):
                return dimse.read_response(message.command)
            self._answer(message)
        except InvalidData as error:
            raise self._association.broken(error.message) from error
        return None

    def _answer(self, message: Message) -> None:
        request = dimse.read_request(message.command)
        status, wrong = dimse.UNRECOGNIZED_OPERATION, "a request that only a storage commitment SCP could serve"
        if request.operation == dimse.Operation.N_EVENT_REPORT:
            contexts = self._association.accepted.items()
            syntax = next(syntax for (_, syntax), number in contexts if number == message.context_id)
            status, wrong = commitment.answer(request, message.data_set, syntax, self._take)
        if wrong:
            _log.warning("%s: %s, answered %04X", self._association.name, wrong, status)
        self._association.send(message.context_id, dimse.response(request, status))
