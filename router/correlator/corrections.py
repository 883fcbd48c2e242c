"""Corrections of patients' data after delivery: documents that a destination has under the old and the new data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from router.catalogue import Catalogue
from router.catalogue.exams.corrections import Borne
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.queue.queue import Delivery
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config
from router.correlator.document import fill_for
from router.errors import InvalidData
from router.exam.key import ExamPatient
from router.exam.read import read
from router.intake.exam_reader import ExamReader
from router.matching.exam.versions import JsonVersion, successive
from router.matching.patient.correction import Change, changes, contradicted, merged, of_document, of_header
from router.matching.patient.identity import IdentityPolicy
from router.matching.patient.policy import identity_policy
from router.model import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A delivery of which something was sent under the old data; patient data is in `changes`.

    `came` is when the correction came. `number` reports or images were sent under the old data, last at `delivered`;
    `anew` of them were sent again under the present data, last at `since`.
    """

    exam: int
    exam_id: str
    delivery: int
    destination: str
    channel: Channel
    changes: tuple[Change, ...]
    came: datetime
    delivered: datetime
    number: int
    anew: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The patient by the JSON that counts, the changes from former ones, and when the first with this data came."""

    now: Mapping[str, str]
    patient: ExamPatient
    former: tuple[Change, ...]
    came: datetime


class Corrections:
    """Reads only. `read_report` gives a report file of the data folder."""

    def __init__(
        self, config: Config, references: ExamReader, catalogue: Catalogue, read_report: Callable[[str], bytes]
    ) -> None:
        self._configs = HospitalConfigs(config)
        self._references = references
        self._catalogue = catalogue
        self._read = read_report

    def since(self, at: datetime) -> tuple[list[Corrected], list[int]]:
        """Deliveries of exams whose data was corrected since then, by exam; and the exams that do not read."""
        found: list[Corrected] = []
        unread: list[int] = []
        for exam in self._catalogue.corrections.candidates(at):
            try:
                found += [one for one in self._of(self._catalogue.exams.case(exam)) if one.came >= at]
            except (InvalidData, OSError):
                unread.append(exam)
        return found, unread

    def _of(self, case: ExamSnapshot) -> Iterator[Corrected]:
        versions = successive(case.jsons)
        if not versions:
            return
        known = self._known(case, versions)
        images = self._catalogue.corrections.sent(case.studies)
        for delivery in self._catalogue.queue.of_exam(case.exam):
            of_report = delivery.channel == Channel.REPORT
            one = self._report(case, delivery, known) if of_report else self._images(case, delivery, known, images)
            if one is not None:
                yield one

    def _known(self, case: ExamSnapshot, versions: Sequence[JsonVersion]) -> _Known | None:
        """None where every version says the same of the patient."""
        reader, config = self._references.of(case.hospital), self._configs.of(case.hospital)
        given = [reader.read(self._read(case.places[version.document])) for version in versions]
        if all(one.get("Patient") == given[-1].get("Patient") for one in given):
            return None
        said = [of_document(fill_for(config, reader.tables, case, one, None).document) for one in given]
        same = takewhile(lambda each: each[1] == said[-1], zip(reversed(versions), reversed(said), strict=True))
        *_, (first, now) = same
        former = merged(changes(was, now) for was in said)
        patient = reader.key(given[-1], case.hospital, case.branch).patient
        return _Known(now=now, patient=patient, former=former, came=first.arrived)

    def _policy(self, hospital: str) -> IdentityPolicy:
        return identity_policy(self._configs.of(hospital).identity, self._catalogue.decisions.classes(hospital))

    def _report(self, case: ExamSnapshot, delivery: Delivery, known: _Known | None) -> Corrected | None:
        if known is None:
            return None
        uploads = [one for one in self._catalogue.uploads.of(delivery.id) if one.confirmed is not None]
        found = [(one.confirmed, changes(of_document(read(self._read(one.exam_place))), known.now)) for one in uploads]
        old = [at for at, differ in found if differ and at]
        if not old:
            return None
        anew = [at for at, differ in found if not differ and at and at > old[-1]]
        return Corrected(
            exam=case.exam, exam_id=case.exam_id, delivery=delivery.id, destination=delivery.destination,
            channel=delivery.channel, changes=merged(differ for _, differ in found), came=known.came,
            delivered=old[-1], number=len(old), anew=len(anew), since=max(anew, default=None),
        )  # fmt: skip

    def _images(
        self, case: ExamSnapshot, delivery: Delivery, known: _Known | None, images: Sequence[Borne]
    ) -> Corrected | None:  # fmt: skip
        place, policy = delivery.destination, self._policy(case.hospital)
        newest = {one.sop_uid: one for one in images}  # the last version of each
        sent = [one for one in images if place in one.sent]
        found = [(one, *_differ(one, newest[one.sop_uid], known, one.sent[place], policy)) for one in sent]
        old = [each for each in found if each[1]]
        if not old:
            return None
        last = {one.sop_uid: (one, differ) for one, differ, _ in found}
        numbers = sorted({one.sop_uid for one, _, _ in old})
        anew = [last[uid][0].sent[place] for uid in numbers if not last[uid][1]]
        return Corrected(
            exam=case.exam, exam_id=case.exam_id, delivery=delivery.id, destination=place, channel=delivery.channel,
            changes=merged(differ for _, differ, _ in old), came=max(came for _, _, came in old),
            delivered=max(one.sent[place] for one, _, _ in old), number=len(numbers), anew=len(anew),
            since=max(anew, default=None),
        )  # fmt: skip


def _differ(
    one: Borne, newest: Borne, known: _Known | None, sent: datetime, policy: IdentityPolicy
) -> tuple[tuple[Change, ...], datetime]:  # fmt: skip
    """The changes since a version that was sent, by its newest version or by a later JSON; since when."""
    if by_header := changes(of_header(one.patient), of_header(newest.patient)):
        return by_header, newest.received
    if known is None or known.came <= sent:
        return (), sent
    return contradicted(one.patient, known.patient, known.former, policy), known.came
