"""The life of an installation: the next version converts the database, and the way back loses and repeats nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.catalogue.db.schema import version_of
from router.catalogue.db.steps import STEPS
from router.policy.states import State
from support.harness import OURS, Exam, Site, command, command_here, make_exam, send_all

# The node of a version that does not exist yet, whose tables differ by a column.
_NEXT = """
from router.catalogue.db import schema

def ward(database):
    database.execute("ALTER TABLE exam ADD COLUMN ward TEXT NOT NULL DEFAULT ''", ())

schema.open_database.__defaults__ = ([*schema.STEPS, ward],)
from router.cli import main
main()
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    try:
        yield found.start()
    finally:
        found.stop()


def _deliver(site: Site, number: int) -> Exam:
    exam = make_exam(site, number, instances=3, side=10)
    send_all(site.port, exam.study.files)
    site.report(exam)
    files = {file.sop_instance for file in exam.study.files}
    # Asked of the platform: the next version's tables cannot be read by this one.
    site.wait_until(lambda: files <= set(site.stored_requests()) and site.exam_at_platform(exam.id).exists(), "it came")
    return exam


def test_an_upgrade_converts_a_copied_database_and_the_way_back_sends_nothing_again(site: Site) -> None:
    before = _deliver(site, 1)
    site.node.stop()

    site.program = ("-c", _NEXT)
    during = _deliver(site, 2)
    ours = version_of(STEPS)
    assert f"database converted from schema {ours} to {ours + 1}" in site.log
    copy = max((site.data / "backup").glob("router-*.db"))
    assert f"as it was before it is in backup/{copy.name}" in site.log
    site.node.stop()
    sent = site.stored_requests()

    site.program = OURS
    refused = command("run", "--config", site.config_file)
    assert refused.returncode == 2
    assert "before the upgrade" in refused.stderr
    restored = command_here("backup", "restore", copy, "--config", site.config_file)
    assert restored.returncode == 0, restored.stderr

    after = _deliver(site, 3)
    site.wait_for(State.DELIVERED, after.id)
    assert site.is_in(State.DELIVERED, before.id)
    assert site.is_in(State.HELD, during.id)
    now_sent = site.stored_requests()
    assert {uid: now_sent[uid] for uid in sent} == sent
    assert set(now_sent) - set(sent) == {file.sop_instance for file in after.study.files}
