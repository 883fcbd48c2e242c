"""A sender's session with one destination: instances that belong together, such as a study."""

from collections.abc import Iterator, Sequence

from router.dicom.scu import unaccepted
from router.dicom.scu.association_limit import AssociationLimit
from router.dicom.scu.associations import Associate, SessionAssociations
from router.dicom.scu.batch import Batch, Stop
from router.dicom.scu.store import Outgoing, Result
from router.dicom.ul.contexts import Context, Offers, Proposal, propose
from router.dicom.ul.status import Verdict


class Session:
    """Sends instances over associations that stay open from one `send` to the next."""

    def __init__(self, associate: Associate, limit: AssociationLimit, offers: Offers) -> None:
        self._associations = SessionAssociations(associate, limit)
        self._offers = offers
        self._unaccepted: set[Context] = set()  # in any proposal
        self._classes: set[str] = set()  # known to be accepted in one transfer syntax at least

    def send(self, items: Sequence[Outgoing], stop: Stop) -> Iterator[Result]:
        """Yield each instance's result as soon as it is known; end early, between instances, when `stop()` is true.

        More than a few instances are sent over several associations at a time. Instances whose contexts are not
        accepted are proposed once more without the others; when that fails, too, they are refused with the reason,
        which does not stop the rest. Nor does an instance at which the association is aborted, breaks or times out: it
        is tried again as the first of a new association, and is LOST when that ends, too. The answer 0111 to a second
        try of the same bytes means that the first one was stored.

        Raises DestinationDown (no association can be had, it is rejected for configuration, or it accepts no image of
        any kind), TransientError (congestion, or too many instances of this session were LOST), IntegrityError (a
        stored file is missing or is not what the ledger says; its `key` is in the fields). Results of the other
        associations are yielded before.
        """
        for proposal in propose(items, self._offers):
            if stop():
                return
            yield from self._sent(proposal, stop)

    def _sent(
        self, proposal: Proposal[Outgoing], stop: Stop, accepted: frozenset[Context] = frozenset()
    ) -> Iterator[Result]:
        """Send a proposal, and its rest; `accepted` are the contexts of the proposal that this one is the rest of."""
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
        """Refuse instances whose contexts are not accepted in any proposal; other accepted contexts tell the reason."""
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
