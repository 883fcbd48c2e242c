"""Whatever a node says by itself, in a life with all kinds of trouble, names no patient (design: promise 7).

A node as a process: exams that are held, delivered and doubted afterwards, HL7, files and messages that are refused,
instances that do not read; then everything is searched that it told anybody who had not asked for patient data.
"""

import base64
import os
import quopri
import re
import socket
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pydicom import dcmread

from router.model import Channel
from router.policy.states import State
from support.harness import Exam, Site, command_here, make_exam, send, send_all
from support.hl7_messages import Sender, oru

MADE_UP = ("李外人", "LIWAIREN", "OUTSIDER-77", "11010519491231002X", "13800000000", "周测试人", "测试人", "Ceshiren",
           "Zhouzhou", "EXM7183", "PAT7183", "ACC7183", "19600501", "1960-05-01", "19491231")  # fmt: skip
VERBOSE = "import sys; from router import cli; cli.main([*sys.argv[1:], '--verbose'])"
MERGE = (
    "MSH|^~\\&|RIS|H|NODE|C|20240506110001||ADT^A40^ADT_A39|M9|P|2.5.1\rEVN|A40|20240506\r"
    "PID|1||PAT7183-0001||周测试人||19600501|F\rMRG|OUTSIDER-77||||||李外人\r"
)


# -- what is searched, and how


def read_as(text: bytes) -> Iterator[str]:
    """The ways in which a text may be hidden from a plain search: other encodings, escapes, Base64, mail's."""
    for raw in (text, urllib.parse.unquote_to_bytes(text), quopri.decodestring(text)):
        yield raw.decode("utf-8", "replace")
        yield raw.decode("gb18030", "replace")
    plain = text.decode("utf-8", "replace")
    yield re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), plain)
    yield (
        re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), plain)
        .encode("latin-1", "replace")
        .decode("utf-8", "replace")
    )
    for run in re.findall(rb"[A-Za-z0-9+/\r\n]{8,}={0,2}", text):
        packed = re.sub(rb"\s", b"", run)
        for start in range(4):
            with suppress(ValueError):
                yield base64.b64decode(packed[start : start + (len(packed) - start) // 4 * 4]).decode(
                    "utf-8", "replace"
                )


def found_in(text: bytes, secrets: tuple[str, ...]) -> list[str]:
    """The secrets that a text holds in any way."""
    ways = [one.upper() for one in read_as(text)]
    return sorted({secret for secret in secrets if any(secret.upper() in one for one in ways)})


@pytest.mark.parametrize(
    "hide",
    [
        lambda name: f"exam of {name} is held".encode(),
        lambda name: f"exam of {name}".encode("gb18030"),
        lambda name: f"exam of {name}".lower().encode(),
        lambda name: ascii(f"exam of {name}").encode(),
        lambda name: repr(f"exam of {name}".encode()).encode(),
        lambda name: b"/exam?name=" + urllib.parse.quote(name).encode(),
        lambda name: b"Subject: =?utf-8?b?" + base64.b64encode(f"exam of {name}".encode()) + b"?=",
        lambda name: quopri.encodestring(f"Exam of {name}".encode()),
    ],
)
@pytest.mark.parametrize("secret", MADE_UP)
def test_the_search_would_find_it(hide: Callable[[str], bytes], secret: str) -> None:
    assert secret in found_in(hide(secret), MADE_UP)


class Ear:
    """A listener that keeps all that comes; `answer` says what is said to a line."""

    def __init__(self, greeting: bytes = b"", answer: Callable[[bytes], bytes] = lambda _: b"") -> None:
        self.heard = b""
        self._greeting, self._answer = greeting, answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.sendall(self._greeting)
            while part := connection.recv(65536):
                self.heard += part
                connection.sendall(self._answer(part))


def smtp(said: bytes) -> bytes:
    if said.upper().startswith(b"DATA"):
        return b"354 go\r\n"
    if said.upper().startswith((b"EHLO", b"HELO", b"MAIL", b"RCPT", b"RSET")) or said.endswith(b"\r\n.\r\n"):
        return b"250 yes\r\n"
    return b"221 bye\r\n" if said.upper().startswith(b"QUIT") else b""


def web(said: bytes) -> bytes:
    return b"HTTP/1.1 204 No Content\r\n\r\n" if said.rstrip().endswith(b"}") else b""


SETTINGS = """
[reports.hl7]
port = 0
[alarms.webhook]
url = "http://127.0.0.1:{webhook}/hook"
[alarms.mail]
host = "127.0.0.1"
port = {mail}
from = "node@hospital.example"
to = ["pacs@hospital.example"]
starttls = false
[audit.syslog]
host = "127.0.0.1"
port = {syslog}
"""


@dataclass
class Life:
    """What a node has told, by whom it was heard, and the exams of its life."""

    told: dict[str, bytes] = field(default_factory=dict)
    secrets: tuple[str, ...] = MADE_UP


def live(folder: Path) -> Life:
    ears = {"webhook": Ear(answer=web), "mail": Ear(b"220 here\r\n", smtp), "syslog": Ear()}
    ports = {name: ear.port for name, ear in ears.items()}
    site = Site(folder, stable_after="200 ms", settings=SETTINGS.format(**ports), program=("forked", VERBOSE))
    life = Life()
    try:
        site.configure()
        trouble(site, life)
        life.told |= asked(site)
        assert site.node.stop() == 0
        life.told |= {name: ear.heard for name, ear in ears.items()} | kept(site)
    finally:
        site.stop()
        for ear in ears.values():
            ear.close()
    return life


def trouble(site: Site, life: Life) -> None:
    """Everything that a node has something to say about."""
    held, doubted = make_exam(site, 1, instances=2), make_exam(site, 2, instances=2)
    life.secrets = tuple(dict.fromkeys([*MADE_UP, *held.secrets(), *doubted.secrets()]) - {"周": None}.keys())
    for exam in (held, doubted):
        send_all(site.port, exam.study.files)
    send_what_does_not_read(site, held)
    site.report(held, Patient__Name="李外人", Patient__PatientId="OUTSIDER-77")
    site.report(doubted)
    refused_files(site, held)
    refused_messages(site, held)
    site.wait_for(State.HELD, held.id)
    site.wait_for(State.DELIVERED, doubted.id)
    site.report(doubted, Patient__Name="李外人", Patient__PatientId="OUTSIDER-77")
    site.wait_for(State.HELD, doubted.id, [Channel.REPORT])
    site.wait_until(lambda: "delivered-in-doubt" in site.log, "it is told that something was delivered")
    site.wait_until(lambda: site.log.count("a file of the drop folder was refused") >= 4, "the files are refused")
    queue = ("--config", site.config_file, "--why", "asked the ward")
    assert command_here("queue", "resolve", held.id, "--yes", *queue).returncode == 0
    assert command_here("queue", "alias", "OUTSIDER-77", "PAT7183-0001", "--yes", *queue).returncode == 0
    time.sleep(1.2)  # a round of the audit and of its way to the syslog server


def send_what_does_not_read(site: Site, exam: Exam) -> None:
    """Instances whose values are not what their kind asks for, with names in them."""
    for number, (keyword, value) in enumerate({
        "PatientBirthDate": "李外人", "SpecificCharacterSet": "李外人", "StudyTime": "LIWAIREN^OUTSIDER-77",
    }.items(), 71):  # fmt: skip
        path = site.folder / f"broken-{number}.dcm"
        dataset = dcmread(exam.study.files[0].path)
        dataset.SOPInstanceUID = f"{exam.study.uid}.1.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(path)
        text, place = path.read_bytes(), dataset[keyword].value
        given = str(place).encode()
        path.write_bytes(text.replace(given, value.encode().ljust(len(given))[: len(given)], 1) if given else text)
        one = replace(exam.study.files[0], path=path, sop_instance=str(dataset.SOPInstanceUID))
        assert len(list(send(site.port, [one]))) == 1


def refused_files(site: Site, exam: Exam) -> None:
    whole = exam.pdf(site.folder)
    site.drop("周测试人_PAT7183.json", b'{"Patient": {"Name": "' + "周测试人".encode() + b'", "PatientId": PAT7183}')
    site.drop("Zhouzhou_Ceshiren.pdf", whole[:-600])
    site.drop("李外人.hl7", oru(name="李外人", pdf=b"%PDF-1.4 LIWAIREN").encode())
    site.drop("no exam of 周测试人.json", '{"Patient": {"Name": "周测试人"}, "Order": "PAT7183"}'.encode())


def refused_messages(site: Site, exam: Exam) -> None:
    given = oru(exam_id=exam.id, name="李外人", patient_id="OUTSIDER-77", approved="the 13800000000th of 周测试人")
    others = ("MSH|^~\\&|李外人|PAT7183", "李外人 is no message", given + "PID|2||PAT7183||李外人\r")
    several = given.replace("OBR|1", "OBR|1||ACC7183|李外人\rOBR|2")
    for message in (given, MERGE, given.replace("ORU^R01", "ORM^李外人"), several, *others):
        sender = Sender(site.node.ports["hl7"])
        sender.send(message.encode())
        sender.socket.close()


def asked(site: Site) -> dict[str, bytes]:
    """What a running node tells those who ask, none of whom has logged in; and the names of its processes."""
    port = site.node.ports["admin"]
    told = {}
    for path in ("/metrics", "/health", "/", "/queue", "/exam?id=1", "/exam?id=2"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            told[path] = answer.read()
    for name in ("status", "doctor"):
        done = command_here(name, "--config", site.config_file)
        more = command_here(name, "--json", "--config", site.config_file)
        told[name] = (done.stdout + done.stderr + more.stdout + more.stderr).encode()
    titles = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            title = (process / "cmdline").read_bytes() + (process / "comm").read_bytes()
            titles += [title] if os.fsencode(site.folder) in title else []
    told["queue"] = command_here("queue", "list", "--config", site.config_file).stdout.encode()
    return told | {"titles": b"\n".join(titles)}


def kept(site: Site) -> dict[str, bytes]:
    """What is left in logs, in the audit trail, and as names and reasons on disk."""
    names = [str(path.relative_to(site.data)) for path in site.data.rglob("*")]
    reasons = [path.read_bytes() for path in site.drop_folder.rglob("*.reason.txt")]
    reasons += [path.read_bytes() for path in (site.data / "quarantine").rglob("*.txt")]
    papers = b"".join(path.read_bytes() for path in (site.data / "reports").rglob("exam.json"))
    quarantine = command_here("quarantine", "list", "--config", site.config_file)
    return {
        "log": site.log.encode(),
        "audit": b"".join(path.read_bytes() for path in sorted((site.data / "audit").rglob("*.jsonl"))),
        "names": "\n".join(names).encode(),
        "reasons": b"\n".join(reasons),
        "papers": papers,
        "quarantine": (quarantine.stdout + quarantine.stderr).encode(),
        "temporary": "\n".join(map(str, Path(os.environ["TMPDIR"]).rglob("*"))).encode(),
    }


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        yield live(tmp_path_factory.mktemp("node"))


SAYS = {
    "log": ("identity", "delivered-in-doubt", "answered AE", "answered AR", "refused"),
    "webhook": ("delivered-in-doubt", "identity"), "mail": ("queue explain", "identity"),
    "syslog": ("AuditMessage", "identity settled"), "audit": ("AuditMessage", "identity settled"),
    "/metrics": ("router_alarm", "router_events_total"), "/health": ("acceptance",), "/": ("identity",),
    "/queue": ("identity",), "/exam?id=1": ("Events", "identity"), "/exam?id=2": ("identity",),
    "status": ("alarm",), "doctor": ("ok",), "titles": ("router.toml",), "names": ("studies/",),
    "reasons": ("ExamId",), "quarantine": (), "temporary": (),
}  # fmt: skip


@pytest.mark.parametrize("where", SAYS)
def test_a_node_names_no_patient_to_those_who_have_not_asked(life: Life, where: str) -> None:
    told = life.told[where]
    ways = [told.decode("utf-8", "replace"), *(read_as(told) if where == "mail" else ())]
    missing = [word for word in SAYS[where] if not any(word in one for one in ways)]
    assert missing == [], "it says what it is for"
    assert found_in(told, life.secrets) == []


@pytest.mark.parametrize(("where", "secret"), [("queue", "EXM7183"), ("papers", "李外人"), ("papers", "PAT7183")])
def test_the_same_search_finds_them_where_they_belong(life: Life, where: str, secret: str) -> None:
    assert secret in found_in(life.told[where], life.secrets)
