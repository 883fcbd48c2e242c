"""`queue recheck`: what was delivered, by the rules of now; nothing is changed by looking."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from router.catalogue.db.tables import TABLES
from router.catalogue.exams.documents import TakenDocument
from router.clock import SystemClock
from router.config.file import load
from router.config.sections import Config
from router.events import EventBus
from router.intake.exam_reader import ExamReader
from router.matching.patient.doubt import Doubt
from router.model import Channel, Header
from router.review.decisions import Decisions, OperatorReason
from router.review.recheck import Judged, Recheck
from router.storage.reports import Reports
from router.storage.studies import Studies
from support import delivered_exams
from support.catalogue_rows import NOW, Database, driver
from support.delivered_exams import Ordinary, ordinary
from support.harness import command_here

CONFIG = """
[node]
language = "en"
data = "."
[reports]
folder = "in"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""
TEN_DAYS = timedelta(days=10)
MONTH = 500  # each of the 180 ways in which `ordinary` writes an exam comes about three times


class Place:
    """A database with delivered exams, and their files."""

    def __init__(self, database: Database) -> None:
        self.file = database.data / "router.toml"
        text = CONFIG + (f'[database]\nurl = "{database.url}"\n' if database.url else "")
        self.file.write_text(text, encoding="utf-8")
        self.config: Config = load(self.file)
        self.catalogue = database.open()
        self.references = ExamReader(self.config)
        self.reports, self.studies = Reports(database.data), Studies(database.data / "studies")

    def fill(self, *exams: Ordinary) -> list[int]:
        return delivered_exams.fill(self.catalogue, self.reports, self.references, exams)

    def judged(self, since: timedelta = TEN_DAYS) -> list[Judged]:
        recheck = Recheck(self.config, self.references, self.catalogue, self.studies, self.reports)
        return list(recheck.judged(self.catalogue.delivered.since(NOW - since), NOW))

    def rules(self) -> list[list[str]]:
        return [[doubt.rule for doubt in one.doubts] for one in self.judged()]

    def told(self, *options: str) -> Any:
        days = (SystemClock().now() - NOW).days + 10
        answer = command_here("queue", "recheck", "--since", f"{days}d", "--config", self.file, *options)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout) if "--json" in options else answer.stdout

    def everything(self) -> list[Any]:
        return [
            sorted(map(repr, self.catalogue.engine.run(table.select().tuples()))) for table in TABLES
        ]  # fmt: skip


@pytest.fixture
def place(database: Database) -> Iterator[Place]:
    found = Place(database)
    yield found
    found.catalogue.engine.close_thread()


def named(one: Ordinary, name: str, patient_id: str = "P9") -> Ordinary:
    """The exam with images that bear another name and number."""
    (header,) = one.headers
    patient = replace(header.patient, name=name, patient_id=patient_id)
    return replace(one, headers=(replace(header, patient=patient),))


def test_what_was_delivered_with_another_patients_images_is_found_by_rule_and_exam(place: Place) -> None:
    right, wrong = ordinary(2)
    _, exam = place.fill(right, named(wrong, "钱^七"))
    deliveries = [f"d{one.id}" for one in sorted(place.catalogue.queue.of_exam(exam), key=lambda one: one.id)]
    answer = place.told("--json")
    assert (answer["checks"], answer["exams"], answer["held"], answer["not_judged"]) == (2, 2, 1, [])
    [rule] = answer["rules"]
    assert rule["exams"] == 1
    [found] = answer["found"]
    assert (found["exam"], found["deliveries"]) == (f"e{exam}", deliveries)
    [doubt] = found["doubts"]
    assert (doubt["rule"], doubt["study_uid"]) == (rule["rule"], "1.2.3.2")
    shown = place.told()
    assert "2 exam(s) delivered since" in shown
    assert "1 would be held" in shown
    assert f"e{exam}" in shown
    assert "钱" not in shown


def test_looking_changes_nothing(place: Place) -> None:
    right, wrong = ordinary(2)
    place.fill(right, named(wrong, "钱^七"))
    rows, files = place.everything(), sorted(place.file.parent.rglob("*"))
    database = place.file.parent / "router.db"
    before = b"" if place.config.database.url else _settled_bytes(place, database)
    place.told("--json")
    place.told()
    assert place.everything() == rows
    assert set(place.file.parent.rglob("*")) == set(files)
    assert not before or database.read_bytes() == before


def _settled_bytes(place: Place, database: Path) -> bytes:
    driver(place.catalogue).execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return database.read_bytes()


def test_what_a_person_has_settled_is_not_counted(place: Place) -> None:
    [one] = ordinary(1)
    [exam] = place.fill(named(one, "钱^七"))
    [doubts] = [one.doubts for one in place.judged()]
    assert doubts
    _stand(place, exam)
    decisions = Decisions(place.config.identity, place.catalogue, EventBus(), delivered_exams.clock())
    decisions.resolve("E000001", OperatorReason("wang", "asked the ward"))
    assert place.rules() == [[]]


def _stand(place: Place, exam: int) -> None:
    """The disagreement stands, as a node leaves it that has evaluated the exam."""
    from router.correlator.joining import doubts
    from router.matching.patient.policy import identity_policy

    case = place.catalogue.exams.case(exam)
    document = place.references.read(place.reports.read(next(iter(case.places.values()))))
    key = place.references.key(document, "", "01")
    found = doubts(case, key, [], identity_policy(place.config.identity, {}))
    place.catalogue.decisions.unsettled(exam, found, NOW)


def test_text_that_was_read_otherwise_is_read_again_from_the_file(place: Place) -> None:
    [one] = ordinary(1)
    [header] = one.headers
    place.fill(named(one, "ÕÅ^Èý", header.patient.patient_id), *list(ordinary(2))[1:])
    _file(place, header)
    assert place.rules() == [[], []]
    _file(place, replace(header, patient=replace(header.patient, name="钱^七", patient_id="P9")))
    assert sorted(map(bool, place.rules())) == [False, True]


def _file(place: Place, header: Header) -> None:
    dataset, uids, patient = Dataset(), header.uids, header.patient
    dataset.SpecificCharacterSet, dataset.SOPClassUID, dataset.SOPInstanceUID = "GB18030", CTImageStorage, uids.sop
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uids.study, uids.series
    dataset.AccessionNumber, dataset.PatientID, dataset.PatientName = (
        header.accession_number, patient.patient_id, patient.name,
    )  # fmt: skip
    dataset.PatientSex, dataset.PatientBirthDate = patient.sex, patient.birth_date
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = place.studies.path(uids, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, dataset, enforce_file_format=True)


def test_only_what_was_delivered_since_then_is_judged(place: Place) -> None:
    one, two = place.fill(*ordinary(2))
    for channel in place.catalogue.queue.of_exam(two):
        driver(place.catalogue).execute_sql(f"UPDATE delivery SET state = 'held' WHERE id = {channel.id}")
    assert [found.exam for found in place.judged()] == [one]
    assert place.judged(timedelta(days=-1)) == []


def test_an_exam_whose_json_is_gone_is_told_and_does_not_stop_the_others(place: Place) -> None:
    gone, there = place.fill(*ordinary(2))
    place.reports.path(place.reports.place("json", gone, 1)).unlink()
    answer = place.told("--json")
    assert (answer["exams"], answer["held"]) == (1, 0)
    assert [one["exam"] for one in answer["not_judged"]] == [f"e{gone}"]
    assert "cannot be judged" in place.told()
    assert there


def test_a_study_of_another_patients_exam_is_found_in_both(place: Place) -> None:
    first, second = ordinary(2)
    [header] = first.headers
    second.document["Study"]["StudyInstanceUIDs"].append(header.uids.study)
    exams = place.fill(first, second)
    place.catalogue.exams.links.link(exams[1], [header.uids.study], "listed", NOW)
    assert [bool(rules) for rules in place.rules()] == [True, True]


def test_a_pdf_that_names_another_exam_counts_where_the_report_was_delivered(place: Place) -> None:
    exam, _ = place.fill(*ordinary(2))
    pdf = TakenDocument(
        kind="pdf", stem="E000001", digest="pdf", file_time=NOW, arrived=NOW, words=frozenset({"A000002"})
    )  # fmt: skip
    place.catalogue.exams.documents.add(pdf, "nowhere", exam, 2, NOW)
    assert sorted(place.rules()) == [[], ["pdf-other"]]
    report = next(one for one in place.catalogue.queue.of_exam(exam) if one.channel == Channel.REPORT)
    driver(place.catalogue).execute_sql(f"UPDATE delivery SET state = 'held' WHERE id = {report.id}")
    assert place.rules() == [[], []]


def test_doubts_are_counted_under_the_names_and_the_set_of_checks_of_their_rules(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    [exam] = place.fill(*ordinary(1))
    doubt = Doubt(rule="name-by-its-bytes", text="the name is another's", since=2, study_uid="1.2.3.1")
    monkeypatch.setattr("router.review.recheck.doubts", lambda *_: {"d": doubt})
    answer = place.told("--json")
    assert answer["rules"] == [{"rule": "name-by-its-bytes", "checks": 2, "exams": 1}]
    assert answer["found"][0]["exam"] == f"e{exam}"
    assert answer["found"][0]["doubts"] == [
        {"rule": "name-by-its-bytes", "checks": 2, "text": doubt.text, "study_uid": "1.2.3.1"}
    ]


def test_a_span_that_is_none_is_wrong_use(place: Place) -> None:
    for span in ("30", "a month", "9999999999 d"):
        answer = command_here("queue", "recheck", "--since", span, "--config", place.file)
        assert (answer.returncode, "--since" in answer.stderr) == (2, True)


def test_of_a_months_ordinary_exams_at_most_one_in_a_thousand_would_be_held(sqlite: Database) -> None:
    place = Place(sqlite)
    place.fill(*ordinary(MONTH))
    held = [one for one in place.judged() if one.doubts]
    assert len(held) * 1000 <= MONTH, [one.doubts for one in held[:5]]
    place.catalogue.engine.close_thread()


# -- what `doctor` says of it


def _doctor(place: Place, subject: str) -> list[tuple[str, str, str]]:
    answer = command_here("doctor", "--json", "--config", place.file)
    found = [one for one in json.loads(answer.stdout) if one["subject"] == subject]
    return [(one["verdict"], one["text"], one["remedy"]) for one in found]


def _delivered_now(place: Place) -> None:
    at = int(SystemClock().now().timestamp()) * 10**6
    driver(place.catalogue).execute_sql(f"UPDATE delivery SET delivered_at = {at}")


def test_doctor_reminds_a_data_folder_of_before_with_the_figures(place: Place) -> None:
    right, wrong = ordinary(2)
    place.fill(right, named(wrong, "钱^七"))
    _delivered_now(place)
    assert [verdict for verdict, *_ in _doctor(place, "checks")] == ["ok"]
    driver(place.catalogue).execute_sql("UPDATE setting SET value = '1'")
    [(verdict, text, remedy)] = _doctor(place, "checks")
    assert verdict == "warn"
    assert "Of 2 exam(s) delivered in the last 30 d checks = 2 would hold 1: " in text
    assert "queue recheck" in remedy
    place.file.write_text(place.file.read_text("utf-8") + "[identity]\nchecks = 2\n", encoding="utf-8")
    assert [verdict for verdict, *_ in _doctor(place, "checks")] == ["ok"]


def test_doctor_judges_the_last_ones_only_where_all_of_them_take_too_long(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.fill(*ordinary(3))
    _delivered_now(place)
    driver(place.catalogue).execute_sql("UPDATE setting SET value = '1'")
    monkeypatch.setattr("router.cli.doctor._PATIENCE_SECONDS", 0)
    [(_, text, _)] = _doctor(place, "checks")
    assert "Of 1 exam(s) delivered in the last 30 d (the last ones of 3)" in text


@pytest.mark.parametrize(
    ("setting", "verdict"),
    [("", "warn"), ('[share]\nshared_study = "first"\n', "ok"), ('[share]\nshared_study = "all"\n', "ok")],
)
def test_doctor_says_that_a_configuration_without_the_key_keeps_first(
    sqlite: Database, setting: str, verdict: str
) -> None:
    place = Place(sqlite)
    place.file.write_text(CONFIG + setting, encoding="utf-8")
    [(found, text, _)] = _doctor(place, "shared studies")
    assert (found, "shared_study" in text) == (verdict, True)
    place.catalogue.engine.close_thread()
