"""A round: a load, a misfortune in the middle of it, and what must hold afterwards."""

import json
import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hospital_load import Load, make_exams, offset_file

from router.catalogue.images.ledger import Fate
from router.delivery.ledger_writer import LEDGER_BATCH
from router.dicom.dataset.header import digest
from router.policy.states import State
from support.cluster import children
from support.harness import UID_ROOT, Site, command_here

IN_FLIGHT = 2  # the destination's associations
AT_ONCE = IN_FLIGHT + 2 * LEDGER_BATCH  # what a kill may have sent again
_DRAIN = 30.0
_LOOK = 1.3  # seconds in which a node looks at its clock at least once


class Breach(Exception):
    """A promise was not kept."""


@dataclass
class Count:
    """What happened in all rounds."""

    rounds: int = 0
    misfortunes: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    resent: int = 0
    lost: int = 0
    doubled: int = 0
    recovery: float = 0.0


@dataclass
class Scene:
    """A site under load, and what has been seen of it."""

    site: Site
    port: int
    count: Count
    dice: random.Random
    kills: int = 0
    confirmed: dict[str, int] = field(default_factory=dict)

    def pause(self, longest: float) -> None:
        time.sleep(self.dice.uniform(0.02, longest))

    def happened(self, what: str) -> None:
        self.count.misfortunes[what] += 1

    def kill_node(self) -> None:
        """The main process alone, whose workers then end by themselves, or all of them at once."""
        everybody = self.dice.random() < 0.5
        workers = children(self.site.node.number) if everybody else []
        self.site.node.kill()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        self.kills += 1
        self.happened("node and workers killed" if everybody else "node killed")
        self._note_confirmed()

    def kill_platform(self) -> None:
        self.site.platform.kill()
        self.kills += 1
        self.happened("platform killed")

    def revive(self) -> None:
        """Both up again; how long the node takes to listen is noted."""
        assert self.site.platform.running
        began = time.monotonic()
        assert self.site.node.running
        self.count.recovery = max(self.count.recovery, time.monotonic() - began)

    def _note_confirmed(self) -> None:
        """What the ledger has as sent, while nobody writes: none of it may be sent again."""
        requests = self.site.stored_requests()
        for uid in sent_instances(self.site):
            self.confirmed.setdefault(uid, requests[uid])


# -- misfortunes


def kills(scene: Scene) -> None:
    """kill -9 of node, platform or both, up to three times."""
    for _ in range(scene.dice.randint(1, 3)):
        scene.pause(1.0)
        what = scene.dice.choice((scene.kill_node, scene.kill_node, scene.kill_platform))
        what()
        if scene.dice.random() < 0.25:
            scene.kill_node() if scene.site.node.running else scene.kill_platform()
        scene.pause(0.2)
        scene.revive()


def locked_database(scene: Scene) -> None:
    """Another process holds the database for a while; the node may be killed meanwhile."""
    scene.pause(0.6)
    with closing(sqlite3.connect(scene.site.data / "router.db", timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        scene.happened("database locked")
        scene.pause(2.0)
        if scene.dice.random() < 0.5:
            scene.kill_node()
        other.execute("ROLLBACK")
    scene.revive()


def jumping_clock(scene: Scene) -> None:
    """The node's clock jumps up to two days to and fro, then goes right again; the node may be killed meanwhile.

    It goes wrong for longer than a second each time: the node does not see what comes and goes between two looks.
    """
    for _ in range(scene.dice.randint(1, 3)):
        scene.pause(0.6)
        set_clock(scene.site, scene.dice.choice((-1, 1)) * scene.dice.choice((30, 900, 7200, 172_800)))
        scene.happened("clock jumped")
        time.sleep(_LOOK)
        if scene.dice.random() < 0.3:
            scene.kill_node()
            scene.revive()
    set_clock(scene.site, 0)


def set_clock(site: Site, seconds: float) -> None:
    """How wrong the node's clock goes, from now on."""
    new = offset_file(site).with_suffix(".new")
    new.write_text(str(seconds), encoding="ascii")
    new.rename(offset_file(site))


def full_disk(scene: Scene) -> None:
    """The node's disk fills up and has room again; the node may be killed meanwhile."""
    scene.pause(0.6)
    filler = scene.site.data / "filler"
    _fill(filler, shutil.disk_usage(scene.site.data).free - scene.dice.randint(0, 2**20))
    scene.happened("disk full")
    scene.kills += 1  # what the ledger could not take is sent again, as after a kill
    scene.pause(1.0)
    if scene.dice.random() < 0.5:
        scene.kill_node()
        with suppress(pytest.fail.Exception):  # it may say that there is no room
            assert scene.site.node.running
        if "Traceback" in scene.site.log:
            raise Breach("the node does not say in plain words that the disk is full")
    filler.unlink()
    scene.revive()


def _fill(filler: Path, size: int) -> None:
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        for start in range(0, size, 2**20):
            file.write(bytes(min(2**20, size - start)))


# -- the round


def run_round(scene: Scene, first: int, misfortune: Callable[[Scene], None]) -> None:
    """One round; Breach when something does not hold."""
    exams = make_exams(scene.site, first, scene.dice)
    requests = scene.site.stored_requests().total()
    load_ = Load(scene.site, scene.port, exams, scene.dice)
    misfortune(scene)
    load_.join()
    drain(scene.site, load_)
    scene.count.acknowledged += len(load_.acknowledged)
    check_kept(scene.site, scene.count, load_)
    check_platform(scene.site, scene.count, load_)
    resent = scene.site.stored_requests().total() - requests - len(load_.files)
    _check_resent(scene, max(resent, 0))
    _check_quiet(scene.site)


def cut_database(scene: Scene, first: int) -> None:
    """The database's file is cut short: a refusal to start, nothing sent again until a person says so."""
    site = scene.site
    load_ = Load(site, scene.port, make_exams(site, first, scene.dice), scene.dice)
    scene.pause(1.5)
    scene.kill_node()
    before = sent_instances(site)
    database = site.data / "router.db"
    with database.open("r+b") as file:
        file.truncate(scene.dice.choice((0, scene.dice.randrange(database.stat().st_size))))
    scene.happened("database cut short")
    if _starts(site):
        if not before <= sent_instances(site):
            raise Breach("the node started on a database that had lost part of its ledger")
    else:
        _rebuild(scene)
    load_.join()
    site.wait_until(lambda: not _undelivered(site, held=False), "all but what is held is delivered", _DRAIN)
    if _undelivered(site):
        command_here("queue", "release", "--all", "--yes", "--why", "the ledger was lost", "--config", site.config_file)
    drain(site, load_)
    scene.count.acknowledged += len(load_.acknowledged)
    check_kept(site, scene.count, load_)
    check_platform(site, scene.count, load_)
    _check_quiet(site)


def _starts(site: Site) -> bool:
    begin = len(site.log)
    try:
        return site.node.running
    except pytest.fail.Exception:
        said = site.log[begin:]
        if "Traceback" in said or "verify --rebuild" not in said:
            raise Breach(f"no clear refusal of a database that was cut short: {said[-500:]}") from None
        return False


def _rebuild(scene: Scene) -> None:
    site = scene.site
    answer = command_here("verify", "--rebuild", "--config", site.config_file)
    if answer.returncode:
        raise Breach(f"verify --rebuild: {answer.stdout}{answer.stderr}")
    requests = site.stored_requests()
    known = {line.exam_id for line in site.lines()}
    held = {line.exam_id for line in site.lines() if line.delivery.state == State.HELD}
    scene.revive()
    if known != held:
        raise Breach("after a rebuild some deliveries are not held")
    scene.pause(1.0)
    again = [uid for uid, n in site.stored_requests().items() if requests[uid] and n > requests[uid]]
    if again:
        raise Breach(f"after a rebuild {len(again)} instance(s) were sent again by themselves")


# -- what must hold


def drain(site: Site, load_: Load, seconds: float = _DRAIN) -> None:
    """Everything of the round is delivered, and the last revision of each report counts every image."""
    wanted = {exam.id: len(exam.study.files) for exam in load_.exams}

    def done() -> bool:
        lines = site.lines()
        if any(line.delivery.state != State.DELIVERED for line in lines):
            return False
        sent = {line.exam_id: line.sent for line in lines if line.exam_id in wanted}
        return sent == wanted and all(_told(site, exam) == count for exam, count in wanted.items())

    site.wait_until(done, "everything is delivered", seconds)


def _told(site: Site, exam_id: str) -> int:
    """The number of images that the last revision at the platform says there are; 0 where there is none."""
    revisions = [receipt["revision"] for receipt in site.receipts(exam_id)]
    if not revisions:
        return 0
    document = json.loads((site.exam_at_platform(exam_id, max(revisions)) / "exam.json").read_bytes())
    return int(document["Study"]["ImageCount"])


def _undelivered(site: Site, *, held: bool = True) -> list[str]:
    open_ = [line.delivery.state for line in site.lines() if line.delivery.state != State.DELIVERED]
    return [state for state in open_ if held or state != State.HELD]


def check_kept(site: Site, count: Count, load_: Load) -> None:
    """Everything that was acknowledged is in the archive, byte for byte, and every report has left the drop folder."""
    lost = []
    for uid in load_.acknowledged:
        file = load_.files[uid]
        path = site.data / "studies" / file.study / file.series / f"{uid}.dcm"
        if not (path.exists() and digest(path) == digest(file.path)):
            lost.append(uid)
    lost += [name for name in load_.dropped if not (site.drop_folder / "done" / name).exists()]
    count.lost += len(lost)
    if lost:
        raise Breach(f"{len(lost)} acknowledged are lost, for instance {lost[0]}")


def check_platform(site: Site, count: Count, load_: Load) -> None:
    """Images and reports are at the platform as they came, each report's revision once."""
    for exam in load_.exams:
        site.assert_images_equal(exam.study)
        receipts = site.receipts(exam.id)
        revisions = [receipt["revision"] for receipt in receipts]
        doubled = len(revisions) - len(set(revisions)) + len(receipts) - len({r["idem"] for r in receipts})
        count.doubled += doubled
        if doubled:
            raise Breach(f"a report is at the platform twice: revisions {revisions}")
        last = site.exam_at_platform(exam.id, max(revisions))
        if (last / "report.pdf").read_bytes() != exam.pdf(site.folder):
            raise Breach("a report at the platform is not the one that was dropped")
        if _subject(exam.json()) != _subject((last / "exam.json").read_bytes()):
            raise Breach("an exam JSON at the platform is of another exam or patient")
    made = [int(path.name) for path in (site.folder / "made").iterdir()]
    for folder, name in (("dicom", f"{UID_ROOT}.{{}}"), ("exams", "EXM7183-{:04}")):
        if not {path.name for path in (site.platform_data / folder).iterdir()} <= {name.format(n) for n in made}:
            raise Breach(f"{folder} of the platform has what nobody sent")


def _subject(document: bytes) -> tuple[str, str, str, list[str]]:
    found = json.loads(document)
    patient, study = found["Patient"], found["Study"]
    return found["ExamId"], patient["PatientId"], patient["Name"], study["StudyInstanceUIDs"]


def _check_resent(scene: Scene, resent: int) -> None:
    requests = scene.site.stored_requests()
    scene.count.resent += resent
    again = [uid for uid, n in scene.confirmed.items() if requests[uid] > n]
    if again:
        raise Breach(f"{len(again)} instance(s) were sent again although the ledger had them as sent")
    if resent > scene.kills * AT_ONCE:
        raise Breach(f"{resent} instances were sent again after {scene.kills} kill(s)")


def _check_quiet(site: Site) -> None:
    left, leases = remains(site)
    if left or leases:
        raise Breach(f"left in incoming/: {left[:3]}; leases that stick: {leases}")


def remains(site: Site) -> tuple[list[str], list[int]]:
    """Files that are left in incoming/, and deliveries that are leased."""
    incoming = site.data / "incoming"
    left = [path.name for ending in ("*.dcm", "*.part") for path in incoming.rglob(ending)]
    return left, [line.delivery.id for line in site.lines() if line.delivery.lease_owner]


def sent_instances(site: Site) -> set[str]:
    """The instances that the ledger has as sent. Without our own engine, which would wait for who has it locked."""
    with closing(sqlite3.connect(site.data / "router.db", timeout=20)) as database:
        rows = database.execute(
            "SELECT sop_uid FROM instance JOIN ledger ON ledger.instance_id = instance.id WHERE state = ?", [Fate.SENT]
        )
        return {uid for (uid,) in rows}
