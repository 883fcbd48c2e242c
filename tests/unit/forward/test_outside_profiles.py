"""A profile outside the package: what of its file is refused, each fault at once, and what its failures cost."""

import os
import signal
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.config.file import parse, shipped
from router.config.sections import HttpDestination
from router.crypto.keys import new_folder
from router.errors import ConfigurationError, DestinationDown, Outage
from router.forward.answer import Answer
from router.forward.blocks import Accepted, Document, Message, Untrue, hmac_sm3, sm3
from router.forward.guard.outside import Outside, load_file
from router.forward.guard.process import Child
from router.forward.guard.source import Source, faults_of, read_source, weak_in
from router.forward.tryout import throw_away

GOOD = """
    from router.forward.blocks import Accepted, Call, Declaration, Later, Request, Rate, read_json

    def exam(m):
        {exam}
        return Request(path="/exams", body=m.exam.read())

    def judge(m, answer):
        {judge}
        return Accepted(receipt="R") if answer.status == 200 else Later(why="not now")

    PROFILE = Declaration(name="test/1", upload=(Call(name="exam", request=exam, judge=judge),))
"""


def text(exam: str = "pass", judge: str = "pass") -> str:
    return textwrap.dedent(GOOD).format(exam=exam, judge=judge)


def source(content: str) -> Source:
    return Source(Path("own.py"), content, "0" * 64)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "k"
    new_folder(folder)
    return folder


@pytest.fixture
def started() -> Iterator[list[Outside]]:
    made: list[Outside] = []
    yield made
    for one in made:
        one.close()


def there(keys: Path, file: Path | str = "own.py") -> HttpDestination:
    return HttpDestination(url="http://127.0.0.1:1", profile=f"file:{file}", api_key_file=keys / "api.key")


def message(folder: Path) -> Message:
    (folder / "exam.json").write_bytes(b"{}")
    return Message(
        app="a", org="o", idem="i", revision=1, ts=1795161600000, nonce="n", seed=bytes(32), base="", spool=folder,
        exam=Document.whole(folder / "exam.json"),
    )  # fmt: skip


def test_a_path_is_beside_the_configuration_and_nothing_else_is_a_profile(tmp_path: Path) -> None:
    site = '[hospital]\nUSCI = "121100004000000001"\nHospitalCode = "H"\nHospitalName = "H"\nHospitalBranchCode = "1"\n'
    more = '[[destination]]\nname = "c"\n[destination.http]\nurl = "http://127.0.0.1:1"\napi_key_file = "k"\n'
    found = parse(f'{site}{more}profile = "file:profiles/beijing.py"\n', base=tmp_path).destination[0].http
    assert found is not None
    assert found.profile_file == tmp_path / "profiles" / "beijing.py"
    for wrong in ("beijing.py", "file:beijing", "gm-other/1", "file:"):
        with pytest.raises(ConfigurationError, match="fault"):
            parse(f'{site}{more}profile = "{wrong}"\n', base=tmp_path)


def test_a_file_that_others_may_write_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(text())
    assert read_source(file).text == text()
    file.chmod(0o664)
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError) as caught:
        read_source(file)
    assert len(caught.value.faults) == 2
    tmp_path.chmod(0o1777)  # as /tmp: others make files there and replace none of ours
    file.chmod(0o644)
    assert read_source(file).digest
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_source(tmp_path / "none.py")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import os", "imports os"),
        ("from router.crypto import symmetric", "imports router.crypto"),
        ("from . import x", "imports ."),
        ("from router.forward.blocks import sm5", "has no sm5"),
        ("x = open('/etc/passwd')", "open has no place"),
        ("x = ().__class__", "__class__ has no place"),
        ("exec('1')", "exec has no place"),
        ("x = (", "line"),
        ("async def f(): pass", "plain"),
    ],
)
def test_what_a_profile_must_not_do_is_said_with_its_line(line: str, said: str) -> None:
    found = faults_of(source(f"{line}\n{text()}"))
    assert [one for one in found if one.startswith("line 1: ") and said in one]


def test_all_faults_of_a_file_are_told_at_once(keys: Path) -> None:
    assert len(faults_of(source("import os\nimport socket\n"))) == 3
    declared = """
        from router.forward.blocks import Call, Declaration, Parts, Rate
        def f(m): return None
        PROFILE = Declaration(
            name="a b", upload=(Call(name="A", request=f, judge=f), Call(name="A", request=f, judge=3)),
            token=Parts(name="t", request=f, judge=f, size=1, rate=Rate(times=0, seconds=1)), keys=("other_file",),
        )
    """
    with pytest.raises(ConfigurationError) as caught:
        Outside(source(textwrap.dedent(declared)))
    assert len(caught.value.faults) == 9, caught.value.faults


def test_every_call_is_rehearsed_and_what_it_lacks_is_told_at_once(keys: Path, started: list[Outside]) -> None:
    content = text("m.nothing", "answer.body.decode()").replace(
        'test/1", ', 'test/1", secrets=("s",), settings=("t",), '
    )
    started.append(Outside(source(content)))
    with pytest.raises(ConfigurationError) as caught:
        started[0].open(there(keys))
    assert caught.value.faults == ("secrets.s: missing", "settings.t: missing")
    (keys / "s").write_text("x\n")
    (keys / "s").chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        started[0].open(there(keys).model_copy(update={"secrets": {"s": keys / "s"}, "settings": {"t": "1"}}))
    assert caught.value.faults == (
        "request of exam raises AttributeError at line 5: 'Message' object has no attribute 'nothing'",
    )
    started.append(Outside(source(text(judge="answer.body.decode()"))))
    with pytest.raises(ConfigurationError) as caught:
        started[1].open(there(keys))
    assert caught.value.faults[0].startswith("judge of exam raises UnicodeDecodeError at line 9: ")


MISTAKES = [
    ('    reason = "x"', '    reason = undefined_name', "nothing defines undefined_name"),
    ("after=int(wait) if wait.isdigit() else None", "after=wait", "judge of start gives a Later with a wrong after"),
    ('Untrue(why="no token")', 'Untrue("no token")', "judge of token raises TypeError"),
    ('str(field(said, "data.no"))', 'said["data"]["no"]', "judge of start raises KeyError"),
    ('Granted(token=given, seconds=60)', 'Accepted(keep={"token": given})', "judge of token gives Accepted"),
    ('m.kept["no"]', 'm.kept["number"]', "request of end raises KeyError at line"),
    ('m.notice["Idem"]', 'm.report.sm3().hex()', "request of revoke raises AttributeError"),
    ('form="rs"', 'form="rubbish"', "form 'rubbish' is none of der, rs"),
    ('m.secret("s")', 'm.secret("t")', "secrets lacks t"),
    ('m.settings["org"]', 'm.settings["orga"]', "settings lacks orga"),
    ('keys=("platform_signing_key_file",)', 'keys="platform_signing_key_file"', "keys is str, not a tuple"),
    ('settings=("org",)', 'settings=("org")', "settings is str, not a tuple"),
    ('withdraw=(Call(name="revoke", request=revoke, judge=ended),)',
     'withdraw=Call(name="revoke", request=revoke, judge=ended)', "withdraw is Call, not a tuple"),
]  # fmt: skip
PROVING = """
    from router.forward.blocks import (
        Accepted, Call, Codes, Declaration, Granted, Later, Request, Untrue, field, hmac_sm3, read_json, unhexed,
    )

    CODES = Codes(field="rc", success=frozenset({"0000"}))

    def send(m, path):
        sign = hmac_sm3(m.secret("s"), path + m.settings["org"]).hex()
        return Request(path=path, headers={"X-Sign": sign})

    def ask(m):
        return send(m, "/token")

    def start(m):
        return send(m, "/start")

    def end(m):
        return send(m, "/end/" + m.kept["no"])

    def revoke(m):
        return send(m, "/revoke/" + m.notice["Idem"])

    def judged(m, answer, accepted):
        m.proof(answer.body, unhexed(answer.headers.get("X-Sign", "")), form="rs")
        if field(read_json(answer), "rc") == "2001":
            wait = str(field(read_json(answer), "data.wait"))
            return Later(why="busy", after=int(wait) if wait.isdigit() else None)
        if field(read_json(answer), "rc") == "3003":
            reason = "x"
            return Later(why=reason)
        return CODES.judge(answer, m.at, accepted)

    def granted(m, answer):
        def accepted(said):
            given = str(field(said, "data.token"))
            if not given:
                return Untrue(why="no token")
            return Granted(token=given, seconds=60)
        return judged(m, answer, accepted)

    def started(m, answer):
        def accepted(said):
            number = str(field(said, "data.no"))
            return Accepted(keep={"no": number}) if number else Untrue(why="no number")
        return judged(m, answer, accepted)

    def ended(m, answer):
        return judged(m, answer, lambda said: Accepted())

    PROFILE = Declaration(
        name="proving/1", token=Call(name="token", request=ask, judge=granted),
        upload=(Call(name="start", request=start, judge=started), Call(name="end", request=end, judge=ended)),
        withdraw=(Call(name="revoke", request=revoke, judge=ended),),
        keys=("platform_signing_key_file",), secrets=("s",), settings=("org",),
    )
"""


def faults_in(content: str, folder: Path) -> tuple[str, ...]:
    profile = None
    try:
        profile = Outside(source(content))
        profile.open(throw_away(profile, folder))
    except ConfigurationError as error:
        return error.faults
    finally:
        if profile is not None:
            profile.close()
    return ()


def test_a_mistake_behind_a_proof_is_found_and_named(tmp_path: Path) -> None:
    whole = textwrap.dedent(PROVING)
    assert faults_in(whole, tmp_path / "whole") == ()
    for number, (right, wrong, said) in enumerate(MISTAKES):
        assert right in whole
        found = faults_in(whole.replace(right, wrong), tmp_path / str(number))
        assert [one for one in found if said in one], (wrong, found)


def test_weak_blocks_need_a_reason(started: list[Outside]) -> None:
    weak = text().replace("Accepted,", "Accepted, md5, sm4_ecb,", 1)
    assert weak_in(source(weak)) == ["md5", "sm4_ecb"]
    with pytest.raises(ConfigurationError, match="these faults") as caught:
        Outside(source(weak))
    assert "allow_weak" in caught.value.faults[0]
    started.append(Outside(source(weak.replace('test/1", ', 'test/1", allow_weak="their document of 2025", '))))
    assert started[0].outline.allow_weak == "their document of 2025"


FAILURES = [
    ("m.nothing", "raises AttributeError at line 6"),
    ("return 'POST'", "gives str, not a Request"),
    ("return Request(path='x', headers={'a': 'b\\r\\nc'}, body=3)", "path does not begin"),
    ("return Request(path='/x', body=[b'1'])", "not bytes or a document"),
    ("return Request(path='/x', headers={'a': m.at})", "header a is datetime, not text"),
    ("[bytes(2**28) for _ in range(100)]", "raises MemoryError"),
    ("while True: pass", "does not end in time"),
]
MISJUDGED = [
    ("return None", "gives NoneType, not a verdict"),
    ("return Accepted(receipt=7, keep={'a': 1})", "wrong receipt, keep"),
    ("return read_json", "gives function"),
    ("return {1: 2}[3]", "raises KeyError at line "),
    ("raise SystemExit", "raises SystemExit"),
    ("return Later(why='x', fields={'a': object()})", "values of kinds"),
    ("[0 for _ in iter(int, 1)]", "does not end in time"),
]


def branches(lines: list[tuple[str, str]], name: str) -> str:
    """A line for each idem, `request 0` and so on."""
    return "\n    ".join(f"if m.idem == '{name} {n}':\n        {line}" for n, (line, _) in enumerate(lines))


def test_a_function_that_fails_is_the_profiles_fault_and_the_next_call_is_made(
    keys: Path, tmp_path: Path, started: list[Outside]
) -> None:
    profile = Outside(source(text(branches(FAILURES, "request"), branches(MISJUDGED, "judge"))), limit=1.0)
    started.append(profile)
    profile.open(there(keys))
    for name, lines in (("request", FAILURES), ("judge", MISJUDGED)):
        for n, (_, said) in enumerate(lines):
            with pytest.raises(DestinationDown, match=said) as caught:
                profile.turn("exam", replace(message(tmp_path), idem=f"{name} {n}")).judge(Answer(200, {}, b"{}"))
            assert caught.value.outage == Outage.PROFILE
            assert profile.turn("exam", message(tmp_path)).judge(Answer(200, {}, b"{}")) == Accepted(receipt="R")


def test_a_profile_whose_file_itself_does_not_end_is_stopped() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Outside(source(f"while True:\n    pass\n{text()}"), limit=1.0)
    assert caught.value.faults == ("does not end in time",)


def test_a_process_that_is_killed_is_started_again(keys: Path, tmp_path: Path, started: list[Outside]) -> None:
    profile = Outside(source(text()))
    started.append(profile)
    profile.open(there(keys))
    turn = profile.turn("exam", message(tmp_path))
    assert profile.pid is not None
    os.kill(profile.pid, signal.SIGKILL)
    with pytest.raises(DestinationDown, match="ended its process"):
        turn.judge(Answer(200, {}, b""))
    assert profile.turn("exam", message(tmp_path)).request.path == "/exams"


def test_the_process_has_no_secret_of_the_environment_and_ends_with_its_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_PASSPHRASE", "secret")
    child = Child({})
    environment = Path(f"/proc/{child.pid}/environ").read_bytes()
    assert b"secret" not in environment
    child.end()
    assert not Path(f"/proc/{child.pid}").exists()


def test_the_shipped_profiles_are_faultless_and_use_nothing_weak(keys: Path) -> None:
    files = sorted(shipped("profiles").glob("*.py"))
    assert len(files) >= 3
    for file in files:
        found = read_source(file, ours=False)
        assert faults_of(found) == []
        assert weak_in(found) == []


def test_a_profile_with_its_own_calls_is_not_begun_by_hand(keys: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(text())
    profile = load_file(there(keys, file), file)
    assert profile.files == (file,)
    with pytest.raises(DestinationDown, match="wire format of its own"):
        profile.exchange(None)
    profile.close()


def test_the_profile_in_the_document_is_whole_and_finds_a_header_written_otherwise(
    tmp_path: Path, started: list[Outside]
) -> None:
    page = (shipped("profiles").parents[1] / "router" / "docs" / "profiles.md").read_text(encoding="utf-8")
    code = page.partition("## The file")[2].partition("\nIt imports")[0]
    block = "\n".join(line for line in code.splitlines() if line.startswith("    ") or not line)
    profile = Outside(source(textwrap.dedent(block)))
    started.append(profile)
    profile.open(throw_away(profile, tmp_path))
    turn = profile.turn("done", message(tmp_path), rehearsing=True)
    body = b'{"ret": "0", "result": {"receipt": "R-1"}}'
    assert isinstance(turn.judge(Answer(200, {"x-sign": "00"}, body)), Untrue)
    key = (tmp_path / "keys" / "secret-sign_key").read_bytes()
    sign = hmac_sm3(key, f"n\n{sm3(body).hex()}\n".encode()).hex()
    for name in ("X-Sign", "x-sign"):
        again = profile.turn("done", message(tmp_path), rehearsing=True)
        verdict = again.judge(Answer(200, {name: sign}, body))
        assert isinstance(verdict, Accepted)
        assert (verdict.receipt, verdict.proof is None) == ("R-1", False)
