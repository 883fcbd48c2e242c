"""The console over real HTTP, and in a real browser where there is one."""

import http.client
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from router.admin.console.view import masked, masked_name
from router.admin.http.hosts import names_of
from router.admin.http.server import MAX_FORM, AdminServer, Answer
from router.admin.http.session import token_in
from router.alarms import Alarm
from router.catalogue.node.alarms import folded
from router.config.sections import Admin
from router.crypto.certificates import names_in
from router.dicom.ul.tls import server_context
from router.errors import ConfigurationError, TransientError
from router.events import Event, Kind
from router.model import Channel
from router.policy.states import State
from router.reports.pdf.reader import Readers
from support.certificates import Authority
from support.console_site import STUDY, TOKEN, Site
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1

PERSONAL = (E1, "张三", "A0001", "P0001")
HIDDEN = '<script>alert("x")</script>'
OURS = '<script src="/console.js" defer></script>'


def scripts_in(page: str) -> list[str]:
    """Every script of a page, with what is in it."""
    return re.findall(r"<script.*?</script>", page, re.DOTALL)


@pytest.fixture
def site(tmp_path: Path, readers: Readers) -> Iterator[Site]:
    clinic = ExamWorkflow(tmp_path, readers)
    clinic.ris(Study__StudyInstanceUIDs=[STUDY])
    clinic.pacs(STUDY, patient_id="P9", name="李^四")
    assert clinic.delivery().state == State.HELD
    made = Site(clinic, Admin())
    yield made
    made.server.stop()
    clinic.catalogue.engine.close_thread()


def held(site: Site) -> State:
    return site.clinic.delivery(E1).state


@pytest.mark.parametrize("path", ["/", "/queue", "/exam"])
def test_what_is_looked_at_on_loopback_is_masked(site: Site, path: str) -> None:
    got = site.ask(path + (f"?id={site.exam}" if path == "/exam" else ""))
    assert got.status == 200
    assert masked(E1) in got.text
    assert [word for word in PERSONAL if word in got.text] == []


@pytest.mark.parametrize("path", ["/", "/queue", "/login", "/exam?id=1"])
def test_every_page_has_a_strict_policy_and_no_script_but_our_file(site: Site, path: str) -> None:
    got = site.ask(path)
    policy = dict(one.strip().split(" ", 1) for one in got.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {word for words in policy.values() for word in words.split()} == {"'none'", "'self'"}
    assert (got.headers["X-Content-Type-Options"], got.headers["Cache-Control"]) == ("nosniff", "no-store")
    assert scripts_in(got.text) == [OURS]
    assert not re.search(r"style=|https?://| on\w+=", got.text)


def test_the_story_says_what_explain_says(site: Site) -> None:
    text = site.ask(f"/exam?id={site.exam}").text
    for word in (STUDY, "identity", "held", "Events", "Images that came", "CT1", "What to do"):
        assert word in text


def test_the_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(site: Site) -> None:
    got = site.log_in()
    assert (got.status, got.headers["Location"]) == (303, "/")
    assert re.fullmatch(r"console=[\w-]{40,}; Path=/; HttpOnly; SameSite=Strict", got.headers["Set-Cookie"])
    site.ask("/logout", {"csrf": site.csrf})
    assert "Log in" in site.ask("/").text


def test_a_wrong_token_opens_nothing_and_is_told(site: Site) -> None:
    assert site.ask("/login", {"who": "wang", "token": TOKEN + "x"}).status == 403
    assert "console" not in site.cookies
    assert [event.text for event in site.clinic.events if event.kind == Kind.REFUSED] == [
        "a login at the console failed"
    ]


def test_patient_data_is_shown_to_who_asks_and_that_is_told(site: Site) -> None:
    site.log_in()
    got = site.ask("/patient", {"csrf": site.csrf, "id": site.exam})
    assert [word for word in PERSONAL if word not in got.text] == []
    (event,) = [e for e in site.clinic.events if e.kind == Kind.VIEWED and e.exam]
    assert (event.who, event.exam, event.text) == ("wang", site.exam, "patient data shown at the console")
    assert E1 not in site.ask(f"/exam?id={site.exam}").text


def test_who_asks_sees_both_sides_of_a_doubt(site: Site) -> None:
    site.log_in()
    text = site.ask("/patient", {"csrf": site.csrf, "id": site.exam}).text
    head, *rows = [
        [re.sub("<[^>]+>", " ", cell).split() for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", text) if "scope=" in row
    ]  # fmt: skip
    assert head == [["Who", "says", "it"], ["exam", "JSON"], [STUDY]]
    assert rows[0] == [["Patient", "ID"], ["P0001"], ["P9", "differs"]], "what differs comes first"
    assert rows[1] == [["Patient&#39;s", "name"], ["张三"], ["李^四", "differs"]]
    assert rows[2] == [["Accession", "number"], ["A0001"], ["A0001", "agrees"]]


def missed(site: Site, number: int, destination: str) -> None:
    subject, fields = f"d{number}", {"destination": destination}
    now = site.clinic.clock.now()
    site.clinic.bus.record(
        Event(now, Kind.ALARM, "late", exam=number, fields=fields, alarm=Alarm.MISSED, subject=subject)
    )


def test_more_alarms_than_are_shown_are_counted(site: Site) -> None:
    before = len(folded(site.clinic.catalogue.alarms.standing()))
    for n in range(25):
        missed(site, n, f"cloud {n}")
    assert f"Alarms (20 / {before + 25})" in site.ask("/").text


def test_alarms_of_one_kind_and_destination_are_one_line_with_their_count_and_exams(site: Site) -> None:
    for n in range(101, 135):
        missed(site, n, "cloud")
    text = site.ask("/").text
    assert text.count('<span class="word">missed</span>') == 1
    assert ">34</span>" in text
    assert '<a href="/exam?id=101">e101</a> <a href="/exam?id=102">e102</a> <a href="/exam?id=103">e103</a> +31' in text


def test_what_waits_for_a_person_is_shown_with_its_exam_and_the_command(site: Site) -> None:
    text = site.ask("/").text
    assert "<h2>Waits for a person</h2>" in text
    assert "scripts/queue explain e1" in text
    assert "可能不是同一患者" in site.ask("/?lang=zh_CN").text


def test_without_a_login_nothing_is_done_and_nothing_is_shown(site: Site) -> None:
    site.ask("/")
    for path in ("/act", "/patient"):
        got = site.ask(path, {"csrf": "", "id": site.exam, "delivery": site.delivery, "what": "release", "why": "x"})
        assert (got.status, got.headers["Location"]) == (303, "/login")
    assert held(site) == State.HELD


@pytest.mark.parametrize("csrf", ["", "another"])
def test_a_form_of_another_site_does_nothing(site: Site, csrf: str) -> None:
    site.log_in()
    assert site.act("release", csrf=csrf).status == 403
    assert site.ask("/patient", {"id": site.exam, "csrf": csrf}).status == 403
    assert site.ask("/act").status == 405
    assert held(site) == State.HELD


def test_hold_and_release_are_done_in_the_persons_name(site: Site) -> None:
    site.log_in()
    assert site.act("release").headers["Location"] == f"/exam?id={site.exam}&done=1"
    assert held(site) == State.WAITING
    assert site.act("release").headers["Location"].endswith("done=0")
    site.act("hold", why="wrong patient")
    assert held(site) == State.HELD
    told = [(e.who, e.text) for e in site.clinic.events if e.kind == Kind.MOVED and e.who != "node"]
    assert told == [("wang", "held -> waiting: released: asked"), ("wang", "waiting -> held: held: wrong patient")]


def test_what_has_changed_since_the_page_was_shown_is_not_decided_by_it(site: Site) -> None:
    site.log_in()
    shown = site.seen
    site.clinic.drop("another.pdf", b"%PDF-1.4 of somebody else")  # refused: nothing of the exam has changed
    assert site.seen == shown
    site.clinic.ris(Study__StudyInstanceUIDs=[STUDY], Patient__Name="李四", Report__ApproveTime="2026-03-02 15:00:00")
    assert site.act("release", seen=shown).headers["Location"].endswith("done=0")
    assert site.act("release", seen="").headers["Location"].endswith("done=0")
    assert [e for e in site.clinic.events if e.kind == Kind.MOVED and e.who == "wang"] == []
    assert site.act("release").headers["Location"].endswith("done=1")


@pytest.mark.parametrize(("name", "shown"), [
    ("张三_20240506.pdf", "20…06"), ("LI_NA-CT1", "…"), ("王五", "…"), ("欧阳娜娜1234567890", "12…90"),
])  # fmt: skip
def test_the_name_of_a_file_shows_nothing_of_a_patients_name(name: str, shown: str) -> None:
    assert masked_name(name) == shown


def test_what_a_platform_says_of_a_patient_is_masked_until_the_patient_is_shown(site: Site) -> None:
    words = "Patient.Name (患者姓名): 张三 is not the registered name"
    error = f"the platform does not accept the exam JSON: {words}"
    report, now = site.clinic.delivery(E1, Channel.REPORT), site.clinic.clock.now()
    queue = site.clinic.catalogue.queue
    for to in (State.WAITING, State.READY, State.SENDING, State.FAILED):
        assert queue.move(report, to, now, "on the way", changes={"error": error})
        report = site.clinic.delivery(E1, Channel.REPORT)
    site.log_in()
    for path in ("/queue", f"/exam?id={site.exam}", "/"):
        page = site.ask(path).text
        assert "张三" not in page
        assert "the platform does not accept the exam JSON" in page
    assert words in site.ask("/patient", {"csrf": site.csrf, "id": site.exam}).text


def test_what_cannot_be_audited_is_not_done_and_no_patient_data_is_shown(site: Site) -> None:
    site.log_in()
    before, csrf = held(site), site.csrf
    site.sealing = TransientError("the trail cannot be written")
    assert site.act("release", csrf=csrf).status == 503
    assert held(site) == before
    shown = site.ask("/patient", {"csrf": csrf, "id": site.exam})
    assert shown.status == 503
    assert "张三" not in shown.text


@pytest.mark.parametrize("change", [{"why": " "}, {"what": "cancel"}, {"delivery": 99}, {"id": 99}, {"id": "x"}])
def test_an_action_that_does_not_read_is_refused(site: Site, change: dict[str, object]) -> None:
    site.log_in()
    assert site.act("release", **change).status == 400
    assert held(site) == State.HELD


@pytest.mark.parametrize(("asked", "lines"), [
    ("?state=held", 2), ("?state=delivered", 0), ("?destination=cloud", 2), ("?destination=other", 0),
    ("?page=1", 0), ("?page=9999999999", 2),
])  # fmt: skip
def test_the_queue_is_filtered_and_paged(site: Site, asked: str, lines: int) -> None:
    assert site.ask(f"/queue{asked}").text.count("/exam?id=") == lines


def test_the_queue_is_searched_by_a_form_so_that_no_address_names_an_exam(site: Site) -> None:
    site.log_in()
    assert site.ask("/queue", {"csrf": site.csrf, "text": E1[:9]}).text.count("/exam?id=") == 2
    assert site.ask("/queue", {"csrf": site.csrf, "text": "nobody"}).text.count("/exam?id=") == 0
    [first, _] = [event for event in site.clinic.events if "searched" in event.text]
    assert (first.kind, first.who, E1[:9] in first.text) == (Kind.VIEWED, "wang", False)


def test_the_queue_tells_nobody_without_a_login_whether_an_identifier_is_here(site: Site) -> None:
    answers = [site.ask("/queue", {"text": text}) for text in (E1, E1[:3], "nobody", "")]
    assert {(got.status, got.text) for got in answers} == {(303, "")}
    assert 'name="text"' not in site.ask("/queue").text
    assert E1 not in site.ask(f"/queue?text={E1}").text
    assert site.ask(f"/queue?text={E1}").text == site.ask("/queue?text=nobody").text
    site.log_in()
    assert site.ask("/queue", {"csrf": "of another", "text": E1}).status == 403


def test_what_comes_from_outside_is_escaped(site: Site) -> None:
    site.log_in(HIDDEN)
    got = site.ask("/queue", {"csrf": site.csrf, "text": HIDDEN})
    assert "&lt;script&gt;" in got.text
    assert scripts_in(got.text) == [OURS]
    assert "&lt;script&gt;" in site.ask("/").text
    assert scripts_in(site.ask("/").text) == [OURS]
    site.act("hold", why=HIDDEN)
    for path in (f"/exam?id={site.exam}", "/queue", "/"):
        page = site.ask(path).text
        assert scripts_in(page) == [OURS]
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize("path", ["/queue?state=x", "/exam?id=0", "/exam"])
def test_what_is_not_there_is_said(site: Site, path: str) -> None:
    assert site.ask(path).status == 400


@pytest.mark.parametrize("path", ["/", "/queue", "/login", "/console.css", "/health", "/nothing"])
def test_another_name_for_this_machine_gets_nothing(site: Site, path: str) -> None:
    for host in ("evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "[evil]", "10.0.0.1"):
        assert site.ask(path, headers={"Host": host}).status == 403
    for host in ("localhost:8080", "[::1]:8080", "127.0.0.1", "LOCALHOST", "localhost."):
        assert site.ask(path, headers={"Host": host}).status != 403


def test_beyond_loopback_an_address_the_machine_and_the_certificates_names_are_ours(tmp_path: Path) -> None:
    tls = Authority(tmp_path).issue("node")
    assert tls.certificate is not None
    is_ours = names_of(Admin(host="0.0.0.0", token_file=tmp_path / "t", tls=tls))
    assert [host for host in ("", "10.1.2.3:8080", "[fe80::1]:8080", socket.gethostname()) if not is_ours(host)] == []
    assert all(is_ours(f"{name.upper()}:8080") for name in names_in(tls.certificate))
    assert names_in(tls.certificate)
    assert [host for host in ("evil.example", "10.1.2.3.evil.example:8080", "x.", "*", ":1") if is_ours(host)] == []


def test_names_that_are_configured_are_ours() -> None:
    is_ours = names_of(Admin(names=("Console.Hospital.cn",)))
    assert is_ours("console.hospital.cn:8443")
    assert not is_ours("evil.hospital.cn")


def test_a_form_that_is_too_long_is_refused(site: Site) -> None:
    assert site.ask("/queue", {"text": "x" * MAX_FORM}).status == 400


def test_the_language_is_the_browsers_or_the_one_asked_for(site: Site) -> None:
    assert "队列" in site.ask("/", headers={"Accept-Language": "zh-CN,zh;q=0.9"}).text
    assert "Queue" in site.ask("/?lang=en", headers={"Accept-Language": "zh-CN"}).text
    assert "Queue" in site.ask("/", headers={"Accept-Language": "zh-CN"}).text, "it is remembered"


def test_the_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "console-token"
    token = token_in(file)
    assert len(token) >= 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token_in(file) == token
    file.chmod(0o644)
    with pytest.raises(ConfigurationError):
        token_in(file)


def test_beyond_loopback_the_console_is_tls_and_every_page_wants_a_login(tmp_path: Path, readers: Readers) -> None:
    authority = Authority(tmp_path)
    tls = authority.issue("node").model_copy(update={"ca": None})
    clinic = ExamWorkflow(tmp_path, readers)
    admin = Admin(host="0.0.0.0", token_file=tmp_path / "t", tls=tls)  # it listens on loopback
    site = Site(clinic, admin, server_context(tls))
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    try:
        guarded = ("/", "/queue", "/exam?id=1", "/unreported", "/refused", "/files", "/users", "/password")
        for path, status in (*((path, 303) for path in guarded), ("/login", 200)):
            with closing(
                http.client.HTTPSConnection("127.0.0.1", site.port, timeout=5, context=trusting)
            ) as connection:
                connection.request("GET", path)
                assert connection.getresponse().status == status, path
        with closing(http.client.HTTPSConnection("127.0.0.1", site.port, timeout=5, context=trusting)) as connection:
            connection.request("POST", "/login", urlencode({"token": TOKEN}))
            assert "; Secure" in str(connection.getresponse().headers["Set-Cookie"])
    finally:
        site.server.stop()
        clinic.catalogue.engine.close_thread()


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on the PATH: the console is not looked at in a browser")
    return found


def seen(site: Site, path: str, folder: Path) -> str:
    """The page as the browser has it after loading; a screenshot of it is page.png in `folder`."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1300",
               f"--user-data-dir={folder / 'profile'}", "--disable-dev-shm-usage", "--enable-logging=stderr",
               f"--screenshot={folder / 'page.png'}"]  # fmt: skip
    address = f"http://127.0.0.1:{site.port}{path}"
    done = subprocess.run(
        [browser(), *options, "--dump-dom", address], capture_output=True, timeout=60, check=True,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    assert b"Content Security Policy" not in done.stderr, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize(("language", "words"), [
    ("en", ("At risk", "Backlog by age", "Due next")), ("zh_CN", ("有超时风险", "按已用时间的积压", "最先到期")),
])  # fmt: skip
def test_a_browser_shows_the_overview_in_both_languages(
    site: Site, tmp_path: Path, language: str, words: tuple[str, ...]
) -> None:
    site.clinic.bus.record(Event(site.clinic.clock.now(), Kind.ALARM, "x", alarm=Alarm.DISK, subject="disk"))
    page = seen(site, f"/?lang={language}", tmp_path)
    assert [word for word in words if word not in page] == []
    assert "<rect" in page


def test_requests_are_answered_when_the_system_gives_no_further_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    server = AdminServer({"/": lambda _: Answer(200, b"here")}, lambda: None)
    port = server.start("127.0.0.1", 0)

    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        for _ in range(40):
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as asking:
                asking.request("GET", "/")
                assert asking.getresponse().read() == b"here"
    server.stop()
