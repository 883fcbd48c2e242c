"""Every order in which the parts of an exam can come, against a model of the design's rules, with restarts between.

The model knows names and times of what came, and says what the destination must have by then.
"""

import itertools
import json
import os
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from router.matching.exam.versions import JsonVersion, PdfVersion
from router.matching.report_pdf.choice import Choice, Papers, choose
from router.model import Channel, Patient
from router.policy.states import State
from support.node_without_sockets import START, Node, slice_of
from support.sample_exam import exam_document

EXAM, STUDY = "V20240001_CT001", "1.2.3"
PATIENT = Patient("P0001", "张三", "19491231", "F")
DRAFT, APPROVED, CORRECTED, WITHDRAWN = VERSIONS = ("draft", "approved", "corrected", "withdrawn")  # by their times
PDF, CORRECTED_PDF = PDFS = ("pdf", "corrected pdf")
IMAGES, LATE, NOTE = FROM_PACS = ("images", "late images", "rejection note")
EVENTS = (*VERSIONS, *PDFS, *FROM_PACS)

BUDGET, STABLE = timedelta(days=1), timedelta(seconds=60)
PAUSES = (5, 5, 300, 15 * 3600)  # the study is not quiet yet; it is; half of the budget is over
APPROVE_TIMES = {APPROVED: START - timedelta(minutes=20), CORRECTED: START - timedelta(minutes=10)}
SUBMIT_TIMES = dict(zip(VERSIONS, ("11:00", "11:30", "11:45", "11:55"), strict=True))
FINDINGS = {DRAFT: "one", APPROVED: "one", CORRECTED: "two", WITHDRAWN: "two"}
NUMBERS = {IMAGES: {1, 2}, LATE: {3}}
REJECTED = 1
COUNT_OF_RIS = 7

Sent = tuple[str, str, int]
"""An upload: JSON, PDF, ImageCount."""


class Model:
    """The design's "Rules of the flow" for one exam that has one study."""

    def __init__(self) -> None:
        self.now = START
        self.came: dict[str, datetime] = {}
        self.reports: list[Sent] = []
        self.images: set[int] = set()
        self.images_complete = False
        self.rejected_too_late = False

    def come(self, event: str) -> None:
        self.came[event] = self.now
        self.rejected_too_late |= event == NOTE and REJECTED in self.images
        self._deliver()

    def wait(self, seconds: float) -> None:
        until = self.now + timedelta(seconds=seconds)
        while instants := [
            at
            for at in (self._quiet_at, self._half, self.choice.look_again)
            if at is not None and self.now < at <= until
        ]:
            self.now = min(instants)
            self._deliver()
        self.now = until
        self._deliver()

    @property
    def versions(self) -> list[str]:
        """Those that counted when they came: later ones by their own times."""
        found: list[str] = []
        for event in self.came:
            if event in VERSIONS and (not found or VERSIONS.index(event) > VERSIONS.index(found[-1])):
                found.append(event)
        return found

    @property
    def approved(self) -> bool:
        return bool(self.versions) and self.versions[-1] in APPROVE_TIMES

    @property
    def withdrawn(self) -> bool:
        return self.versions[-1:] == [WITHDRAWN] and not APPROVE_TIMES.keys().isdisjoint(self.versions)

    @property
    def choice(self) -> Choice:
        """As the decision has it, whose answers are a table of their own; every PDF's text names the exam."""
        events = list(self.came)
        pdfs = [
            PdfVersion(document=events.index(e), arrived=at, file_time=at, vouched=True)
            for e, at in self.came.items()
            if e in PDFS
        ]
        taken = [_version(events.index(e), e, at) for e, at in self.came.items() if e in VERSIONS]
        return choose(Papers(taken=taken, pdfs=pdfs), self.now)

    @property
    def pdf(self) -> str:
        found = self.choice.pdf
        return list(self.came)[found.document] if found else ""

    @property
    def selected(self) -> set[int]:
        here = {number for event in self.came for number in NUMBERS.get(event, ())}
        return self.images | (here - ({REJECTED} if NOTE in self.came else set()))

    @property
    def wanted(self) -> Sent:
        known = any(event in self.came for event in FROM_PACS)
        return self.versions[-1], self.pdf, len(self.selected) if known else COUNT_OF_RIS

    @property
    def quiet(self) -> bool:
        return self._quiet_at is not None and self._quiet_at <= self.now

    @property
    def late(self) -> bool:
        return self._half is not None and self._half <= self.now

    @property
    def news(self) -> bool:
        """Whether the destination lacks something of the report. Late images count once they are quiet."""
        last, wanted = self.reports[-1:], self.wanted
        return not last or last[0][:2] != wanted[:2] or (self.quiet and last[0] != wanted)

    @property
    def _instants(self) -> tuple[datetime | None, ...]:
        return self._quiet_at, self._half, self.choice.look_again

    @property
    def _quiet_at(self) -> datetime | None:
        return max((at + STABLE for event, at in self.came.items() if event in FROM_PACS), default=None)

    @property
    def _half(self) -> datetime | None:
        if not self.approved:
            return None
        causes = [at for event, at in self.came.items() if event in {self.versions[-1], self.pdf, *FROM_PACS}]
        since = [APPROVE_TIMES[self.versions[-1]], *(causes if self.reports else [])]
        return max(since) + BUDGET / 2

    def _deliver(self) -> None:
        if self.approved:
            self.images_complete = self.quiet or (self.images_complete and self.images == self.selected)
            self.images = self.selected
            if self.pdf and (self.quiet or self.late) and self.news:
                self.reports.append(self.wanted)

    def report_state(self) -> set[State]:
        """What the report's delivery may show."""
        if self.withdrawn:
            return {State.HELD, State.DELIVERED} if self.reports else {State.HELD}
        if self.choice.doubt:
            return {State.HELD}
        if not self.approved:
            return {State.WAITING}
        if not self.news:
            return {State.DELIVERED}
        overdue = not self.pdf and self.late and not self.came.keys().isdisjoint(PDFS)
        return {State.HELD} if overdue else {State.WAITING}

    def images_state(self) -> set[State]:
        if self.withdrawn:
            return {State.HELD} if self.came.keys().isdisjoint(FROM_PACS) else {State.HELD, State.DELIVERED}
        return {State.DELIVERED if self.images_complete else State.WAITING}


def _version(number: int, event: str, came: datetime) -> JsonVersion:
    approved, findings = APPROVE_TIMES.get(event), FINDINGS[event]
    submitted = datetime.fromisoformat(f"2026-03-02T{SUBMIT_TIMES[event]}:00+08:00")
    whole = f"{findings} {submitted} {approved}"
    return JsonVersion(
        document=number,
        arrived=came,
        file_time=came,
        submit_time=submitted,
        approve_time=approved,
        approved=approved is not None,
        content=findings,
        reported=whole,
    )


# -- the node


def json_of(version: str) -> bytes:
    local = APPROVE_TIMES[version] + timedelta(hours=8) if version in APPROVE_TIMES else None
    paths: dict[str, object] = {
        "Order.Status": "Reported" if local else "Registered", "Study.StudyInstanceUIDs": [STUDY],
        "Report.ApproveTime": f"{local:%Y-%m-%d %H:%M:%S}" if local else "",
        "Report.SubmitTime": f"2026-03-02 {SUBMIT_TIMES[version]}:00", "Report.Findings": FINDINGS[version],
        "Study.ImageCount": COUNT_OF_RIS, "Order.Note": version,
    }  # fmt: skip
    return json.dumps(exam_document(paths)).encode()


def bring(node: Node, event: str) -> None:
    if event in VERSIONS:
        node.drop("r.json", json_of(event))
    elif event in PDFS:
        node.drop("r.pdf", f"{event} of A0001".encode())
    elif event == NOTE:
        node.receive(slice_of(STUDY, 9, PATIENT, "A0001", references=(f"{STUDY}.1.{REJECTED}",)))
    else:
        for number in sorted(NUMBERS[event]):
            node.receive(slice_of(STUDY, number, PATIENT, "A0001"))
    node.settle()


def delivered(node: Node) -> list[Sent]:
    return [(r.exam["Order"]["Note"], r.pdf.removesuffix(" of A0001"), r.count) for r in node.cloud.reports]


def sent(node: Node) -> set[int]:
    assert len(node.cloud.images) == len(set(node.cloud.images)), "an instance was sent twice"
    return {int(uid.rsplit(".", 1)[1]) for uid in node.cloud.images}


def compare(node: Node, model: Model) -> None:
    assert delivered(node) == model.reports
    assert sent(node) == model.images
    report, images = (node.delivery(EXAM, channel) for channel in (Channel.REPORT, Channel.IMAGES))
    assert (report is not None) == (images is not None) == bool(model.versions)
    if report and images:
        assert report.state in model.report_state(), report.error
        assert images.state in model.images_state(), images.error
        if report.state == State.WAITING:
            assert ("approval" in report.waiting_for) == (not model.approved)
            assert ("pdf" in report.waiting_for) == (not model.pdf)
    assert node.alarmed("already delivered") == (model.withdrawn and bool(model.reports or model.images))
    assert node.alarmed("a note rejects") == model.rejected_too_late


Step = tuple[str, int, bool]
"""What comes, the seconds after it, and whether the node is started anew then."""


def follow(folder: Path, history: Sequence[Step]) -> None:
    folder.mkdir()
    node, model = Node(folder), Model()
    try:
        for number, (event, pause, restart) in enumerate(history):
            bring(node, event)
            model.come(event)
            compare(node, model)
            if restart:
                node.restart()
            node.wait(pause)
            model.wait(pause)
            try:
                compare(node, model)
            except AssertionError as error:
                error.add_note(f"after {history[: number + 1]}")
                raise
    finally:
        node.close()


def steps(chance: random.Random, order: Sequence[str]) -> list[Step]:
    return [(event, chance.choice(PAUSES), chance.random() < 0.5) for event in order]


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is lost here, power is not."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.mark.parametrize("seed", range(10))
def test_any_order_of_arrival_delivers_what_the_design_says(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    follow(tmp_path / "n", steps(chance, chance.sample(EVENTS, len(EVENTS))))


def test_a_withdrawal_is_an_alarm_though_only_some_images_went(tmp_path: Path) -> None:
    follow(tmp_path / "n", [(APPROVED, 5, False), (IMAGES, 5, False), (WITHDRAWN, 5, False)])


def test_a_withdrawal_is_no_alarm_where_only_a_rejection_note_came(tmp_path: Path) -> None:
    follow(tmp_path / "n", [(APPROVED, 5, False), (NOTE, 300, False), (WITHDRAWN, 5, False)])


@pytest.mark.torture
@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_order_of_a_few(tmp_path: Path, length: int) -> None:
    chance = random.Random()
    for number, order in enumerate(itertools.permutations(EVENTS, length)):
        follow(tmp_path / str(number), steps(chance, order))


@pytest.mark.torture
@pytest.mark.parametrize("part", range(8))
def test_many_orders_of_all(tmp_path: Path, part: int) -> None:
    chance = random.Random()
    for number in range(250):
        follow(tmp_path / f"{part}-{number}", steps(chance, chance.sample(EVENTS, len(EVENTS))))
