"""`profile`: a file checked, shown, tried at a platform, replayed after a change."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.config.file import shipped
from router.crypto.keys import new_folder
from support.harness import command_here
from support.profile_receivers import FrontEndReceiver, serving

GOOD = (shipped("profiles") / "front_end.py").read_text(encoding="utf-8")
EXAM = json.loads(shipped("exam.json").read_text(encoding="utf-8"))
PATIENT = (EXAM["Patient"]["Name"], EXAM["Patient"]["IdNo"], EXAM["ExamId"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, FrontEndReceiver]]:
    folder = tmp_path_factory.mktemp("profile")
    new_folder(folder / "k")
    (folder / "k" / "s").write_text("a secret\n")
    (folder / "k" / "s").chmod(0o600)
    (folder / "profiles").mkdir()
    (folder / "profiles" / "own.py").write_text(GOOD, encoding="utf-8")
    (folder / "report.pdf").write_bytes(b"%PDF-1.7\n")
    (folder / "exam.json").write_bytes(shipped("exam.json").read_bytes())
    receiver = FrontEndReceiver(folder, folder / "k", b"a secret")
    with serving(receiver) as url:
        (folder / "router.toml").write_text(
            '[node]\nlanguage = "en"\ndata = "data"\n[hospital]\nUSCI = "121100004000000001"\nHospitalCode = "H"\n'
            'HospitalName = "H"\nHospitalBranchCode = "01"\n[[destination]]\nname = "city"\n[destination.http]\n'
            f'url = "{url}"\nprofile = "file:profiles/own.py"\ngateway = true\napi_key_file = "k/api.key"\n'
            'secrets = { sign_key = "k/s" }\n',
            encoding="utf-8",
        )
        yield folder, receiver


def test_check_prints_every_fault_or_none(home: tuple[Path, FrontEndReceiver]) -> None:
    folder, _ = home
    fine = command_here("profile", "check", folder / "profiles" / "own.py", "--json")
    assert (fine.returncode, json.loads(fine.stdout)["faults"]) == (0, [])
    assert json.loads(fine.stdout)["calls"] == ["login", "exam", "report", "mark-deleted"]
    (folder / "bad.py").write_text("import os\nimport socket\n" + GOOD, encoding="utf-8")
    bad = command_here("profile", "check", folder / "bad.py", "--config", folder / "router.toml")
    assert bad.returncode == 1
    assert "line 1: imports os" in bad.stdout
    assert "line 2: imports socket" in bad.stdout


def test_show_prints_what_would_be_signed_and_sends_nothing(home: tuple[Path, FrontEndReceiver]) -> None:
    folder, receiver = home
    before = len(receiver.calls)
    given = ("--exam", folder / "exam.json", "--pdf", folder / "report.pdf", "--config", folder / "router.toml")
    said = command_here("profile", "show", folder / "profiles/own.py", "--destination", "city", "--json", *given)
    assert said.returncode == 0, said.stderr
    calls = {one["call"]: one for one in json.loads(said.stdout)}
    assert list(calls) == ["login", "exam", "report", "mark-deleted"]
    [key] = calls["report"]["keys"]
    assert (key["done"], key["by"]) == ("HMAC-SHA256", "secret sign_key")
    assert key["over"].startswith("POST\n/api/report/save\n")
    assert calls["report"]["request"] == "POST /api/report/save"
    info = calls["report"]["body"][0]["content"]
    assert info["requestNo"] == calls["exam"]["headers"]["X-Request-No"]
    assert calls["mark-deleted"]["body"]["requestNo"] == info["requestNo"]
    assert calls["report"]["body"][1]["content"] == "<9 bytes>"
    assert ["X-Ticket" in calls[name]["headers"] for name in ("login", "exam")] == [False, True]
    assert len(receiver.calls) == before
    plain = command_here("profile", "show", folder / "profiles/own.py", "--json", *given)
    assert json.loads(plain.stdout)[0]["request"] == "POST /base/api/login"


def test_try_sends_a_marked_exam_and_its_session_is_judged_again(home: tuple[Path, FrontEndReceiver]) -> None:
    folder, receiver = home
    config = ("--config", folder / "router.toml")
    given = ("--exam", folder / "exam.json", "--pdf", folder / "report.pdf", *config)
    tried = command_here("profile", "try", "city", "--yes", "--record", folder / "session", "--json", *given)
    assert tried.returncode == 0, tried.stderr
    found = json.loads(tried.stdout)
    assert found["receipt"].startswith("R-")
    assert [one["rule"] for one in found["calls"]] == [
        "errCode 0 with a ticket", "errCode 0, X-Sign verified", "errCode 0, our requestNo, X-Sign verified"
    ]  # fmt: skip
    assert not [one for one in (*PATIENT, "a secret", "token-") if one in tried.stdout]
    [got] = receiver.exams.values()
    assert json.loads(got["exam"])["ExamId"] == f"TEST-{EXAM['ExamId']}"
    assert (folder / "session").stat().st_mode & 0o777 == 0o600
    again = command_here("profile", "replay", folder / "session", "--json", *config)
    assert again.returncode == 0, again.stderr
    assert [(one["same"], one["request differs in"]) for one in json.loads(again.stdout)] == [(True, [])] * 3
    shown = command_here("profile", "replay", folder / "session", *config).stdout
    assert "verdict then: Granted (errCode 0 with a ticket)\nverdict again: Granted" in shown
    assert shown.count("the same: yes") == 3
    other = GOOD.replace('rule="errCode 0, X-Sign verified"', 'rule="another"').replace("X-Request-No", "X-No")
    changed = other.replace("X_Request_No=m.idem", "X_No=m.idem")
    (folder / "changed.py").write_text(changed, encoding="utf-8")
    third = command_here("profile", "replay", folder / "session", "--file", folder / "changed.py", "--json", *config)
    assert third.returncode == 1
    assert [(one["same"], one["request differs in"]) for one in json.loads(third.stdout)][1] == (
        False, ["header X-No", "header X-Request-No"]
    )  # fmt: skip


def test_a_refusal_is_shown_without_the_platforms_words_unless_they_are_asked_for(
    home: tuple[Path, FrontEndReceiver],
) -> None:
    folder, receiver = home
    given = ("--exam", folder / "exam.json", "--pdf", folder / "report.pdf", "--config", folder / "router.toml")
    for plain in ((), ("--plain",)):
        receiver.faults["exam"] = ["fields"]
        said = command_here("profile", "try", "city", "--yes", "--json", *plain, *given)
        assert said.returncode == 1
        found = json.loads(said.stdout)
        assert found["error"] == "PermanentError"
        assert ("格式不对" in said.stdout) == bool(plain)
        assert "errCode DATA_INVALID: fields" in said.stdout
        assert "Patient.IdNo" in json.dumps(found["faults"])
    assert "a secret" not in said.stdout


def test_what_is_wrong_is_said_and_nothing_is_sent(home: tuple[Path, FrontEndReceiver]) -> None:
    folder, receiver = home
    before = len(receiver.calls)
    config = ("--config", folder / "router.toml")
    given = ("--exam", folder / "exam.json", "--pdf", folder / "report.pdf", *config)
    assert command_here("profile", "try", "town", "--yes", *given).returncode == 2
    assert command_here("profile", "replay", folder / "report.pdf", *config).returncode == 1
    assert "nothing was exchanged" in command_here("profile", "last", "city", *config).stdout
    own = folder / "profiles" / "own.py"
    own.chmod(0o666)
    refused = command_here("profile", "try", "city", "--yes", *given)
    own.chmod(0o644)
    assert refused.returncode == 2
    assert "chmod go-w" in refused.stderr
    assert len(receiver.calls) == before
