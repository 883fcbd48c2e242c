"""A node as a process: the shipped example message delivered as it stands, and a backfill beside it."""

import json
from collections.abc import Iterator
from datetime import datetime

import pytest

from router.config.file import shipped
from router.policy.states import State
from router.trial.demo.studies import make_ct_study, read_studies
from support.harness import Site, command_here, make_exam, send_all
from support.hl7_messages import Sender

EXAM_ID, STUDY = "V20240506077_CT-CHEST-01", "1.2.826.0.1.3680043.8.498.1"
SETTINGS = '\n[share]\nfrom = "2024-01-01"\n\n[reports.hl7]\nport = 0\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("example"), settings=SETTINGS)
    try:
        yield site.start()
    finally:
        site.stop()


def test_the_shipped_message_is_delivered_by_the_shipped_mapping_and_tables(site: Site) -> None:
    made = make_ct_study(
        site.folder / "ct", 1, study_uid=STUDY, patient_id="P0000123", name="Zhang^San=张^三",
        accession="20240506CT0123", birth_date="19701231", taken=datetime(2024, 5, 6, 10),  # noqa: DTZ001  # DA, TM
    )  # fmt: skip
    study = read_studies(made)[0]
    send_all(site.port, study.files)
    message = shipped("exam.hl7").read_bytes().replace(b"\n", b"\r")
    sender = Sender(site.node.ports["hl7"])
    with sender.socket:
        assert "MSA|AA|MSG20240506000123" in sender.send(message)
    site.wait_for(State.DELIVERED, EXAM_ID)
    document = json.loads((site.exam_at_platform(EXAM_ID) / "exam.json").read_bytes())
    assert document["Study"]["StudyInstanceUIDs"] == [STUDY]
    assert document["Patient"]["Name"] == "张三"
    assert (site.exam_at_platform(EXAM_ID) / "report.pdf").read_bytes().startswith(b"%PDF")
    site.assert_images_equal(study)


def test_what_was_approved_before_sharing_began_is_sent_by_a_backfill(site: Site) -> None:
    exam = make_exam(site, 7, instances=2)
    send_all(site.port, exam.study.files)
    before = "2023-06-01 11:00:00"
    site.report(exam, **{"Report.ApproveTime": before, "Report.SubmitTime": "2023-06-01 10:00:00"})
    site.wait_for(State.NOT_SHARED, exam.id)
    assert site.has_nothing_of(exam)
    days = ("--from", "2023-06-01", "--to", "2023-06-01")
    call = ("queue", "backfill", "--config", site.config_file)
    begun = command_here(*call, *days, "--per-hour", "3600", "--yes", "--json")
    assert json.loads(begun.stdout)["exams"]["kept"] == 1, begun.stderr
    site.wait_for(State.DELIVERED, exam.id)
    site.assert_images_equal(exam.study)
    assert json.loads(command_here(*call, "--status", "--json").stdout)["exams"]["delivered"] == 1
    assert command_here(*call, "--stop").returncode == 0
    log = site.node.log.read_text(encoding="utf-8")
    assert not [secret for secret in exam.secrets() if secret in log]
