"""parts/1: an upload is opened with the exam JSON, the PDF follows in parts of 1 MiB, a notification completes it.

Authorization: Bearer TOKEN, and X-Signature: Base64 of the DER SM2 signature over the method, the path, X-Time (ms) and
the hex SM3 of the body, one a line. Exam JSON and parts are under SM4-GCM: tag || ciphertext. The key of an upload is
the first 16 bytes of HMAC-SM3 under the secret `master_key` over its serial; the IV is 8 zero bytes and the number of
the part (0: the exam JSON), so nothing of it must be remembered between parts. The receipt is signed by the platform.
"""

from router.forward.blocks import (
    Accepted,
    Answer,
    Call,
    Codes,
    Declaration,
    Granted,
    Message,
    Parts,
    Rate,
    Request,
    Untrue,
    Verdict,
    base64ed,
    field,
    hexed,
    hmac_sm3,
    lines,
    milliseconds,
    sm3,
    sm4_gcm,
    unbase64ed,
    write_json,
)

CODES = Codes(
    field="status",
    success=frozenset({"ok"}),
    token=frozenset({"token-expired"}),
    time=frozenset({"time-off"}),
    upload=frozenset({"upload-unknown"}),
    down=frozenset({"key-unknown", "signature-wrong"}),
    fields=frozenset({"exam-invalid"}),
    permanent=frozenset({"too-large", "digest-wrong"}),
    transient=frozenset({"busy"}),
    faults="faults",
    fault_path="at",
    fault_text="text",
)


def sealed(m: Message, number: int, data: bytes) -> bytes:
    key = hmac_sm3(m.secret("master_key"), m.idem)[:16]
    ciphertext, tag = sm4_gcm(key, bytes(8) + number.to_bytes(4, "big"), data, aad=f"{m.idem}/{number}")
    return tag + ciphertext


def signed(m: Message, method: str, path: str, body: bytes) -> Request:
    text = lines(method, f"{m.base}{path}", m.ts, hexed(sm3(body)))
    headers = {"X-App": m.app, "X-Time": str(m.ts), "X-Key-Id": m.signing_id, "X-Signature": base64ed(m.sign(text))}
    if m.token:
        headers["Authorization"] = f"Bearer {m.token}"
    return Request(method=method, path=path, headers=headers, body=body)


def ask_token(m: Message) -> Request:
    return signed(m, "POST", "/token", write_json({"app": m.app, "nonce": m.nonce}).encode())


def open_upload(m: Message) -> Request:
    facts = {"serial": m.idem, "revision": m.revision, "size": m.report.size, "sm3": m.report.sm3().hex()}
    exam = base64ed(sealed(m, 0, m.exam.read()))
    return signed(m, "POST", "/uploads", write_json({**facts, "exam": exam}).encode())


def part(m: Message) -> Request:
    body = sealed(m, m.piece.number, m.piece.data.read())
    return signed(m, "PUT", f"/uploads/{m.kept['upload']}/{m.piece.number}", body)


def notify(m: Message) -> Request:
    return signed(m, "POST", f"/uploads/{m.kept['upload']}/complete", write_json({"serial": m.idem}).encode())


def token(m: Message, answer: Answer) -> Verdict:
    def granted(document: dict[str, object]) -> Verdict:
        value, ends = document.get("token"), document.get("ends")
        left = (ends - milliseconds(m.at)) / 1000 if isinstance(ends, int) else 0
        if not isinstance(value, str) or not 0 < left < 86400:
            return Untrue(why="the answer holds no token that is in force")
        return Granted(token=value, seconds=left, rule="status ok with a token")

    return CODES.judge(answer, m.at, granted)


def opened(m: Message, answer: Answer) -> Verdict:
    def accepted(document: dict[str, object]) -> Verdict:
        upload = field(document, "upload")
        known = isinstance(upload, str) and upload.isalnum()
        return Accepted(keep={"upload": upload}, rule="status ok") if known else Untrue(why="no upload was opened")

    return CODES.judge(answer, m.at, accepted)


def stored(m: Message, answer: Answer) -> Verdict:
    return CODES.judge(answer, m.at, lambda _: Accepted(rule="status ok"))


def completed(m: Message, answer: Answer) -> Verdict:
    def accepted(document: dict[str, object]) -> Verdict:
        text = lines("receipt", m.idem, field(document, "receipt"))
        if field(document, "serial") != m.idem:
            return Untrue(why="the receipt is for another upload")
        proof = m.proof(text, unbase64ed(str(field(document, "signature"))))
        return Accepted(receipt=str(field(document, "receipt")), proof=proof, rule="status ok, receipt signed")

    return CODES.judge(answer, m.at, accepted)


PROFILE = Declaration(
    name="parts/1",
    token=Call(name="token", request=ask_token, judge=token, rate=Rate(times=10, seconds=3600)),
    upload=(
        Call(name="open", request=open_upload, judge=opened),
        Parts(name="part", request=part, judge=stored, size=1024 * 1024),
        Call(name="notify", request=notify, judge=completed),
    ),
    keys=("signing_key_file", "platform_signing_key_file"),
    secrets=("master_key",),
)
