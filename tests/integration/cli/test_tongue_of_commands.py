"""Every command speaks the node's language, Chinese here: headings, answers, questions, and what was done wrong."""

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import pytest
from rich.cells import cell_len

from router.cli import COMMANDS, module, tables
from router.crypto.keys import new_folder
from router.policy.states import State
from router.reports.pdf.reader import Readers
from support.exam_workflow import CLOUD, ExamWorkflow
from support.harness import command_here
from support.intake_folder import CONFIG, START, exam

CASES = Path(__file__).parents[2] / "cases"
# They go by no configuration, or what they print is for programs.
# `setup` speaks the terminal's language, before there is a configuration: tests/unit/test_questions.py
ENGLISH = {
    "demo", "run", "platform", "setup", "install", "bundle", "reference", "completion", "audit export",
    "audit incident",
}  # fmt: skip
# What is typed, or is a name: commands, keys, paths, UIDs, options.
TYPED = re.compile(r"`[^`]*`|\[[^\]]*\]|\S*[/\\=_]\S*|--\S+|scripts/.*|Order\.\w+|Reported|\b(?:queue|audit|keys) \S+")
SENTENCE = re.compile(
    r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}|^[A-Z]?[a-z]{3,} [a-z]{3,}$|^[A-Z]?[a-z]{3,}(?:  +[A-Z]?[a-z]{3,})+"
)


def leaves(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for word, inner in command.commands.items():
            yield from leaves(inner, f"{name} {word}")
    else:
        yield name


def english(text: str) -> list[str]:
    """The lines that say something in English; click's own words, its usage and its `Error`, may."""
    text = text.replace(os.strerror(errno.ENOENT), "")  # the system's own words
    lines = [line for line in text.splitlines() if not line.startswith(("Usage: ", "Try '"))]
    return [line for line in lines if SENTENCE.search(TYPED.sub("", line.removeprefix("Error: ")).strip())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, readers: Readers) -> Path:
    """A node with an exam in doubt, a delivered one that was corrected, and something of everything else."""
    made = ExamWorkflow(tmp_path_factory.mktemp("tongue"), readers)
    made.ris(Study__StudyInstanceUIDs=["1.2.3"], Report__ApproveTime=f"{START:%Y-%m-%d %H:%M:%S}")
    made.pacs("1.2.3", patient_id="P9", name="李^四")
    made.pacs("1.2.9", accession="A9")
    made.later(hours=9)
    number, queue = made.case().exam, made.catalogue.queue
    queue.make(number, [("former", one.channel) for one in queue.of_exam(number)], START)
    for one in queue.of_exam(number):
        for to in (State.READY, State.SENDING, State.DELIVERED) if one.destination == "former" else ():
            found = queue.get(one.id)
            assert found is not None
            queue.move(found, to, made.clock.now(), "x")
    keys, text = made.config.node.data.parent / "keys", "it ends within an element"
    made.storage.quarantine.keep("1.dcm", b"x", made.clock.now(), "poison", text)
    made.catalogue.engine.close_thread()
    home = made.config.node.data.parent
    file = home / "router.toml"
    file.write_text(CONFIG.replace('"en"', '"zh_CN"') + CLOUD, "utf-8")
    new_folder(keys)
    (home / "receipt.json").write_text("{}")
    (home / "faulty.py").write_text(FAULTY)
    (home / "undeclared.py").write_text(UNDECLARED)
    (home / "judges.py").write_text(
        (PROFILES / "front_end.py").read_text("utf-8").replace("CODES.judge(", "{}['坏'] or (")
    )
    (home / "none").mkdir()
    (home / "unknown").mkdir()
    status = exam(Order__Status="已审")
    (home / "unknown" / "1.json").write_bytes(status)
    return home


PROFILES = Path(__file__).parents[3] / "conf" / "profiles"
FAULTY = """import os
from router.forward.blocks import Call, Declaration, Request, sm5

def exam(m):
    return eval("1")

PROFILE = Declaration(name="a b", upload=(Call(name="Exam", request=1, judge=exam),), keys=("key_file",))
"""
UNDECLARED = FAULTY.replace("import os\n", "").replace(", sm5", "").replace("eval(", "len(")
ONE = ("--exam", str(PROFILES.parent / "exam.json"), "--pdf", str(PROFILES.parent / "exam.json"))
WHY = ("--why", "x")
# What of each command is tried; a word with a place for the folder is in it.
TRIED: Mapping[str, Sequence[Sequence[str]]] = {
    "status": [()],
    "doctor": [(), ("--alarm",)],
    "queue alias": [(), ("P1", "P2"), ("P1", "P2", *WHY), ("P1", "P2", *WHY, "--yes"), ("--list",)],
    "queue backfill": [(), ("--from", "2024-01-01"), ("--from", "2024-01-02", "--to", "2024-01-01"), ("--status",)],
    "queue cancel": [(), ("e1",), ("--destination", "clod", *WHY), ("--destination", "cloud", *WHY)],
    "queue compare": [("e1",), ("e9",), ()],
    "queue corrected": [(), ("--since", "long")],
    "queue dismiss": [(), ("f1", *WHY), ("--kind", "rejected", *WHY)],
    "queue explain": [("e1",), ("1.2.9",), ("nobody",)],
    "queue fail": [("e1", *WHY)],
    "queue files": [()],
    "queue hold": [("e1", *WHY), ("e1", "--all", *WHY)],
    "queue link": [("e1", "1.2.9", *WHY), ("e1", "1.2.9", *WHY, "--yes")],
    "queue list": [(), ("--attention",), ("--state", "delivered"), ("--watch", "--json"), ("--text", "nobody")],
    "queue node forget": [("n9", *WHY), ()],
    "queue pause": [(), WHY, ("--yes", *WHY), ("--yes", *WHY), ("--destination", "clod", *WHY)],
    "queue recheck": [(), ("--since", "long")],
    "queue reconcile": [
        ("--day", "2024-03-01"),
        ("--day", f"{START:%Y-%m-%d}"),
        ("--remote",),
        ("--remote", "--day", "2024-03-01"),
        ("--resend",),
    ],
    "queue refused": [(), ("--dismiss", "CT9", *WHY), ("--since", "long"), ("--dismiss", "CT9")],
    "queue release": [("e1", *WHY), ("e1", *WHY, "--yes")],
    "queue rename-destination": [
        ("former", "cloud"),
        ("cloud", "cloud", *WHY),
        ("nobody", "cloud", *WHY),
        ("former", "cloud", *WHY),
        ("former", "cloud", *WHY, "--yes"),
    ],
    "queue report": [("--day", f"{START:%Y-%m-%d}"), ()],
    "queue resolve": [(), ("e1",), ("e1", *WHY), ("e1", *WHY, "--seen", "abc"), ("e1", *WHY, "--yes")],
    "queue resume": [("--destination", "clod"), (), ()],
    "queue retry": [("e1", *WHY)],
    "queue show": [("d1",)],
    "queue unlink": [("e1", "1.2.9", *WHY, "--yes")],
    "queue sources": [(), ("--dismiss", "CT9", *WHY)],
    "queue statistics": [(), ("--by", "hospital"), ("--pacs",)],
    "queue unreported": [(), ("--older", "long"), ("--dismiss", "CT1", *WHY)],
    "queue withdraw": [(), ("e1",), ("e1", *WHY), ("e9", *WHY), ("--confirm", *WHY), ("e1", "--confirm", *WHY)],
    "validate": [(f"{CASES}/exam/bad-age-without-unit.json",), ("--fields",), (), ("{home}/none",)],
    "classify": [(f"{CASES}/dicom",), (), ("--what-if", "{home}/router.toml")],
    "codes tables": [()],
    "codes unknown": [(f"{CASES}/exam",), ("{home}/unknown",), ("{home}/none",)],
    "verify": [(), ("--restored",), ("--rebuild",)],
    "backup list": [()],
    "backup now": [()],
    "backup restore": [("{home}/receipt.json",)],
    "quarantine delete": [("nobody", *WHY)],
    "quarantine list": [()],
    "quarantine show": [("nobody",)],
    "keys import": [("{home}/receipt.json", "{home}/x.pem")],
    "keys new": [("{home}/keys",), ("{home}/more",)],
    "keys pin": [("cloud", *WHY), ("nobody", *WHY)],
    "keys request": [
        ("{home}/keys/hospital-sign.pem", "{home}/request.pem", "--subject", "C=CN, O=示范医院"),
        ("{home}/keys/hospital-sign.pem", "{home}/request.pem", "--subject", "示范"),
    ],
    "keys show": [("{home}/keys/hospital-sign.pem",), ("{home}/keys/api.key",), ("{home}/receipt.json",)],
    "profile check": [
        (f"{PROFILES}/parts.py",),
        ("{home}/faulty.py",),
        ("{home}/judges.py",),
        ("{home}/undeclared.py",),
    ],
    "profile last": [("cloud",), ("clod",)],
    "profile replay": [("{home}/receipt.json",)],
    "profile show": [(f"{PROFILES}/parts.py", *ONE), ("{home}/faulty.py", *ONE)],
    "profile try": [("cloud", "--yes", *ONE), ("cloud", "--yes", "--plain", *ONE)],
    "users add": [("node", "--role", "viewer")],
    "users disable": [("nobody",), ("nobody", *WHY)],
    "users enable": [("nobody", *WHY)],
    "users list": [()],
    "users password": [("nobody",)],
    "users remove": [("nobody", *WHY)],
    "users role": [("nobody", "viewer"), ("nobody", "viewer", "--all-hospitals", "--hospital", "x")],
    "users unlock": [("nobody", *WHY)],
    "audit accept": [WHY],
    "audit verify": [(), ("--head", "x"), ("--head", "node-1:99:x")],
    "audit verify-receipt": [
        ("{home}/receipt.json", "--key", "{home}/keys/platform-sign.pub.pem"),
        ("{home}/keys/api.key", "--key", "{home}/keys/platform-sign.pub.pem"),
    ],
}
WITHOUT = (
    "keys import",
    "keys new",
    "keys request",
    "keys show",
    "audit verify-receipt",
)  # find the configuration by ROUTER_CONFIG


def test_every_command_is_tried() -> None:
    names = {leaf for name in COMMANDS for leaf in leaves(module(name), name)}
    assert names - ENGLISH == set(TRIED)


@pytest.mark.parametrize("name", TRIED)
def test_no_command_says_anything_in_english(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = folder / "router.toml"
    monkeypatch.setenv("ROUTER_CONFIG", str(config))
    for words in TRIED[name]:
        given = [word.format(home=folder) for word in words]
        answer = command_here(*name.split(), *given, *(() if name in WITHOUT else ("--config", config)))
        assert english(answer.stdout) == [], given
        assert english(answer.stderr) == [], given
        assert answer.stdout + answer.stderr or answer.returncode == 0, given


def test_what_was_done_wrong_is_told_in_the_language_of_the_file_also_where_it_has_faults(folder: Path) -> None:
    faulty, english_one = folder / "faulty.toml", folder / "english.toml"
    faulty.write_text((folder / "router.toml").read_text("utf-8") + "\n[unknown]\nx = 1\n", "utf-8")
    english_one.write_text(CONFIG + CLOUD, "utf-8")
    words = ("queue", "hold", "e1", "--config")
    assert "请说明原因" in command_here(*words, folder / "router.toml").stderr
    assert "请说明原因" in command_here(*words, faulty).stderr, "said before the file is read"
    assert "say why" in command_here(*words, english_one).stderr
    assert command_here("queue", "compare", "e9", "--config", folder / "missing.toml").stderr.startswith(
        "error: cannot"
    )


@pytest.mark.parametrize(("words", "said"), [
    (("keys", "show"), "缺少参数 'FILE'"), (("queue", "hold", "--reson", "x"), "没有这个选项：'--reson'"),
    (("queue", "hodl"), "没有这个命令"), (("queue", "list", "--limit", "x"), "不是有效的"),
    (("queue", "list", "--state", "x"), "不在可选值之内"), (("queue", "explain", "e1", "e2"), "多余的参数"),
    (("queue", "hold", "e1", "--why"), "需要一个值"), (("users", "role", "x"), "可选值"),
    (("status", "x"), "多余的参数"),
    (("classify", "nowhere"), "不存在"),
])  # fmt: skip
def test_what_click_says_of_wrong_use_is_in_the_language_of_the_file_too(
    folder: Path, words: Sequence[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTER_CONFIG", str(folder / "router.toml"))
    told = command_here(*words).stderr
    assert said in told
    assert [line for line in told.splitlines() if "Usage" in line or "Error" in line or "Try " in line] == []
    assert english(told.partition("\n\n")[2]) == [], "behind what one may type"
    elsewhere = folder / "english-too.toml"
    elsewhere.write_text(CONFIG + CLOUD, "utf-8")
    assert "Error: No such option" in command_here("status", "--x", f"--config={elsewhere}").stderr
    monkeypatch.setenv("ROUTER_CONFIG", str(elsewhere))
    assert "Error: " in command_here(*words).stderr


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_the_first_lines_of_status_and_what_waits_fit_80_columns(
    folder: Path, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_PIPED_WIDTH", 80)
    file = folder / f"narrow-{language}.toml"
    ports = "[reports.hl7]\nport = 2575\n[receive]\nport = 11112\n[admin]\nport = 18080\n"
    file.write_text(CONFIG.replace('"en"', f'"{language}"') + ports + CLOUD, "utf-8")
    lines = command_here("status", "--config", file).stdout.splitlines()
    first = [line for line in lines[: lines.index("")] if str(folder) not in line]
    assert [line for line in lines if "2575" in line], "the last listener"
    assert [line for line in first if cell_len(line) > 80] == []
    assert [line for line in lines if line.startswith("  ") and " x " in line and cell_len(line) > 80] == []
    assert not [line for line in first if line in ("incoming/", "goes")], "no line of a single word that was left over"
