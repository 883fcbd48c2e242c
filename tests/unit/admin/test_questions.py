"""The questions of the first run: every default does no harm and is taken; every wrong answer is named."""

import re
import tomllib
from pathlib import Path

import pytest

from router.admin.answers import files_of, tables_of, values_of
from router.admin.installation import Site, configured
from router.admin.questions import Peer, Question, questions
from router.cli import setup
from router.cli.install import quoted
from router.config.file import parse, shipped
from router.crypto.keys import new_folder
from support.dicom_peers import free_port
from support.harness import command_here


def asked(tmp_path: Path) -> dict[str, Question]:
    found = questions(language="en", data=tmp_path / "data", reports=tmp_path / "reports", with_service=True)
    return {question.key: question for question in found}


def faults(question: Question, answer: str, **before: str) -> list[str]:
    return [fault.text for fault in question.check(answer, {key.replace("_", "."): v for key, v in before.items()})]


def test_every_default_is_taken_by_its_own_check(tmp_path: Path) -> None:
    answers: dict[str, str] = {"receive.port": str(free_port())}
    for key, question in asked(tmp_path).items():
        if question.is_asked(answers) and key != "receive.port":
            assert faults(question, question.default) == [], key
            answers[key] = question.default
    assert "destination.dicom" not in answers, "by default nothing leaves this machine"


@pytest.mark.parametrize(("key", "answer"), [
    ("language", "fr"), ("hospital.USCI", "121100004000000002"), ("hospital.USCI", "12110000400000000"),
    ("hospital.HospitalName", " "), ("places.data", "data"), ("places.reports", "/etc/passwd/x"),
    ("receive.host", "203.0.113.7"), ("receive.port", "0"), ("receive.port", "x"), ("receive.port", "70000"),
    ("receive.port", "٣"), ("receive.ae_title", ""), ("receive.ae_title", "A" * 17), ("receive.senders", "PACS"),
    ("receive.senders", "PACS=10.1.2"), ("receive.senders", "PACS=10.1.2.3/40"), ("receive.plain", "maybe"),
    ("receive.certificate", "/nowhere.pem"), ("receive.key", "/nowhere.key"), ("receive.pacs", "PACS"),
    ("receive.pacs", "PACS@host:0"), ("destination.name", "北京"), ("destination.url", "ftp://x"),
    ("destination.dicom", "CLOUD"), ("destination.keys", "/nowhere"), ("destination.own", "y"),
])  # fmt: skip
def test_a_wrong_answer_is_refused(tmp_path: Path, key: str, answer: str) -> None:
    assert faults(asked(tmp_path)[key], answer)


def test_beyond_loopback_the_senders_must_be_named_and_tls_is_asked_for(tmp_path: Path) -> None:
    every, before = asked(tmp_path), {"receive.host": "10.1.2.3", "receive.plain": "no"}
    assert [key for key, one in every.items() if key.startswith("receive") and one.is_asked(before)] == [
        key for key in every if key.startswith("receive")
    ]
    assert list(every["receive.senders"].check("", before))
    assert not list(every["receive.senders"].check("PACS=10.1.2.3, CT01=10.1.3.0/24；MR1=fd00::7", before))


def test_a_peer_that_does_not_answer_may_stay_to_be_put_right_later(tmp_path: Path) -> None:
    question = asked(tmp_path)["destination.dicom"]
    [fault] = question.check(f"CLOUD@127.0.0.1:{free_port()}", {"receive.ae_title": "ROUTER"})
    assert (fault.may_stay, bool(fault.remedy)) == (True, True)


def test_keys_that_do_not_read_are_named_before_the_platform_is_asked(tmp_path: Path) -> None:
    new_folder(tmp_path / "keys")
    (tmp_path / "keys/api.key").write_text("short")
    found = faults(asked(tmp_path)["destination.keys"], str(tmp_path / "keys"))
    assert len(found) == 1
    assert "api.key" in found[0]


def test_the_answers_make_a_configuration_that_loads(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    new_folder(keys)
    (keys / "passphrase").write_text("x")
    ca = tmp_path / "ca.pem"
    answers = {key: question.default for key, question in asked(tmp_path).items()} | {
        "hospital.HospitalName": '示范"医院', "receive.host": "10.1.2.9", "receive.port": "104", "receive.plain": "no",
        "receive.certificate": str(ca), "receive.key": str(ca), "receive.pacs": "PACS@10.1.2.3:104",
        "destination.own": "yes", "destination.name": "city", "destination.ca": str(ca),
        "destination.dicom": "CLOUD@cloud.example:11112", "destination.url": "https://cloud.example/v1",
        "destination.app": "h7", "destination.keys": str(keys),
    }  # fmt: skip
    values = values_of(answers, quoted) | {"receive.senders": '[{ ae_title = "PACS", address = "10.1.2.3" }]'}
    site = Site(
        program=tmp_path, settings=tmp_path, data=tmp_path, reports=tmp_path, account="x", values=values,
        tables=tables_of(answers, quoted),
    )  # fmt: skip
    config = parse(configured(shipped("router.toml").read_text(encoding="utf-8"), site), base=tmp_path)
    [cloud] = config.destination
    assert cloud.dicom is not None
    assert cloud.http is not None
    assert (cloud.name, cloud.dicom.host, cloud.dicom.allow_plain) == ("city", "cloud.example", False)
    assert (cloud.dicom.tls is not None, cloud.http.ca_file) == (True, tmp_path / "keys/cloud-ca.pem")
    assert cloud.http.signing_key_passphrase_file == tmp_path / "keys/passphrase"
    assert (config.receive.tls is not None, config.receive.allow_plain, config.receive.port) == (True, False, 104)
    assert config.query is not None
    assert (config.query.ae_title, config.hospital[0].HospitalName) == ("PACS", '示范"医院')
    assert set(files_of(answers)) >= {"receive.pem", "receive.key", "cloud-ca.pem", "api.key", "passphrase"}


def test_yes_and_no_may_be_said_in_chinese_or_by_a_letter(tmp_path: Path) -> None:
    question, other = asked(tmp_path)["destination.own"], asked(tmp_path)["hospital.HospitalCode"]
    assert [question.normal(each) for each in ("是", " y", "YES", "否", "n", "maybe")] == ["yes"] * 3 + ["no"] * 2 + [
        "maybe"
    ]
    assert other.normal(" n ") == "n"


def test_a_peer_is_written_ae_at_host_and_port() -> None:
    assert Peer.of("PACS@[fd00::7]:104") == Peer(ae_title="PACS", host="fd00::7", port=104)
    assert Peer.of("CT 1@host.example:11112") == Peer(ae_title="CT 1", host="host.example", port=11112)
    assert [text for text in ("@h:1", "A@:1", "A@h:", "A@h:99999", "A@h", f"{'A' * 17}@h:1") if Peer.of(text)] == []


def test_a_file_of_answers_names_every_fault_and_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.write_text('[hospital]\nUSCI = "1"\n[receive]\nport = 0\n')
    done = command_here("setup", "--folder", tmp_path / "home", "--answers", file)
    assert (done.returncode, "hospital.USCI = '1'" in done.stderr, "receive.port" in done.stderr) == (2, True, True)
    file.write_text("[hospital]\nUCSI = 1\n")
    done = command_here("setup", "--folder", tmp_path / "home", "--answers", file)
    assert (done.returncode, "hospital.UCSI" in done.stderr) == (2, True)
    assert not (tmp_path / "home").exists()


def test_a_person_is_asked_again_until_the_answer_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what does not answer yet may stay, when the person says so."""
    every = asked(tmp_path)
    few = [every[key] for key in ("language", "hospital.USCI", "destination.own", "destination.dicom")]
    cloud = f"CLOUD@127.0.0.1:{free_port()}"
    given = iter(["fr", "en", "1", few[1].default, "perhaps", "Y", "CLOUD", cloud, cloud])
    kept = iter([False, True])
    told: list[str] = []
    monkeypatch.setattr(setup, "_require_person", lambda: None)
    monkeypatch.setattr(setup, "echo", told.append)
    monkeypatch.setattr(setup, "confirm", lambda _: next(kept))
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(given))
    answers = setup._answers(few, None)
    assert list(answers.values()) == ["en", few[1].default, "yes", cloud]
    assert sum(line.startswith("not taken: ") for line in told) == 6
    assert (list(given), list(kept)) == ([], [])


def test_it_speaks_the_terminal_s_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "answers.toml"
    file.write_text('[hospital]\nUSCI = "1"\nHospitalName = " "\n[receive]\nae_title = ""\n', encoding="utf-8")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    told = command_here("setup", "--folder", tmp_path, "--example").stdout
    told += command_here("setup", "--folder", tmp_path, "--answers", file).stderr
    comments = [line for line in told.splitlines() if line.startswith("#") or "hospital." in line]
    assert len(comments) > 20
    assert [line for line in comments if not re.search("[一-鿿]", line) or re.search("[a-z]{3,} [a-z]{3,}", line)] == []


def test_without_a_person_and_without_answers_it_says_how() -> None:
    done = command_here("setup", "--folder", "/nowhere/x")
    assert (done.returncode, "--answers" in done.stderr) == (2, True)


def test_the_example_of_answers_is_toml_of_every_default(tmp_path: Path) -> None:
    done = command_here("setup", "--folder", tmp_path, "--example")
    found = tomllib.loads(done.stdout)
    assert (found["hospital"]["USCI"], found["destination"]["own"]) == ("121100004000000001", "no")
    assert found["places"]["data"] == str(tmp_path / "data")
    assert (found["keep_silent"], found["replace"]) == ("no", "no")
