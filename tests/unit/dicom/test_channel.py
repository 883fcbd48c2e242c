"""What goes between main process and worker arrives as it was, in one packet, whatever peers have written into it."""

from router.dicom.scp.admission import CALLED_AE, Rejection
from router.dicom.scp.store import Parties, Received, Refused
from router.dicom.scp.worker import MOST_OUTCOMES
from router.dicom.scp.worker_pipe import Answer, Message, Outcomes, WorkerPipe
from router.model import InstanceUids
from router.refusals import Why

UID = "1." * 31 + "23"  # the longest: 64 characters
WILD = Parties("\x00" * 16, "2001:db8:1234:5678:9abc:def0:1234:5678%interface0", "名" * 16)


def through(message: Message) -> object:
    ours, theirs = WorkerPipe.pair(5)
    other = WorkerPipe(theirs)
    try:
        other.send(message)
        received = ours.receive()
        return None if received is None else received[0]
    finally:
        ours.close()
        other.close()


def test_as_many_outcomes_as_are_told_together_fit_into_a_packet_at_their_longest() -> None:
    refused = WILD.refused("x" * 1000, 0xC000, None, (UID, UID))
    stored = Received(
        uids=InstanceUids(UID, UID, UID), sop_class=UID, calling_ae=WILD.calling_ae, address=WILD.address, size=2**40
    )
    for one in (refused, stored):
        message = Outcomes((one,) * MOST_OUTCOMES)
        assert through(message) == message


def test_a_refusal_and_a_rejection_keep_their_cause() -> None:
    told = Outcomes(
        (
            Refused(calling_ae="A", address="10.1.2.3", reason="no", why=Why.TLS),
            Refused(calling_ae="A", address="10.1.2.3", reason="no", status=0xA900),
        )
    )
    assert through(told) == told
    answer = through(Answer(7, CALLED_AE))
    assert answer == Answer(7, CALLED_AE)
    assert isinstance(answer, Answer)
    assert isinstance(answer.rejection, Rejection)
    assert isinstance(answer.rejection.why, Why)
    assert through(Answer(7, None)) == Answer(7, None)
