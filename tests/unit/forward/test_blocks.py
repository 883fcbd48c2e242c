"""The building blocks of profiles: each against values of the standards, of OpenSSL, or made by hand."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from router.crypto import sm2_forms
from router.crypto.curve import new_secret
from router.crypto.sm2 import PrivateKey
from router.errors import IntegrityError, InvalidData
from router.forward import blocks
from router.forward.answer import Answer
from router.forward.blocks import (
    Codes,
    Document,
    Down,
    Later,
    Refused,
    Renew,
    Secret,
    base64ed,
    by_status,
    canonical,
    china_time,
    field,
    gzipped,
    hexed,
    hmac_sha256,
    hmac_sm3,
    lines,
    md5,
    open_sm4_cbc,
    open_sm4_ecb,
    open_sm4_gcm,
    read_china_time,
    read_json,
    sha256,
    shown,
    sm3,
    sm4_cbc,
    sm4_ecb,
    sm4_gcm,
    unbase64ed,
    unhexed,
    write_json,
)  # fmt: skip
from router.forward.blocks.verdict import Verdict

KEY, IV = bytes.fromhex("0123456789abcdeffedcba9876543210"), bytes(range(16))
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def openssl(*arguments: str, data: bytes) -> bytes:
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("data", [b"", b"x", bytes(16), "张三".encode() * 50], ids=["none", "one", "block", "more"])
def test_ciphers_and_digests_are_those_of_openssl(data: bytes) -> None:
    secret = Secret("s", KEY)
    assert sm4_cbc(secret, IV, data) == openssl("enc", "-sm4-cbc", "-K", KEY.hex(), "-iv", IV.hex(), data=data)
    assert sm4_ecb(KEY, data) == openssl("enc", "-sm4-ecb", "-K", KEY.hex(), data=data)
    assert sm3(data) == openssl("dgst", "-sm3", "-binary", data=data)
    assert sha256(data) == openssl("dgst", "-sha256", "-binary", data=data)
    assert md5(data) == openssl("dgst", "-md5", "-binary", data=data)
    for name, own in (("sm3", hmac_sm3), ("sha256", hmac_sha256)):
        want = openssl("dgst", f"-{name}", "-mac", "HMAC", "-macopt", f"hexkey:{KEY.hex()}", "-binary", data=data)
        assert own(secret, data) == want
    assert open_sm4_cbc(KEY, IV, sm4_cbc(KEY, IV, data)) == open_sm4_ecb(KEY, sm4_ecb(KEY, data)) == data
    ciphertext, tag = sm4_gcm(KEY, IV[:12], data, aad="a")
    assert open_sm4_gcm(KEY, IV[:12], ciphertext, tag, aad="a") == data


def test_gcm_is_that_of_rfc_8998() -> None:
    plain = bytes.fromhex("".join(digit * 16 for digit in "abcdefea"))
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    ciphertext, tag = sm4_gcm(KEY, bytes.fromhex("00001234567800000000abcd"), plain, aad=aad)
    assert ciphertext.hex().startswith("17f399f08c67d5ee19d0dc9969c4bb7d")
    assert tag.hex() == "83de3541e4c2b58177e065a9bf7b62ec"


@pytest.mark.parametrize("spoil", ["tag", "ciphertext", "aad", "key"])
def test_what_was_changed_does_not_open(spoil: str) -> None:
    given: dict[str, Any] = dict(zip(("ciphertext", "tag"), sm4_gcm(KEY, IV[:12], b"text", aad=b"a"), strict=True))
    given |= {"aad": b"a", "key": KEY}
    given[spoil] = bytes((given[spoil][0] ^ 1,)) + given[spoil][1:]
    with pytest.raises(IntegrityError):
        open_sm4_gcm(given["key"], IV[:12], given["ciphertext"], given["tag"], aad=given["aad"])
    for wrong in (b"", b"x", bytes(16), sm4_cbc(KEY, IV, b"x")[:-1]):
        with pytest.raises(IntegrityError):
            open_sm4_cbc(KEY, IV, wrong)
        with pytest.raises(IntegrityError):
            open_sm4_ecb(KEY, wrong)


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    for seal in (lambda k: sm4_cbc(k, IV, b""), lambda k: sm4_ecb(k, b""), lambda k: sm4_gcm(k, IV[:12], b"")):
        with pytest.raises(ValueError, match="16 bytes"):
            seal(bytes(length))
    with pytest.raises(ValueError, match="16 bytes"):
        sm4_cbc(KEY, IV[:12], b"")


def test_every_form_of_sm2_reads_back_and_der_is_openssls(tmp_path: Path) -> None:
    key = PrivateKey.from_secret(new_secret())
    for _ in range(20):  # leading zeros in r, s, x or y come now and then
        signature, ciphertext = key.sign(b"text"), key.public.encrypt(b"0123456789abcdef")
        rs = sm2_forms.signature_as(signature, "rs")
        assert (len(rs), sm2_forms.signature_from(rs, "rs")) == (64, signature)
        for form in ("der", "c1c3c2", "c1c2c3"):
            written = sm2_forms.ciphertext_as(ciphertext, form)
            assert sm2_forms.ciphertext_from(written, form) == ciphertext
            if form != "der":
                assert (written[0], len(written)) == (4, 113)
                bare = sm2_forms.ciphertext_from(written[1:], form)
                assert bare == ciphertext
    c1c3c2, c1c2c3 = (sm2_forms.ciphertext_as(ciphertext, form) for form in ("c1c3c2", "c1c2c3"))
    assert c1c3c2[65:97] == c1c2c3[-32:]
    for wrong in (b"", rs[:-1], c1c3c2[:97], b"\4" + bytes(120)):
        with pytest.raises(InvalidData):
            sm2_forms.signature_from(wrong, "rs")
        with pytest.raises(InvalidData):
            sm2_forms.ciphertext_from(wrong, "c1c3c2")


@pytest.mark.parametrize(
    ("fields", "options", "want"),
    [
        ({"b": 1, "a": "x", "C": ""}, {}, "a=x&b=1"),
        ({"b": None, "A": "x", "a": "y"}, {}, "A=x&a=y"),
        ({"a": {"z": 1, "b": ["张"]}, "t": True}, {}, 'a={"b":["张"],"z":1}&t=true'),
        ({"a": "1 2&", "b": "张"}, {"quoted": True}, "a=1%202%26&b=%E5%BC%A0"),
        ({"a": "", "b": "x"}, {"empty": True, "joint": "|", "pair": ":"}, "a:|b:x"),
    ],
)
def test_a_canonical_string_is_in_order_without_empty_fields(fields: Any, options: Any, want: str) -> None:
    assert canonical(fields, **options) == want


def test_texts_are_written_one_way() -> None:
    assert lines("a", 1, "b") == "a\n1\nb"
    assert lines("a", end="\n") == "a\n"
    assert write_json({"b": "张", "a": 1.5}) == '{"b":"张","a":1.5}'
    assert write_json({"b": "张", "a": {"d": 1, "c": 2}}, ordered=True, ascii_only=True) == (
        '{"a":{"c":2,"d":1},"b":"\\u5f20"}'
    )
    assert (hexed(b"\xab", upper=True), unhexed("AB"), base64ed(b"\xfb\xff", url=True)) == ("AB", b"\xab", "-_8")
    assert gzipped(b"x") == gzipped(b"x")
    assert china_time(NOW) == "20261120160000"
    assert (read_china_time("20261120160000"), read_china_time("2026"), read_china_time(None)) == (NOW, None, None)
    for wrong in ("x", "AB=", "A"):
        with pytest.raises(InvalidData):
            unhexed(wrong)
        with pytest.raises(InvalidData):
            unbase64ed(wrong)


@given(
    some.binary()
    | some.text().map(str.encode)
    | some.recursive(
        some.none() | some.booleans() | some.integers() | some.text(),
        lambda one: some.lists(one) | some.dictionaries(some.text(), one),
    ).map(lambda one: json.dumps(one).encode()),
    some.integers(100, 599),
)
def test_no_answer_makes_a_table_of_codes_fail(body: bytes, status: int) -> None:
    codes = Codes(success=frozenset({"0"}), fields=frozenset({"1"}), faults="data", field="code")
    verdict = codes.judge(Answer(status, {}, body), NOW, lambda _: Later(why="accepted"))
    assert isinstance(verdict, Verdict)


CODES = Codes(
    success=frozenset({"0"}), token=frozenset({"T"}), down=frozenset({"D"}), fields=frozenset({"F"}), faults="e",
    fault_path="p", fault_text="t",
)  # fmt: skip


@pytest.mark.parametrize(
    ("status", "said", "kind", "rule"),
    [
        (200, {"code": "T"}, Renew, "code T: token"),
        (200, {"code": "D"}, Down, "code D: down"),
        (400, {"code": "T"}, Renew, "code T: token"),
        (200, {"code": 77}, Later, "code 77: unknown"),
        (500, {"code": "0"}, Later, "HTTP status 500"),
        (200, {}, Down, "HTTP status 200"),
        (200, {"code": True}, Down, "HTTP status 200"),
        (200, {"code": "张三的检查"}, Down, "HTTP status 200"),
        (401, {}, Renew, "HTTP status 401"),
        (403, {}, Down, "HTTP status 403"),
        (429, {}, Later, "HTTP status 429"),
        (422, {}, Refused, "HTTP status 422"),
        (302, {}, Down, "HTTP status 302"),
    ],
)
def test_a_code_goes_before_the_status_and_its_rule_is_named(
    status: int, said: dict[str, Any], kind: type[Verdict], rule: str
) -> None:
    verdict = CODES.judge(Answer(status, {}, json.dumps(said).encode()), NOW, lambda _: Later(why="accepted"))
    assert (type(verdict), verdict.rule) == (kind, rule)


def test_faults_are_told_by_path_and_a_path_that_is_none_is_left_out() -> None:
    said = {"code": "F", "e": [{"p": "Patient.IdNo", "t": "x"}, {"p": "张三", "t": 7}, "y"]}
    verdict = CODES.judge(Answer(200, {}, json.dumps(said).encode()), NOW, lambda _: Later(why="accepted"))
    assert isinstance(verdict, Refused)
    assert verdict.faults == (("Patient.IdNo", "x"), ("", "7"))
    assert by_status(Answer(503, {"Retry-After": "7"}, b""), NOW) == Later(
        why="the platform answers 503", after=7.0, fields={"status": 503}, rule="HTTP status 503"
    )
    assert (shown("A-1"), shown(5), shown("a b"), shown(None)) == ("A-1", "5", "", "")
    assert (read_json(b"[1]"), field({"a": {"b": 1}}, "a.b"), field({"a": 1}, "a.b")) == ({}, 1, "")


def test_a_piece_of_a_document_is_read_and_digested_alone(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(range(10)))
    whole = Document.whole(tmp_path / "f")
    piece = whole.piece(4, 4)
    assert (piece.read(), whole.piece(8, 4).read(), whole.piece(12, 4).size) == (bytes(range(4, 8)), b"\x08\x09", 0)
    assert piece.sm3() == sm3(bytes(range(4, 8)))
    assert whole.piece(0, 4).sm3() == sm3(bytes(range(4)))
    assert whole.sm3() == sm3(bytes(range(10)))


def test_a_secret_does_not_print_and_the_blocks_are_all_described() -> None:
    assert "hidden" not in repr(Secret("name", b"hidden"))
    assert Secret("name", b"00ff").from_hex().raw == b"\x00\xff"
    page = (Path(blocks.__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")
    left_out = {"WEAK", "Answer", "Document", "Message", "Piece", "Proof", "Secret", "Verdict", "same", "shown"}
    assert {name for name in blocks.__all__ if name not in page} <= left_out


def test_header_names_compare_without_case_null_reads_as_missing_and_a_number_as_no_hex_digits() -> None:
    headers = Answer(200, {"x-sign": "1"}, b"").headers
    assert (headers.get("X-Sign"), headers["X-SIGN"], headers.get("X-No", "-")) == ("1", "1", "-")
    assert "X-sign" in headers
    assert "X-No" not in headers
    with pytest.raises(KeyError):
        headers["X-No"]
    assert [field(one, "data.no") for one in ({"data": {"no": None}}, {"data": None}, {}, None)] == ["", "", "", ""]
    for read in (unhexed, unbase64ed):
        with pytest.raises(InvalidData):
            read(5)  # type: ignore[arg-type] # as a careless judge might


@given(some.integers(0, 3), some.booleans(), some.booleans())
def test_long_base64_stands_in_json_as_any_other_text(times: int, ordered: bool, ascii_only: bool) -> None:
    long = base64ed(b"\xfb" * 60_000)
    place = "\ue0a5 long Base64 \ue0a5"
    value = {
        "z": long,
        "检查": ['"\\\n', {"y": [long] * times, "b": place * (times // 3), "a": (1, None)}],
        "a": long[:9],
    }
    plain = json.loads(json.dumps(value))
    expected = json.dumps(plain, ensure_ascii=ascii_only, sort_keys=ordered, separators=(",", ":"))
    assert write_json(value, ordered=ordered, ascii_only=ascii_only) == expected
