"""The console's pages of statistics, senders, configuration and the last exchange, each by role and hospital."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from router.admin.console.context import ConsoleContext
from router.config.sections import Admin
from router.errors import InvalidData, TransientError
from router.events import Kind
from router.images import rule_trial
from router.model import SeriesClass
from router.policy.completeness import Completeness
from router.policy.roles import Role
from router.reports.pdf.reader import Readers
from router.review.statistics import By, statistics_of
from router.upkeep.statistics_table import csv_of
from support import hospital_rows
from support.catalogue_rows import instance
from support.console_rows import EXCHANGE, late, row
from support.console_site import Got, Site
from support.exam_workflow import CLOUD, ExamWorkflow
from support.hospital_console import NOW, Town
from support.intake_folder import CONFIG

RULE = """[[rule]]
name = "tried"
class = "scout"
modality = { equals = "CT" }
slice_thickness = { max = "thin" }
"""
ENDLESS = '[[rule]]\nname = "endless"\nclass = "key"\nseries_description = { matches = "(a+)+$" }\n'


def words(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", page).split())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A clinic with four studies of two senders, exams of some days, an exchange and a file that has changed."""
    folder, readers = tmp_path_factory.mktemp("clinic"), Readers()
    clinic = ExamWorkflow(folder, readers)
    for n in range(4):
        clinic.pacs(f"1.2.{n}", ae=f"CT{n % 2}")
    today = clinic.clock.now().astimezone(clinic.config.node.timezone).date()
    day = timedelta(days=1)
    clinic.catalogue.outcomes.write([
        *(row(n, today - day) for n in range(1, 8)), late(8, today - day),
        late(9, today - day, miss="the destination did not take it", whose="others'", device="=CT2"),
        late(10, today - day), row(11, today - 40 * day, critical=1),
        row(12, today, state=Completeness.NOT_SHARED, reason="no destination takes it", due=0, uploaded=0,
            on_time=0, first_time=0, report_took=None, images_took=None),
    ])  # fmt: skip
    made = Site(clinic, Admin())
    yield made
    made.server.stop()
    clinic.catalogue.engine.close_thread()
    readers.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    found = Town(tmp_path)
    yield found
    found.district.close()


def enter(site: Site, role: Role) -> None:
    site.cookies.clear()
    site.log_in(f"a{role}"[:6], role)


def post(site: Site, path: str, **fields: object) -> Got:
    return site.ask(path, {"csrf": site.csrf, **fields})


# -- statistics


def test_rates_misses_and_times_are_of_the_asked_days(site: Site) -> None:
    enter(site, Role.VIEWER)
    page = words(site.ask("/statistics?lang=en").text)
    assert "Exams due 10 Upload rate 100.00% Rate in time 70.00% Rate of the first try 100.00%" in page
    assert "Exams Share Reason Whose 2 66.66% it stood in the queue ours 1 33.33% the destination did" in page
    assert "12 / 12 80 / 80" in page
    assert "no destination takes it" in page
    today = site.clinic.clock.now().date()
    before = words(site.ask(f"/statistics?from={today - timedelta(days=50)}&by=device").text)
    assert "Critical values: 1 due, 1 uploaded, 1 in time (100.00%)" in before
    assert "=CT2 1 1 100.00% 0 0.00%" in before


@pytest.mark.parametrize("by", By)
def test_the_table_is_the_one_that_the_command_writes(site: Site, by: By) -> None:
    today = site.clinic.clock.now().date()
    got = site.ask(f"/statistics.csv?from={today - timedelta(days=50)}&to={today}&by={by}")
    found = statistics_of(site.clinic.catalogue, today - timedelta(days=50), today, by)
    assert got.text.encode() == csv_of(found, by)
    assert f"statistics-{by}-" in got.headers["Content-Disposition"]
    assert got.headers["Content-Type"].startswith("text/csv")


@pytest.mark.parametrize("asked", [
    "from=2026-02-30", "to=x", "by=patient", "from=2026-03-02&to=2026-03-01", "from=20260301",
])  # fmt: skip
def test_days_that_are_none_and_unknown_rows_are_refused(site: Site, asked: str) -> None:
    assert (site.ask(f"/statistics?{asked}").status, site.ask(f"/statistics.csv?{asked}").status) == (400, 400)


def test_more_than_a_year_is_cut_and_the_page_says_so(site: Site) -> None:
    assert "At most a year is shown" in site.ask("/statistics?from=1999-01-01&lang=en").text
    assert "At most a year is shown" not in site.ask("/statistics").text


def test_the_first_screen_shows_the_rates_of_thirty_days_as_lines_with_their_numbers(site: Site) -> None:
    page = site.ask("/?lang=en").text
    shown = page.partition('data-live="rates"')[2].partition("Backlog by age")[0]
    assert [words(one) for one in re.findall("<figcaption>.*?</figcaption>", shown)] == [
        "Upload rate 100.00% in all", "Rate in time 70.00% in all", "Rate of the first try 100.00% in all",
    ]  # fmt: skip
    assert shown.count("<tr>") == 3 * 31
    assert re.search(r"<td>10</td><td>7</td><td>70.00%</td>", shown)


def test_a_reader_for_one_hospital_sees_the_rates_of_its_exams_alone(town: Town) -> None:
    day = date(2026, 2, 28)
    town.district.catalogue.outcomes.write([
        row(1, day, hospital="fuxing", department="内科"), late(2, day, hospital="xiehe", department="外科"),
    ])  # fmt: skip
    for by in By:
        assert "Exams due 2" in words(town.page("/statistics", by=by))
    town.log_in("li", Role.VIEWER, ("fuxing",))
    for by in By:
        for asked in ({"by": by}, {"by": by, "hospital": "xiehe"}):
            page = town.page("/statistics", **asked)
            assert "Rate in time 100.00%" in words(page)
            assert not any(one in page for one in ("xiehe", "外科"))
            assert not any(one in town.page("/statistics.csv", **asked) for one in ("xiehe", "外科"))
    assert "Rate in time 100.00% in all" in words(town.page("/"))


# -- senders and series


def test_senders_and_the_classes_of_the_latest_series_are_shown_without_a_login(site: Site) -> None:
    site.cookies.clear()
    page = words(site.ask("/senders?lang=en").text)
    assert "4 series with 4 images" in page
    assert re.search(r"CT0 - CT thin .*? yes 2 2 CT1 - CT thin .*? yes 2 2", page)
    assert "Try a rule" not in page


def test_a_rule_on_trial_shows_what_it_would_change_and_changes_nothing(site: Site) -> None:
    enter(site, Role.OPERATOR)
    site.cookies["lang"] = "en"
    classes = [one.series_class for n in range(4) for one in site.clinic.catalogue.series_members.of_study(f"1.2.{n}")]
    page = post(site, "/senders", rule=RULE.replace("\n", "\r\n")).text
    assert "4 of 4 images would change." in words(page)
    assert re.search(r"CT0 - CT thin .*? yes scout tried yes modality=CT, slice_thickness=1.25 2 2", words(page))
    assert "modality = { equals = &#34;CT&#34; }\nslice_thickness" in page
    assert classes == [SeriesClass.THIN] * 4
    assert [
        one.series_class for n in range(4) for one in site.clinic.catalogue.series_members.of_study(f"1.2.{n}")
    ] == classes
    assert [(one.who, one.text) for one in site.clinic.events if one.kind == Kind.VIEWED][-1] == (
        "aopera", "a series rule tried at the console",
    )  # fmt: skip


@pytest.mark.parametrize(("rule", "said"), [
    ('[[rule]]\nname = "x"\nclass = "thin"\nmodalty = { equals = "CT" }', "unknown field"),
    ("[[rule", "Expected"), ("x" * 4001, "at most 4000 characters"),
])  # fmt: skip
def test_a_rule_with_faults_is_told_them(site: Site, rule: str, said: str) -> None:
    enter(site, Role.OPERATOR)
    got = post(site, "/senders", rule=rule)
    assert (got.status, said in got.text) == (400, True)
    assert "would change" not in got.text


def test_a_rule_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    facts = site.clinic.catalogue.series_members.facts([1])[1]
    question = (), replace(facts, series_description="a" * 60 + "!")
    monkeypatch.setattr(rule_trial, "_CPU_SECONDS", 0.2)
    with pytest.raises(TransientError, match="takes too long"):
        rule_trial.tried(ENDLESS, [question])


def test_what_cannot_be_audited_is_not_tried_nor_shown(site: Site) -> None:
    enter(site, Role.OPERATOR)
    site.sealing = TransientError("the audit trail cannot be written")
    try:
        assert (post(site, "/senders", rule=RULE).status, post(site, "/exchange").status) == (503, 503)
    finally:
        site.sealing = None


def test_a_reader_for_one_hospital_sees_its_senders_and_series_alone(town: Town) -> None:
    senders = {"fuxing": "CTFUXING", "xiehe": "CTXIEHE"}
    for hospital, ae in senders.items():
        new = instance(1, f"1.2.{ae}", received=NOW)
        header = replace(new.header, sending_ae=ae)
        town.district.catalogue.instances.add([replace(new, hospital=hospital, header=header)])
    everybody = town.page("/senders")
    assert all(name in everybody for name in senders.values())
    town.log_in("li", Role.OPERATOR, ("fuxing",))
    for asked in ({}, {"hospital": "xiehe"}):
        page = town.page("/senders", **asked)
        assert "CTFUXING" in page
        assert not any(word in page for word in ("xiehe", "CTXIEHE"))


# -- the last exchange


@pytest.fixture
def exchanged(site: Site) -> Iterator[Path]:
    folder = site.clinic.config.node.data / "exchanges"
    folder.mkdir(exist_ok=True)
    (folder / "cloud.json").write_text(json.dumps({"masked": True, "calls": EXCHANGE}), encoding="utf-8")
    yield folder / "cloud.json"
    (folder / "cloud.json").unlink(missing_ok=True)


def test_the_last_exchange_shows_names_alone_until_a_person_who_may_opens_it(site: Site, exchanged: Path) -> None:
    enter(site, Role.VIEWER)
    page = site.ask("/exchange?lang=en").text
    assert "Request POST … Answer HTTP 200 Decided by code 0" in words(page)
    assert "Patient.Name: …" in page
    assert "accepted" in page
    assert "R-77" in page
    assert not any(one in page for one in ("ZHANGSAN", ">45", ": 45", "V2024", "Show the recorded values"))
    assert post(site, "/exchange", destination="cloud").status == 403
    enter(site, Role.OPERATOR)
    opened = post(site, "/exchange", destination="cloud").text
    assert all(one in opened for one in ("Patient.Name: ZHANGSAN", "Patient.Age: 45", "/exams/V2024", "of ZHANGSAN"))
    event = [one for one in site.clinic.events if one.text == "the last exchange shown at the console"][-1]
    assert (event.kind, event.who, event.fields) == (Kind.VIEWED, "aopera", {"destination": "cloud"})
    assert exchanged.exists()


@pytest.mark.parametrize("kept", ["", "[]", '{"calls": 3}', '{"calls": [3]}', '{"calls": [{}]}', "\x00"])
def test_a_record_that_does_not_read_is_nothing_to_show(site: Site, exchanged: Path, kept: str) -> None:
    exchanged.write_text(kept, encoding="utf-8")
    got = site.ask("/exchange?lang=en")
    assert (got.status, "Nothing was exchanged yet" in got.text) == (200, True)


def test_an_exchange_with_no_such_destination_is_refused(site: Site) -> None:
    assert site.ask("/exchange?destination=../keys").status == 400
    assert site.ask("/exchange?destination=cloud%20for%20x").status == 400


ACCOUNTS = """
[destination.http]
api_key_file = "k"
signing_key_file = "k"
platform_signing_key_file = "k"
platform_encryption_key_file = "k"
[[destination.account]]
hospital = "fuxing"
"""


def test_a_reader_for_some_hospitals_sees_only_exchanges_that_are_of_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hospital_rows, "_COMMON", hospital_rows._COMMON + ACCOUNTS)
    town = Town(tmp_path)
    folder = tmp_path / "data" / "exchanges"
    folder.mkdir()
    for name, receipt in (("cloud", "R-SHARED"), ("cloud~fuxing", "R-OWN")):
        calls = [{**EXCHANGE[0], "receipt": receipt}]
        (folder / f"{name}.json").write_text(json.dumps({"masked": True, "calls": calls}), encoding="utf-8")
    readers = {
        ("fuxing",): {"R-OWN"}, ("renmin",): set(), ("renmin", "xiehe"): {"R-SHARED"}, (): {"R-OWN", "R-SHARED"},
    }  # fmt: skip
    for number, (hospitals, receipts) in enumerate(readers.items()):
        town.log_in(f"li{number}", Role.OPERATOR, hospitals)
        seen: set[str] = set()
        for name in ("cloud", "cloud for fuxing"):
            with suppress(InvalidData):
                seen |= set(re.findall("<dd>(R-[A-Z]+)</dd>", town.page("/exchange", destination=name)))
                seen |= set(re.findall("<dd>(R-[A-Z]+)</dd>", town.post("/exchange", destination=name).body.decode()))
        assert seen == receipts, hospitals
    town.district.close()


# -- the configuration


@pytest.fixture
def file(site: Site, tmp_path: Path) -> Iterator[Path]:
    """The configuration's file, which the console compares with what the node runs with."""
    path = site.clinic.config.node.data.parent / "router.toml"
    path.write_text(CONFIG + CLOUD, encoding="utf-8")
    context: ConsoleContext = site.console._context
    running = replace(context, file=path)
    site.console._configuration.use(running)
    yield path
    site.console._configuration.use(context)


def rows(page: str) -> Mapping[str, str]:
    """The rows of what differs, by table and key."""
    part = page.partition("What the file has otherwise")[2].partition("Secrets are not shown")[0]
    found = [[words(cell) for cell in re.findall("<td.*?</td>", one)] for one in re.findall("<tr>.*?</tr>", part)]
    return {f"{one[0]} {one[1]}": " | ".join(one[2:]) for one in found if one}


def test_administrators_and_auditors_see_what_the_file_has_otherwise(site: Site, file: Path) -> None:
    for role, status in ((Role.OPERATOR, 403), (Role.VIEWER, 403), (Role.AUDITOR, 200), (Role.ADMINISTRATOR, 200)):
        enter(site, role)
        assert site.ask("/configuration").status == status
    site.cookies["lang"] = "en"
    changed = CONFIG.replace('data = "data"', 'data = "data"\nlease = "40 s"') + CLOUD.replace('"60 s"', '"90 s"')
    file.write_text(changed, encoding="utf-8")
    found = dict(rows(site.ask("/configuration").text))
    found.pop("identity checks", None)  # the clinic has not said which; a node has
    assert found == {
        "node lease": "&#34;30 s&#34; | &#34;40 s&#34; | a restart",
        "study stable_after": "&#34;1 min&#34; | &#34;90 s&#34; | a reload",
    }
    file.write_text(changed.replace("[study]", "[studdy]"), encoding="utf-8")
    page = words(site.ask("/configuration").text)
    assert "goes on with what it read before: studdy: unknown key" in page
    file.unlink()
    assert "cannot read" in site.ask("/configuration").text
    site.cookies.clear()
    assert site.ask("/configuration").headers["Location"] == "/login"
