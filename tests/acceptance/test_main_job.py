"""The main job with the node as a process: an exam comes, is delivered whole, and can be followed."""

import base64
import json
import re
import stat
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from router.crypto.keys import key_id, load_public, new_folder
from router.crypto.symmetric import sm3
from router.policy.states import State
from support.harness import Exam, Site, command, command_here, make_exam, send_all

LINE: dict[str, Any] = {
    "id": str, "exam_id": str, "destination": str, "channel": str, "state": str, "due": (str, type(None)),
    "slack_seconds": (float, int, type(None)), "attempts": int, "selected": int, "sent": int, "waiting_for": list,
    "error": (str, type(None)), "name": str, "exam": str, "answer": dict,
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("main-job"))
    try:
        yield site.start()
    finally:
        site.stop()


@pytest.fixture(scope="module")
def exam(site: Site) -> Exam:
    """An exam that was delivered, its PDF written slowly under its own name."""
    exam = make_exam(site, 1)
    send_all(site.port, exam.study.files)
    site.drop(f"{exam.id}.json", exam.json())
    site.drop_slowly(f"{exam.id}.pdf", exam.pdf(site.folder))
    site.wait_for(State.DELIVERED, exam.id)
    return exam


def test_every_data_set_is_at_the_platform_byte_for_byte_and_was_sent_once(site: Site, exam: Exam) -> None:
    site.assert_images_equal(exam.study)
    requests = site.stored_requests()
    assert {file.sop_instance: requests[file.sop_instance] for file in exam.study.files} == dict.fromkeys(
        (file.sop_instance for file in exam.study.files), 1
    )


def test_report_and_json_are_at_the_platform_as_the_ris_gave_them_with_the_images_counted(
    site: Site, exam: Exam
) -> None:
    there = site.exam_at_platform(exam.id)
    document = json.loads((there / "exam.json").read_bytes())
    given = json.loads((site.drop_folder / "done" / f"{exam.id}.json").read_bytes())
    assert (there / "report.pdf").read_bytes() == exam.pdf(site.folder)
    assert document["Report"].items() >= given["Report"].items()
    assert document["Patient"].items() >= given["Patient"].items()
    assert document["Study"]["ImageCount"] == len(exam.study.files)
    assert document["Study"]["StudyInstanceUIDs"] == [exam.study.uid]


def test_the_receipt_verifies_with_the_platforms_key_and_is_given_once(site: Site, exam: Exam) -> None:
    [kept] = (site.data / "reports").glob("*/sent/cloud/*/receipt.json")
    receipt = json.loads(kept.read_bytes())
    signed = f"GM1-RESP\n200\n{receipt['nonce']}\n{sm3(base64.b64decode(receipt['body'])).hex()}\n".encode()
    key = load_public(site.folder / "keys" / "platform-sign.pub.pem")
    assert key.verify(signed, base64.b64decode(receipt["signature"]))
    assert [given["receipt"] for given in site.receipts(exam.id)] == [receipt["receipt"]]


def test_the_drop_folder_is_left_tidy(site: Site, exam: Exam) -> None:
    there = {path.relative_to(site.drop_folder).as_posix() for path in site.drop_folder.rglob("*") if path.is_file()}
    assert there == {f"done/{exam.id}.json", f"done/{exam.id}.pdf"}


def test_queue_list_json_has_the_keys_and_types_of_the_contract_and_nothing_else_is_printed(
    site: Site, exam: Exam
) -> None:
    answer = command("queue", "list", "--json", "--config", site.config_file)
    lines = json.loads(answer.stdout)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [set(line) for line in lines] == [set(LINE)] * 2
    assert [(k, v) for line in lines for k, v in line.items() if not isinstance(v, LINE[k])] == []
    assert {(line["channel"], line["state"], line["selected"], line["sent"]) for line in lines} == {
        ("report", "delivered", 1, 1),
        ("images", "delivered", 40, 40),
    }
    assert {line["exam_id"] for line in lines} == {exam.id}
    assert all(datetime.fromisoformat(line["due"]).tzinfo for line in lines)


@pytest.mark.parametrize(
    ("options", "channels"),
    [
        (["--state", "delivered"], ["report", "images"]),
        (["--state", "held"], []),
        (["--destination", "cloud"], ["report", "images"]),
        (["--destination", "elsewhere"], []),
        (["--text", "EXM7183"], ["report", "images"]),
        (["--text", "nobody"], []),
    ],
)
def test_queue_list_filters(options: list[str], channels: list[str], site: Site, exam: Exam) -> None:
    answer = command_here("queue", "list", *options, "--json", "--config", site.config_file)
    assert (answer.returncode, [line["channel"] for line in json.loads(answer.stdout)]) == (0, channels)
    assert exam.id in answer.stdout or not channels


def names_of(site: Site, exam: Exam) -> dict[str, str]:
    delivery = f"d{site.lines(exam.id)[0].delivery.id}"
    return {"ExamId": exam.id, "study": exam.study.uid, "file": f"{exam.id}.pdf", "delivery": delivery}


@pytest.mark.parametrize("name", ["ExamId", "study", "file", "delivery"])
def test_explain_tells_the_whole_story_under_every_name(name: str, site: Site, exam: Exam) -> None:
    named = names_of(site, exam)[name]
    answer = command_here("queue", "explain", named, "--json", "--config", site.config_file)
    [story] = json.loads(answer.stdout)
    images = next(one for one in story["deliveries"] if one["channel"] == "images")
    assert (answer.returncode, story["exam_id"], story["studies"][0]["study"]) == (0, exam.id, exam.study.uid)
    assert story["studies"][0]["joined_by"] == "listed in StudyInstanceUIDs"
    assert {(e["class"], e["class_rule"], e["state"], e["status"]) for e in images["ledger"]} == {
        ("thin", "thin slices", "sent", 0)
    }
    assert len(images["ledger"]) == 40
    assert "sending -> delivered" in " ".join(event["text"] for event in story["events"])


def test_explain_in_words_names_states_rules_and_the_receipt(site: Site, exam: Exam) -> None:
    answer = command_here("queue", "explain", exam.id, "--config", site.config_file)
    receipt = site.receipts(exam.id)[0]["receipt"]
    assert answer.returncode == 0
    assert all(word in answer.stdout for word in (exam.study.uid, "delivered", "thin slices", "class thin", receipt))


def test_explain_shows_what_proves_the_upload_and_audit_checks_it_again(
    site: Site, exam: Exam, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = command_here("queue", "explain", exam.id, "--json", "--config", site.config_file)
    [upload] = json.loads(answer.stdout)[0]["uploads"]
    [given] = site.receipts(exam.id)
    shown, keys = upload["evidence"], site.folder / "keys"
    new_folder(keys / "other")
    assert [shown[name] for name in ("exam_sm3", "report_sm3")] == [given[name] for name in ("exam_sm3", "report_sm3")]
    assert shown["key_id"] == key_id(load_public(keys / "platform-sign.pub.pem"))
    assert shown["request_keys"] == {
        "signing": key_id(load_public(keys / "hospital-sign.pub.pem")),
        "platform_encryption": key_id(load_public(keys / "platform-encrypt.pub.pem")),
    }
    assert (shown["destination"], upload["frozen"] <= upload["confirmed"]) == ("cloud", True)
    told = command_here("queue", "explain", exam.id, "--config", site.config_file).stdout
    assert all(word in told for word in (shown["exam_sm3"], shown["report_sm3"], shown["key_id"], "audit"))
    for api_key, code in (("api.key", 0), ("other/api.key", 1)):
        options = ["--key", keys / "platform-sign.pub.pem", "--api-key", keys / api_key]
        monkeypatch.setenv("ROUTER_CONFIG", str(site.config_file))  # its language
        checked = command_here("audit", "verify-receipt", upload["receipt_file"], *options)
        assert (checked.returncode, f"right: receipt {given['receipt']}" in checked.stdout) == (code, code == 0)


def test_a_receipt_says_of_which_level_the_data_is_under_which_agreement_and_what_for(site: Site, exam: Exam) -> None:
    answer = command_here("queue", "explain", exam.id, "--json", "--config", site.config_file)
    [upload] = json.loads(answer.stdout)[0]["uploads"]
    kept = json.loads(Path(upload["receipt_file"]).read_bytes())
    expected = {"data_level": 4, "agreement": "A-2026-17", "purpose": "regional sharing"}
    assert {name: kept[name] for name in expected} == expected
    assert {name: upload["evidence"][name] for name in expected} == expected
    told = command_here("queue", "explain", exam.id, "--config", site.config_file).stdout
    assert "A-2026-17" in told
    assert "regional sharing" in told


def test_verify_finds_every_instance_as_it_came(site: Site, exam: Exam) -> None:
    answer = command_here("verify", "--json", "--config", site.config_file)
    found = json.loads(answer.stdout)
    assert answer.returncode == 0
    assert found == {"instances": len(exam.study.files), "missing": [], "corrupt": [], "unindexed": []}


UNKNOWN_KEY = (
    '[hospital]\nUSCI = "1"\nHospitalCode = "1"\nHospitalName = "1"\nHospitalBranchCode = "1"\n[node]\nx = 1\n'
)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["queue", "explain", "nobody"], 1, "known"),
        (["queue", "show", "d999999"], 1, "known"),
        (["queue", "show", "1"], 2, "say which: e1, d1"),
        (["queue", "hold", "nobody", "--why", "a test"], 1, "known"),
        (["queue", "release", "d1", "--yes", "--why", "it is not held"], 1, "nothing to release"),
        (["queue", "retry", "d1", "--why", "it is delivered"], 1, "nothing to retry"),
        (["queue", "hold", "d1"], 2, "--why"),
        (["queue", "release", "d1", "--why", " "], 2, "--why"),
        (["queue", "cancel", "--why", "nothing named"], 2, "name deliveries"),
        (["queue", "list", "--no-such-option"], 2, "no-such-option"),
        (["queue", "list", "--state", "lost"], 2, "lost"),
        (["queue", "tidy"], 2, "tidy"),
        (["tidy"], 2, "tidy"),
    ],
)
def test_a_wrong_name_is_exit_1_and_wrong_use_is_exit_2(
    arguments: list[str], status: int, says: str, site: Site, exam: Exam
) -> None:
    config = ["--config", site.config_file] if len(arguments) > 2 else []
    answer = command_here(*arguments, *config)
    assert (answer.returncode, says in answer.stderr) == (status, True), answer.stderr
    assert "Traceback" not in answer.stderr
    assert site.is_in(State.DELIVERED, exam.id)
    assert not answer.stdout or "0 delivery" in answer.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (UNKNOWN_KEY, "node.x: unknown key"),
        ("[node", "not TOML"),
        ("[node]\n", "hospital: missing"),
        (None, "cannot read"),
    ],
)
def test_a_bad_configuration_is_exit_2_and_says_what_is_wrong(text: str | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    for name in (["queue", "list"], ["verify"], ["run"]):
        answer = command_here(*name, "--config", file)
        assert (answer.returncode, answer.stdout, says in answer.stderr) == (2, "", True), answer.stderr


def test_a_data_folder_without_a_node_is_exit_1(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(site.config_file.read_text(encoding="utf-8"), encoding="utf-8")
    answer = command_here("queue", "list", "--json", "--config", file)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "no node here yet" in answer.stderr
    assert not (tmp_path / "node").exists()


def test_the_ready_line_names_both_ports_and_health_answers(site: Site) -> None:
    assert re.fullmatch(r"ready dicom=\d+ admin=\d+\n", site.node.ready_line)
    with urllib.request.urlopen(f"http://127.0.0.1:{site.node.ports['admin']}/health", timeout=5) as answer:
        health: dict[str, Any] = json.loads(answer.read())
    assert (health["ok"], health["node"]) == (True, "acceptance")


def test_the_nodes_log_tells_what_happened_and_nothing_of_the_patient(site: Site, exam: Exam) -> None:
    site.wait_until(lambda: "confirmed: 40 instances sent" in site.log, "it is told")
    assert [word for word in exam.secrets() if word in site.log] == []


def test_the_nodes_own_file_names_tell_nothing_of_the_patient(site: Site, exam: Exam) -> None:
    names = "\n".join(str(path.relative_to(site.data)) for path in site.data.rglob("*"))
    assert exam.study.uid in names
    assert [word for word in exam.secrets() if word in names] == []


def test_the_audit_trail_tells_who_got_what_is_unbroken_and_names_no_patient(site: Site, exam: Exam) -> None:
    trail = site.data / "audit" / "acceptance"

    def text() -> str:
        return "".join(path.read_text(encoding="utf-8") for path in trail.glob("*.jsonl"))

    site.wait_until(lambda: "110106" in text() and "40 instances sent" in text(), "report and images are in the audit")
    assert "110120" in text(), "the start of the node"
    assert [word for word in exam.secrets() if word in text()] == []
    found = command_here("audit", "verify", "--config", site.config_file)
    assert (found.returncode, found.stdout.startswith("right: acceptance: ")) == (0, True)
    head = found.stdout.split()[-1]
    assert command_here("audit", "verify", "--head", head, "--config", site.config_file).returncode == 0
    exported = command_here("audit", "export", "--config", site.config_file).stdout.splitlines()
    assert {json.loads(line)["node"] for line in exported} == {"acceptance"}


def test_the_data_folder_is_closed_to_everybody_else(site: Site, exam: Exam) -> None:
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in [site.data, *site.data.rglob("*")]}
    assert (site.data / "studies" / exam.study.uid).is_dir()
    assert modes == {(True, 0o700), (False, 0o600)}


def test_metrics_count_what_was_received_and_sent(site: Site, exam: Exam) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{site.node.ports['admin']}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert [word for word in (exam.study.uid, *exam.secrets()) if word in text] == []
    numbers = dict(re.findall(r"^(router_\w+)(?:\{.*\})? ([0-9.e+]+)$", text, re.MULTILINE))
    assert float(numbers["router_instances_durable_total"]) > 0
    assert float(numbers["router_received_bytes_total"]) > 10_000
    assert re.search(r'^router_instances_sent_total\{destination="cloud",outcome="sent"\} [1-9]', text, re.MULTILINE)
    for channel in ("report", "images"):
        assert re.search(rf'router_delivery_seconds_count\{{channel="{channel}",destination="cloud"\}} [1-9]', text)
