# mypy: ignore-errors
"""qinghe/1: the invented platform of qinghe.md."""

from router.forward.blocks import (
    Accepted,
    Call,
    Codes,
    Declaration,
    Form,
    FormPart,
    Granted,
    NotOffered,
    Parts,
    Rate,
    Request,
    Unknown,
    Untrue,
    canonical,
    china_time,
    field,
    hexed,
    hmac_sm3,
    read_china_time,
    read_json,
    sm3,
    sm4_ecb,
    unhexed,
    write_json,
)

CODES = Codes(
    field="ret",
    success=frozenset({"0"}),
    token=frozenset({"50"}),
    time=frozenset({"51"}),
    upload=frozenset({"60"}),
    fields=frozenset({"40"}),
    permanent=frozenset({"41"}),
    transient=frozenset({"90"}),
    down=frozenset({"52", "53"}),
    faults="result.items",
    fault_path="name",
    fault_text="desc",
)


def signature(m, fields):
    return hmac_sm3(m.secret("app_secret"), f"{canonical(fields)}&secret={m.secret('app_secret').text}")


def request(m, path, covered, body):
    ts = china_time(m.at)
    fields = {"app": m.app, "ts": ts, "nonce": m.nonce, "token": m.token, "body": hexed(sm3(covered))}
    headers = {"Qh-App": m.app, "Qh-Ts": ts, "Qh-Nonce": m.nonce, "Qh-Sign": hexed(signature(m, fields), upper=True)}
    if m.token:
        headers["Qh-Token"] = m.token
    return Request(path=path, headers=headers, body=body)


def posted(m, path, data):
    body = write_json(data).encode()
    return request(m, path, body, body)


def auth(m):
    return posted(m, "/auth", {"grant": "app"})


def exam(m):
    data = hexed(sm4_ecb(m.secret("data_key").from_hex(), m.exam.read()))
    return posted(m, "/exam", {"no": m.idem, "ver": m.revision, "data": data})


def file(m):
    piece = m.piece
    info = {"uploadNo": m.kept["no"], "index": piece.number, "total": piece.count, "sm3": piece.data.sm3().hex()}
    text = write_json(info).encode()
    parts = (
        FormPart(name="info", content=text, content_type="application/json"),
        FormPart(name="file", content=piece.data, content_type="application/pdf", filename="report.pdf"),
    )
    return request(m, "/file", text, Form(parts))


def done(m):
    return posted(m, "/done", {"no": m.idem, "uploadNo": m.kept["no"]})


def void(m):
    return posted(m, "/void", {"no": number(m), "reason": m.notice["Reason"]})


def number(m):
    return m.notice.get("Idem", m.idem)


def proof(m, said):
    fields = {"nonce": m.nonce, "ret": said.get("ret"), "result": said.get("result")}
    given = unhexed(str(said.get("sign", "")))
    return m.code_proof(m.secret("app_secret"), canonical(fields), given, signature(m, fields))


def granted(m, answer):
    def accepted(said):
        ends = read_china_time(field(said, "result.expire"))
        left = (ends - m.at).total_seconds() if ends else 0
        token = field(said, "result.token")
        if not token or not 0 < left < 86400:
            return Untrue(why="no token that is in force")
        return Granted(token=str(token), seconds=left, rule="ret 0 with a token")

    return CODES.judge(answer, m.at, accepted)


def opened(m, answer):
    def accepted(said):
        return Accepted(keep={"no": str(field(said, "result.uploadNo"))}, proof=proof(m, said), rule="ret 0, signed")

    return CODES.judge(answer, m.at, accepted)


def stored(m, answer):
    return CODES.judge(answer, m.at, lambda said: Accepted(proof=proof(m, said), rule="ret 0, signed"))


def received(m, answer):
    def accepted(said):
        if field(said, "result.no") != number(m):
            return Untrue(why="the receipt is for another exam")
        receipt = str(field(said, "result.receipt"))
        return Accepted(receipt=receipt, proof=proof(m, said), rule="ret 0, signed, our number")

    return CODES.judge(answer, m.at, accepted)


def voided(m, answer):
    if answer.status in (404, 405):
        return NotOffered(why="the platform does not take withdrawals")
    if field(read_json(answer), "ret") == 61:
        return Unknown(proof=proof(m, read_json(answer)), rule="ret 61: never uploaded")
    return received(m, answer)


PROFILE = Declaration(
    name="qinghe/1",
    token=Call(name="auth", request=auth, judge=granted, rate=Rate(times=10, seconds=3600)),
    upload=(
        Call(name="exam", request=exam, judge=opened),
        Parts(name="file", request=file, judge=stored, size=2 * 1024 * 1024),
        Call(name="done", request=done, judge=received),
    ),
    withdraw=(Call(name="void", request=void, judge=voided),),
    secrets=("app_secret", "data_key"),
    allow_weak="V1 of the platform's document takes the exam under SM4-ECB only; V2 will take GCM",
)
