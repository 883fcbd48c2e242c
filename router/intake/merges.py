"""Merges of patients that an HL7 message tells: kept as proposals, which nothing but a person's word makes count."""

from router.catalogue.exams.merges import Proposal, Proposals
from router.clock import Clock
from router.config.sections import Config
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.matching.exam.institution import hospital_of_facility
from router.reports.hl7.merge import Merges

_PROPOSED = "HL7 ADT^A40 merges two numbers of a patient: a person may accept that, see `scripts/queue alias --list`"


def propose(
    proposals: Proposals, config: Config, port: str | None, found: Merges, bus: EventBus, clock: Clock
) -> None:  # fmt: skip
    """Keep the merges, which came by the port of that hospital, None: a shared one. InvalidData: whose is not known."""
    hospital, now = _hospital_of(config, port, found), clock.now()
    for one in found.pairs:
        if proposals.add(Proposal(hospital=hospital, old=one.old, new=one.new, at=now)):
            bus.record(Event(now, Kind.DOCUMENT, _PROPOSED))


def _hospital_of(config: Config, port: str | None, found: Merges) -> str:
    if not config.several:
        return config.hospital[0].name
    sender = hospital_of_facility(found.facility, config.hospital)
    hospital = sender if port is None else port
    if hospital is None or sender not in (None, hospital):
        raise InvalidData("a merge of patients (ADT^A40) of no hospital that is known", hint="name it in MSH-4")
    return hospital
