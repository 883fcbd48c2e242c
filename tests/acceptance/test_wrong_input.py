"""Wrong input, wrong keys, a destination that is down: each gets a clear answer, and nothing is lost."""

import json
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from router.crypto.keys import load_api_key
from router.errors import TransientError
from router.model import Channel
from router.policy.states import Needs, State
from support.certificates import Authority
from support.harness import BOTH, Exam, Site, command, command_here, make_exam, send_all

IMAGES, REPORT = (Channel.IMAGES,), (Channel.REPORT,)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("wrong-input"), stable_after="500 ms")
    try:
        yield site.start()
    finally:
        site.stop()


def arrived(site: Site, exam: Exam) -> None:
    """Send the exam's images."""
    send_all(site.port, exam.study.files)


def wait_for_needs(site: Site, exam: Exam, need: Needs) -> None:
    """Wait until both deliveries wait for this alone."""
    for channel in BOTH:
        site.wait_until(partial(waits_for, site, exam, channel, need), f"{channel} waits for {need} alone")


def waits_for(site: Site, exam: Exam, channel: Channel, *needs: Needs) -> bool:
    lines = [line.delivery for line in site.lines(exam.id) if line.delivery.channel == channel]
    return [line.waiting_for for line in lines if line.state == State.WAITING] == [needs]


def rejected(site: Site, name: str, *endings: str) -> list[str]:
    """Wait for a rejected file; the reason's lines. The files of that name are there and nowhere else."""
    folder = site.drop_folder / "rejected"
    reason = folder / f"{name}.reason.txt"
    site.wait_until(
        lambda: reason.exists() and reason.read_text(encoding="utf-8").endswith("\n"), f"{name} is rejected"
    )
    assert {path.suffix for path in folder.glob(f"{name}.*")} == {*endings, ".txt"}
    assert list(site.drop_folder.glob(f"{name}.*")) == []
    return reason.read_text(encoding="utf-8").splitlines()


def is_chinese(text: str) -> bool:
    return any("一" <= character <= "鿿" for character in text)


# -- images


def test_a_file_that_is_no_dicom_does_not_leave_the_senders_own_tool_and_the_node_goes_on(
    site: Site, tmp_path: Path
) -> None:
    tool = shutil.which("storescu")
    if tool is None:
        pytest.skip("DCMTK's storescu is not installed")
    file = tmp_path / "holiday.dcm"
    file.write_bytes(b"\xff\xd8\xff\xe0 a photograph" * 100)
    call = [tool, "-aet", "CT01", "-aec", "ROUTER", "127.0.0.1", str(site.port), str(file)]
    assert subprocess.run(call, capture_output=True, timeout=20, check=False).returncode != 0
    with socket.create_connection(("127.0.0.1", site.port), 5) as line:
        line.sendall(file.read_bytes())
    exam = make_exam(site, 1, instances=1)
    arrived(site, exam)
    assert site.lines(exam.id) == []


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_data_set_without_uids_is_answered_a900_and_the_next_one_is_taken(missing: str, site: Site) -> None:
    exam = make_exam(site, {"StudyInstanceUID": 2, "SeriesInstanceUID": 3}[missing], instances=2)
    before = set((site.data / "quarantine").rglob("*"))
    wrong, right = (dcmread(file.path) for file in exam.study.files)
    del wrong[missing]
    entity = AE(ae_title="CT01")
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", site.port, ae_title="ROUTER")
    answers = [association.send_c_store(dataset).Status for dataset in (wrong, right)]
    association.release()
    assert answers == [0xA900, 0x0000]
    kept = site.data / "studies" / exam.study.uid / f"{exam.study.uid}.1"
    site.wait_until(lambda: kept.is_dir() and len(list(kept.iterdir())) == 1, "the right one is filed, alone")
    assert set((site.data / "quarantine").rglob("*")) == before
    site.wait_until(lambda: "refused" in site.log, "the worker tells of it")


def test_a_node_with_tls_takes_images_over_tls_alone_and_keeps_its_key_secret(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, pacs = authority.issue("node"), authority.issue("pacs")
    site = Site(tmp_path / "site", stable_after="300 ms", tls=own)
    try:
        exam = make_exam(site.start(), 1, instances=3)
        with pytest.raises(TransientError):
            send_all(site.port, exam.study.files)
        site.wait_until(lambda: "the sender does not speak TLS" in site.log, "the refusal is told")
        send_all(site.port, exam.study.files, tls=pacs)
        site.report(exam)
        site.wait_for(State.DELIVERED, exam.id)
        site.assert_images_equal(exam.study)
        assert site.node.stop() == 0
        assert own.key is not None
        own.key.chmod(0o640)
        refused = command("run", "--config", site.config_file)
        assert refused.returncode == 2
        assert f"chmod 600 {own.key}" in refused.stderr
    finally:
        site.stop()


# -- files of the drop folder


def test_a_pdf_cut_off_is_rejected_with_the_reason_in_two_languages_and_the_whole_one_is_taken(site: Site) -> None:
    exam = make_exam(site, 10, instances=2)
    pdf = exam.pdf(site.folder)
    arrived(site, exam)
    site.drop(f"{exam.id}.json", exam.json())
    site.drop(f"{exam.id}.pdf", pdf[: len(pdf) // 2])
    english, chinese = rejected(site, exam.id, ".pdf")
    assert "cut off" in english
    assert is_chinese(chinese)
    assert (site.drop_folder / "rejected" / f"{exam.id}.pdf").read_bytes() == pdf[: len(pdf) // 2]
    site.wait_until(lambda: waits_for(site, exam, Channel.REPORT, Needs.PDF), "the report waits for its PDF")
    site.drop(f"{exam.id}.pdf", pdf)
    site.wait_for(State.DELIVERED, exam.id)
    assert (site.exam_at_platform(exam.id) / "report.pdf").read_bytes() == pdf


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"ExamId": "EXM7183-0011", "Patient": {"Name": "\xe5\x91\xa8', "not JSON"),
        (b"[1, 2, 3]", "not an object"),
        (b"\xff\xfe\x00\x01\xff", "neither UTF-8 nor GB18030"),
        (b'{"Order": {"AccessionNumber": "ACC7183-0011"}}', "ExamId"),
    ],
)
def test_json_that_is_none_or_names_no_exam_is_rejected_with_the_reason_in_two_languages(
    data: bytes, says: str, site: Site
) -> None:
    name = f"export-{len(data)}"
    site.drop(f"{name}.json", data)
    english, chinese = rejected(site, name, ".json")
    assert says in english
    assert is_chinese(chinese)
    assert (site.drop_folder / "rejected" / f"{name}.json").read_bytes() == data
    assert site.lines("EXM7183-0011") == []


def test_a_report_for_an_unknown_study_waits_for_its_images_and_goes_when_they_come(site: Site) -> None:
    exam = make_exam(site, 12, instances=3)
    site.report(exam)
    wait_for_needs(site, exam, Needs.IMAGES)
    assert site.has_nothing_of(exam)
    arrived(site, exam)
    site.wait_for(State.DELIVERED, exam.id)
    site.assert_images_equal(exam.study)


def test_a_missing_required_field_is_named_in_chinese_too_and_a_corrected_json_releases_the_report(site: Site) -> None:
    exam = make_exam(site, 13, instances=2)
    arrived(site, exam)
    site.report(exam, Patient__Telephone=None)
    site.wait_until(lambda: waits_for(site, exam, Channel.REPORT, Needs.JSON), "the report waits for its JSON")
    error = site.line(exam.id, Channel.REPORT).delivery.error
    assert "Patient.Telephone (手机号码)" in error
    assert site.receipts(exam.id) == []
    site.wait_for(State.DELIVERED, exam.id, IMAGES)
    site.drop(f"{exam.id}.json", exam.json())
    site.wait_for(State.DELIVERED, exam.id)
    assert len(site.receipts(exam.id)) == 1


# -- whose, and whether approved


def test_another_patients_id_holds_both_channels_and_release_without_its_cause_gone_holds_again(site: Site) -> None:
    exam = make_exam(site, 20, instances=2)
    arrived(site, exam)
    site.report(exam, Patient__PatientId="SOMEBODY-ELSE")
    site.wait_for(State.HELD, exam.id)
    assert {
        "identity" in line.delivery.error and "patient id" in line.delivery.error for line in site.lines(exam.id)
    } == {True}
    why = ["--why", "I looked at the wrong worklist", "--config", site.config_file]
    assert command_here("queue", "release", exam.id, "--yes", *why).returncode == 0
    site.wait_for(State.HELD, exam.id)
    shown = command_here("queue", "explain", exam.id, "--config", site.config_file).stdout
    assert shown.count("differs from the exam in patient id") >= 2
    assert shown.count("held -> waiting: released: I looked at the wrong worklist") == 2
    assert shown.count("waiting -> held") == 4
    assert site.has_nothing_of(exam)
    assert "SOMEBODY-ELSE" not in site.log


def test_a_corrected_json_settles_another_patients_id_by_itself(site: Site) -> None:
    exam = make_exam(site, 21, instances=2)
    arrived(site, exam)
    site.report(exam, Patient__PatientId="SOMEBODY-ELSE")
    site.wait_for(State.HELD, exam.id)
    site.drop(f"{exam.id}.json", exam.json())
    site.wait_for(State.DELIVERED, exam.id)
    site.assert_images_equal(exam.study)
    document = json.loads((site.exam_at_platform(exam.id) / "exam.json").read_bytes())
    assert document["Patient"]["PatientId"] == exam.study.patient.patient_id


def test_an_exam_id_used_again_for_another_patients_study_is_held(site: Site) -> None:
    first, second = make_exam(site, 25, instances=1), make_exam(site, 26, instances=1)
    arrived(site, first)
    arrived(site, second)
    site.drop(f"{first.id}.json", first.json(approved=False, minutes_ago=60))
    site.wait_until(lambda: waits_for(site, first, Channel.IMAGES, Needs.APPROVAL), "the draft is taken")
    site.drop("again.json", second.json(ExamId=first.id))
    site.drop("again.pdf", second.pdf(site.folder))
    site.wait_for(State.HELD, first.id)
    assert "an earlier version of this exam names another patient" in site.line(first.id, Channel.IMAGES).delivery.error
    assert site.has_nothing_of(first)
    assert site.has_nothing_of(second)


def test_images_that_came_after_the_wrong_patients_report_do_not_leave_either(site: Site) -> None:
    exam = make_exam(site, 22, instances=2)
    site.report(exam, Patient__Name="别的人", Patient__PatientId="SOMEBODY-ELSE")
    site.wait_until(lambda: waits_for(site, exam, Channel.IMAGES, Needs.IMAGES), "it waits for images")
    arrived(site, exam)
    site.wait_for(State.HELD, exam.id)
    assert site.has_nothing_of(exam)


def test_a_draft_waits_for_its_approval_and_goes_with_the_approved_json_and_the_same_pdf(site: Site) -> None:
    exam = make_exam(site, 23, instances=2)
    arrived(site, exam)
    site.drop(f"{exam.id}.json", exam.json(approved=False))
    site.drop(f"{exam.id}.pdf", exam.pdf(site.folder))
    wait_for_needs(site, exam, Needs.APPROVAL)
    assert site.has_nothing_of(exam)
    site.drop(f"{exam.id}.json", exam.json())
    site.wait_for(State.DELIVERED, exam.id)
    assert json.loads((site.exam_at_platform(exam.id) / "exam.json").read_bytes())["Order"]["Status"] == "Reported"


def test_an_approval_withdrawn_before_anything_was_sent_is_held_until_it_is_given_again(site: Site) -> None:
    exam = make_exam(site, 24, instances=2)
    site.report(exam)
    site.wait_until(lambda: waits_for(site, exam, Channel.IMAGES, Needs.IMAGES), "approved, it waits for images")
    site.drop(f"{exam.id}.json", exam.json(approved=False, minutes_ago=15))
    site.wait_for(State.HELD, exam.id)
    arrived(site, exam)
    site.wait_until((site.data / "studies" / exam.study.uid).is_dir, "the images are filed")
    assert {line.delivery.error.partition(":")[0] for line in site.lines(exam.id)} == {"approval"}
    site.wait_until(lambda: site.line(exam.id, Channel.IMAGES).selected == 2, "the images are selected")
    assert site.is_in(State.HELD, exam.id)
    assert site.has_nothing_of(exam)
    site.drop(f"{exam.id}.json", exam.json(minutes_ago=14))
    site.drop(f"{exam.id}.pdf", exam.pdf(site.folder, impression="未见异常。"))
    site.wait_for(State.DELIVERED, exam.id)
    assert len(site.receipts(exam.id)) == 1


# -- the destination


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """Configured; the node is still to be started."""
    site = Site(tmp_path, stable_after="200 ms")
    try:
        site.configure()
        yield site
    finally:
        site.stop()


def shown(site: Site) -> str:
    return command_here("queue", "list", "--config", site.config_file).stdout


def test_a_wrong_interface_key_stops_the_reports_with_a_message_that_names_it_and_the_right_one_delivers(
    own_site: Site,
) -> None:
    key = own_site.folder / "keys" / "api.key"
    right = load_api_key(key)
    key.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
    exam = make_exam(own_site, 1, instances=2)
    arrived(own_site, exam)
    own_site.report(exam)
    own_site.wait_until(lambda: "alarm=breaker" in own_site.log, "the breaker opens")
    (breaker,) = [line for line in shown(own_site).splitlines() if line.startswith("breaker ")]
    assert "interface key (API key)" in breaker
    assert "api_key_file" in breaker
    assert own_site.line(exam.id, Channel.REPORT).delivery.state == State.READY
    own_site.wait_for(State.DELIVERED, exam.id, IMAGES)
    key.write_text(right.hex() + "\n", encoding="ascii")
    assert own_site.node.stop() == 0
    assert own_site.node.running
    own_site.wait_for(State.DELIVERED, exam.id)
    assert len(own_site.receipts(exam.id)) == 1
    assert right.hex() not in own_site.log


def test_a_destination_that_is_down_is_one_alarm_a_channel_and_gets_everything_once_it_is_back(own_site: Site) -> None:
    own_site.platform.kill()
    exams = [make_exam(own_site, n, instances=2) for n in range(2)]
    for exam in exams:
        arrived(own_site, exam)
        own_site.report(exam)
    own_site.wait_until(lambda: own_site.log.count("alarm=breaker") == 2, "both breakers are open")
    assert sum("connect" in line for line in shown(own_site).splitlines() if line.startswith("breaker ")) == 2
    assert own_site.platform.running
    for exam in exams:
        own_site.wait_for(State.DELIVERED, exam.id, seconds=40)
        own_site.assert_images_equal(exam.study)
        assert len(own_site.receipts(exam.id)) == 1


def test_the_log_of_all_this_names_no_patient_and_no_exam(site: Site) -> None:
    exam = make_exam(site, 90, instances=1)
    arrived(site, exam)
    site.report(exam, Patient__Telephone=None, Patient__PatientId="SOMEBODY-ELSE")
    site.wait_for(State.HELD, exam.id)
    words = ["EXM7183", "PAT7183", "ACC7183", "SOMEBODY-ELSE", *exam.secrets()]
    assert "identity" in site.log
    assert [word for word in words if word in site.log] == []
