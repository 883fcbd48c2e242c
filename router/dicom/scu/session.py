"""Sending what belongs together, such as a study, to one destination."""

from collections.abc import Iterator, Sequence

from router.dicom.scu import unaccepted
from router.dicom.scu.association_limit import AssociationLimit
from router.dicom.scu.associations import Associate, SessionAssociations
from router.dicom.scu.batch import Batch, Stop
from router.dicom.scu.store import Outgoing, Result
from router.dicom.ul.contexts import Context, Offers, Proposal, propose
from router.dicom.ul.status import Verdict


class Session:
    """One sender's associations, kept open from one `send` to the next, and what is sent over them."""

    def __init__(self, associate: Associate, limit: AssociationLimit, offers: Offers) -> None:
        self._associations = SessionAssociations(associate, limit)
        self._offers = offers
        self._unaccepted: set[Context] = set()  # however they are proposed
        self._classes: set[str] = set()  # accepted in one syntax at least, as far as was asked

    def send(self, items: Sequence[Outgoing], stop: Stop) -> Iterator[Result]:
        """Yields each instance's result as soon as it is known; ends early, between instances, when `stop()` is true.

        Of more than a few instances several are under way at a time, over as many associations. What the contexts of
        one association do not cover is proposed again without the rest. An instance whose contexts are not accepted
        then is refused with the reason and does not stop the others; nor does one with which the association is
        aborted, breaks or times out: it is tried once more as the first of a new association, and LOST when that ends
        too. Answers of 0111 to a second try of the same bytes mean that the first one was stored.
        Raises DestinationDown (no association can be had, it is rejected for configuration, or nothing is accepted that
        could store any image), TransientError (congestion, or too many instances of this session were LOST),
        IntegrityError (a stored file is missing or is not what the ledger says; its `key` is in the fields); what the
        other associations had under way is yielded before.
        """
        for proposal in propose(items, self._offers):
            if stop():
                return
            yield from self._sent(proposal, stop)

    def _sent(
        self, proposal: Proposal[Outgoing], stop: Stop, accepted: frozenset[Context] = frozenset()
    ) -> Iterator[Result]:
        """`accepted` were those of a proposal that this one is the rest of."""
        batch = Batch(self._associations, self._offers, proposal, narrowed=bool(accepted))
        yield from batch.run(stop)
        accepted |= batch.accepted
        for rest in propose(list(batch.uncovered), self._offers):
            if stop():
                return
            known = self._unaccepted.issuperset(rest.contexts)
            if not known and len(rest.contexts) < len(proposal.contexts):
                yield from self._sent(rest, stop, accepted)
            else:
                yield from self._refused(rest, stop, accepted)

    def _refused(self, proposal: Proposal[Outgoing], stop: Stop, accepted: frozenset[Context]) -> Iterator[Result]:
        """What is not accepted however it is proposed; what else is accepted says why."""
        classes, name = {item.sop_class for item in proposal.items}, ""
        if not self._unaccepted.issuperset(proposal.contexts) and not classes <= unaccepted.classes(accepted):
            slot = lambda: self._associations.limit.take(stop)  # noqa: E731
            association = self._associations.borrow(unaccepted.others(classes), slot, fresh=True)
            if association is None:
                return
            name, accepted = association.name, accepted | association.accepted.keys()
            self._associations.give_back(association)
            if not accepted:
                raise unaccepted.nothing(association=name)
        self._unaccepted.update(proposal.contexts)
        self._classes |= unaccepted.classes(accepted)
        for item in proposal.items:
            why = unaccepted.reason(item.sop_class, self._offers(item.transfer_syntax), self._classes)
            yield Result(key=item.key, status=None, verdict=Verdict.REFUSED, association=name, trouble=why)

    def close(self) -> None:
        """Release the open associations."""
        self._associations.close()
