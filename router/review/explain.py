"""Why something is where it is: what came, what nearly fits it, and what stands against it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from router.catalogue import Catalogue
from router.catalogue.exams.files import FolderFile
from router.catalogue.exams.provenance import Arrival, File, Neighbour
from router.catalogue.exams.retrievals import Asked
from router.catalogue.node.alarms import Standing
from router.config.sections import Config
from router.correlator.refused import BEFORE, RefusalSum, by_study, worth_a_hint
from router.events import Event
from router.matching.images.near import Side, near
from router.matching.patient.identity import IdentityPolicy, stripped
from router.matching.patient.policy import identity_policy
from router.review.unreported import Listed, listed_study

_ABOUT = timedelta(days=7)
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """What nearly fits: an ExamId or a study's UID, and by what."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Background:
    """What stands behind an exam's deliveries; `near` are studies that no exam has.

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


@dataclass(frozen=True, slots=True)
class Stray:
    """A study that no exam has, and the exams that it nearly fits. `unreported` is None where its files are gone."""

    study_uid: str
    arrivals: tuple[Arrival, ...]
    near: tuple[Candidate, ...]
    events: tuple[Event, ...]
    unreported: Listed | None = None
    refused: tuple[RefusalSum, ...] = ()


class Provenance:
    """Reads what came, and compares."""

    def __init__(self, catalogue: Catalogue, config: Config) -> None:
        self._catalogue = catalogue
        self._config = config

    def background(self, exam: int, links: list[str]) -> Background:
        """What stands behind an exam, to which these studies belong."""
        traces = self._catalogue.arrivals
        own = traces.exam(exam)
        near_ = self._near(own, traces.strays_about(own.came - _ABOUT, own.came + _ABOUT))
        files = tuple(traces.files(exam))
        alarms = tuple(self._catalogue.alarms.standing(exam, [f"study {uid}" for uid in links]))
        asked = self._catalogue.retrievals.of(exam)
        lying = tuple(self._catalogue.exams.files.of_exam(exam))
        return Background(
            files, tuple(traces.arrivals(links)), near_, alarms, traces.next_look(exam), asked, lying,
            self.refused(links), self._hints(own.came),
        )  # fmt: skip

    def stray(self, study_uid: str, now: datetime) -> Stray | None:
        """The story of a study that no exam has; None when it is not here."""
        traces = self._catalogue.arrivals
        own = traces.study(study_uid)
        if own is None:
            return None
        near_ = self._near(own, traces.exams_about(own.came - _ABOUT, own.came + _ABOUT))
        events = tuple(event for _, event in self._catalogue.history.of([], [study_uid]))
        unreported = listed_study(self._config, self._catalogue, study_uid, now)
        arrivals, refused = tuple(traces.arrivals([study_uid])), self.refused([study_uid])
        return Stray(study_uid, arrivals, near_, events, unreported, refused)

    def refused(self, studies: list[str]) -> tuple[RefusalSum, ...]:
        """Refusals of the studies by this node, and what of them lies in quarantine."""
        return tuple(by_study(self._catalogue.refusals.of_studies(studies)))

    def refuses(self) -> bool:
        """Whether a sender is being refused."""
        return bool(self._catalogue.refusals.senders())

    def _hints(self, came: datetime) -> tuple[RefusalSum, ...]:
        return tuple(worth_a_hint(self._catalogue.refusals.without_study(came - BEFORE)))[:_SHOWN]

    def unpaired(self, name: str) -> list[File]:
        """Files of that name without an exam."""
        return self._catalogue.arrivals.unpaired(name)

    def lying(self, name: str) -> list[FolderFile]:
        """Files of the drop folder of this name, or nearly this name, that wait or lie there to no purpose."""
        return self._catalogue.exams.files.named(name)

    def _near(self, own: Neighbour, others: list[Neighbour]) -> tuple[Candidate, ...]:
        policy, zone = identity_policy(self._config.identity, self._catalogue.decisions.classes()), self._zone
        mine = _side(own, policy, zone)
        found = (Candidate(other.name, near(mine, _side(other, policy, zone))) for other in others)
        return tuple(one for one in found if one.why)[:_SHOWN]

    @property
    def _zone(self) -> ZoneInfo:
        return self._config.node.timezone


def _side(one: Neighbour, policy: IdentityPolicy, zone: ZoneInfo) -> Side:
    patients = frozenset(stripped(number, policy) for number in one.patients)
    return Side(one.accessions - {""}, patients - {""}, _day(one, zone))


def _day(one: Neighbour, zone: ZoneInfo) -> datetime | None:
    text = one.date if one.exam is None else f"{one.came.astimezone(zone):%Y%m%d}"
    try:
        return datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007  # DA has no zone
    except ValueError:
        return None
