"""Explanations of an exam or a study: what came of it, what nearly fits it, and what was refused."""

import functools
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from router.catalogue import Catalogue
from router.catalogue.exams.files import FolderFile
from router.catalogue.exams.provenance import Arrival, File, Neighbour
from router.catalogue.exams.retrievals import Asked
from router.catalogue.node.alarms import Standing
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config
from router.correlator.refused import BEFORE, RefusalSum, by_study, owner_by_sender, worth_a_hint
from router.events import Event
from router.matching.images.hospital import may_join
from router.matching.images.near import Side, near
from router.matching.patient.identity import IdentityPolicy, stripped
from router.matching.patient.policy import identity_policy
from router.review.refusal_owners import owner_of
from router.review.unreported import Listed, listed_study

_ABOUT = timedelta(days=7)
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """A near fit: an ExamId or a study's UID, and why it nearly fits."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """The background of an exam's deliveries; `near` are studies that no exam has.

    `lying` are files of the drop folder that are not its documents, and seem to be meant for it.
    `refused` is of its studies, `hints` are refusals of its time of which nobody knows the study.
    """

    files: tuple[File, ...]
    arrivals: tuple[Arrival, ...]
    near: tuple[Candidate, ...]
    alarms: tuple[Standing, ...]
    next_look: datetime | None
    asked: Asked | None
    lying: tuple[FolderFile, ...] = ()
    refused: tuple[RefusalSum, ...] = ()
    hints: tuple[RefusalSum, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A study that no exam has, and the exams that it nearly fits. `unreported` is None where its files are gone."""

    study_uid: str
    arrivals: tuple[Arrival, ...]
    near: tuple[Candidate, ...]
    events: tuple[Event, ...]
    unreported: Listed | None = None
    refused: tuple[RefusalSum, ...] = ()
    hospitals: frozenset[str] = frozenset()


def is_of(brought: Collection[str], hospitals: Collection[str]) -> bool:
    """Whether a study that these hospitals brought is known to be of `hospitals` alone; of all where none is named."""
    return not hospitals or (bool(brought) and set(brought) <= set(hospitals))


class Provenance:
    """Reads arrivals, and compares them."""

    def __init__(self, catalogue: Catalogue, config: Config) -> None:
        self._catalogue = catalogue
        self._config = config

    def background(self, exam: int, links: list[str]) -> Background:
        """The background of an exam, to which these studies belong."""
        catalogue, arrivals = self._catalogue, self._catalogue.arrivals
        own = arrivals.exam(exam)
        return Background(
            files=tuple(arrivals.files(exam)), arrivals=tuple(arrivals.arrivals(links)),
            near=self._near(own, arrivals.strays_about(own.came - _ABOUT, own.came + _ABOUT)),
            alarms=tuple(catalogue.alarms.standing(exam, [f"study {uid}" for uid in links])),
            next_look=arrivals.next_look(exam), asked=catalogue.retrievals.of(exam),
            lying=tuple(catalogue.exams.files.of_exam(exam)), refused=self.refused(links),
            hints=self._hints(own),
        )  # fmt: skip

    def stray(self, study_uid: str, now: datetime) -> Stray | None:
        """The story of a study that no exam has; None when it is not here."""
        arrivals = self._catalogue.arrivals
        own = arrivals.study(study_uid)
        if own is None:
            return None
        return Stray(
            study_uid=study_uid, arrivals=tuple(arrivals.arrivals([study_uid])),
            near=self._near(own, arrivals.exams_about(own.came - _ABOUT, own.came + _ABOUT)),
            events=tuple(event for _, event in self._catalogue.history.of([], [study_uid])),
            unreported=listed_study(self._config, self._catalogue, study_uid, now), refused=self.refused([study_uid]),
            hospitals=own.hospitals,
        )  # fmt: skip

    def refused(self, studies: list[str]) -> tuple[RefusalSum, ...]:
        """Refusals of the studies by this node, and their instances in quarantine."""
        rows = self._catalogue.refusals.of_studies(studies)
        return tuple(by_study(rows, owner_of(self._config, self._catalogue, rows)))

    def _hints(self, own: Neighbour) -> tuple[RefusalSum, ...]:
        rows = self._catalogue.refusals.without_study(own.came - BEFORE)
        return tuple(worth_a_hint(rows, owner_by_sender(self._config), own.hospital))[:_SHOWN]

    def refuses(self) -> bool:
        """Whether a sender is being refused."""
        return bool(self._catalogue.refusals.senders())

    def unpaired(self, name: str) -> list[File]:
        """Files of that name without an exam."""
        return self._catalogue.arrivals.unpaired(name)

    def lying(self, name: str) -> list[FolderFile]:
        """Listed files of the drop folder that have this name, or nearly this name."""
        return self._catalogue.exams.files.named(name)

    def _near(self, own: Neighbour, others: list[Neighbour]) -> tuple[Candidate, ...]:
        """Exams of a study, or studies of an exam, that nearly fit; none of another hospital."""
        sides = self._sides()
        pairs = ((other, (own, other) if other.exam is None else (other, own)) for other in others)
        may = ((other, exam, study) for other, (exam, study) in pairs if may_join(exam.hospital, study.hospitals))
        found = (Candidate(other.name, near(*sides(exam, study))) for other, exam, study in may)
        return tuple(one for one in found if one.why)[:_SHOWN]

    def _sides(self) -> Callable[[Neighbour, Neighbour], tuple[Side, Side]]:
        """Gives an exam and a study as the rules of the exam's hospital compare them."""
        configs, zone = HospitalConfigs(self._config), self._config.node.timezone

        @functools.cache
        def policy(hospital: str) -> IdentityPolicy:
            return identity_policy(configs.of(hospital).identity, self._catalogue.decisions.classes(hospital))

        return lambda exam, study: (
            _side(exam, policy(exam.hospital), zone), _side(study, policy(exam.hospital), zone)
        )  # fmt: skip


def _side(one: Neighbour, policy: IdentityPolicy, zone: ZoneInfo) -> Side:
    patients = frozenset(stripped(number, policy) for number in one.patients)
    text = one.date if one.exam is None else f"{one.came.astimezone(zone):%Y%m%d}"
    day = None
    with suppress(ValueError):
        day = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007  # DA has no zone
    return Side(one.accessions - {""}, patients - {""}, day)
