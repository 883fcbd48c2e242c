"""Readers of the console for certain hospitals, and roles: what they see, find and may press."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from router.admin.console.rights import right_of
from router.admin.http.server import Answer
from router.alarms import Alarm
from router.policy.roles import GRANTS, Role
from router.policy.states import State
from support.catalogue_rows import instance
from support.hospital_console import NOW, Town

OURS, THEIRS, SHARED = "1.2.10", "1.2.20", "1.2.30"  # studies that no exam names
PAGES = ("/", "/work", "/queue", "/unreported", "/files")


@dataclass
class Place:
    """The town; `held` are held exams, `deliveries` all deliveries' numbers by hospital."""

    town: Town
    held: Mapping[str, int]
    deliveries: Mapping[str, set[int]]

    def shown(self, text: str) -> set[str]:
        """The hospitals of which a page names a delivery."""
        numbers = {int(number) for number in re.findall(r"\bd(\d+)\b", text)}
        return {name for name, own in self.deliveries.items() if own & numbers}

    def linked(self, text: str) -> set[str]:
        """The hospitals of whose held exams a page has a link to one."""
        return {name for name, exam in self.held.items() if re.search(rf"/exam\?id={exam}\b", text)}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """The ordinary district; renmin and xiehe have a doubt, too."""
    town = Town(tmp_path)
    rows = town.district
    (fuxing,) = rows.catalogue.exams.find("A1", hospital="fuxing")
    held = {"fuxing": fuxing}
    for name in ("renmin", "xiehe"):
        held[name] = rows.delivery(name, "B1", 60, State.READY, State.HELD)
        rows.alarm(Alarm.DOUBT, held[name])
    for uid, hospital, ae in ((OURS, "fuxing", "CTFUXING"), (THEIRS, "xiehe", "CTXIEHE"), (SHARED, "", "PACS")):
        new = instance(1, uid, received=NOW)
        rows.catalogue.instances.add([replace(
            new, hospital=hospital, header=replace(new.header, sending_ae=ae)
        )])  # fmt: skip
    deliveries: dict[str, set[int]] = {}
    for one in rows.catalogue.queue.in_state(list(State)):
        deliveries.setdefault(one.hospital, set()).add(one.id)
    yield Place(town, held, deliveries)
    rows.close()


def words(page: str) -> str:
    return re.sub(r"<[^>]+>", " ", page)


def marks(answer: Answer) -> dict[str, str]:
    """The fields of a preview's form."""
    form = answer.body.decode().partition('action="/bulk/do"')[2].partition("</form>")[0]
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


def state(place: Place, hospital: str) -> State:
    (one,) = place.town.district.catalogue.queue.of_exam(place.held[hospital])
    return one.state


def boxes(place: Place, *hospitals: str) -> dict[str, object]:
    """The boxes of these hospitals' held deliveries."""
    queue = place.town.district.catalogue.queue
    return {f"d{queue.of_exam(place.held[name])[0].id}": "on" for name in hospitals}


@pytest.mark.parametrize("chosen", ["", "xiehe", "?"])
def test_a_viewer_for_one_hospital_sees_nothing_of_another_on_any_page(place: Place, chosen: str) -> None:
    place.town.log_in("li", Role.VIEWER, ("fuxing",))
    seen: set[str] = set()
    for path in PAGES:
        page = place.town.page(path, hospital=chosen)
        assert not any(name in words(page) for name in ("renmin", "xiehe", "CTXIEHE", THEIRS, SHARED)), path
        assert place.shown(page) | place.linked(page) <= {"fuxing"}, path
        seen |= place.shown(page)
    assert seen == {"fuxing"}
    first = place.town.page("/")
    assert "Hurry: 1 deliveries" in first
    assert "CTFUXING" in first
    place.town.cookies.clear()
    assert "Too late: 1 deliveries" in place.town.page("/"), "xiehe's"


def test_a_viewer_for_two_hospitals_sees_both_together_or_one_of_them(place: Place) -> None:
    place.town.log_in("li", Role.VIEWER, ("fuxing", "renmin"))
    work = place.town.page("/work")
    assert place.shown(work) == place.linked(work) == {"fuxing", "renmin"}
    assert re.findall(r'href="/\?hospital=([^"]+)"', place.town.page("/")) == ["fuxing", "renmin"]
    assert place.shown(place.town.page("/work", hospital="renmin")) == {"renmin"}
    assert place.shown(place.town.page("/queue")) == {"fuxing", "renmin"}


def test_a_page_that_refreshes_itself_shows_its_own_reader_s_hospitals(place: Place) -> None:
    assert "CTXIEHE" in place.town.page("/")
    place.town.log_in("li", Role.VIEWER, ("fuxing",))
    again = place.town.ask("/", {}, live=True).body.decode()
    assert "CTFUXING" in again
    assert "CTXIEHE" not in again


def test_a_search_finds_the_reader_s_exams_and_studies_alone(place: Place) -> None:
    numbers = {name: max(own) for name, own in place.deliveries.items()}
    asked = ["A1", "B1", *(f"d{number}" for number in numbers.values()), *(f"e{exam}" for exam in place.held.values())]
    place.town.log_in("li", Role.OPERATOR, ("fuxing",))
    found = {text: place.shown(words(place.town.post("/queue", text=text).body.decode())) for text in asked}
    ours = {"A1", f"d{numbers['fuxing']}", f"e{place.held['fuxing']}"}
    assert found == {text: {"fuxing"} if text in ours else set() for text in asked}
    strays = {uid: "it is kept and not sent" in place.town.post("/queue", text=uid).body.decode()
              for uid in (OURS, THEIRS, SHARED)}  # fmt: skip
    assert strays == {OURS: True, THEIRS: False, SHARED: False}
    place.town.log_in("wang", Role.OPERATOR)
    assert place.shown(place.town.post("/queue", text="B1").body.decode()) == {"renmin", "xiehe"}
    assert place.shown(place.town.post("/queue", text="B1", hospital="xiehe").body.decode()) == {"xiehe"}
    assert all("it is kept" in place.town.post("/queue", text=uid).body.decode() for uid in (OURS, THEIRS, SHARED))


def test_senders_and_days_in_the_address_find_the_reader_s_exams_alone(place: Place) -> None:
    place.town.district.catalogue.exams.links.link(place.held["xiehe"], [THEIRS], "listed", NOW)
    assert place.shown(place.town.page("/queue", sender="CTXIEHE")) == {"xiehe"}
    place.town.log_in("li", Role.VIEWER, ("fuxing",))
    page = place.town.page("/queue", sender="CTXIEHE", day="2026-03-01")
    assert (place.shown(page), "CTFUXING" in page) == (set(), True)
    assert '<option value="CTXIEHE"' not in page


def test_an_act_on_many_leaves_out_what_is_of_another_hospital(place: Place) -> None:
    asked = {"what": "release", "why": "asked the ward"}
    place.town.log_in("wang", Role.OPERATOR)
    everything = marks(place.town.post("/bulk", **asked, **boxes(place, "fuxing", "renmin")))
    place.town.log_in("li", Role.OPERATOR, ("fuxing",))
    preview = place.town.post("/bulk", **asked, **boxes(place, "fuxing", "renmin"))
    assert place.shown(words(preview.body.decode())) == {"fuxing"}
    mine = {name: value for name, value in everything.items() if name != "csrf"}
    done = place.town.post("/bulk/do", **mine)
    assert done.headers["Location"] == "/work?done=1&left=0"
    assert (state(place, "fuxing"), state(place, "renmin")) == (State.WAITING, State.HELD)
    with pytest.raises(Exception, match="expected deliveries"):
        place.town.post("/bulk", **asked, **boxes(place, "renmin"))


def test_the_exam_page_and_its_acts_are_closed_to_who_is_for_another_hospital(place: Place) -> None:
    place.town.log_in("li", Role.OPERATOR, ("fuxing",))
    for path in ("/patient", "/act", "/resolve", "/unlink", "/link", "/wait", "/ask", "/told"):
        with pytest.raises(Exception, match="no such exam"):
            place.town.post(path, id=place.held["renmin"], why="x", what="release", study=OURS)
    with pytest.raises(Exception, match="no such exam"):
        place.town.page("/exam", id=str(place.held["renmin"]))
    assert "Hospital: fuxing" in place.town.page("/exam", id=str(place.held["fuxing"]))


def test_who_is_for_one_hospital_joins_no_study_of_another_and_does_not_learn_that_it_is_here(place: Place) -> None:
    place.town.log_in("li", Role.OPERATOR, ("fuxing",))
    exam = place.held["fuxing"]
    seen = re.findall(r'name="seen" value="([^"]+)"', place.town.page("/exam", id=str(exam)))[0]
    for study in (THEIRS, "1.2.99"):
        with pytest.raises(Exception, match="no such study"):
            place.town.post("/link", id=exam, why="x", seen=seen, study=study)
    assert place.town.post("/link", id=exam, why="x", seen=seen, study=OURS).headers["Location"].endswith("joined")
    page = place.town.page("/exam", id=str(exam))
    seen = re.findall(r'name="seen" value="([^"]+)"', page)[0]
    assert f"<option>{SHARED}</option>" in page, "of no certain hospital, and it nearly fits"
    assert place.town.post("/link", id=exam, why="x", seen=seen, study=SHARED).headers["Location"].endswith("joined")


def test_the_chosen_hospital_stays_from_page_to_page_and_through_an_act_on_many(place: Place) -> None:
    place.town.log_in("wang", Role.OPERATOR)
    work = place.town.page("/work", hospital="renmin")
    for path in ("/", "/work", "/queue", "/unreported", "/files"):
        assert f'href="{path}?hospital=renmin"' in work
    assert re.findall(r'href="/work\?what[^"]*"', work)
    assert all("hospital=renmin" in link for link in re.findall(r'href="/work\?what[^"]*"', work))
    asked = {"what": "hold", "why": "asked", "hospital": "renmin"}
    fields = marks(place.town.post("/bulk", **asked, **boxes(place, "renmin")))
    done = place.town.post("/bulk/do", **{name: value for name, value in fields.items() if name != "csrf"})
    assert done.headers["Location"].endswith("&hospital=renmin")


@pytest.mark.parametrize("role", Role)
def test_a_page_has_only_forms_and_buttons_that_the_role_may_press(place: Place, role: Role) -> None:
    place.town.log_in("li", role)
    rows = place.town.district.catalogue
    rows.exams.links.link(place.held["fuxing"], [OURS], "listed", NOW)
    pages = "".join([
        *map(place.town.page, PAGES), place.town.page("/exam", id=str(place.held["fuxing"])),
        place.town.page("/work", what="identity", destination="cloud"),
    ])  # fmt: skip
    acts = set(re.findall(r'method="post" action="([^"]+)"', pages)) | set(re.findall(r'formaction="([^"]+)"', pages))
    assert {act for act in acts if right_of("POST", act) not in GRANTS[role]} == set()
    usual = {"/pause", "/bulk", "/queue", "/act", "/patient", "/wait", "/unlink", "/unreported/dismiss", "/logout"}
    assert {act for act in usual if right_of("POST", act) in GRANTS[role]} <= acts
    decides = right_of("POST", "/act") in GRANTS[role]
    assert (bool(re.search(r'type="(checkbox|radio)"', pages)), "What to do</h2>" in pages) == (decides, decides)


def test_sending_of_one_hospital_is_paused_and_resumed_at_its_page(place: Place) -> None:
    place.town.log_in("wang", Role.OPERATOR)
    pauses = place.town.district.catalogue.pauses
    asked = {"what": "pause", "why": "the line is repaired", "destination": "cloud"}
    assert place.town.post("/pause", **asked, hospital="renmin").headers["Location"] == "/?hospital=renmin"
    assert [(one.destination, one.hospital) for one in pauses.standing()] == [("cloud", "renmin")]
    assert "cloud for renmin" in words(place.town.page("/"))
    assert ">paused<" in place.town.page("/", hospital="renmin")
    assert ">paused<" not in place.town.page("/", hospital="fuxing")
    assert "is paused" not in words(place.town.page("/queue", hospital="fuxing"))
    place.town.post("/pause", **asked | {"what": "resume"}, hospital="renmin")
    assert pauses.standing() == []
    with pytest.raises(Exception, match="no such hospital"):
        place.town.post("/pause", **asked, hospital="closed")
    assert pauses.standing() == [], "what names no hospital that there is does not pause all"
