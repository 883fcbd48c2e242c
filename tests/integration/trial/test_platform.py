"""The reference platform over real sockets, by a client written from the profile gm-envelope/1 alone."""

import base64
import datetime
import hashlib
import http.client
import io
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE

from router.clock import FakeClock
from router.crypto.curve import new_secret
from router.crypto.keys import key_id, load_api_key, load_private, load_public, new_folder
from router.crypto.sm2 import PrivateKey
from router.crypto.symmetric import hmac_sm3, seal, sm3
from router.errors import ConfigurationError
from router.trial.platform.keyring import read_accounts, read_keyring
from router.trial.platform.service import Ports, ReferencePlatform

ORG, APP = "121100004000000001", "hospital-1"
LARGEST = 200_000
NOW = datetime.datetime(2026, 3, 2, 2, 15, tzinfo=datetime.UTC)
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 300
Change = Callable[[Any], Any]


def exam(**order: str) -> dict[str, Any]:
    """An exam JSON with every required field."""
    text = "某值"
    return {
        "ExamId": "V1_CT/001", "USCI": ORG, "HospitalCode": "H1", "HospitalName": text, "HospitalBranchCode": "01",
        "Order": {
            "AccessionNumber": "A1", "ApplyDepartmentName": text, "ApplyDepartmentNameStd": text,
            "ApplyDepartmentCodeStd": "03", "ApplyDoctorName": text, "CheckInTime": "2026-03-02 08:00:00",
            "DeviceAETitle": "CT01", "ExecDepartmentCode": "1", "ExecDepartmentName": text,
            "ExecDepartmentCodeStd": "32", "ExecDepartmentNameStd": text, "HisOrderCode": "H1", "ModalityCode": "CT",
            "RegisterTime": "2026-03-02 08:00:00", "Status": "Reported",
            "Procedures": [dict.fromkeys(
                ("CheckItemCode", "CheckItemName", "BodyPartCode", "BodyPartName",
                 "CheckItemCodeStd", "CheckItemNameStd", "BodyPartCodeStd", "BodyPartNameStd"), text)],
        } | order,
        "Visit": {"PatientType": "1", "ClinicalNumber": "M1", "VisitSerialNumber": "V1"},
        "Patient": {
            "AgeDisplay": "76岁", "DateOfBirth": "1949-12-31", "Gender": "2", "IdNo": "11010519491231002X",
            "IdNoType": "01", "Name": text, "PatientId": "P1", "Telephone": "13800000000",
        },
        "Report": dict.fromkeys(
            ("SubmitDoctorName", "SubmitDoctorCode", "ApproveDoctorCode", "ApproveDoctorName",
             "ApproveDoctorCertificateNo", "Findings", "Impression"), text,
        ) | {"SubmitTime": "2026-03-02 09:00:00", "ApproveTime": "2026-03-02 09:30:00", "PositiveStatus": 0},
        "Study": {"ImageCount": 3, "StudyDate": "2026-03-02 08:10:00", "StudyInstanceUIDs": ["1.2.3"]},
    }  # fmt: skip


def new_nonce() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Any
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.raw)
        return document


@dataclass
class Upload:
    """One upload, taken apart so that a test can spoil any piece of it before it is sent."""

    document: Any = field(default_factory=exam)
    pdf: bytes = PDF
    idem: str = "i-1"
    revision: int = 1
    nonce: str = field(default_factory=new_nonce)
    ts_offset_ms: int = 0
    org: str = ORG
    app: str = APP
    meta_change: Change = lambda meta: meta
    cipher_change: Change = lambda ciphers: ciphers
    signature_change: Change = lambda signature: signature
    path_signed: str = "/v1/exams"
    names: tuple[str, ...] = ("meta", "exam", "report")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Hospital:
    """The sending side, by hand."""

    def __init__(self, keys: Path, http_port: int, clock: FakeClock) -> None:
        self.port = http_port
        self.clock = clock
        self.signing = load_private(keys / "hospital-sign.pem")
        self.platform_encrypt = load_public(keys / "platform-encrypt.pub.pem")
        self.platform_sign = load_public(keys / "platform-sign.pub.pem")
        self.api_key = load_api_key(keys / "api.key")

    def now(self) -> int:
        return int(self.clock.now().timestamp() * 1000)

    def ask(self, path: str, body: Any, headers: dict[str, str], *, chunked: bool = False) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            content = iter([body[:1000], body[1000:]]) if chunked else body
            connection.request("POST", path, content, headers, encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def ask_token(self, **changes: object) -> Answer:
        asked: dict[str, object] = {"app": APP, "ts": self.now(), "nonce": new_nonce()} | changes
        text = f"GM1-TOKEN\n{asked['app']}\n{asked['ts']}\n{asked['nonce']}\n"
        asked.setdefault("mac", hmac_sm3(self.api_key, text.encode()).hex())
        return self.ask("/v1/token", json.dumps(asked).encode(), {"Content-Type": "application/json"})

    def token(self) -> str:
        answer = self.ask_token()
        assert answer.status == 200
        return str(answer.body["token"])

    def send(self, upload: Upload, *, token: str | None = None, chunked: bool = False, kid: str = "") -> Answer:
        body, own = self.written(upload)
        own["Authorization"] = f"Bearer {self.token() if token is None else token}"
        if chunked:
            own["Transfer-Encoding"] = "chunked"
        if kid:
            own["X-GM-Key-Id"] = kid
        return self.ask("/v1/exams", body, own, chunked=chunked)

    def written(self, upload: Upload) -> tuple[bytes, dict[str, str]]:
        key = secrets.token_bytes(16)
        document = upload.document if isinstance(upload.document, bytes) else json.dumps(upload.document).encode()
        ciphers, parts = {}, []
        for name, plain in (("exam", document), ("report", upload.pdf)):
            iv, sink = secrets.token_bytes(12), io.BytesIO()
            aad = f"gm-envelope/1|{upload.org}|{upload.app}|{upload.idem}|{name}".encode()
            sealed = seal(key, iv, aad, io.BytesIO(plain), sink)
            ciphers[name] = sink.getvalue()
            parts.append(
                {"name": name, "iv": b64(iv), "tag": b64(sealed.tag), "length": len(plain), "sm3": sealed.sm3.hex()}
            )
        meta = {
            "profile": "gm-envelope/1", "org": upload.org, "app": upload.app, "ts": self.now() + upload.ts_offset_ms,
            "nonce": upload.nonce, "idem": upload.idem, "revision": upload.revision,
            "key": {"alg": "SM4-GCM", "platform_kid": key_id(self.platform_encrypt),
                    "wrapped": b64(self.platform_encrypt.encrypt(key))},
            "parts": parts,
        }  # fmt: skip
        meta_bytes = json.dumps(upload.meta_change(meta)).encode()
        contents = {"meta": meta_bytes, **upload.cipher_change(ciphers)}
        signed = f"GM1\nPOST\n{upload.path_signed}\n{sm3(meta_bytes).hex()}\n".encode()
        headers = {
            "X-GM-Key-Id": key_id(self.signing.public),
            "X-GM-Signature": b64(upload.signature_change(self.signing.sign(signed))),
            "Content-Type": "multipart/form-data; boundary=limit",
        }
        return b"".join(_part(name, contents[name]) for name in upload.names) + b"--limit--\r\n", headers


def _part(name: str, content: bytes) -> bytes:
    kind = "application/json" if name == "meta" else "application/octet-stream"
    head = (
        f'--limit\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    )
    return head.encode() + content + b"\r\n"


@dataclass
class Site:
    """A running platform and what belongs to it."""

    data: Path
    keys: Path
    clock: FakeClock
    platform: ReferencePlatform
    ports: Ports
    hospital: Hospital

    def restart(self) -> None:
        self.platform.stop()
        self.platform, self.ports = started(self.data, self.keys, self.clock)
        self.hospital = Hospital(self.keys, self.ports.http, self.clock)

    def receipts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.data / "receipts.jsonl").read_text().splitlines()]


def started(data: Path, keys: Path, clock: FakeClock) -> tuple[ReferencePlatform, Ports]:
    platform = ReferencePlatform(
        data, read_keyring(keys), clock, app=APP, org=ORG, token_seconds=600, largest_body=LARGEST
    )
    return platform, platform.start()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    new_folder(folder)
    return folder


@contextmanager
def running(data: Path, keys: Path) -> Iterator[Site]:
    clock = FakeClock(NOW)
    platform, ports = started(data, keys, clock)
    site = Site(data, keys, clock, platform, ports, Hospital(keys, ports.http, clock))
    yield site
    site.platform.stop()


@pytest.fixture
def site(tmp_path: Path, keys: Path) -> Iterator[Site]:
    """A platform of the test's own."""
    with running(tmp_path / "platform", keys) as site:
        yield site


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Site]:
    """One platform for all uploads that must leave nothing behind."""
    with running(tmp_path_factory.mktemp("refusing"), keys) as site:
        yield site


def test_a_good_upload_is_stored_and_confirmed_with_a_signed_receipt(site: Site) -> None:
    upload = Upload()
    answer = site.hospital.send(upload)
    assert answer.status == 200, answer.raw
    assert (answer.body["idem"], answer.body["nonce"]) == ("i-1", upload.nonce)
    signed = f"GM1-RESP\n200\n{upload.nonce}\n{sm3(answer.raw).hex()}\n".encode()
    signature = base64.b64decode(answer.headers["X-GM-Signature"])
    assert site.hospital.platform_sign.verify(signed, signature)
    assert answer.headers["X-GM-Key-Id"] == key_id(site.hospital.platform_sign)
    folder = site.data / "exams" / "V1_CT%2F001" / "1"
    assert json.loads((folder / "exam.json").read_bytes()) == upload.document
    assert (folder / "report.pdf").read_bytes() == PDF
    assert [receipt["receipt"] for receipt in site.receipts()] == [answer.body["receipt"]]
    assert list((site.data / ".spool").iterdir()) == []


def test_a_retry_gets_the_first_receipt_again_freshly_signed(site: Site) -> None:
    first = site.hospital.send(Upload())
    again = Upload()
    second = site.hospital.send(again)
    assert (second.status, second.body["receipt"]) == (200, first.body["receipt"])
    assert second.body["nonce"] == again.nonce != first.body["nonce"]
    assert len(site.receipts()) == 1


def test_the_same_idem_with_other_content_is_a_conflict(site: Site) -> None:
    site.hospital.send(Upload())
    assert site.hospital.send(Upload(pdf=PDF + b"more")).status == 409
    assert site.hospital.send(Upload(document=exam(Note="changed"))).status == 409
    assert (site.data / "exams" / "V1_CT%2F001" / "1" / "report.pdf").read_bytes() == PDF


def test_uploads_of_one_idem_at_the_same_time_get_one_receipt(site: Site) -> None:
    token = site.hospital.token()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: site.hospital.send(Upload(), token=token), range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    assert {answer.body["receipt"] for answer in answers} == {site.receipts()[0]["receipt"]}
    assert len(site.receipts()) == 1


def test_a_new_revision_lies_beside_the_former_one(site: Site) -> None:
    site.hospital.send(Upload())
    assert site.hospital.send(Upload(pdf=PDF + b"2", idem="i-2", revision=2)).status == 200
    assert sorted(path.name for path in (site.data / "exams" / "V1_CT%2F001").iterdir()) == ["1", "2"]


def test_a_restarted_platform_remembers_its_receipts(site: Site) -> None:
    first = site.hospital.send(Upload())
    with (site.data / "receipts.jsonl").open("a") as ledger:
        ledger.write('{"receipt": "cut o')
    (site.data / ".spool" / "left-behind").touch()
    site.restart()
    second = site.hospital.send(Upload())
    assert second.body["receipt"] == first.body["receipt"]
    assert site.hospital.send(Upload(pdf=PDF + b"x")).status == 409
    assert len(site.receipts()) == 1
    assert list((site.data / ".spool").iterdir()) == []


def test_a_nonce_seen_before_is_stale(site: Site) -> None:
    used = new_nonce()
    assert site.hospital.send(Upload(nonce=used)).status == 200
    answer = site.hospital.send(Upload(nonce=used))
    assert (answer.status, answer.body) == (401, {"error": "stale"})


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_time_outside_the_window_is_stale(site: Site, seconds: int) -> None:
    answer = site.hospital.send(Upload(ts_offset_ms=seconds * 1000))
    assert (answer.status, answer.body) == (401, {"error": "stale"})
    assert site.hospital.send(Upload(ts_offset_ms=(abs(seconds) - 1) * 1000)).status == 200


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def with_key(**changes: str) -> Change:
    return lambda meta: meta | {"key": meta["key"] | changes}


def with_first_part(**changes: object) -> Change:
    return lambda meta: meta | {"parts": [meta["parts"][0] | changes, meta["parts"][1]]}


def with_flipped_cipher_and_right_digest(upload: Upload, name: str, place: int) -> None:
    """The flipped bit goes unnoticed by the digest: only the tag can tell."""
    spoilt: dict[str, bytes] = {}

    def remember(ciphers: dict[str, bytes]) -> dict[str, bytes]:
        return ciphers | {name: spoilt["cipher"]}

    def describe(meta: dict[str, Any]) -> dict[str, Any]:
        spoilt["cipher"] = secrets.token_bytes(meta["parts"][place]["length"])
        meta["parts"][place]["sm3"] = sm3(spoilt["cipher"]).hex()
        return meta

    upload.meta_change, upload.cipher_change = describe, remember


WRONG_ENVELOPES = {
    "signature": Upload(signature_change=lambda _: PrivateKey.from_secret(new_secret()).sign(b"else")),
    "signature that is no DER": Upload(signature_change=lambda _: b"0"),
    "signature for another path": Upload(path_signed="/v1/other"),
    "flipped bit in the exam": Upload(cipher_change=lambda c: c | {"exam": flipped(c["exam"])}),
    "flipped bit in the report": Upload(cipher_change=lambda c: c | {"report": flipped(c["report"])}),
    "shorter report": Upload(cipher_change=lambda c: c | {"report": c["report"][:-1]}),
    "length": Upload(meta_change=with_first_part(length=1)),
    "tag": Upload(meta_change=with_first_part(tag=b64(bytes(16)))),
    "short tag": Upload(meta_change=with_first_part(tag=b64(bytes(12)))),
    "IV": Upload(meta_change=with_first_part(iv=b64(bytes(12)))),
    "wrapped key": Upload(meta_change=with_key(wrapped=b64(b"0\x03\x02\x01\x00"))),
    "algorithm": Upload(meta_change=with_key(alg="SM4-CBC")),
    "profile": Upload(meta_change=lambda meta: meta | {"profile": "gm-envelope/2"}),
    "idem": Upload(meta_change=lambda meta: meta | {"idem": "../../etc"}),
    "revision": Upload(meta_change=lambda meta: meta | {"revision": True}),
    "order of parts": Upload(names=("meta", "report", "exam")),
    "missing part": Upload(names=("meta", "exam")),
    "meta that comes last": Upload(names=("exam", "report", "meta")),
    "exam that is an array": Upload(document=[]),
    "exam that is no JSON": Upload(document=b"{"),
}


@pytest.mark.parametrize("what", WRONG_ENVELOPES)
def test_a_wrong_envelope_is_refused_and_leaves_nothing(refusing: Site, what: str) -> None:
    answer = refusing.hospital.send(WRONG_ENVELOPES[what])
    assert answer.status == 400, answer.raw
    assert answer.body["error"]
    nothing_is_left(refusing)


@pytest.mark.parametrize(("name", "place"), [("exam", 0), ("report", 1)])
def test_a_ciphertext_that_only_the_tag_can_tell_is_refused(refusing: Site, name: str, place: int) -> None:
    upload = Upload()
    with_flipped_cipher_and_right_digest(upload, name, place)
    answer = refusing.hospital.send(upload)
    assert (answer.status, answer.body) == (400, {"error": f"the tag of {name} does not match"})
    nothing_is_left(refusing)


def nothing_is_left(site: Site) -> None:
    assert list((site.data / "exams").iterdir()) == []
    assert list((site.data / ".spool").iterdir()) == []
    assert site.receipts() == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda d: d["Order"].pop("HisOrderCode"), "Order.HisOrderCode"),
        (lambda d: d["Order"].update(Status="Submitted"), "Order.Status"),
        (lambda d: d["Order"]["Procedures"][0].pop("BodyPartCode"), "Order.Procedures[0].BodyPartCode"),
        (lambda d: d["Visit"].pop("ClinicalNumber"), "Visit.ClinicalNumber"),
        (lambda d: d["Patient"].update(Name=" "), "Patient.Name"),
        (lambda d: d["Study"].update(ImageCount="3"), "Study.ImageCount"),
        (lambda d: d["Study"].update(StudyInstanceUIDs=[]), "Study.StudyInstanceUIDs"),
        (lambda d: d.pop("Report"), "Report.Findings"),
        (lambda d: d.update(ExamId="长" * 200), "ExamId"),
        (lambda d: d.update(ExamId="\ud800"), "ExamId"),
    ],
)
def test_an_exam_without_a_required_field_is_shown_field_by_field(refusing: Site, change: Change, path: str) -> None:
    document = exam()
    change(document)
    answer = refusing.hospital.send(Upload(document=document))
    assert answer.status == 422, answer.raw
    assert path in [fault["path"] for fault in answer.body["errors"]]
    assert all(fault["message"] for fault in answer.body["errors"])
    nothing_is_left(refusing)


def test_another_app_org_or_key_is_not_allowed(refusing: Site) -> None:
    assert refusing.hospital.send(Upload(app="hospital-2")).status == 403
    assert refusing.hospital.send(Upload(org="911100004000000001")).status == 403
    assert refusing.hospital.send(Upload(meta_change=with_key(platform_kid="0" * 16))).status == 403
    assert refusing.hospital.send(Upload(), kid="0" * 16).status == 403
    nothing_is_left(refusing)


def test_each_application_has_keys_and_a_hospital_of_its_own(tmp_path: Path, keys: Path) -> None:
    other, data, clock, their_org = tmp_path / "other", tmp_path / "platform", FakeClock(NOW), "121100004000000027"
    new_folder(other)
    for name in ("platform-sign.pub.pem", "platform-encrypt.pub.pem"):
        (other / name).write_bytes((keys / name).read_bytes())
    keyring = read_keyring(keys)
    accounts = read_accounts(keyring, [f"{APP}:{ORG}", f"hospital-2:{their_org}={other}"])
    platform = ReferencePlatform(data, keyring, clock, accounts=accounts)
    port = platform.start().http
    ours, theirs = Hospital(keys, port, clock), Hospital(other, port, clock)
    token = theirs.ask_token(app="hospital-2").body["token"]

    def upload(**changes: Any) -> Upload:
        return Upload(**{"org": their_org, "app": "hospital-2", "document": exam() | {"USCI": their_org}} | changes)

    assert theirs.ask_token().status == 401  # our name, by their key
    assert ours.ask_token(app="hospital-2").status == 401
    for refused in (
        theirs.send(upload(org=ORG), token=token),  # as another hospital
        theirs.send(upload(app=APP, org=ORG), token=ours.token()),  # by their signing key under our name
        ours.send(Upload(), token=token),  # a token of one for another
        theirs.send(upload(), token=ours.token()),
    ):
        assert refused.status == 403, refused.raw
    wrong = theirs.send(upload(document=exam()), token=token)
    assert (wrong.status, wrong.body["errors"][0]["path"]) == (422, "USCI")
    assert theirs.send(upload(), token=token).status == ours.send(Upload()).status == 200
    folders = [path.relative_to(data / "exams").as_posix() for path in (data / "exams").glob("*/*/*/1")]
    assert sorted(folders) == [f"{ORG}/01/V1_CT%2F001/1", f"{their_org}/01/V1_CT%2F001/1"]
    lines = [json.loads(line) for line in (data / "receipts.jsonl").read_text().splitlines()]
    assert {(one["org"], one["app"], one["idem"]) for one in lines} == {
        (ORG, APP, "i-1"), (their_org, "hospital-2", "i-1")
    }  # fmt: skip
    platform.stop()


@pytest.mark.parametrize("given", ["", "a b", "a:=keys", "a:org=", "=keys"])
def test_an_application_of_another_form_is_refused(keys: Path, given: str) -> None:
    with pytest.raises(ConfigurationError, match="NAME:USCI=FOLDER"):
        read_accounts(read_keyring(keys), [given])
    with pytest.raises(ConfigurationError, match="two are named"):
        read_accounts(read_keyring(keys), ["a", "a"])


def test_one_exam_id_of_two_branches_is_two_exams_also_after_a_restart(site: Site) -> None:
    second = {"HospitalBranchCode": "02"}
    assert site.hospital.send(Upload()).status == 200
    assert site.hospital.send(Upload(document=exam() | second, pdf=PDF + b"2", idem="i-2")).status == 200
    site.restart()
    assert site.hospital.send(Upload(document=exam() | second, pdf=PDF + b"3", idem="i-3", revision=2)).status == 200
    folder = site.data / "exams"
    assert (folder / "V1_CT%2F001" / "1" / "report.pdf").read_bytes() == PDF
    other = folder / f"V1_CT%2F001@{ORG}@02"
    assert [(other / n / "report.pdf").read_bytes() for n in "12"] == [PDF + b"2", PDF + b"3"]


def test_an_unknown_or_expired_token_is_refused(site: Site) -> None:
    for token in ("", "guess"):
        answer = site.hospital.send(Upload(), token=token)
        assert (answer.status, answer.body) == (401, {"error": "token"})
    token = site.hospital.token()
    site.clock.advance(599)
    assert site.hospital.send(Upload(), token=token).status == 200
    site.clock.advance(1)
    assert site.hospital.send(Upload(), token=token).body == {"error": "token"}


def test_a_token_is_given_only_for_a_right_mac_a_near_time_and_a_new_nonce(refusing: Site) -> None:
    used = new_nonce()
    assert refusing.hospital.ask_token(nonce=used).body["expires_in"] == 600
    refused = [
        refusing.hospital.ask_token(nonce=used),
        refusing.hospital.ask_token(mac="0" * 64),
        refusing.hospital.ask_token(app="hospital-2"),
        refusing.hospital.ask_token(ts=refusing.hospital.now() - 300_001),
        refusing.hospital.ask_token(nonce="short"),
        refusing.hospital.ask_token(ts=str(refusing.hospital.now())),
    ]
    assert [answer.status for answer in refused] == [401] * 6


def test_a_chunked_body_is_taken_like_any_other(site: Site) -> None:
    assert site.hospital.send(Upload(), chunked=True).status == 200
    assert (site.data / "exams" / "V1_CT%2F001" / "1" / "report.pdf").read_bytes() == PDF


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(refusing: Site, chunked: bool) -> None:
    answer = refusing.hospital.send(Upload(pdf=bytes(LARGEST)), chunked=chunked)
    assert answer.status == 413
    assert answer.headers["Connection"] == "close"
    nothing_is_left(refusing)


def test_a_body_that_would_be_too_large_is_refused_before_it_is_sent(refusing: Site) -> None:
    with socket.create_connection(("127.0.0.1", refusing.ports.http), timeout=5) as connection:
        connection.sendall(b"POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_body_that_ends_early_is_refused(refusing: Site) -> None:
    with socket.create_connection(("127.0.0.1", refusing.ports.http), timeout=5) as connection:
        connection.sendall(b"POST /v1/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(12) == b"HTTP/1.1 400"


def test_one_connection_serves_several_requests(site: Site) -> None:
    body, headers = site.hospital.written(Upload())
    headers["Authorization"] = f"Bearer {site.hospital.token()}"
    connection = http.client.HTTPConnection("127.0.0.1", site.ports.http, timeout=5)
    for status in (200, 401):
        connection.request("POST", "/v1/exams", body, headers)
        response = connection.getresponse()
        assert (response.status, response.headers["Connection"]) == (status, None)
        response.read()
    connection.close()


def test_nothing_else_is_served(refusing: Site) -> None:
    assert refusing.hospital.ask("/v1/other", b"{}", {}).status == 404
    connection = http.client.HTTPConnection("127.0.0.1", refusing.ports.http, timeout=5)
    connection.request("GET", "/v1/exams")
    assert connection.getresponse().status == 405
    connection.close()


def test_the_same_instance_again_is_a_success_without_a_second_copy(site: Site) -> None:
    path = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(path, str)
    dataset = dcmread(path)
    client = AE(ae_title="ANYONE")
    client.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = client.associate("127.0.0.1", site.ports.dicom, ae_title="WHOEVER")
    assert association.is_established
    assert [association.send_c_store(path).Status for _ in range(2)] == [0, 0]
    association.release()
    (stored,) = (site.data / "dicom").rglob("*.dcm")
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    assert stored.relative_to(site.data / "dicom").parts == (*uids[:2], f"{uids[2]}.dcm")
    assert data_set_of(stored) == data_set_of(Path(path))
    assert list((site.data / ".spool").iterdir()) == []


def data_set_of(path: Path) -> str:
    """The digest of the bytes after group 0002."""
    content = path.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    return hashlib.sha256(content[144 + length :]).hexdigest()


def test_the_command_says_ready_survives_kill_9_and_stops_on_sigterm(tmp_path: Path, keys: Path) -> None:
    data, clock = tmp_path / "platform", FakeClock(datetime.datetime.now(datetime.UTC))
    with command(data, keys) as (process, ports):
        receipt = Hospital(keys, ports.http, clock).send(Upload()).body["receipt"]
        process.kill()
    with command(data, keys) as (process, ports):
        assert Hospital(keys, ports.http, clock).send(Upload()).body["receipt"] == receipt
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        log = process.stderr.read() if process.stderr else ""
    assert "POST /v1/exams 200" in log
    assert "V1_CT" not in log


class command:  # noqa: N801 - reads as a verb's object in a with statement
    """`platform` as a process, until the context ends."""

    def __init__(self, data: Path, keys: Path) -> None:
        arguments = ["--data", data, "--keys", keys, "--dicom-port", "0", "--http-port", "0"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "router.cli", "platform", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[3], env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    def __enter__(self) -> tuple["subprocess.Popen[str]", Ports]:
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert words[0] == "ready", self.process.stderr.read() if self.process.stderr else ""
        named = dict(word.split("=") for word in words[1:])
        return self.process, Ports(int(named["dicom"]), int(named["http"]))

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
