"""Refused images and senders, and what lies in quarantine, in `explain`, `queue refused` and the alarm about images."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from router.alarms import Alarm
from router.catalogue.node.refusals import Batch
from router.cli import main
from router.dicom.scp.store import Refused
from router.events import Event, Kind
from router.refusals import Why
from router.reports.pdf.reader import Readers
from router.upkeep.refusals import Gathering, RefusalWatch, subject_of
from support.cataloguer_folder import CataloguerFolder, data_set, file
from support.exam_workflow import CLOUD, ExamWorkflow
from support.explain_command import Told
from support.intake_folder import CONFIG, E1, START

STUDY = "1.2.3"
APPROVED = f"{START + timedelta(hours=7, minutes=59):%Y-%m-%d %H:%M:%S}"
EXAM: dict[str, object] = {"Study__StudyInstanceUIDs": [STUDY], "Report__ApproveTime": APPROVED}
NO_ROOM = Refused(
    calling_ae="CT1",
    address="10.1.2.3",
    reason="no room: less than [receive] min_free is left",
    status=0xA700,
    why=None,
    called_ae="ROUTER",
    study=STUDY,
)
NOT_A_SENDER = Refused(
    calling_ae="PACS2", address="10.1.2.4", reason="not among the senders", why=Why.SENDER, called_ae="ROUTER"
)
ROUTED = "whether it was routed"


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers)
    (tmp_path / "router.toml").write_text(CONFIG + CLOUD)
    yield made
    made.catalogue.engine.close_thread()


@pytest.fixture
def told(clinic: ExamWorkflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(tmp_path, capsys)


def refuse(clinic: ExamWorkflow, *found: Refused, times: int = 1) -> Batch:
    gathering = Gathering(zone=clinic.config.node.timezone)
    for second in range(times):
        for n, one in enumerate(found):
            at = clinic.clock.now() + timedelta(seconds=second)
            gathering.refused(replace(one, sop=one.sop or f"{STUDY}.{n}"), at)
    batch = gathering.batch()
    clinic.catalogue.refusals.write(batch)
    clinic.settle()
    return batch


def missing(clinic: ExamWorkflow) -> list[str]:
    return [one.text for one in clinic.catalogue.alarms.standing() if one.alarm == Alarm.IMAGES_MISSING]


def command(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["queue", "refused", "--config", str(folder / "router.toml"), *words])
    assert isinstance(ended.value.code, int)
    out, err = capsys.readouterr()
    return ended.value.code, out + err


# -- explain


@pytest.mark.parametrize("name", [E1, "e1", STUDY, "d2"])
def test_an_exam_whose_images_were_refused_says_by_whom_they_were_offered_how_often_and_why(
    clinic: ExamWorkflow, told: Told, name: str
) -> None:
    refuse(clinic, NO_ROOM, times=120)
    clinic.ris(**EXAM)
    text = " ".join(told(name).split())
    assert f"CT1 (10.1.2.3) offered images of study {STUDY} 120 time(s) between 20" in text
    assert "refused: A700, no room: less than [receive] min_free is left make room on the data folder's volume" in text
    assert ROUTED not in text
    (story,) = told.json(name)
    assert [(one["ae_title"], one["times"], one["why"]) for one in story["refused"]] == [("CT1", 120, "A700")]


def test_images_that_came_after_their_refusal_are_told_beside_it(clinic: ExamWorkflow, told: Told) -> None:
    refuse(clinic, NO_ROOM)
    clinic.ris(**EXAM)
    clinic.pacs(STUDY)
    text = told(E1)
    assert "refused: A700" in text
    assert "images of it came after that" in text
    assert "make room" not in text


def test_where_the_study_is_not_known_the_refusals_of_that_time_are_a_hint(clinic: ExamWorkflow, told: Told) -> None:
    refuse(clinic, NOT_A_SENDER, times=3)
    refuse(clinic, replace(NOT_A_SENDER, calling_ae="", why=Why.PROTOCOL), times=500)
    clinic.ris(**EXAM)
    text = " ".join(told(E1).split())
    assert "in that time this node refused 3 associations of PACS2 (10.1.2.4) between" in text
    assert "its AE title and address are not in [receive] senders" in text
    assert "`systemctl reload imaging-cloud-router`" in text
    assert "500" not in text
    assert ROUTED not in text
    (story,) = told.json(E1)
    assert [one["ae_title"] for one in story["refused_meanwhile"]] == ["PACS2"]


def test_what_was_refused_long_before_the_exam_is_no_hint_and_then_the_pacs_is_to_be_asked(
    clinic: ExamWorkflow, told: Told
) -> None:
    refuse(clinic, NOT_A_SENDER)
    clinic.later(hours=30)
    clinic.ris(**EXAM)
    text = told(E1)
    assert "PACS2" not in text
    assert ROUTED in text


def test_an_exam_that_has_its_images_is_told_of_no_hint(clinic: ExamWorkflow, told: Told) -> None:
    refuse(clinic, NOT_A_SENDER)
    clinic.ris(Study__ImageCount=1, **EXAM)
    clinic.pacs(STUDY)
    assert "PACS2" not in told(E1)


def test_a_study_of_which_all_was_refused_is_known_by_its_uid(clinic: ExamWorkflow, told: Told) -> None:
    refuse(clinic, replace(NO_ROOM, status=0xC000, reason="the data set is cut off: 16 of 32 bytes"))
    text = told(STUDY)
    assert f"Study {STUDY}: nothing of it is here" in text
    assert "C000, the data set is cut off: 16 of 32 bytes" in text
    (story,) = told.json(STUDY)
    assert story["refused"][0]["why"] == "C000"
    assert "see `scripts/queue refused`" in told("9.9.9")


def test_a_study_without_an_exam_says_what_of_it_was_refused(clinic: ExamWorkflow, told: Told) -> None:
    clinic.pacs(STUDY)
    refuse(clinic, NO_ROOM)
    assert "refused: A700" in told(STUDY)
    assert told.json(STUDY)[0]["refused"][0]["times"] == 1


# -- the alarm of missing images


def test_the_alarm_of_missing_images_names_what_this_node_refused_of_them(clinic: ExamWorkflow) -> None:
    refuse(clinic, NO_ROOM, NOT_A_SENDER)
    clinic.ris(**EXAM)
    clinic.later(hours=3)
    (text,) = missing(clinic)
    assert text == (
        "no image of this approved exam has come; this node refused images of it from CT1 (10.1.2.3): A700,"
        " no room: less than [receive] min_free is left"
    )


def test_the_alarm_that_stands_names_the_refusal_that_came_later(clinic: ExamWorkflow) -> None:
    clinic.ris(Study__ImageCount=1, **EXAM)
    clinic.later(hours=3)
    assert missing(clinic) == ["no image of this approved exam has come"]
    refuse(clinic, NO_ROOM)
    assert "this node refused images of it from CT1 (10.1.2.3): A700" in missing(clinic)[0]
    clinic.pacs(STUDY)
    assert missing(clinic) == []


def test_the_alarm_names_the_sender_that_was_refused_in_that_time(clinic: ExamWorkflow) -> None:
    refuse(clinic, NOT_A_SENDER)
    clinic.ris(**EXAM)
    clinic.later(hours=3)
    assert "this node refused PACS2 (10.1.2.4) in that time: its AE title" in missing(clinic)[0]


# -- quarantine


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[CataloguerFolder]:
    made = CataloguerFolder(tmp_path / "data")
    (tmp_path / "router.toml").write_text(CONFIG + CLOUD)
    yield made
    made.catalogue.engine.close_thread()


def unreadable() -> bytes:
    """Without its series, as an older receiver could have let it in."""
    whole = file("1.9", data_set("1.9"))
    start = whole.index(b"\x20\0\x0e\0")
    return whole[:start] + whole[start + 16 :]


def test_what_is_in_quarantine_is_told_with_its_study_and_the_command_until_it_is_deleted(
    ward: CataloguerFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ward.receive(unreadable())
    (kept,) = ward.storage.quarantine.listed()
    told = Told(tmp_path, capsys)
    text = " ".join(told("1.2.3").split())
    assert "an image of study 1.2.3 from CT01 lies in quarantine since" in text
    assert f"`scripts/quarantine show {kept.name}`" in text
    assert told.json("1.2.3")[0]["refused"][0]["quarantine"] == kept.name
    assert f"quarantine show {kept.name}" in command(tmp_path, capsys)[1]
    with pytest.raises(SystemExit):
        main(["quarantine", "delete", kept.name, "--why", "a phantom", "--config", str(tmp_path / "router.toml")])
    assert "no delivery, exam, study or file" in told("1.2.3")


def test_an_exam_without_images_names_the_one_that_is_in_quarantine(clinic: ExamWorkflow, told: Told) -> None:
    fields = {"folder": "20260301T093000-poison", "calling_ae": "CT01"}
    clinic.bus.record(Event(clinic.clock.now(), Kind.QUARANTINED, "set apart", study_uid=STUDY, fields=fields))
    clinic.ris(**EXAM)
    clinic.later(hours=3)
    assert "`scripts/quarantine show 20260301T093000-poison`" in told(E1)
    assert ROUTED not in told(E1)
    assert missing(clinic) == ["no image of this approved exam has come; an image of it is in quarantine: set apart"]


# -- the command


def test_the_command_lists_senders_with_their_causes_within_eighty_columns(
    clinic: ExamWorkflow, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.cli.options.SystemClock", lambda: clinic.clock)
    assert "nothing was refused since" in command(tmp_path, capsys)[1]
    refuse(clinic, replace(NO_ROOM, calling_ae="A" * 16, address="100.100.100.100"), times=120)
    clinic.clock.advance(600)
    refuse(clinic, replace(NOT_A_SENDER, calling_ae="EVIL\x1b[2J", why=Why.CALLED, called_ae="ROUTR"))
    _, text = command(tmp_path, capsys)
    table, causes = text.split("\n\n")
    assert all(len(line) <= 80 for line in table.splitlines())
    assert [line.split()[:5] for line in table.splitlines()] == [
        ["From", "Address", "Why", "Times", "Studies"],
        [r"EVIL\x1b[2J", "10.1.2.4", "called-title", "1", "0"],
        ["A" * 16, "100.100.100.100", "A700", "120", "1"],
    ]
    assert "called-title: it calls ROUTR, which is not [receive] ae_title" in causes
    rows = json.loads(command(tmp_path, capsys, "--json")[1])
    assert [(row["ae_title"], row["study"], row["times"], row["why"]) for row in rows] == [
        ("EVIL\x1b[2J", None, 1, "called-title"), ("A" * 16, STUDY, 120, "A700"),
    ]  # fmt: skip
    clinic.clock.advance(8 * 86400)
    assert json.loads(command(tmp_path, capsys, "--json")[1]) == []
    assert len(json.loads(command(tmp_path, capsys, "--json", "--since", "9d")[1])) == 2


def test_a_person_dismisses_a_sender_by_its_title_or_address_and_that_is_recorded(
    clinic: ExamWorkflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(clinic, NOT_A_SENDER)
    watch = RefusalWatch(clinic.config, clinic.catalogue, clinic.bus, clinic.clock)
    watch.step(news=True)
    (one,) = clinic.catalogue.refusals.senders()
    assert clinic.catalogue.alarms.stands(Alarm.REFUSED_SENDER, subject_of(one))
    assert command(tmp_path, capsys, "--dismiss", "PACS2")[0] == 2
    assert command(tmp_path, capsys, "--dismiss", "PACS3", "--why", "x")[0] == 1
    code, text = command(tmp_path, capsys, "--dismiss", "PACS2", "--why", "an old one", "--who", "li")
    assert (code, text) == (0, "dismissed: PACS2 (10.1.2.4)\n")
    assert not clinic.catalogue.alarms.stands(Alarm.REFUSED_SENDER, subject_of(one))
    watch.step(news=True)
    assert not clinic.catalogue.alarms.stands(Alarm.REFUSED_SENDER, subject_of(one))
    rows: Any = clinic.catalogue.engine.execute("SELECT kind, who FROM event WHERE text LIKE '%an old one'", ())
    assert sorted(rows) == [("cleared", "li"), ("decided", "li")]
    text = command(tmp_path, capsys, "--since", "9999d")[1]
    assert "PACS2 (10.1.2.4): dismissed" in text
    assert "by li: an old one" in text
