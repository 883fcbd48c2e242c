"""Counting of outcomes: exams to which something happened are judged anew, and their days summed up again.

Every exam that should be shared counts once: by its JSON, as a study here that no exam names, or as a study that only
the PACS has.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from router.catalogue import Catalogue
from router.catalogue.queue.outcomes import EXAM, IN_PACS, STUDY, DeliveryRow, ExamCount, ExamRows
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config
from router.correlator.holidays import Holidays
from router.errors import RouterError
from router.exam.labels import Labels, labels_of
from router.intake.exam_reader import ExamReader
from router.matching.exam.share import share_policy
from router.matching.images.unreported import Waiting, passed_over
from router.model import Channel
from router.policy.attention import Cause, judge
from router.policy.completeness import Completeness, Course, Examined, Outcome, outcome
from router.policy.pause import Pause
from router.review.unreported import scopes_of, work_clock

_AT_ONCE = 500  # exams in one transaction
_LONGEST = timedelta(days=400)  # pauses that ended before are of no exam that changes
_STEPS = ((120, 1), (720, 10), (7 * 1440, 60))  # up to so many minutes a time is kept in steps of so many

ReadReport = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class PacsStudy:
    """A study that the PACS has, by its UID; `modality` is the one it was asked for."""

    study_uid: str
    modality: str


class OutcomeCounter:
    """Brings the statistics up to date. `read` gives a report file of the data folder."""

    def __init__(self, config: Config, catalogue: Catalogue, reader: ExamReader, read: ReadReport) -> None:
        self._catalogue = catalogue
        self._reader = reader
        self._read = read
        self._holidays = Holidays(config.study.holidays)
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Judge by another configuration from the next count on."""
        self._config = config
        self._configs = HospitalConfigs(config)
        self._holidays.reconfigure(config.study.holidays)

    def catch_up(self, now: datetime) -> None:
        """Count all that has changed since the last count; the first time everything, in portions."""
        rows = self._catalogue.outcomes
        rows.begin()
        pauses = self._catalogue.pauses.since(now - _LONGEST)
        touched, mark = rows.touched(now)
        while new := rows.new(_AT_ONCE):
            self._count(new, pauses, now, exams=new[-1])
        self._count_all(touched, pauses, now)
        after = 0
        while some := rows.open(after, _AT_ONCE):
            self._count(some, pauses, now)
            after = some[-1]
        self._count_studies(now)
        self._drop_those_that_came()
        rows.write([], events=mark)

    def note_pacs(self, day: date, studies: Iterable[PacsStudy]) -> int:
        """Enter the studies of a day that the PACS has and that never came here; how many there are."""
        rows, text = self._catalogue.outcomes, day.isoformat()
        named = {one.study_uid: one for one in studies}
        lacking = rows.unknown(list(named))
        gone = set(rows.in_pacs(text)) - lacking
        counts = [
            ExamCount(
                key=f"{IN_PACS}{uid}", day=text, hospital="", branch="", department="", modality=named[uid].modality,
                device="", critical=0, state=Completeness.NEVER_CAME,
            )
            for uid in sorted(lacking)
        ]  # fmt: skip
        rows.write(counts, [f"{IN_PACS}{uid}" for uid in gone])
        return len(lacking)

    # -- exams

    def _count_all(self, exams: Sequence[int], pauses: Sequence[Pause], now: datetime) -> None:
        for start in range(0, len(exams), _AT_ONCE):
            self._count(exams[start : start + _AT_ONCE], pauses, now)

    def _count(
        self, numbers: Sequence[int], pauses: Sequence[Pause], now: datetime, **marks: int
    ) -> None:  # fmt: skip
        found = self._catalogue.outcomes.exams(numbers)
        known = self._catalogue.outcomes.counted([f"{EXAM}{one.exam}" for one in found])
        counts = [self._of_exam(one, known.get(f"{EXAM}{one.exam}"), pauses, now) for one in found]
        named = {uid for one in found for uid in one.studies}
        drop = [f"{kind}{uid}" for kind in (STUDY, IN_PACS) for uid in sorted(named)]
        self._catalogue.outcomes.write(counts, drop, **marks)

    def _of_exam(
        self, one: ExamRows, known: ExamCount | None, pauses: Sequence[Pause], now: datetime
    ) -> ExamCount:  # fmt: skip
        start = share_policy(self._configs.of(one.hospital)).start
        approved = one.approved_at or one.withdrawn
        examined = Examined(
            approved_at=one.approved_at, images=bool(one.devices), unread=one.unread, withdrawn=one.withdrawn,
            courses=[
                self._course(row, [p for p in pauses if p.concerns(row.stuck.destination, one.hospital)], now)
                for row in one.deliveries
            ],
            history=start is not None and approved is not None and approved < start,
        )  # fmt: skip
        found = outcome(examined, now)
        labels, document = self._labels(one, known)
        modality, device = one.devices[0] if one.devices else ("", "")
        at = one.approved_at or (one.withdrawn if found.due else None) or one.created
        return counted(found, ExamCount(
            key=f"{EXAM}{one.exam}", day=self._day(at), hospital=one.hospital, branch=one.branch,
            department=labels.department, modality=modality or labels.modality, device=device or labels.device,
            critical=int(labels.critical), state=found.state, document=document,
        ))  # fmt: skip

    def _course(self, row: DeliveryRow, pauses: Sequence[Pause], now: datetime) -> Course:
        """`pauses` are those that concern it."""
        one = row.stuck
        destination = self._config.destination_named(one.destination)
        budget = None
        if destination is not None and one.channel in destination.channels:
            budget = destination.report_within if one.channel == Channel.REPORT else destination.images_within
        judged = judge(one, budget, now)
        return Course(
            destination=one.destination, channel=one.channel, state=one.state, needs=one.needs,
            cause=judged if isinstance(judged, Cause) else None, legal_due=row.legal_due,
            budget=budget or timedelta(0), delivered_at=row.delivered_at, moves=row.moves, pauses=pauses,
        )  # fmt: skip

    def _labels(self, one: ExamRows, known: ExamCount | None) -> tuple[Labels, int | None]:
        """The labels of the exam JSON, read once for each; those that were known where it cannot be read."""
        former = Labels()
        if known is not None:
            former = Labels(department=known.department, modality=known.modality, device=known.device,
                            critical=bool(known.critical))  # fmt: skip
        if one.json is None or (known is not None and known.document == one.json[0]):
            return former, known.document if known else None
        try:
            return labels_of(self._reader.of(one.hospital).read(self._read(one.json[1]))), one.json[0]
        except (RouterError, OSError):
            return former, None

    # -- studies

    def _count_studies(self, now: datetime) -> None:
        """Studies here that no exam names: still without a report, or not to be shared by a rule."""
        waiting = self._catalogue.unreported.waiting()
        devices = self._catalogue.outcomes.devices([one.study_uid for one in waiting])
        clock = work_clock(self._config, self._holidays.reading().days, now)
        scope = scopes_of(self._config, self._catalogue)
        counts = []
        for one in waiting:
            mine = scope(one.hospital)
            why = passed_over(one, mine, clock) or ("its sender needs no report" if mine.dismisses(one) else "")
            counts.append(self._of_study(one, devices.get(one.study_uid, ""), why))
        for start in range(0, len(counts), _AT_ONCE):
            some = counts[start : start + _AT_ONCE]
            came = [f"{IN_PACS}{one.key.removeprefix(STUDY)}" for one in some]
            self._catalogue.outcomes.write(some, came)

    def _of_study(self, one: Waiting, device: str, why: str) -> ExamCount:
        state = Completeness.NOT_SHARED if why else Completeness.UNREPORTED
        return ExamCount(
            key=f"{STUDY}{one.study_uid}", day=self._day(one.came), hospital=one.hospital, branch="", department="",
            modality=one.modality, device=device or one.sender, critical=0, state=state, reason=why,
        )  # fmt: skip

    def _drop_those_that_came(self) -> None:
        """A study that only the PACS had and that is here now counts as what it is here."""
        rows = self._catalogue.outcomes
        lacking = rows.in_pacs()
        came = set(lacking) - rows.unknown(lacking)
        if came:
            rows.write([], [f"{IN_PACS}{uid}" for uid in sorted(came)])

    def _day(self, at: datetime) -> str:
        return at.astimezone(self._config.node.timezone).date().isoformat()


def counted(found: Outcome, row: ExamCount) -> ExamCount:
    """The row with what its outcome adds to the counts."""
    return replace(
        row, state=found.state, reason=found.reason, miss=found.miss.reason if found.miss else "",
        whose=found.miss.whose if found.miss else "", due=int(found.due), uploaded=int(found.uploaded and found.due),
        report_on_time=int(_met(found, found.report_on_time)), images_on_time=int(_met(found, found.images_on_time)),
        on_time=int(found.on_time and found.due), first_time=int(found.first_time and found.due),
        report_took=step_of(found.report_took) if found.due else None,
        images_took=step_of(found.images_took) if found.due else None,
    )  # fmt: skip


def _met(found: Outcome, channel: bool | None) -> bool:
    """A channel that no destination takes is in time where the exam is."""
    return found.due and (found.on_time if channel is None else channel)


def step_of(took: timedelta | None) -> int | None:
    """The time in minutes, rounded up: to a minute up to two hours, then to 10 minutes, to an hour, to a day."""
    if took is None:
        return None
    minutes = max(-(-took // timedelta(minutes=1)), 1)
    width = next((width for most, width in _STEPS if minutes <= most), 1440)
    return -(-minutes // width) * width
