"""Drop folders of several hospitals on the disk: each with its own done/, rejected/, files for a person, retention."""

import threading

import pytest

from router.catalogue.exams.files import FileKind
from router.config.file import parse
from router.config.folders import DropFolder, drop_folders
from router.events import Kind
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.intake.pickup import Pickup
from router.upkeep.retention import Retention
from support.intake_folder import IntakeFolder, another, exam, printed

SEVERAL = """
[node]
data = "data"
[reports]
folder = "in"
[[hospital]]
name = "a"
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[hospital.reports]
folder = "in/a"
[[hospital]]
name = "b"
USCI = "121100004000000001"
HospitalCode = "H0002"
HospitalName = "示范医院2"
HospitalBranchCode = "01"
[hospital.reports]
folder = "b"
on_pickup = "keep"
[[hospital]]
name = "c"
USCI = "121100004000000001"
HospitalCode = "H0003"
HospitalName = "示范医院3"
HospitalBranchCode = "01"
"""
MONTH = 31 * 86400.0


class Town:
    """A node of hospitals a and b, with folders of their own, and c, whose files come in the common one."""

    def __init__(self, desk: IntakeFolder) -> None:
        self.desk = desk
        desk.config = parse(SEVERAL, base=desk.config.node.data.parent)
        self.away: set[str | None] = set()
        reader, filing = ExamReader(desk.config), threading.Lock()
        self.folders = {at.hospital: at for at in drop_folders(desk.config)}
        self.loops: dict[str | None, Pickup] = {}
        for hospital, at in self.folders.items():
            at.path.mkdir(exist_ok=True)
            intake = Intake(
                desk.config, reader, desk.exams, desk.storage, desk.bus, desk.clock, desk._readers, at=at, filing=filing
            )
            self.loops[hospital] = Pickup(intake, desk.bus, desk.clock, known=False)
        self.retention = Retention(
            config=desk.config, purge=desk.catalogue.purge, expiry=desk.catalogue.expiry, storage=desk.storage,
            bus=desk.bus, clock=desk.clock, free=lambda: 2**50, filing=threading.Lock(), folders=self._answering,
        )  # fmt: skip

    def _answering(self) -> list[DropFolder]:
        return [at for hospital, at in self.folders.items() if hospital not in self.away]

    def put(self, hospital: str | None, name: str, data: bytes) -> None:
        path = self.folders[hospital].path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def step(self, count: int = 3) -> None:
        for _ in range(count):
            for loop in self.loops.values():
                loop.step()
            self.desk.clock.advance(2)

    def purge(self, seconds: float = MONTH) -> None:
        self.desk.clock.advance(seconds)
        while self.retention.step() == 0:
            pass

    def left(self, hospital: str | None) -> set[str]:
        folder = self.folders[hospital].path
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    def listed(self, kind: FileKind) -> list[str]:
        return sorted(one.found.path for one in self.desk.exams.files.listed(kind))

    def subjects(self, kind: Kind) -> set[str | None]:
        return {event.subject for event in self.desk.events if event.kind == kind}


@pytest.fixture
def town(desk: IntakeFolder) -> Town:
    return Town(desk)


def test_each_folder_sets_its_own_files_aside_and_lists_them_under_its_own_names(town: Town) -> None:
    for hospital in ("a", "b", None):
        town.put(hospital, "E1.json", exam("V1000", HospitalCode=""))
        town.put(hospital, "bad.json", b"{")
        town.put(hospital, "note.txt", b"x")
        town.put(hospital, "V9000.pdf", printed("x"))
    town.purge(60)
    town.step(4)
    assert town.left("a") == {"done/E1.json", "done/V9000.pdf", "rejected/bad.json", "rejected/bad.reason.txt",
                              "note.txt"}  # fmt: skip
    assert town.left("b") == {"E1.json", "bad.json", "note.txt", "V9000.pdf"}
    assert {name for name in town.left(None) if not name.startswith("a/")} == town.left("a")
    assert town.listed(FileKind.REJECTED) == ["@a/bad.json", "@b/bad.json", "bad.json"]
    assert town.listed(FileKind.OTHER) == ["@a/note.txt", "@b/note.txt", "note.txt"]
    town.desk.clock.advance(3600)
    town.step()
    assert town.listed(FileKind.UNCLAIMED) == ["@a/V9000.pdf", "@b/V9000.pdf", "V9000.pdf"]
    (town.folders["a"].path / "rejected" / "bad.json").unlink()
    (town.folders[None].path / "note.txt").unlink()
    town.desk.clock.advance(3600)
    town.step()
    assert town.listed(FileKind.REJECTED) == ["@b/bad.json", "bad.json"]
    assert town.listed(FileKind.OTHER) == ["@a/note.txt", "@b/note.txt"]


def test_originals_are_removed_where_they_lie_and_a_folder_that_is_away_keeps_its_own(town: Town) -> None:
    town.purge(60)
    town.put("a", "E1.json", exam("V1000"))
    town.put(None, "E1.json", another("V1000"))
    town.step()
    town.away = {None}
    town.purge()
    assert town.left("a") == set()
    assert "done/E1.json" in town.left(None)
    town.away = set()
    town.purge()
    assert town.left(None) == set()


def test_what_lay_in_done_before_the_folder_was_a_hospitals_own_is_removed_too(town: Town) -> None:
    town.put("a", "done/old.json", b"{}")
    old = town.folders["a"].path / "done" / "old.json"
    town.purge(old.stat().st_ctime - town.desk.clock.now().timestamp() + 29 * 86400)
    assert old.exists()
    town.purge(2 * 86400)
    assert not old.exists()


def test_a_folder_that_is_gone_is_an_alarm_of_its_own_and_stops_no_other(town: Town) -> None:
    folder = town.folders["b"].path
    town.put("a", "E1.json", exam("V1000"))
    folder.rename(folder.with_name("away"))
    town.step()
    assert town.subjects(Kind.ALARM) == {"drop folder of b"}
    assert town.desk.exams.known("a", "01", "V1000") is not None
    folder.with_name("away").rename(folder)
    town.step()
    assert "drop folder of b" in town.subjects(Kind.CLEARED)
