"""Three hospitals in one node, from the way in to the exam: own and shared folders and HL7 ports, reload, rebuild."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from router.catalogue import open_catalogue
from router.catalogue.db.tables.exams import Document, Exam
from router.clock import SystemClock
from router.config.file import load
from router.events import Event, EventBus, Kind
from router.images.rulebook import rulebook
from router.matching.exam.institution import UNREGISTERED
from router.node.listeners import Ports
from router.node.node import Node
from router.reports.folder import watch
from router.storage import open_storage
from router.upkeep.rebuild import Rebuild
from support.hl7_messages import Sender, oru
from support.intake_folder import printed
from support.sample_exam import exam_document

COMMON = """
[node]
language = "en"
data = "data"
name = "test"
[receive]
port = 0
workers = 1
min_free = "0 B"
journal = "0 B"
[reports]
folder = "drop"
settle = "50 ms"
rescan = "100 ms"
[reports.hl7]
port = 0
[study]
stable_after = "0 s"
[admin]
port = 0
"""
OWN = """
[reports]
folder = "../{folder}"
settle = "50 ms"
rescan = "100 ms"
[reports.hl7]
port = 0
"""
Exams = set[tuple[str, str]]


def _write(base: Path, name: str, number: int, more: str = "") -> None:
    (base / "hospitals").mkdir(exist_ok=True)
    constants = f'USCI = "U{number}"\nHospitalCode = "H{number}"\nHospitalName = "医院{number}"\n'
    (base / "hospitals" / f"{name}.toml").write_text(f'{constants}HospitalBranchCode = "01"\n{more}', encoding="utf-8")


class House:
    """A node of hospitals a (folder and port of its own, the folder within the common one), b and c."""

    def __init__(self, base: Path) -> None:
        self.base, self.file = base, base / "router.toml"
        self.file.write_text(COMMON, encoding="utf-8")
        _write(base, "a", 1, OWN.format(folder="drop/a"))
        _write(base, "b", 2)
        _write(base, "c", 3, 'facility = ["CENTRE"]\n')
        self.node = Node(load(self.file), SystemClock())
        self.ports: Ports = self.node.start()

    def drop(self, path: str, exam_id: str, *, number: int | None = None) -> None:
        """An exam JSON; `number` of the hospital that it names, None for none."""
        codes = {"USCI": f"U{number}" if number else "", "HospitalCode": f"H{number}" if number else ""}
        document = exam_document({**codes, "ExamId": exam_id, "HospitalBranchCode": ""})
        self.put(f"{path}.json", json.dumps(document, ensure_ascii=False).encode())

    def put(self, path: str, data: bytes) -> None:
        hidden = self.base / f".{path.replace('/', '-')}"
        hidden.write_bytes(data)
        target = self.base / path
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden.rename(target)

    def send(self, port: int, exam_id: str, facility: str) -> str:
        with closing((sender := Sender(port)).socket):
            message = oru(exam_id=exam_id, control=f"{exam_id}-{facility}").replace("|HOSPITAL|", f"|{facility}|")
            return sender.send(message.encode())

    def exams(self) -> Exams:
        return set(self.node.parts.catalogue.engine.rows(Exam.select(Exam.hospital, Exam.exam_id)))

    def documents(self, kind: str) -> dict[str, str | None]:
        """The hospital of the exam of each document of a kind, by its name; None where it has no exam."""
        query = Document.select(Document.stem, Exam.hospital).join(Exam, "LEFT JOIN").where(Document.kind == kind)
        return dict(self.node.parts.catalogue.engine.rows(query))

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, (self.exams(), self.documents("json"), self.documents("pdf"))
            time.sleep(0.02)

    def reload(self) -> str:
        """The text of what was taken up."""
        told: list[Event] = []
        self.node.parts.bus.subscribe(told.append)
        self.node.reload(self.file)
        return " ".join(event.text for event in told if event.kind == Kind.RELOADED)

    def stop(self) -> None:
        self.node.stop()
        os.close(self.node.parts.lock)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.stop()


def test_what_each_hospital_sends_is_filed_under_it_and_nothing_is_mixed(house: House) -> None:
    pdf = printed("a report")
    for path, number in (("drop/a/E1", None), ("drop/b-E1", 2), ("drop/c-E1", 3), ("drop/nobody", None)):
        house.drop(path, "E1", number=number)
        house.put(f"{path}.pdf", pdf + path.encode())
    house.drop("drop/a/contradicts", "E2", number=2)
    house.drop("drop/@a/forged", "E3", number=3)
    assert "|AA|" in house.send(house.ports.own["a"], "M1", "H1")
    assert "|AA|" in house.send(house.ports.own["a"], "M2", "WARD")
    assert "|AA|" in house.send(house.ports.own["a"], "M3", "H2")
    common = house.ports.hl7 or 0
    for facility in ("医院2", "CENTRE", "ELSEWHERE"):
        assert "|AA|" in house.send(common, "M1", facility)
    expected = {
        *((hospital, "E1") for hospital in "abc?"), ("a", "E2"), ("c", "E3"),
        *((hospital, "M1") for hospital in "abc?"), ("a", "M2"), (UNREGISTERED, "M3"),
    }  # fmt: skip
    house.until(lambda: house.exams() == expected and len(house.documents("pdf")) == 4)
    assert house.documents("pdf") == {"@a/E1": "a", "b-E1": "b", "c-E1": "c", "nobody": UNREGISTERED}
    stems = {stem: hospital for stem, hospital in house.documents("json").items() if "mllp" in stem}
    assert stems == {
        "@a/mllp/01/M1": "a", "@a/mllp/01/M2": "a", "@a/mllp//M3": UNREGISTERED, "@b/mllp/01/M1": "b",
        "@c/mllp/01/M1": "c", "mllp/?//M1": UNREGISTERED,
    }  # fmt: skip
    assert (house.base / "drop" / "a" / "done" / "E1.json").exists()
    assert (house.base / "drop" / "done" / "b-E1.json").exists()
    # The number is one hospital's alone in a folder of its own, and nobody's in a shared one.
    house.put("drop/a/x/E1.pdf", pdf + b"own")
    house.put("drop/x/E1.pdf", pdf + b"shared")
    house.until(lambda: {"@a/x/E1", "x/E1"} <= house.documents("pdf").keys())
    assert (house.documents("pdf")["@a/x/E1"], house.documents("pdf")["x/E1"]) == ("a", None)
    _rebuilt(house, expected)


def _rebuilt(house: House, expected: Exams) -> None:
    """From the files alone each exam is its hospital's again, and of the branch that it had."""
    house.node.stop()
    config = load(house.file)
    keys = set(house.node.parts.catalogue.engine.rows(Exam.select(Exam.id, Exam.hospital, Exam.branch, Exam.exam_id)))
    assert {(hospital, exam_id) for _, hospital, _, exam_id in keys} == expected
    for name in ("router.db", "router.db-wal", "router.db-shm"):
        (config.node.data / name).unlink(missing_ok=True)
    catalogue, storage = open_catalogue("", config.node.data, EventBus()), open_storage(config.node.data, "other")
    book = rulebook(config.series)
    found = Rebuild(
        config, catalogue, storage, lambda _: book, bus=EventBus(), clock=SystemClock()
    ).run(lambda paths: paths)  # fmt: skip
    assert not found.unreadable
    assert set(catalogue.engine.rows(Exam.select(Exam.id, Exam.hospital, Exam.branch, Exam.exam_id))) == keys
    catalogue.engine.close_thread()


def test_hospitals_come_change_and_go_by_a_reload(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.drop("drop/held", "E4", number=4)
    house.until(lambda: house.exams() == {(UNREGISTERED, "E4")})
    counted = house.node.parts.vitals.report
    house.until(lambda: {one["hospital"] for one in counted().get("hospitals", ())} >= {"a", "b", "c"})  # type: ignore[attr-defined] # a list
    (house.base / "hospitals" / "c.toml").unlink()
    _write(house.base, "a", 1, OWN.format(folder="moved"))
    _write(house.base, "d", 4, OWN.format(folder="drop/d"))
    former = house.ports.own["a"]
    said = "taken up: hospital a.reports.folder, hospital d (new), hospital c (gone);"
    assert said in house.reload()
    house.until(lambda: house.exams() == {("d", "E4")})  # it is registered by now
    ports = house.node.ports()
    assert (set(ports.own), ports.own["a"], ports.hl7) == ({"a", "d"}, former, house.ports.hl7)
    house.drop("moved/E1", "E1")
    house.drop("drop/d/E1", "E1")
    house.drop("drop/a/E5", "E5", number=3)  # the folder is the common one's again, and its hospital is gone
    assert "|AA|" in house.send(ports.own["d"], "M1", "")
    assert "|AA|" in house.send(ports.hl7 or 0, "M1", "CENTRE")
    expected = {("d", "E4"), ("a", "E1"), ("d", "E1"), (UNREGISTERED, "E5"), ("d", "M1"), (UNREGISTERED, "M1")}
    house.until(lambda: house.exams() == expected)
    _common_folder_hangs(house, monkeypatch)
    house.drop("drop/E9", "E9", number=1)
    house.drop("drop/d/E6", "E6")
    house.until(lambda: house.exams() == {*expected, ("d", "E6")} and bool(house.node.parts.pickup.trouble))
    assert [one.pickup.trouble for one in house.node.duties.folders.all()] == ["", ""]
    _write(house.base, "a", 1)
    _write(house.base, "d", 4)
    assert "hospital d.reports.folder" in house.reload()
    assert not house.node.ports().own
    with pytest.raises(ConnectionRefusedError):
        Sender(ports.own["d"])
    assert not house.node.duties.folders.all()


def _common_folder_hangs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = watch.scan

    def hangs(folder: Path, without: frozenset[Path]) -> object:
        if folder == house.base / "drop":
            time.sleep(0.2)
            raise OSError(116, "Stale file handle")
        return scan(folder, without)

    monkeypatch.setattr("router.intake.pickup.scan", hangs)
