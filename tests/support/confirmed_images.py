"""Images that a destination has confirmed, as rows, and archives that answer questions about studies, also oddly."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome
from router.config.sections import DicomDestination
from router.dicom.scu.finder import Counted, Listed
from router.model import Channel
from router.policy.states import State
from router.review.images_there import Archive
from support.catalogue_rows import CLOUD, driver, instance

INSTANCES = 3


def study_of(number: int) -> str:
    return f"1.2.826.0.1.3680043.9.9999.{number}"


def sops_of(number: int, instances: int = INSTANCES) -> set[str]:
    return {f"{study_of(number)}.1.{n}" for n in range(1, instances + 1)}


def took(catalogue: Catalogue, count: int, first: datetime, spacing: timedelta) -> None:
    """CLOUD took the images of so many exams from then on, one after the other, each a study of three instances.

    The first goes by the catalogue's own ways; the others are copies of its rows, in an empty database of SQLite.
    """
    exam = catalogue.exams.number_of("", "01", "E1", first)
    catalogue.instances.add([instance(n, study_of(1), received=first, accession="A1") for n in range(1, INSTANCES + 1)])
    catalogue.exams.links.link(exam, [study_of(1)], "listed", first)
    catalogue.queue.make(exam, [(CLOUD, Channel.IMAGES)], first)
    keys = [one.key for one in catalogue.ledger.undecided(exam, CLOUD)]
    catalogue.ledger.decide(CLOUD, [(key, True, "thin slices") for key in keys], first)
    deliver(catalogue, exam, first)
    driver(catalogue).execute_sql("UPDATE exam SET approved_at = created")
    base = driver(catalogue)
    with catalogue.engine.write():
        for table in ("exam", "study", "exam_study", "instance", "ledger", "delivery"):
            cursor = base.execute_sql(f"SELECT * FROM {table}")
            names, rows = [column[0] for column in cursor.description], cursor.fetchall()
            copies = [
                _copy(table, dict(zip(names, row, strict=True)), n, spacing) for n in range(1, count) for row in rows
            ]
            marks = ", ".join("?" * len(names))
            base.connection().executemany(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", [list(one.values()) for one in copies]
            )


_TIMES = (
    "created",
    "changed",
    "approved_at",
    "delivered_at",
    "received",
    "first_received",
    "last_received",
    "since",
    "at",
)
_NUMBERS = ("exam_id", "study_id", "study", "instance_id", "id")


def _copy(table: str, row: dict[str, Any], n: int, spacing: timedelta) -> dict[str, Any]:
    """The row `n` exams later: its numbers, its UIDs and its times."""
    later, several = round(spacing.total_seconds() * 1e6) * n, table in ("instance", "ledger")
    found = dict(row)
    for name, value in row.items():
        if name in _NUMBERS and isinstance(value, int):
            found[name] = value + n * (INSTANCES if name == "instance_id" or (name == "id" and several) else 1)
        elif name in _TIMES and value is not None:
            found[name] = value + later
        elif isinstance(value, str) and value.startswith(study_of(1)):
            found[name] = value.replace(study_of(1), study_of(n + 1), 1)
    named = {"exam": {"exam_id": f"E{n + 1}"}, "study": {"accession_number": f"A{n + 1}"}}
    return found | named.get(table, {})


def deliver(catalogue: Catalogue, exam: int, at: datetime) -> None:
    """What of the exam's images is to go is taken by CLOUD."""
    (one,) = catalogue.queue.of_exam(exam)
    for to in (State.READY, State.SENDING, State.DELIVERED):
        if one.state != to:
            assert catalogue.queue.move(one, to, at, "on the way")
            (one,) = catalogue.queue.of_exam(exam)
    sent = [Outcome(key=each.key, fate=Fate.SENT, status=0, association="a")
            for each in catalogue.ledger.to_send(exam, CLOUD, 100)]  # fmt: skip
    catalogue.ledger.record(sent, at)


@dataclass
class ImageArchive:
    """The archive of CLOUD: `has` are SOP instances by study, all of them of series 1 of their study.

    `counts`: it knows (0020,1208). `most`: so many answers to one question, without a word. `lists`: it answers at
    image level. `accessions` are its studies' numbers. `trouble` is raised by each question.
    """

    has: dict[str, set[str]] = field(default_factory=dict)
    accessions: dict[str, str] = field(default_factory=dict)
    counts: bool = True
    lists: bool = True
    most: int = 1000
    trouble: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def take(self, *numbers: int) -> None:
        for number in numbers:
            self.has[study_of(number)] = sops_of(number)

    def forget(self, number: int, *instances: int) -> None:
        """It loses these instances of a study, all without them."""
        if not instances:
            del self.has[study_of(number)]
        for n in instances:
            self.has[study_of(number)].discard(f"{study_of(number)}.1.{n}")

    @contextmanager
    def open(self, peer: DicomDestination) -> Iterator[Archive]:
        del peer
        yield self

    def study(self, uid: str) -> Counted | None:
        self._ask(f"study {uid}")
        if uid not in self.has:
            return None
        return Counted(len(self.has[uid]) if self.counts else None)

    def of_accession(self, number: str) -> Mapping[str, int | None]:
        self._ask(f"accession {number}")
        return {uid: len(self.has[uid]) for uid, mine in self.accessions.items() if mine == number}

    def instances(self, study: str, series: str, instance: str = "") -> Listed:
        self._ask(f"series {series} {instance}".strip())
        if not self.lists:
            return Listed(frozenset(), whole=False)
        mine = sorted(one for one in self.has.get(study, ()) if one.startswith(series) and instance in ("", one))
        return Listed(frozenset(mine[: self.most]), whole=True)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.trouble is not None:
            raise self.trouble
