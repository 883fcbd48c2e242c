"""What a person tells the node: queue commands, SIGTERM, and starts that must be refused with a reason."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.dicom.dataset.header import digest
from router.errors import TransientError
from router.model import Channel
from router.policy.states import State
from support.harness import Exam, Site, SlowCloud, command, command_here, make_exam, send, send_all, tail

IMAGES, REPORT = (Channel.IMAGES,), (Channel.REPORT,)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("commands"), stable_after="300 ms", accept_empty=["Patient.IdNo"])
    try:
        yield site.start()
    finally:
        site.stop()


def tell(site: Site, action: str, *arguments: object, status: int = 0) -> dict[str, list[str]]:
    """`queue ACTION ... --json`; what it answers."""
    answer = command_here("queue", action, *arguments, "--json", "--config", site.config_file)
    assert answer.returncode == status, answer.stderr
    told: dict[str, list[str]] = json.loads(answer.stdout)
    return told


def draft(site: Site, number: int) -> Exam:
    """An exam whose images, draft JSON and PDF are here."""
    exam = make_exam(site, number, instances=2)
    send_all(site.port, exam.study.files)
    site.drop(f"{exam.id}.json", exam.json(approved=False))
    site.drop(f"{exam.id}.pdf", exam.pdf(site.folder))
    site.wait_for(State.WAITING, exam.id)
    return exam


def approve(site: Site, exam: Exam) -> None:
    """The approved JSON, taken."""
    site.drop(f"{exam.id}.json", exam.json())
    site.wait_until((site.drop_folder / "done" / f"{exam.id}~2.json").exists, "the approved JSON is taken")


def events(site: Site, exam: Exam) -> list[tuple[str, str]]:
    """(text, who) of the exam's history."""
    answer = command_here("queue", "explain", exam.id, "--json", "--config", site.config_file)
    return [(event["text"], event["who"]) for event in json.loads(answer.stdout)[0]["events"]]


def test_what_a_person_holds_stays_although_it_is_approved_and_goes_when_it_is_released(site: Site) -> None:
    exam = draft(site, 1)
    ids = {str(line.delivery.id) for line in site.lines(exam.id)}
    answer = tell(site, "hold", exam.id, "--why", "the patient objects")
    assert (set(answer["done"]), answer["not_done"]) == (ids, [])
    approve(site, exam)
    site.wait_until(lambda: site.line(exam.id, Channel.IMAGES).selected == 2, "the approved exam is evaluated")
    assert site.is_in(State.HELD, exam.id)
    assert site.has_nothing_of(exam)
    tell(site, "release", exam.id, "--yes", "--why", "the objection is withdrawn")
    site.wait_for(State.DELIVERED, exam.id)
    told = [(text, who) for text, who in events(site, exam) if "the patient objects" in text or "withdrawn" in text]
    assert len(told) == 4
    assert all(who not in ("", "node") for _, who in told)


def test_one_delivery_is_held_by_its_id_and_the_other_channel_goes(site: Site) -> None:
    exam = draft(site, 2)
    tell(site, "hold", f"d{site.line(exam.id, Channel.REPORT).delivery.id}", "--why", "the report is being corrected")
    approve(site, exam)
    site.wait_for(State.DELIVERED, exam.id, IMAGES)
    assert site.is_in(State.HELD, exam.id, REPORT)
    assert site.receipts(exam.id) == []
    tell(site, "release", exam.id, "--yes", "--why", "corrected", status=1)
    site.wait_for(State.DELIVERED, exam.id)


def test_what_is_cancelled_is_never_sent_until_a_person_takes_it_back(site: Site) -> None:
    exam = draft(site, 3)
    tell(site, "cancel", exam.id, "--why", "a phantom")
    approve(site, exam)
    send_all(site.port, exam.study.files)
    assert site.is_in(State.CANCELLED, exam.id)
    assert tell(site, "release", exam.id, "--yes", "--why", "not how", status=1)["done"] == []
    assert site.has_nothing_of(exam)
    tell(site, "retry", exam.id, "--why", "no phantom after all")
    site.wait_for(State.DELIVERED, exam.id)


def test_what_the_platform_refuses_fails_with_the_field_named_and_can_be_tried_again_or_corrected(site: Site) -> None:
    exam = make_exam(site, 4, instances=1)
    send_all(site.port, exam.study.files)
    site.report(exam, Patient__IdNo="")
    site.wait_for(State.FAILED, exam.id, REPORT)
    failed = site.line(exam.id, Channel.REPORT).delivery
    assert "Patient.IdNo" in failed.error
    tell(site, "retry", f"d{failed.id}", "--why", "the platform says it is mended")
    site.wait_until(lambda: site.log.count("sending -> failed") >= 2, "the platform refuses it again")
    site.wait_for(State.FAILED, exam.id, REPORT)
    assert site.receipts(exam.id) == []
    site.drop(f"{exam.id}.json", exam.json())
    site.wait_for(State.DELIVERED, exam.id)
    assert len(site.receipts(exam.id)) == 1


@pytest.mark.parametrize("action", ["hold", "release", "retry", "cancel"])
def test_without_a_reason_nothing_is_done_and_it_is_exit_2(action: str, site: Site) -> None:
    before = [(line.delivery.id, line.delivery.state) for line in site.lines()]
    answer = command_here("queue", action, "--all", "--config", site.config_file)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "--why" in answer.stderr
    assert [(line.delivery.id, line.delivery.state) for line in site.lines()] == before


# -- starts that are refused


def refused(config_file: Path, *says: str) -> None:
    """`run` ends with 2 and says so in plain words."""
    answer = command("run", "--config", config_file)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Traceback" not in answer.stderr
    assert [word for word in says if word not in answer.stderr] == []


def test_a_second_node_on_the_same_data_folder_does_not_start_and_the_first_goes_on(site: Site) -> None:
    assert site.node.running
    refused(site.config_file, "error: a node named 'acceptance' already runs on this data folder", "stop it")
    exam = make_exam(site, 30, instances=1)
    send_all(site.port, exam.study.files)
    site.report(exam)
    site.wait_for(State.DELIVERED, exam.id)


@pytest.fixture
def copied(site: Site, tmp_path: Path) -> Path:
    """The configuration and keys of the site, elsewhere: another hospital's node."""
    shutil.copytree(site.folder / "keys", tmp_path / "keys")
    return Path(shutil.copy(site.config_file, tmp_path / "router.toml"))


@pytest.mark.parametrize("listener", ["dicom", "admin"])
def test_a_port_in_use_is_exit_2_and_says_where_to_look(listener: str, site: Site, copied: Path) -> None:
    section = {"dicom": "[receive]", "admin": "[admin]"}[listener]
    text = copied.read_text(encoding="utf-8")
    port = site.node.ports[listener]
    copied.write_text(text.replace(f"{section}\nport = 0", f"{section}\nport = {port}"), encoding="utf-8")
    refused(copied, "cannot listen", "Address already in use", section, str(port))


def test_a_key_file_that_others_may_read_is_exit_2_and_names_the_file_and_what_to_do(copied: Path) -> None:
    (copied.parent / "keys" / "api.key").chmod(0o644)
    refused(copied, "api.key", "chmod 600")


def test_sighup_reads_the_series_rules_again_and_the_node_goes_on(site: Site) -> None:
    site.node.hang_up()
    site.wait_until(lambda: "series rules read again" in site.log, "the rules are read again")
    assert site.node.running


def test_sighup_takes_up_senders_and_tells_what_wants_a_restart(site: Site) -> None:
    port, before = site.port, site.config_file.read_text(encoding="utf-8")
    text = before.replace("[receive]", '[receive]\nsenders = [{ ae_title = "CT01" }]') + "[backup]\ndaily = 8\n"
    try:
        site.config_file.write_text(text, encoding="utf-8")
        site.node.hang_up()
        site.wait_until(lambda: "taken up: receive.senders; wants a restart: backup.daily" in site.log, "told")
        exam = make_exam(site, 60, instances=1)
        with pytest.raises(TransientError):
            send_all(port, exam.study.files)
        site.config_file.write_text("[receive", encoding="utf-8")
        site.node.hang_up()
        site.wait_until(lambda: "it has faults and changes nothing" in site.log, "the faults are told")
    finally:
        site.config_file.write_text(before, encoding="utf-8")
        site.node.hang_up()
    site.wait_until(lambda: "receive.senders; wants a restart: nothing" in site.log, "the former configuration is back")
    send_all(port, exam.study.files)


# -- SIGTERM


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Site, SlowCloud]]:
    cloud = SlowCloud(pause=0.05)
    site = Site(tmp_path, dicom_port=cloud.port, stable_after="300 ms")
    try:
        yield site.start(), cloud
    finally:
        site.stop()
        cloud.stop()


def test_sigterm_ends_with_0_while_work_is_in_flight_and_it_is_finished_after_the_next_start(
    slow: tuple[Site, SlowCloud],
) -> None:
    site, cloud = slow
    leaving, coming = make_exam(site, 1, instances=30), make_exam(site, 2, instances=60)
    send_all(site.port, leaving.study.files)
    site.report(leaving)
    site.wait_until(lambda: cloud.requests_of(leaving.study).total() >= 5, "forwarding is in full swing")
    node, acknowledged = site.node, []
    began = 0.0
    try:
        for result in send(site.port, coming.study.files):
            assert result.status in (0x0000, 0xA700)
            acknowledged += [coming.study.files[result.key]] if result.status == 0 else []
            time.sleep(0.01)
            if len(acknowledged) == 3:
                began = time.monotonic()
                node.ask_to_stop()
    except TransientError:
        pass
    assert 3 <= len(acknowledged) < len(coming.study.files)
    assert node.ended(30) == 0
    assert node.rest_of_stdout == b"", "nothing but the ready line is for stdout"
    assert "Traceback" not in tail(node.log)
    assert site.workers() == 0
    assert time.monotonic() - began < 10
    before = cloud.requests_of(leaving.study)
    assert before.total() < len(leaving.study.files), "there was nothing in flight any more"
    assert site.is_in(State.READY, leaving.id, IMAGES)

    assert site.node.running
    site.wait_for(State.DELIVERED, leaving.id)
    cloud.assert_has(leaving.study)
    assert set(cloud.requests_of(leaving.study).values()) == {1}
    for file in acknowledged:
        kept = site.data / "studies" / file.study / file.series / f"{file.sop_instance}.dcm"
        assert digest(kept) == digest(file.path)
