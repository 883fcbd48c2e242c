"""signed-envelope/1: one JSON envelope for every call, its data under SM4, signed with SM2.

After the way of national insurance interfaces, with names and values of our own. POST {url}/gateway:

    {"appId", "transType", "version": "1.0", "timestamp": ms, "nonce", "encType": "SM4", "signType": "SM2",
     "encKey": Base64 of SM2 C1C3C2 of the SM4 key, "encData": Base64 of IV || SM4-CBC(data),
     "signData": Base64 of r || s}

The signature is over `appId=..&encData=..&...&key={secret app_secret}`: every field but signData, by name, without
empty ones. An answer has the same form with "code" and "message"; its data is under the key of the request.
"""

from router.forward.blocks import (
    Accepted,
    Answer,
    Call,
    Codes,
    Declaration,
    Granted,
    Message,
    NotOffered,
    Rate,
    Request,
    Unknown,
    Untrue,
    Verdict,
    base64ed,
    canonical,
    field,
    open_sm4_cbc,
    read_json,
    sm3,
    sm4_cbc,
    unbase64ed,
    write_json,
)

CODES = Codes(
    success=frozenset({"0"}),
    token=frozenset({"1001"}),
    time=frozenset({"1002", "1003"}),
    down=frozenset({"1004", "1005"}),
    fields=frozenset({"2001"}),
    permanent=frozenset({"2002", "2003"}),
    transient=frozenset({"9001", "9999"}),
    faults="errors",
    fault_path="field",
    fault_text="reason",
)


def session_key(m: Message) -> bytes:
    return m.random("session key", 16)


def envelope(m: Message, kind: str, data: object) -> Request:
    iv = m.random("iv", 16)
    fields = {
        "appId": m.app,
        "transType": kind,
        "version": "1.0",
        "timestamp": m.ts,
        "nonce": m.nonce,
        "encType": "SM4",
        "signType": "SM2",
        "encKey": base64ed(m.encrypt(session_key(m), "c1c3c2")),
        "encData": base64ed(iv + sm4_cbc(session_key(m), iv, write_json(data))),
        "accessToken": m.token,
    }
    signature = m.sign(signed(m, fields), "rs")
    body = write_json({**fields, "signData": base64ed(signature)})
    return Request(path="/gateway", headers={"Content-Type": "application/json"}, body=body.encode())


def signed(m: Message, fields: dict[str, object]) -> str:
    return f"{canonical(fields)}&key={m.secret('app_secret').text}"


def ask_token(m: Message) -> Request:
    return envelope(m, "token", {"orgCode": m.settings["org_code"]})


def exam(m: Message) -> Request:
    pdf = m.report.read()
    file = {"name": "report.pdf", "sm3": sm3(pdf).hex(), "content": base64ed(pdf)}
    data = {"serial": m.idem, "revision": m.revision, "exam": read_json(m.exam.read()), "file": file}
    return envelope(m, "exam", data)


def withdraw(m: Message) -> Request:
    data = {"serial": serial(m), "reason": m.notice["Reason"], "examId": m.notice["ExamId"]}
    return envelope(m, "withdraw", data)


def serial(m: Message) -> str:
    """The upload's; of a withdrawal that of the upload that is withdrawn."""
    return m.notice.get("Idem", m.idem)


def opened(m: Message, document: dict[str, object]) -> tuple[dict[str, object], object]:
    """The data of a signed answer, and the proof that it is the platform's."""
    given = {name: value for name, value in document.items() if name != "signData"}
    proof = m.proof(signed(m, given), unbase64ed(str(document.get("signData", ""))), form="rs")
    sealed = unbase64ed(str(document.get("encData", "")))
    return read_json(open_sm4_cbc(session_key(m), sealed[:16], sealed[16:])), proof


def token(m: Message, answer: Answer) -> Verdict:
    def granted(document: dict[str, object]) -> Verdict:
        data, _ = opened(m, document)
        seconds = field(data, "expiresIn")
        known = isinstance(seconds, int) and seconds > 0 and field(data, "accessToken")
        if not known:
            return Untrue(why="the answer holds no token")
        return Granted(token=str(field(data, "accessToken")), seconds=float(seconds), rule="code 0 with a token")

    return CODES.judge(answer, m.at, granted)


def taken(m: Message, answer: Answer) -> Verdict:
    def accepted(document: dict[str, object]) -> Verdict:
        data, proof = opened(m, document)
        if field(data, "serial") != serial(m) or field(document, "nonce") != m.nonce:
            return Untrue(why="the receipt is for another upload")
        return Accepted(receipt=str(field(data, "receiptNo")), proof=proof, rule="code 0, signed, our serial")

    return CODES.judge(answer, m.at, accepted)


def withdrawn(m: Message, answer: Answer) -> Verdict:
    code = field(read_json(answer), "code")
    if code == "3001":
        return Unknown(rule="code 3001: it has no such exam")
    return NotOffered(why="the platform does not take withdrawals") if code == "3002" else taken(m, answer)


PROFILE = Declaration(
    name="signed-envelope/1",
    token=Call(name="token", request=ask_token, judge=token, rate=Rate(times=10, seconds=3600)),
    upload=(Call(name="exam", request=exam, judge=taken),),
    withdraw=(Call(name="withdraw", request=withdraw, judge=withdrawn),),
    keys=("signing_key_file", "platform_signing_key_file", "platform_encryption_key_file"),
    secrets=("app_secret",),
    settings=("org_code",),
)
