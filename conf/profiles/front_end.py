"""front-end/1: the platform's front-end machine (前置机) in the hospital; calls for exam, report and mark-deleted.

Every call carries X-App-Id, X-Timestamp (ms), X-Nonce and X-Sign: hex HMAC-SHA256 under the secret `sign_key` over the
method, the path, the timestamp, the nonce and the hex SHA-256 of what is signed of the body, one a line. An answer
carries X-Sign over its status, the request's nonce and the hex SHA-256 of its body. Answers: {"success", "errCode",
"errMsg", "data"}.
"""

from router.forward.blocks import (
    Accepted,
    Answer,
    Call,
    Codes,
    Declaration,
    Form,
    FormPart,
    Granted,
    Message,
    Request,
    Secret,
    Untrue,
    Verdict,
    field,
    gzipped,
    hexed,
    hmac_sha256,
    lines,
    sha256,
    unhexed,
    write_json,
)

CODES = Codes(
    field="errCode",
    success=frozenset({"0"}),
    token=frozenset({"TOKEN_EXPIRED"}),
    time=frozenset({"TIME_OFF", "NONCE_USED"}),
    upload=frozenset({"EXAM_UNKNOWN"}),
    down=frozenset({"SIGN_WRONG", "APP_UNKNOWN"}),
    fields=frozenset({"DATA_INVALID"}),
    permanent=frozenset({"TOO_LARGE"}),
    transient=frozenset({"BUSY"}),
    faults="data.errors",
    fault_path="field",
    fault_text="msg",
)


def sign_key(m: Message) -> Secret:
    return m.secret("sign_key")


def headers(m: Message, path: str, covered: bytes) -> dict[str, str]:
    text = lines("POST", f"{m.base}{path}", m.ts, m.nonce, hexed(sha256(covered)))
    token = {"X-Ticket": m.token} if m.token else {}
    sign = hexed(hmac_sha256(sign_key(m), text))
    return {"X-App-Id": m.app, "X-Timestamp": str(m.ts), "X-Nonce": m.nonce, "X-Sign": sign, **token}


def posted(m: Message, path: str, body: bytes, **more: str) -> Request:
    own = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in more.items()}}
    return Request(path=path, headers={**headers(m, path, body), **own}, body=body)


def login(m: Message) -> Request:
    return posted(m, "/api/login", write_json({"appId": m.app}, ordered=True).encode())


def exam(m: Message) -> Request:
    return posted(m, "/api/exam/save", gzipped(m.exam.read()), Content_Encoding="gzip", X_Request_No=m.idem)


def report(m: Message) -> Request:
    """What is signed is the form's field `info`, which holds the PDF's digest."""
    pdf = m.report.sm3().hex()
    info = {"examNo": m.kept["exam_no"], "requestNo": m.idem, "size": m.report.size, "sm3": pdf}
    text = write_json(info, ordered=True).encode()
    form = Form((
        FormPart(name="info", content=text, content_type="application/json"),
        FormPart(name="file", content=m.report, content_type="application/pdf", filename="report.pdf"),
    ))  # fmt: skip
    return Request(path="/api/report/save", headers=headers(m, "/api/report/save", text), body=form)


def mark_deleted(m: Message) -> Request:
    data = {"requestNo": request_no(m), "why": m.notice["Reason"]}
    return posted(m, "/api/exam/markDeleted", write_json(data).encode())


def request_no(m: Message) -> str:
    """The upload's; of a withdrawal that of the upload that is withdrawn."""
    return m.notice.get("Idem", m.idem)


def proof_of(m: Message, answer: Answer) -> object:
    text = lines(answer.status, m.nonce, hexed(sha256(answer.body)))
    given = unhexed(answer.headers.get("X-Sign", ""))
    return m.code_proof(sign_key(m), text, given, hmac_sha256(sign_key(m), text))


def logged_in(m: Message, answer: Answer) -> Verdict:
    def granted(document: dict[str, object]) -> Verdict:
        ticket, minutes = field(document, "data.ticket"), field(document, "data.validMinutes")
        if not ticket or not isinstance(ticket, str) or not isinstance(minutes, int) or minutes < 1:
            return Untrue(why="the answer holds no ticket")
        return Granted(token=ticket, seconds=60.0 * minutes, rule="errCode 0 with a ticket")

    return CODES.judge(answer, m.at, granted)


def saved(m: Message, answer: Answer) -> Verdict:
    def accepted(document: dict[str, object]) -> Verdict:
        keep = {"exam_no": str(field(document, "data.examNo"))}
        return Accepted(keep=keep, proof=proof_of(m, answer), rule="errCode 0, X-Sign verified")

    return CODES.judge(answer, m.at, accepted)


def reported(m: Message, answer: Answer) -> Verdict:
    def accepted(document: dict[str, object]) -> Verdict:
        if field(document, "data.requestNo") != request_no(m):
            return Untrue(why="the receipt is for another request")
        number = str(field(document, "data.serialNo"))
        return Accepted(receipt=number, proof=proof_of(m, answer), rule="errCode 0, our requestNo, X-Sign verified")

    return CODES.judge(answer, m.at, accepted)


PROFILE = Declaration(
    name="front-end/1",
    token=Call(name="login", request=login, judge=logged_in),
    upload=(Call(name="exam", request=exam, judge=saved), Call(name="report", request=report, judge=reported)),
    withdraw=(Call(name="mark-deleted", request=mark_deleted, judge=reported),),
    secrets=("sign_key",),
)
