"""The building blocks of a profile: all that a profile's file may import (router/docs/profiles.md)."""

from router.forward.answer import Answer, Proof
from router.forward.blocks.ciphers import (
    WEAK,
    hmac_sha256,
    hmac_sm3,
    md5,
    open_sm4_cbc,
    open_sm4_ecb,
    open_sm4_gcm,
    same,
    sha256,
    sm3,
    sm4_cbc,
    sm4_ecb,
    sm4_gcm,
)
from router.forward.blocks.codes import Codes, by_status, shown
from router.forward.blocks.declaration import Call, Declaration, Parts, Rate
from router.forward.blocks.message import Message
from router.forward.blocks.request import Form, FormPart, Request
from router.forward.blocks.text import (
    base64ed,
    canonical,
    china_time,
    field,
    gzipped,
    hexed,
    lines,
    milliseconds,
    read_china_time,
    read_json,
    unbase64ed,
    unhexed,
    write_json,
)
from router.forward.blocks.values import Document, Page, Piece, Secret
from router.forward.blocks.verdict import (
    Accepted,
    Down,
    Granted,
    Later,
    Listed,
    NotOffered,
    Refused,
    Renew,
    Unknown,
    Untrue,
    Verdict,
)
from router.policy.comparison import Theirs

__all__ = [
    "WEAK", "Accepted", "Answer", "Call", "Codes", "Declaration", "Document", "Down", "Form", "FormPart", "Granted",
    "Later", "Listed", "Message", "NotOffered", "Page", "Parts", "Piece", "Proof", "Rate", "Refused", "Renew",
    "Request", "Secret", "Theirs", "Unknown", "Untrue", "Verdict", "base64ed", "by_status", "canonical", "china_time",
    "field", "gzipped", "hexed", "hmac_sha256", "hmac_sm3", "lines", "md5", "milliseconds", "open_sm4_cbc",
    "open_sm4_ecb", "open_sm4_gcm", "read_china_time", "read_json", "same", "sha256", "shown", "sm3", "sm4_cbc",
    "sm4_ecb", "sm4_gcm", "unbase64ed", "unhexed", "write_json",
]  # fmt: skip
