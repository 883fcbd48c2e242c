"""What each worked profile sends for one fixed message, against values made by OpenSSL and by hand."""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from router.config.file import shipped
from router.crypto.keys import key_id, load_private, load_public, new_folder
from router.crypto.ring import load_ring
from router.forward.answer import Answer
from router.forward.blocks import Document, Form, Later, Message, Piece, Refused, Renew, Secret, Untrue
from router.forward.blocks.message import Keys
from router.forward.blocks.verdict import Verdict
from router.forward.spoken import Spoken, SpokenTurn

CASES = Path(__file__).parents[2] / "cases" / "profiles"
GOLDEN = json.loads((CASES / "golden.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys") / "k"
    new_folder(folder)
    secret = GOLDEN["message"]["secret"].encode()
    names = ("app_secret", "sign_key", "master_key", "data_key")
    return Keys(
        api_key=bytes(32), secrets={name: Secret(name, secret) for name in names},
        signing=load_ring(folder / "hospital-sign.pem", "s", load_private, lambda key: key_id(key.public)),
        platform_signing=load_ring(folder / "platform-sign.pub.pem", "p", load_public, key_id),
        platform_encryption=load_ring(folder / "platform-encrypt.pub.pem", "e", load_public, key_id),
    )  # fmt: skip


def spoken(file: Path, keys: Keys) -> Spoken:
    """The profile in this process: its functions are pure."""
    module = ModuleType("profile")
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), module.__dict__)
    return Spoken(module.PROFILE, keys, GOLDEN["message"]["settings"])


@pytest.fixture
def message(tmp_path: Path) -> Message:
    given = GOLDEN["message"]
    (tmp_path / "report.pdf").write_text(given["report"])
    (tmp_path / "exam.json").write_bytes(b'{"ExamId":"E1"}')
    report = Document.whole(tmp_path / "report.pdf")
    return Message(
        app=given["app"], org="o", idem=given["idem"], revision=1, ts=given["ts"], nonce=given["nonce"],
        seed=bytes.fromhex(given["seed"]), base=given["base"], spool=tmp_path, report=report,
        exam=Document.whole(tmp_path / "exam.json"), kept={"exam_no": "N1", "upload": "U1"},
        piece=Piece(number=1, count=1, offset=0, data=report),
    )  # fmt: skip


def signed_texts(turn: SpokenTurn) -> list[str]:
    return [one.text.decode() for one in turn.notes or [] if one.done == "SM2 signature"]


def test_the_envelope_is_sealed_and_signed_as_openssl_does(keys: Keys, message: Message) -> None:
    turn = spoken(shipped("profiles") / "signed_envelope.py", keys).turn("token", message, noting=True)
    body = json.loads(turn.request.body)  # type: ignore[arg-type] # bytes
    want = GOLDEN["signed_envelope"]
    assert body["encData"] == want["encData"]
    secret = GOLDEN["message"]["secret"]
    [signed] = signed_texts(turn)
    assert secret not in signed  # what is shown has the name in its place
    assert signed.replace("<secret app_secret>", secret) == want["signed"].replace("{encKey}", body["encKey"])


def test_the_front_ends_signatures_are_those_of_openssl(keys: Keys, message: Message) -> None:
    profile = spoken(shipped("profiles") / "front_end.py", keys)
    found = {call: profile.turn(call, message).request.headers["X-Sign"] for call in ("login", "report")}
    assert found == {call: GOLDEN["front_end"][call] for call in found}


def test_a_part_is_sealed_and_signed_as_openssl_and_a_hand_do(keys: Keys, message: Message) -> None:
    turn = spoken(shipped("profiles") / "parts.py", keys).turn("part", message, noting=True)
    assert turn.request.body == bytes.fromhex(GOLDEN["parts"]["body"])
    assert signed_texts(turn) == [GOLDEN["parts"]["signed"]]


def test_the_profile_written_from_a_document_gives_the_documents_examples(keys: Keys, message: Message) -> None:
    document = (CASES / "qinghe.md").read_text(encoding="utf-8")
    secrets = {
        "app_secret": Secret("app_secret", b"00112233445566778899aabbccddeeff"),
        "data_key": Secret("data_key", b"0123456789abcdeffedcba9876543210"),
    }
    profile = spoken(CASES / "qinghe.py", Keys(api_key=bytes(32), secrets=secrets))
    headers = profile.turn("auth", message).request.headers
    assert headers["Qh-Sign"] in document
    assert re.fullmatch("[0-9A-F]{64}", headers["Qh-Sign"])
    body: Any = profile.turn("exam", message).request.body
    assert json.loads(body)["data"] in document


RET = [
    ({"ret": 40, "result": {"items": [{"name": "Patient.IdNo", "desc": "格式"}]}}, Refused),
    ({"ret": 41}, Refused), ({"ret": 50}, Renew), ({"ret": 51}, Renew), ({"ret": 60}, Renew), ({"ret": 90}, Later),
    ({"ret": 77}, Later), ({"ret": 0, "result": {}, "sign": "00"}, Untrue), ({}, Refused),
]  # fmt: skip


@pytest.mark.parametrize(("said", "kind"), RET, ids=lambda one: json.dumps(one) if isinstance(one, dict) else "")
def test_each_code_of_the_document_means_what_it_says(
    keys: Keys, message: Message, said: dict[str, Any], kind: type[Verdict]
) -> None:
    turn = spoken(CASES / "qinghe.py", keys).turn("exam", message)
    verdict = turn.judge(Answer(200 if said else 413, {}, json.dumps(said).encode()))
    assert type(verdict) is kind
    if isinstance(verdict, Refused) and verdict.faults:
        assert verdict.faults == (("Patient.IdNo", "格式"),)


def test_a_message_gives_the_same_request_and_another_one_another(keys: Keys, message: Message) -> None:
    profile = spoken(shipped("profiles") / "front_end.py", keys)
    one = profile.turn("report", message).request
    assert profile.turn("report", message).request == one
    assert isinstance(one.body, Form)
    assert message.random("a", 16) == message.random("a", 16) != message.random("b", 16)
