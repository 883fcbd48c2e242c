"""People at the console over real HTTP: logins, what each role may do, users, passwords, and the record of it all."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from router.admin.console.rights import ACTS, LOOKS, OPEN, right_of
from router.admin.http.session import IDLE_SECONDS
from router.config.sections import Admin
from router.crypto import passwords
from router.errors import TransientError
from router.events import Kind
from router.policy.lockout import LOCKED_FOR, MOST
from router.policy.passwords import FORMER, LASTS, LENGTH, OTHER
from router.policy.roles import GRANTS, Right, Role
from router.policy.states import State
from router.reports.pdf.reader import Readers
from support.console_site import PASSWORD, STUDY, TOKEN, Got, Site
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1

FIRST, SECOND = "Erste-Tulpe-8", "Zweite-Tulpe-9"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost their price in one test alone."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def site(tmp_path: Path, readers: Readers) -> Iterator[Site]:
    clinic = ExamWorkflow(tmp_path, readers)
    clinic.ris(Study__StudyInstanceUIDs=[STUDY])
    clinic.pacs(STUDY, patient_id="P9", name="李^四")
    made = Site(clinic, Admin())
    yield made
    made.server.stop()
    clinic.catalogue.engine.close_thread()


def post(site: Site, path: str, **fields: object) -> Got:
    return site.ask(path, {"csrf": site.csrf, **fields})


def add(site: Site, name: str, role: Role = Role.OPERATOR, password: str = FIRST, **more: object) -> Got:
    return post(site, "/users/add", name=name, role=role, password=password, again=password, **more)


def log_in(site: Site, name: str, password: str) -> Got:
    return site.ask("/login", {"who": name, "password": password})


def events(site: Site, *kinds: Kind) -> list[tuple[str, str]]:
    return [(one.who, one.text) for one in site.clinic.events if one.kind in kinds]


def test_every_page_and_every_act_of_the_console_has_its_right(site: Site) -> None:
    routes = set(site.routes) - OPEN - {"/health"}
    assert routes == set(LOOKS) | set(ACTS), "router/admin/console/rights.py names each path"
    assert right_of("GET", "/another") == right_of("POST", "/another") == Right.ADMINISTER


@pytest.mark.parametrize("role", Role)
def test_each_role_gets_what_the_table_says_and_nothing_else(site: Site, role: Role) -> None:
    site.log_in("li", role)
    csrf = site.csrf
    for path, right in LOOKS.items():
        assert (site.ask(path).status == 403) == (right not in GRANTS[role]), path
    for path, right in ACTS.items():
        if path != "/logout":
            got = site.ask(path, {"csrf": csrf, "text": "x"})
            assert (got.status == 403) == (right not in GRANTS[role]), path
            assert got.status != 403 or right in got.text


def test_a_viewer_sees_no_patient_and_moves_nothing(site: Site) -> None:
    site.log_in("li", Role.VIEWER)
    assert site.act("release").status == 403
    assert post(site, "/patient", id=site.exam).status == 403
    assert post(site, "/queue", text=E1).status == 403
    assert site.clinic.delivery(E1).state == State.HELD
    assert ">Users<" not in site.ask("/").text
    assert events(site, Kind.VIEWED, Kind.MOVED)[-1:] != [("li", "")]


def test_a_user_is_added_logs_in_chooses_a_password_and_acts_under_the_own_name(site: Site) -> None:
    site.log_in("chief")
    assert add(site, "li").headers["Location"] == "/users?done=1"
    assert re.search(r"li</span></td>.*operator.*password to be changed", site.ask("/users").text)
    site.cookies.clear()
    assert log_in(site, "LI", FIRST).status == 303
    for path in ("/", "/queue", "/users", f"/exam?id={site.exam}"):
        assert site.ask(path).headers["Location"] == "/password", path
    csrf = re.search(r'name="csrf" value="([^"]+)"', site.ask("/password").text)
    assert csrf is not None
    form = {"csrf": csrf[1], "former": FIRST, "password": SECOND, "again": SECOND}
    shown = site.ask("/act", {"csrf": csrf[1], "id": site.exam, "delivery": site.clinic.delivery(E1).id})
    assert shown.headers["Location"] == "/password"
    assert site.ask("/password", form).headers["Location"] == "/"
    assert site.act("release").headers["Location"].endswith("done=1")
    assert events(site, Kind.USER, Kind.LOGGED_IN) == [
        ("chief", "logged in at the console"),
        ("chief", "user li added: operator, for all hospitals"),
        ("li", "logged in at the console"),
        ("li", "user li: own password changed"),
    ]
    assert [who for who, _ in events(site, Kind.MOVED) if who != "node"] == ["li"]
    site.cookies.clear()
    assert log_in(site, "li", FIRST).status == 403
    assert log_in(site, "li", SECOND).status == 303


@pytest.mark.parametrize(("change", "said"), [
    ({"name": "node"}, "no name of the node"), ({"name": " NODE "}, "no name"), ({"name": "ｎode"}, "no name"),
    ({"name": "token"}, "no name"),
    ({"name": "x"}, "2 to 32"), ({"name": "a b"}, "2 to 32"), ({"name": "<b>"}, "2 to 32"),
    ({"name": "é" * 33}, "2 to 32"),
    ({"name": "WANG"}, "for ever"), ({"again": "another"}, "not the same"),
    ({"password": "short", "again": "short"}, LENGTH),
    ({"role": "king"}, "Choose a user"), ({"hospitals": "renmin"}, "no hospital is called renmin"),
])  # fmt: skip
def test_a_user_that_may_not_be_is_not_added_and_is_told_why(site: Site, change: dict[str, object], said: str) -> None:
    site.log_in()
    form = {"name": "li", "role": "viewer", "password": FIRST, "again": FIRST, **change}
    got = post(site, "/users/add", **form)
    assert (got.status, said in got.text.replace("&#39;", "'")) == (400, True)
    assert [user.name for user in site.clinic.catalogue.users.all()] == ["wang"]
    assert events(site, Kind.USER) == []


def test_nobody_is_called_as_the_nodes_own_doing_is(site: Site) -> None:
    site.log_in()
    assert add(site, site.clinic.config.node.owner.upper()).status == 400


def test_five_failures_lock_the_user_also_for_the_right_password_until_time_or_an_administrator_ends_it(
    site: Site,
) -> None:
    site.log_in("chief")
    add(site, "li")
    mine = dict(site.cookies)
    answers = [log_in(site, "li", f"guess {n}") for n in range(MOST)] + [log_in(site, "Li", FIRST)]
    assert {got.status for got in answers} == {403}
    assert len({got.text for got in answers} | {log_in(site, "nobody", FIRST).text}) == 1, "the same for every reason"
    assert ("node", "the user li is locked after too many failed logins") in events(site, Kind.USER)
    site.clinic.bus.tell_counted(site.clinic.clock.now(), all_of_them=True)
    first, rest = (text for _, text in events(site, Kind.REFUSED))
    assert first == "a login at the console failed: user li"
    assert ("5" in rest, "nobody" in rest) == (True, False), "what is no user's name may be a password"
    site.cookies = mine
    assert ">locked<" in site.ask("/users").text
    post(site, "/users/change", chosen="li", what="unlock", why="asked by phone")
    assert ("chief", "user li: unlocked: asked by phone") in events(site, Kind.USER)
    site.cookies = {}
    site.clinic.clock.advance(61)  # for the address
    assert log_in(site, "li", FIRST).status == 303
    for _ in range(MOST):
        log_in(site, "li", "guess")
    site.clinic.clock.advance(LOCKED_FOR.total_seconds())
    assert log_in(site, "li", FIRST).status == 303


def test_what_is_changed_about_a_user_counts_at_the_next_request(site: Site) -> None:
    site.log_in("li", Role.VIEWER)
    his = dict(site.cookies)
    site.log_in("chief")
    chiefs = dict(site.cookies)

    def change(what: str, **form: object) -> None:
        site.cookies = dict(chiefs)
        assert post(site, "/users/change", chosen="li", what=what, why="a reason", **form).status == 303
        site.cookies = dict(his)

    assert ">li</option>" in post(site, "/users/change", chosen="li", what="assign", role="king").text
    change("assign", role="operator")
    assert site.ask("/patient", {"csrf": site.csrf, "id": site.exam}).status == 200
    change("disable")
    assert site.ask("/users").headers["Location"] == "/login"
    assert log_in(site, "li", PASSWORD).status == 403
    change("enable")
    assert log_in(site, "li", PASSWORD).status == 303
    his = dict(site.cookies)
    site.clinic.clock.advance(1)
    change("reset", password=FIRST, again=FIRST)
    assert 'href="/login"' in site.ask("/").text, "who had the former password is out"
    change("remove")
    assert log_in(site, "li", FIRST).status == 403
    site.cookies = dict(chiefs)
    assert ">li</option>" not in site.ask("/users").text
    assert add(site, "Li").status == 400, "the name stays that person's"
    assert [text for _, text in events(site, Kind.USER)] == [
        "user li: operator, for all hospitals",
        "user li: disabled: a reason",
        "user li: enabled: a reason",
        "user li: new password, to be changed",
        "user li: removed: a reason",
    ]


@pytest.mark.parametrize("form", [
    {"chosen": "li", "what": "disable"}, {"chosen": "", "what": "disable", "why": "x"}, {"chosen": "li", "what": "x"},
    {"chosen": "nobody", "what": "remove", "why": "x"},
])  # fmt: skip
def test_a_change_without_a_user_a_reason_or_a_verb_does_nothing(site: Site, form: dict[str, str]) -> None:
    site.log_in("li")
    assert post(site, "/users/change", **form).status == 400
    assert events(site, Kind.USER) == []


def test_a_password_is_another_than_the_last_five_and_is_changed_after_ninety_days(site: Site) -> None:
    site.log_in("li")
    former = tuple(f"Tulpe-{n}-Wiese" for n in range(1, FORMER))
    site.clinic.catalogue.users.change("li", former=tuple(map(passwords.kept, former)))

    def choose(former: str, password: str) -> Got:
        return post(site, "/password", former=former, password=password, again=password)

    for password in (PASSWORD, former[0], former[-1]):
        assert OTHER in choose(PASSWORD, password).text
    assert choose(PASSWORD, FIRST).status == 303
    assert OTHER in choose(FIRST, former[-2]).text
    assert choose(FIRST, former[-1]).status == 303, "the sixth of before"
    site.clinic.clock.advance(LASTS.total_seconds())
    log_in(site, "li", former[-1])
    assert site.ask("/").headers["Location"] == "/password"


def test_a_stolen_session_does_not_guess_the_password(site: Site) -> None:
    site.log_in("li")
    csrf = site.csrf
    for _ in range(MOST):
        form = {"csrf": csrf, "former": "guess", "password": FIRST, "again": FIRST}
        assert "the present password is wrong" in site.ask("/password", form).text
    assert "is locked" in site.ask("/password", form | {"former": PASSWORD}).text
    assert events(site, Kind.REFUSED)[0] == ("node", "a change of password failed: user li")


def test_the_token_is_for_scripts_whatever_name_comes_with_it(site: Site) -> None:
    assert site.ask("/login", {"who": "wang", "token": TOKEN}).status == 303
    assert site.act("release").headers["Location"].endswith("done=1")
    assert [who for who, _ in events(site, Kind.MOVED) if who != "node"] == ["token"]
    assert site.ask("/password").headers["Location"] == "/"
    site.ask("/logout", {"csrf": site.csrf})
    assert events(site, Kind.LOGGED_IN, Kind.LOGGED_OUT) == [
        ("token", "logged in at the console"),
        ("token", "logged out at the console"),
    ]


def test_a_login_leads_back_to_the_page_it_was_asked_for_on_and_nowhere_else(site: Site) -> None:
    site.log_in()
    exam = f"/exam?id={site.exam}"
    site.cookies.clear()
    link = re.search(r'href="(/login\?[^"]+)"', site.ask(exam).text)
    assert link is not None
    shown = re.search(r'name="to" value="([^"]+)"', site.ask(link[1]).text)
    assert shown is not None
    known = {"who": "wang", "password": PASSWORD}
    assert site.ask("/login", known | {"to": shown[1]}).headers["Location"] == exam
    for elsewhere in ("", "/login", "//b.example", "https://b.example/", "/exam?id=1&x=2", "/bulk"):
        assert site.ask("/login", known | {"to": elsewhere}).headers["Location"] == "/", elsewhere


def test_a_page_that_asks_by_itself_keeps_nobody_logged_in(site: Site) -> None:
    site.log_in()
    assert "http-equiv" not in site.ask("/").text, "a browser without scripts asks by itself for nothing"
    for _ in range(4):
        site.clinic.clock.advance(IDLE_SECONDS / 4)
        site.ask("/", headers={"X-Live": "1"})
        site.ask("/work", headers={"X-Live": "1"})
    assert "wang" in site.ask("/", headers={"X-Live": "1"}).text
    site.clinic.clock.advance(1)
    assert 'href="/login"' in site.ask("/").text


def test_what_cannot_be_audited_changes_no_user(site: Site) -> None:
    site.log_in("li")
    csrf = site.csrf
    site.sealing = TransientError("the trail cannot be written")
    form = {"csrf": csrf, "name": "zhao", "role": "viewer", "password": FIRST, "again": FIRST, "former": PASSWORD}
    assert [site.ask(path, form).status for path in ("/users/add", "/password")] == [503, 503]
    assert [user.name for user in site.clinic.catalogue.users.all()] == ["li"]
    site.sealing = None
    site.cookies.clear()
    assert log_in(site, "li", PASSWORD).status == 303


def test_a_person_for_another_hospital_finds_nothing_of_this_exam(site: Site) -> None:
    site.log_in("li", Role.OPERATOR, ("renmin",))
    form = {"csrf": site.csrf, "id": site.exam, "text": E1, "why": "x", "what": "release", "delivery": 1}
    assert site.ask("/queue").text.count("/exam?id=") == 0
    assert site.ask("/queue", form).text.count("/exam?id=") == 0
    assert [site.ask(path, form).status for path in ("/patient", "/act", "/resolve")] == [400] * 3
    assert site.ask(f"/exam?id={site.exam}").status == 400
    assert [site.ask(path, form).status for path in ("/pause", "/files/names")] == [403, 403], "these concern all"
    site.log_in("zhao", Role.OPERATOR, (site.clinic.case(E1).hospital, "renmin"))
    assert site.ask("/queue").text.count("/exam?id=") == 2
    assert site.ask("/queue", form | {"csrf": site.csrf}).text.count("/exam?id=") == 2
    assert post(site, "/patient", id=site.exam).status == 200


def test_another_role_leaves_the_hospitals_as_they_are_unless_they_are_named(site: Site) -> None:
    site.log_in("li", Role.VIEWER, ("renmin",))
    site.log_in("chief")
    for hospitals, expected in (("", ("renmin",)), ("renmin", None), (" all", ()), ("", ())):
        got = post(site, "/users/change", chosen="li", what="assign", role="operator", hospitals=hospitals)
        assert got.status == (400 if expected is None else 303)
        user = site.clinic.catalogue.users.of("li")
        assert user is not None
        assert user.hospitals == (("renmin",) if expected is None else expected)
    site.ask("/?lang=zh_CN")
    assert post(site, "/users/change", chosen="li", what="assign", role="viewer", hospitals="全部").status == 303
