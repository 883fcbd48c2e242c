"""A small installation as a release left it, kept so that every later version is tried on it.

`python tests/kept_release.py 0.1` writes `tests/kept/0.1/` with the code as it is: before a release, once, and never
again for the same one. Every patient in it is invented, and its keys are good for nothing else.
"""

import gzip
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from router.catalogue.db.schema import open_database
from router.catalogue.db.tables import TABLES
from router.catalogue.db.tables.node import Schema
from router.model import Channel
from router.policy.states import State
from support.harness import Exam, Site, command_here, make_exam, send_all
from support.postgres import DURABLE, postgres_server

FOLDER = Path(__file__).parent / "kept"
DUMP = "postgresql.sql"
_PARTS = ("node", "drop", "keys", "router.toml")
_DICOM_PORT, _HTTP_PORT = 11113, 8443
# What is kept grows old, and none of it may be purged in a test for that.
_SETTINGS = """
[retention]
delivered = "36500 d"
unmatched = "36500 d"
done = "36500 d"
audit = "36500 d"
records = "36500 d"
"""


class Kept(Site):
    """A copy of what a release left, in a folder of its own, with a platform that has nothing yet."""

    def __init__(self, kept: Path, folder: Path, url: str = "") -> None:
        super().__init__(folder)
        shutil.copytree(kept, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(DUMP))
        self.url = url
        for packed in folder.rglob("*.db.gz"):
            packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
            packed.unlink()
        for secret in (*(folder / "keys").iterdir(), *(folder / "node").glob("*-token")):  # git keeps no such modes
            secret.chmod(0o600)

    def configure(self, **_: int) -> Any:
        """The configuration as it was kept, with the ports of the platform and the database of the test."""
        text, ports = self.config_file.read_text(encoding="utf-8"), self.platform.ports
        text = text.replace(f"port = {_DICOM_PORT}", f"port = {ports['dicom']}")
        text = text.replace(f"127.0.0.1:{_HTTP_PORT}", f"127.0.0.1:{ports['http']}")
        if self.url:
            text += f'\n[database]\nurl = "{self.url}"\n'
        self.config_file.write_text(text, encoding="utf-8")


def make(release: str) -> None:
    """Live through the story with a node and a platform, and keep what the node has of it."""
    kept = FOLDER / release
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder) / "site", accept_empty=["Patient.IdNo"], settings=_SETTINGS)
        try:
            site.start()
            _live(site)
            assert site.node.stop() == 0
            _settle_ports(site)
        finally:
            site.stop()
        kept.mkdir(parents=True)
        for part in _PARTS:
            source = site.folder / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, kept / part)
    for path in [*(kept / "node" / "incoming").rglob("*"), *kept.rglob(".lock")]:
        if path.is_file():
            path.unlink()
    (kept / DUMP).write_bytes(_dump(kept / "node"))
    first, *_ = sorted((kept / "node" / "backup").glob("*.db"))  # made at the start, of an empty database
    first.unlink()
    for database in kept.rglob("*.db"):
        database.with_name(f"{database.name}.gz").write_bytes(gzip.compress(database.read_bytes(), mtime=0))
        database.unlink()


def _live(site: Site) -> None:
    exams = [make_exam(site, number, instances=2, side=8) for number in range(1, 9)]
    delivered, corrected, doubted, settled, refused, draft, objected, shared = exams
    for exam in exams:
        send_all(site.port, exam.study.files)
    _deliver(site, delivered)
    _deliver(site, corrected)
    corrected_to = "双肺未见明显异常。建议三个月后复查。"
    site.drop(f"{corrected.id}.json", corrected.json(minutes_ago=15, Report__Impression=corrected_to))
    site.drop(f"{corrected.id}.pdf", corrected.pdf(site.folder, impression=corrected_to))
    site.wait_until(lambda: len(site.receipts(corrected.id)) == 2, "the correction is there")
    site.wait_for(State.DELIVERED, corrected.id)
    other = {"Patient__Name": "李四", "Patient__PatientId": "PAT7183-9999"}
    for exam in (doubted, settled):
        site.report(exam, **other)
        site.wait_for(State.HELD, exam.id)
    _tell(site, "resolve", settled.id, "--yes", "--why", "the number was typed wrong at the scanner")
    site.wait_for(State.DELIVERED, settled.id)
    site.report(refused, Patient__IdNo="")
    site.wait_for(State.FAILED, refused.id, (Channel.REPORT,))
    site.wait_for(State.DELIVERED, refused.id, (Channel.IMAGES,))
    for exam in (draft, objected):
        site.drop(f"{exam.id}.json", exam.json(approved=False))
        site.wait_for(State.WAITING, exam.id)
    _tell(site, "hold", objected.id, "--why", "the patient objects")
    _deliver(site, shared)
    also = Exam("EXM7183-1008", shared.study, shared.config, shared.made)
    _deliver(site, also)
    send_all(site.port, make_exam(site, 9, instances=1, side=8).study.files)  # of which no report speaks
    site.drop("broken.json", b"{")
    site.wait_until((site.drop_folder / "rejected" / "broken.json").exists, "the broken one is set aside")
    backup = command_here("backup", "now", "--config", site.config_file)
    assert backup.returncode == 0, backup.stderr


def _deliver(site: Site, exam: Exam) -> None:
    site.report(exam)
    site.wait_for(State.DELIVERED, exam.id)


def _tell(site: Site, *arguments: str) -> None:
    answer = command_here("queue", *arguments, "--who", "operator", "--config", site.config_file)
    assert answer.returncode == 0, answer.stderr


def _settle_ports(site: Site) -> None:
    text, ports = site.config_file.read_text(encoding="utf-8"), site.platform.ports
    text = text.replace(f"port = {ports['dicom']}", f"port = {_DICOM_PORT}")
    text = text.replace(f"127.0.0.1:{ports['http']}", f"127.0.0.1:{_HTTP_PORT}")
    site.config_file.write_text(text, encoding="utf-8")


def _dump(data: Path) -> bytes:
    """The same rows as PostgreSQL has them, as SQL."""
    with postgres_server(DURABLE) as url:
        ours, theirs = open_database("", data).engine, open_database(url, data).engine
        for table in TABLES:
            if table is Schema:
                continue
            rows = ours.run(table.select().tuples())
            if rows:
                with theirs.write():
                    theirs.run(table.insert_many(rows, fields=table._meta.sorted_fields))
                    key = table._meta.primary_key
                    if type(key).__name__.endswith("AutoField"):
                        theirs.numbered(table)
        ours.close_thread()
        theirs.close_thread()
        call = ["pg_dump", "--inserts", "--no-owner", "--no-privileges", url]
        made = subprocess.run(call, capture_output=True, check=True)
    lines = made.stdout.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"\\"))


def restore(kept: Path, server: str, name: str) -> str:
    """The URL of a database of that name on the server, with what was kept."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((kept / DUMP).read_bytes())
    return url


if __name__ == "__main__":
    make(sys.argv[1])
