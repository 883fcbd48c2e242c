"""A kept receipt, checked again offline."""

import base64
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from router.cli.audit import command
from router.crypto import keys
from router.crypto.symmetric import sm3
from router.errors import Unproven
from router.forward.answer import Proof, Receipt

AT = datetime.fromtimestamp(1795248000, UTC)
BODY = b'{"receipt": "R1", "idem": "i", "nonce": "n", "ts": 1795248000000}'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("made")
    keys.new_folder(tmp_path / "k")
    key = keys.load_private(tmp_path / "k/platform-sign.pem")
    signed = f"GM1-RESP\n200\nn\n{sm3(BODY).hex()}\n"
    document = {
        "receipt": "R1", "idem": "i", "nonce": "n", "status": 200, "at": AT.isoformat(),
        "profile": "gm-envelope/1", "key_id": keys.key_id(key.public), "signed": signed,
        "signature": base64.b64encode(key.sign(signed.encode())).decode(), "body": base64.b64encode(BODY).decode(),
        "exam_sm3": sm3(b"{}").hex(), "report_sm3": sm3(b"%PDF").hex(),
    }  # fmt: skip
    (tmp_path / "exam.json").write_bytes(b"{}")
    (tmp_path / "receipt.json").write_text(json.dumps(document))
    return tmp_path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """receipt.json and exam.json, with the platform's key."""
    return Path(shutil.copytree(made, tmp_path / "a folder"))


@pytest.fixture(autouse=True)
def _english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_CONFIG", str(tmp_path / "none"))  # so that nothing says another language


def checked(folder: Path, key: str = "platform-sign.pub.pem") -> tuple[int, str]:
    file = str(folder / "receipt.json")
    done = CliRunner().invoke(command, ["verify-receipt", file, "--key", str(folder / "k" / key)])
    return done.exit_code, done.output


def change(folder: Path, **changes: Any) -> None:
    file = folder / "receipt.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_receipt_as_it_was_kept_is_right(folder: Path) -> None:
    code, said = checked(folder)
    assert (code, "right: receipt R1" in said) == (0, True)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"receipt": "R2"}, "receipt is not what"),
        ({"idem": "j"}, "idem is not what"),
        ({"at": "2026-11-20T08:00:00+00:00"}, "at is not what"),
        ({"nonce": "m"}, "nonce is not what"),
        ({"key_id": "0" * 16}, "it names key"),
        ({"signed": "GM1-RESP\n200\nn\n0\n"}, "signature does not verify"),
        ({"body": base64.b64encode(BODY + b" ").decode()}, "signed text is not"),
        ({"status": 201}, "signed text is not"),
        ({"signature": "AAAA"}, "signature does not verify"),
        ({"exam_sm3": "0"}, "exam.json is not what was sent"),
    ],
)
def test_a_changed_receipt_is_wrong_for_its_own_reason(folder: Path, changes: dict[str, Any], fault: str) -> None:
    change(folder, **changes)
    code, said = checked(folder)
    assert code == 1
    assert fault in said


def test_a_pdf_that_was_not_sent_is_told(folder: Path) -> None:
    for content, code in ((b"%PDF", 0), (b"%PDF-1.7", 1)):
        (folder / "report.pdf").write_bytes(content)
        options = ["--key", str(folder / "k/platform-sign.pub.pem"), "--pdf", str(folder / "report.pdf")]
        done = CliRunner().invoke(command, ["verify-receipt", str(folder / "receipt.json"), *options])
        assert (done.exit_code, "report.pdf is not what was sent" in done.output) == (code, bool(code))


def test_a_file_that_holds_no_object_is_no_receipt(folder: Path) -> None:
    (folder / "receipt.json").write_text("[]")
    assert checked(folder)[0] == 1


def test_another_key_does_not_verify_it(folder: Path) -> None:
    assert checked(folder, "platform-encrypt.pub.pem")[0] == 1


@pytest.mark.parametrize(
    "changes", [{"profile": "gm-psk/1"}, {"body": "*"}, {"status": "x"}, {"body": "W10="}, {"at": "then"}]
)
def test_what_is_no_signed_receipt_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    change(folder, **changes)
    assert checked(folder)[0] == 1


def test_the_printed_commands_check_the_same(folder: Path) -> None:
    if not (shutil.which("openssl") and shutil.which("jq")):
        pytest.skip("openssl or jq is not installed")
    lines = [line.strip() for line in checked(folder)[1].splitlines() if line.startswith("  ")]
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=folder, capture_output=True, text=True, check=False)
    assert "Verified OK" in done.stdout
    assert sm3(BODY).hex() in done.stdout


def test_a_receipt_holds_a_number_that_can_be_kept_and_signed_bytes_of_any_kind() -> None:
    def made(number: str, text: bytes) -> Receipt:
        proof = Proof(profile="p/1", key_id="k", signature=b"s", text=text, request_keys={})
        return Receipt(receipt=number, idem="i", at=AT, nonce="n", status=200, body=b"", proof=proof)

    assert made("回执 1", b"text").to_document()["signed"] == "text"
    document = made("1", b"\xff\x00").to_document()
    assert ("signed" in document, document["signed_bytes"]) == (False, "/wA=")
    for number in ("\ud800", "a\0b", "a\nb", "1" * 501):
        with pytest.raises(Unproven, match="no printable text"):
            made(number, b"")
