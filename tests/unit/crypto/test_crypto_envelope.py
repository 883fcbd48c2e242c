import base64
import json

from router.crypto import envelope
from router.crypto.symmetric import Sealed, hmac_sm3, sm3
from router.forward.profiles import gm_envelope_1

API_KEY = bytes(range(32))
EXAM, PDF = sm3(b"{}"), sm3(b"%PDF")
MESSAGE = envelope.Message(
    profile="gm-envelope/1",
    org="121100004000000001",
    app="hospital-1",
    ts=1790000000123,
    nonce="AAECAwQFBgcICQoLDA0ODw",
    idem="0f" * 16,
    revision=3,
)


def test_idem_is_the_same_for_the_same_content_only() -> None:
    one = envelope.idem(API_KEY, "beijing", "E1", EXAM, PDF)
    assert one == envelope.idem(API_KEY, "beijing", "E1", EXAM, PDF)
    others = {
        envelope.idem(bytes(32), "beijing", "E1", EXAM, PDF),
        envelope.idem(API_KEY, "tianjin", "E1", EXAM, PDF),
        envelope.idem(API_KEY, "beijing", "E2", EXAM, PDF),
        envelope.idem(API_KEY, "beijing", "E1", PDF, PDF),
        envelope.idem(API_KEY, "beijing", "E1", EXAM, EXAM),
        envelope.idem(API_KEY, "beijing", "E1", EXAM, PDF, again=3),
        envelope.idem(API_KEY, "beijing", "E1", EXAM, PDF, again=4),
    }
    assert len(others - {one}) == 7


def test_idem_is_hmac_sm3_over_nul_separated_text() -> None:
    text = b"beijing\0E1\0" + EXAM.hex().encode() + b"\0" + PDF.hex().encode()
    assert envelope.idem(API_KEY, "beijing", "E1", EXAM, PDF) == hmac_sm3(API_KEY, text).hex()[:32]


def test_signed_texts_are_those_of_the_profile() -> None:
    digest = sm3(b"abc")
    assert gm_envelope_1.signed_request("/v1/exams", digest) == f"GM1\nPOST\n/v1/exams\n{digest.hex()}\n".encode()
    assert gm_envelope_1.signed_response(200, "n", digest) == f"GM1-RESP\n200\nn\n{digest.hex()}\n".encode()
    assert envelope.token_mac(API_KEY, "a", 5, "n") == hmac_sm3(API_KEY, b"GM1-TOKEN\na\n5\nn\n").hex()


def test_a_nonce_is_base64url_without_padding() -> None:
    assert envelope.new_nonce(b"\xfb\xff" * 8) == base64.urlsafe_b64encode(b"\xfb\xff" * 8).decode().rstrip("=")
    assert len(envelope.new_nonce(bytes(16))) == 22


def test_authenticated_data_binds_profile_hospital_app_upload_and_part() -> None:
    assert MESSAGE.bound("exam") == b"gm-envelope/1|121100004000000001|hospital-1|" + b"0f" * 16 + b"|exam"


def test_meta_holds_what_the_profile_asks_for() -> None:
    key = {"alg": "SM4-GCM", "platform_kid": "0123456789abcdef", "wrapped": "d3JhcHBlZA=="}
    part = envelope.SealedPart("exam", bytes(12), Sealed(5, bytes(16), sm3(b"12345")))
    document = json.loads(envelope.meta(MESSAGE, key, (part,)))
    assert document == {
        "profile": "gm-envelope/1",
        "org": "121100004000000001",
        "app": "hospital-1",
        "ts": 1790000000123,
        "nonce": "AAECAwQFBgcICQoLDA0ODw",
        "idem": "0f" * 16,
        "revision": 3,
        "key": key,
        "parts": [
            {
                "name": "exam",
                "iv": "AAAAAAAAAAAAAAAA",
                "tag": "AAAAAAAAAAAAAAAAAAAAAA==",
                "length": 5,
                "sm3": sm3(b"12345").hex(),
            }
        ],
    }
