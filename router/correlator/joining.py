"""Joining of exams and studies, and the doubts whether they are of one patient."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from router.catalogue.exams.decisions import Decisions
from router.catalogue.exams.exams import Exams, ExamSnapshot
from router.catalogue.exams.links import OverlappingExam
from router.catalogue.images.instances import parts_of
from router.catalogue.images.studies import StudyHere
from router.config.sections import Identity
from router.events import Event, EventBus, Kind
from router.exam.key import ExamKey, ExamPatient
from router.matching.images.hospital import is_own, may_join
from router.matching.images.join import Candidate, ExamSide, JoinedBy, by_accession
from router.matching.patient.doubt import Doubt
from router.matching.patient.identity import (
    FIELDS,
    NUMBERS,
    Comparison,
    IdentityPolicy,
    StudyIdentity,
    agreeing_names,
    agreeing_patients,
    compare,
    compared,
    contradictions,
    same_patient,
)
from router.matching.patient.policy import identity_policy
from router.matching.patient.weighing import doubts_of

_COMPARED = 16  # headers of a study that are compared with each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """Keeps the links of exams to studies as the JSON that counts says, by the [identity] of the exam's hospital.

    `several`: PatientIDs and accession numbers of several hospitals may be alike.
    """

    exams: Exams
    decisions: Decisions
    config: Identity
    bus: EventBus
    reread: Callable[[Iterable[StudyHere]], bool] = lambda _: False
    several: bool = False

    def join(self, case: ExamSnapshot, key: ExamKey, now: datetime) -> bool:
        """Link what belongs to the exam and unlink what the JSON no longer names; whether anything changed."""
        apart = self.exams.links.apart(case.exam)
        found = [uid for uid in self._by_accession(case, key) if uid not in apart]
        named = {JoinedBy.LISTED: {*key.study_uids}, JoinedBy.ACCESSION: {*key.study_uids, *found}}
        gone = [uid for uid, how in case.links.items() if uid in apart or uid not in named.get(JoinedBy(how), {uid})]
        gone += sorted(case.foreign - {*key.study_uids})
        if gone:
            self.exams.links.unlink(case.exam, gone)
        kept = (case.links.keys() - gone) | apart
        changed = bool(gone)
        for uids, how in ((key.study_uids, JoinedBy.LISTED), (found, JoinedBy.ACCESSION)):
            new = [uid for uid in uids if uid not in kept]
            linked = self.exams.links.link(case.exam, new, how, now) if new else []
            for uid in linked:
                self.bus.record(Event(now, Kind.JOINED, how, exam=case.exam, study_uid=uid))
            changed |= bool(linked)
        return changed

    def _by_accession(self, case: ExamSnapshot, key: ExamKey) -> list[str]:
        date = key.study_date or key.submit_time or key.approve_time
        day = None if date is None else datetime(date.year, date.month, date.day)  # noqa: DTZ001  # a local day
        side = ExamSide(key.study_uids, key.accession_number, key.patient, day)
        studies = self.exams.links.candidates(key.accession_number, case.hospital, case.studies)
        if self.reread(studies):
            studies = self.exams.links.candidates(key.accession_number, case.hospital)
        here = [
            Candidate(s.uid, s.identities, day_of(s), own=not self.several or is_own(case.hospital, s.hospitals))
            for s in studies if may_join(case.hospital, s.hospitals)
        ]  # fmt: skip
        policy = identity_policy(self.config, self.decisions.classes(case.hospital), several=self.several)
        return by_accession(side, here, policy, self.config.study_date_within)


def doubts(case: ExamSnapshot, key: ExamKey, others: Sequence[ExamKey], policy: IdentityPolicy) -> dict[str, Doubt]:
    """Every reason to doubt that exam and studies are of one patient, by the digest of what was compared.

    `others` are the exam's other versions, whether they ever counted or not. Doubts of a later set of checks than the
    policy's are included.
    """
    found = (
        (json.dumps(both_sides, ensure_ascii=False), doubt) for doubt, *both_sides in _doubts(case, key, others, policy)
    )
    return {hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(): doubt for text, doubt in found}


def foreign(case: ExamSnapshot) -> str:
    """The studies of other hospitals that the exam lists, in words; they hold nothing but themselves."""
    return "; ".join(f"study {uid} is of another hospital" for uid in sorted(case.foreign))


def forgotten(case: ExamSnapshot) -> dict[str, Doubt]:
    """The doubt about an exam that was here before and whose records are removed: it may have been sent."""
    text = "there was an exam of this ExamId whose records are removed: whether it was sent is not known any more"
    return {"forgotten": Doubt(rule="forgotten", text=text)} if case.forgotten else {}


def _doubts(
    case: ExamSnapshot, key: ExamKey, others: Sequence[ExamKey], policy: IdentityPolicy
) -> Iterator[tuple[Doubt, *tuple[object, ...]]]:
    own = (key.patient.patient_ids.get("Patient.PatientId"), key.patient.name)
    yield from _of_studies(case, policy)
    for other in others:
        if not same_patient(other.patient, key.patient, policy) and not _corrected(case, key, other, policy):
            doubt = Doubt(rule="version", text="an earlier version of this exam names another patient")
            yield doubt, "version", other.patient.patient_ids.get("Patient.PatientId"), other.patient.name, *own
    for s in case.siblings:
        if not same_patient(_patient(s), key.patient, policy):
            text = f"e{s.exam} of another patient lists study {s.study_uid}"
            doubt = Doubt(rule="sibling", text=text, study_uid=s.study_uid)
            yield doubt, "exam", s.exam, s.study_uid, s.patient_id, s.patient_name, *own
    for rival in case.rivals:
        if not agreeing_names(_patient(rival), key.patient, policy):
            text = f"e{rival.exam} of another hospital claims study {rival.study_uid}, which may be either's"
            doubt = Doubt(rule="rival", text=text, study_uid=rival.study_uid)
            yield doubt, "rival", rival.exam, rival.study_uid, rival.patient_name, *own
    for uid, identity, found in comparisons(case, key, policy):
        yield from _of_identity(case, key, uid, identity, found, policy)


def _of_studies(case: ExamSnapshot, policy: IdentityPolicy) -> Iterator[tuple[Doubt, *tuple[object, ...]]]:
    """Doubts about studies by themselves."""
    for study in case.studies.values():
        for text in parts_of(study.doubt):
            yield Doubt(rule="study", text=text, study_uid=study.uid), study.uid, text
        for doubt in of_patients(study, policy):
            yield doubt, "patients", study.uid, _patients_of(study, policy)


def of_patients(study: StudyHere, policy: IdentityPolicy) -> Iterator[Doubt]:
    """The doubt about a study whose headers name different patients: two hospitals may use one UID."""
    if policy.several and (differ := _patients_of(study, policy)):
        text = f"images of study {study.uid} name different patients, by {' and '.join(differ)}"
        yield Doubt(rule="patients", text=text, study_uid=study.uid)


def is_shared(case: ExamSnapshot, uid: str, policy: IdentityPolicy) -> bool:
    """Whether the numbers in a study's headers may be those of another hospital, where the node serves several."""
    return policy.several and not is_own(case.hospital, case.studies[uid].hospitals)


def comparisons(
    case: ExamSnapshot, key: ExamKey, policy: IdentityPolicy
) -> Iterator[tuple[str, StudyIdentity, Comparison]]:
    """Each study's UID, what its headers say, and how that compares with the exam."""
    patients = [(s.accession_number, _patient(s)) for s in case.siblings if s.accession_number]
    theirs = frozenset(number for number, one in patients if agreeing_patients(one, key.patient, policy))
    may_be = frozenset(number for number, one in patients if same_patient(one, key.patient, policy)) - theirs
    for study in case.studies.values():
        for identity in study.identities:
            yield study.uid, identity, compare(key.patient, key.accession_number, identity, policy, theirs, may_be)


def _of_identity(
    case: ExamSnapshot, key: ExamKey, uid: str, identity: StudyIdentity, found: Comparison, policy: IdentityPolicy
) -> Iterator[tuple[Doubt, *tuple[object, ...]]]:
    vouched = case.links.get(uid) == JoinedBy.PERSON
    for doubt in doubts_of(uid, found, policy, vouched=vouched, shared=is_shared(case, uid, policy)):
        if doubt.rule == "differs":  # each difference is settled by itself
            for one in compared(key.patient, key.accession_number, identity, found.differ, policy):
                yield doubt, uid, one
        else:
            yield doubt, doubt.rule, uid, compared(key.patient, key.accession_number, identity, FIELDS, policy)


def _patients_of(study: StudyHere, policy: IdentityPolicy) -> list[str]:
    """The fields, but for numbers, in which headers of a study contradict each other."""
    pairs = combinations(study.identities[:_COMPARED], 2)
    return sorted({field for one, other in pairs for field in contradictions(one, other, policy)} - NUMBERS)


def _corrected(case: ExamSnapshot, key: ExamKey, first: ExamKey, policy: IdentityPolicy) -> bool:
    """Whether the images themselves say that the earlier version was the wrong one.

    Both list the same studies, all are here, and each bears this patient's id and contradicts the other patient.
    An ExamId that is used again for another patient's study is no correction.
    """
    if set(key.study_uids) != set(first.study_uids) or not set(key.study_uids) <= set(case.studies):
        return False
    identities = [identity for study in case.studies.values() for identity in study.identities]
    return bool(identities) and all(
        "patient id" in compare(key.patient, "", identity, policy).agree
        and compare(first.patient, "", identity, policy).differ
        for identity in identities
    )


def _patient(sibling: OverlappingExam) -> ExamPatient:
    return ExamPatient({"Patient.PatientId": sibling.patient_id}, sibling.patient_name)


def day_of(study: StudyHere) -> datetime | None:
    """The study's local day; None where its date does not read."""
    try:
        return datetime.strptime(study.study_date, "%Y%m%d")  # noqa: DTZ007  # DA has no zone
    except ValueError:
        return None


def headers_of(studies: Mapping[str, StudyHere]) -> list[dict[str, str]]:
    """The header fields that [[share.exclude]] rules may name, one row per study and patient seen in it."""
    return [
        {
            "PatientID": identity.patient.patient_id, "PatientName": identity.patient.name,
            "AccessionNumber": identity.accession_number, "StudyDescription": study.description,
            "StationName": study.station_name, "Manufacturer": study.manufacturer,
            "ManufacturerModelName": study.model, "StudyDate": study.study_date,
        }
        for study in studies.values()
        for identity in study.identities
    ]  # fmt: skip
