"""The destinations: models that take, refuse or lose what they are sent, and remember all of it."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from router.delivery.throttle import Throttle
from router.dicom.scu.client import Outgoing, Result
from router.dicom.ul.status import Verdict, classify
from router.errors import DestinationDown, Outage, PermanentError, TransientError, UnprovedRefusal
from router.forward.answer import Proof, Receipt
from router.forward.report import Upload

if TYPE_CHECKING:
    from simulation.node import SimNode

SIZE = 5 * 2**16  # bytes of an instance: five seconds at the slowest rate that may be configured
DUPLICATE, BUSY, REFUSED = 0x0111, 0xA700, 0xC000


class Weather(StrEnum):
    """How a destination is."""

    FAIR = "fair"
    DOWN = "down"
    BUSY = "busy"
    REFUSING = "refusing"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class Taken:
    """Something that a destination took: an instance's name below studies/, or the `idem` of an upload."""

    name: str
    node: str
    delivery: int
    version: int = 0
    exam: str = ""


@dataclass
class FarEnd:
    """A destination's one channel. `choosy`: it answers 0111 for an instance that it has."""

    name: str
    choosy: bool = False
    weather: Weather = Weather.FAIR
    taken: list[Taken] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    answered: int = 0  # probes that found it there
    probing: int = 0

    def take(self, one: Taken) -> None:
        self.taken.append(one)
        self.names.add(one.name)


@dataclass
class Line:
    """A node's way to a far end, as the clients are: report agent and storage client."""

    node: "SimNode"
    end: FarEnd
    paced: Throttle

    def probe(self) -> None:
        """Whether it is there; of several nodes and routes one asks."""
        self.end.probing += 1
        self.node.watch.sending.probed(self.end)
        try:
            self.node.point("probe")
            self._require_up()
            self.end.answered += 1
        finally:
            self.end.probing -= 1

    def _require_up(self) -> None:
        if self.end.weather is Weather.DOWN:
            raise DestinationDown("no connection", outage=Outage.CONNECTION)


class StorageLine(Line):
    """In place of the storage client, and of its session."""

    @contextmanager
    def session(self) -> Iterator["StorageLine"]:
        yield self

    def send(self, items: Sequence[Outgoing], stop: Callable[[], bool] = lambda: False) -> Iterator[Result]:
        """As `Session.send`: one after the other, over one association."""
        self.node.watch.sending.begins(self.node, self.end)
        self._require_up()
        for item in items:
            if stop():
                return
            name = "/".join(item.path.parts[-3:])
            self.node.watch.sending.sends_image(self.node, self.end, name, item.path)
            self.paced(SIZE)
            asked = self.node.point("asked")
            if self.end.weather is Weather.DOWN:
                yield _lost(item)
                raise DestinationDown("the connection is gone", outage=Outage.CONNECTION)
            if "lose" in asked:
                yield _lost(item)
                continue
            status = self._status(item, name)
            took = self.node.point("took")
            if "lose" in took:
                yield _lost(item)
                continue
            verdict = classify(status, again=item.tried and item.sole)
            self.node.watch.sending.answered(self.node, self.end, name, verdict is Verdict.STORED)
            yield Result(key=item.key, status=status, verdict=verdict, association="a1")

    def _status(self, item: Outgoing, name: str) -> int:
        if self.end.weather is Weather.BUSY:
            return BUSY
        if self.end.weather is Weather.REFUSING and item.sop_instance.endswith("2"):
            self.end.refused.add(name)
            return REFUSED
        if self.end.choosy and name in self.end.names:
            return DUPLICATE
        self.end.take(Taken(name, self.node.name, self.node.sending[-1].id))
        self.node.watch.sending.took(self.node, self.end)
        return 0


class ReportLine(Line):
    """In place of the report agent."""

    def send(self, upload: Upload) -> Receipt:
        """As the agent's: the receipt, or the error that the answer stands for."""
        document = json.loads(upload.exam_file.read_bytes())
        exam, version = document["ExamId"], version_of(document)
        self.node.watch.sending.sends_report(self.node, self.end, upload.idem, exam, version)
        self.paced(SIZE)
        asked = self.node.point("asked")
        self._answer(exam)
        if "lose" in asked:
            raise TransientError("the connection was lost")
        self.end.take(Taken(upload.idem, self.node.name, self.node.sending[-1].id, version, exam))
        self.node.watch.sending.took(self.node, self.end)
        if "lose" in self.node.point("took"):
            raise TransientError("no answer came")
        self.node.watch.sending.answered(self.node, self.end, upload.idem, stored=True)
        return _receipt(upload.idem)

    def _answer(self, exam: str) -> None:
        self._require_up()
        if self.end.weather is Weather.BUSY:
            raise TransientError("status 503", retry_after=30)
        if self.end.weather is Weather.REFUSING:
            self.end.refused.add(exam)
            raise PermanentError("status 422", faults=(("Order.Note", "too long"),))
        if self.end.weather is Weather.DOUBTFUL:
            raise UnprovedRefusal("status 422")


def version_of(document: object) -> int:
    """The number that the hospital's model put into the findings."""
    assert isinstance(document, dict)
    return int(document["Report"]["Findings"].split()[-1])


def _lost(item: Outgoing) -> Result:
    return Result(key=item.key, status=None, verdict=Verdict.LOST, association="a1", trouble="the association was lost")


def _receipt(idem: str) -> Receipt:
    proof = Proof(profile="none", key_id="k", signature=b"", text=b"", request_keys={})
    at = datetime(2026, 3, 2, tzinfo=UTC)
    return Receipt(receipt=f"r-{idem}", idem=idem, at=at, nonce="n", status=200, body=b"", proof=proof)


def make_file(path: Path, text: str) -> None:
    """A stored instance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
