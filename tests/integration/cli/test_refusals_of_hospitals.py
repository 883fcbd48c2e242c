"""Whose refusals, and whose things in quarantine: by command, at the console and in the alarms of refused senders."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from router.alarms import Alarm
from router.catalogue.node.refusals import ASSOCIATIONS, Batch, RefusalCount, RefusedSender
from router.clock import FakeClock, SystemClock
from router.events import Event, Kind
from router.policy.attention import Cause
from router.policy.roles import Role
from router.refusals import Why
from router.review.explain import Provenance
from router.storage import open_storage
from router.upkeep.refusals import RefusalWatch
from support.catalogue_rows import instance
from support.harness import command_here
from support.hospital_console import Town
from support.hospital_rows import District

# The calling AE title, its address and the study; whose it is is in the name of the title.
REFUSED = [
    ("RENMIN", "10.1.1.5", ""),  # its sender
    ("NEW", "10.1.1.9", ""),  # from an address of its own
    ("XIEHE", "10.9.9.9", ""),  # by its title alone
    ("PACS", "10.1.1.1", "1.2.9"),  # the shared PACS, with a study that xiehe's sender brought before
    ("PACS", "10.1.1.1", "1.2.8"),
    ("LAPTOP", "10.8.8.8", ""),
]
OWNERS = {"renmin": ["NEW", "RENMIN"], "xiehe": ["PACS", "XIEHE"], "?": ["LAPTOP", "PACS"], "fuxing": []}


def entered(district: District) -> None:
    """Senders of two hospitals, a shared PACS, what was refused of each, and what is in quarantine."""
    hospitals = district.file.parent / "hospitals"
    for name, address in (("renmin", "10.1.1.0/24"), ("xiehe", "10.2.0.0/16")):
        path = hospitals / f"{name}.toml"
        sender = f'senders = [{{ ae_title = "{name.upper()}", address = "{address}" }}]\n'
        path.write_text(path.read_text(encoding="utf-8") + sender, encoding="utf-8")
    text = district.file.read_text(encoding="utf-8")
    shared = '[receive]\nsenders = [{ ae_title = "PACS", address = "10.1.1.1" }]\n'
    district.file.write_text(text.replace("[receive]\n", shared), encoding="utf-8")
    catalogue, now = district.catalogue, district.now
    catalogue.instances.add([instance(study="1.2.9")])
    catalogue.instances.note_hospitals({"1.2.9": ["xiehe"]}, now)
    said: dict[str, Any] = {"called": "ROUTER", "reason": "no", "first": now, "last": now, "count": 1}
    catalogue.refusals.write(Batch(
        counts=[
            RefusalCount(day=f"{now:%F}", calling=calling, address=address, why=Why.SENDER, study_uid=study, **said)
            for calling, address, study in REFUSED
        ],
        senders=[
            RefusedSender(kind=ASSOCIATIONS, calling=calling, address=address, why=Why.SENDER, untracked=0, **said)
            for calling, address, _ in REFUSED[:3]
        ],
    ))  # fmt: skip
    quarantine = open_storage(district.config.node.data, "node").quarantine
    for title, study in (("RENMIN", None), ("PACS", "1.2.9"), ("PACS", None)):
        place = quarantine.keep("1.dcm", b"bytes", now, "unreadable", "it is cut").name
        fields = {"folder": place, "calling_ae": title}
        catalogue.refusals.keep(Event(now, Kind.QUARANTINED, "it is cut", study_uid=study, fields=fields))


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Iterator[District]:
    found = District(tmp_path_factory.mktemp("district"), SystemClock().now())
    entered(found)
    yield found
    found.close()


def of_json(district: District, *words: str) -> Any:
    answer = command_here(*words, "--json", "--config", district.file)
    assert answer.returncode == 0, answer
    return json.loads(answer.stdout)


def test_refusals_are_listed_by_hospital_and_name_it(district: District) -> None:
    for name, titles in OWNERS.items():
        found = [one for one in of_json(district, "queue", "refused", "--hospital", name) if not one["quarantine"]]
        assert sorted(one["ae_title"] for one in found) == titles, name
        assert {one["hospital"] for one in found} <= {name.strip("?")}
    head, *rows = command_here("queue", "refused", "--config", district.file).stdout.splitlines()
    assert head.split()[:2] == ["From", "Hospital"]
    assert ["RENMIN", "renmin"] in [row.split()[:2] for row in rows]
    assert ["LAPTOP", "-"] in [row.split()[:2] for row in rows]


def test_quarantine_is_listed_by_hospital_and_names_it(district: District) -> None:
    for name in ("renmin", "xiehe", "?"):
        (one,) = of_json(district, "quarantine", "list", "--hospital", name)
        assert one["hospital"] == name.strip("?")
        assert "it is cut" in one["reason"]
    assert of_json(district, "quarantine", "list", "--hospital", "fuxing") == []
    lines = command_here("quarantine", "list", "--config", district.file).stdout.splitlines()
    assert sorted(line.split()[1] for line in lines) == ["-", "renmin", "xiehe"]
    answer = command_here("quarantine", "list", "--hospital", "nowhere", "--config", district.file)
    assert (answer.returncode, "no hospital is called nowhere" in answer.stderr) == (2, True)


def test_the_status_of_a_hospital_counts_what_is_listed_of_it_in_quarantine(district: District) -> None:
    for name, count in (("renmin", 1), ("xiehe", 1), ("?", 1), ("fuxing", 0), ("", 3)):
        words = ("--hospital", name) if name else ()
        found = json.loads(command_here("status", "--json", *words, "--config", district.file).stdout)
        waits = sum(one["count"] for one in found["attention"] if one["what"] == Cause.QUARANTINE)
        assert (found["quarantine"], found["for_a_person"]["quarantine"], waits) == (count, count, count), name
    (listed,) = [one for one in of_json(district, "queue", "list", "--attention") if one["what"] == Cause.QUARANTINE]
    assert listed["count"] == 3


def test_a_sender_of_another_hospital_is_not_dismissed_with_one_of_this(district: District) -> None:
    words = ("queue", "refused", "--dismiss", "XIEHE", "--why", "w", "--config", district.file)
    answer = command_here(*words, "--hospital", "renmin")
    assert (answer.returncode, "no sender of that AE title" in answer.stderr) == (1, True)


def test_the_alarm_of_a_refused_sender_is_its_hospitals(district: District) -> None:
    clock = FakeClock(district.now + timedelta(hours=1))
    RefusalWatch(district.config, district.catalogue, district.bus, clock).step(news=True)
    found = {one.subject: one.hospital for one in district.catalogue.alarms.of([Alarm.REFUSED_SENDER])}
    assert found["sender RENMIN (10.1.1.5)"] == "renmin"
    assert found["sender XIEHE (10.9.9.9)"] == "xiehe"


def test_what_another_hospitals_sender_was_refused_meanwhile_is_no_hint_about_an_exam(district: District) -> None:
    provenance = Provenance(district.catalogue, district.config)
    exam = district.delivery("renmin", "A1", 5)
    assert {one.calling for one in provenance.background(exam, []).hints} == {"RENMIN", "NEW", "LAPTOP", "PACS"}


def test_the_console_shows_refusals_of_one_hospital_and_of_the_readers_own(tmp_path: Path) -> None:
    town = Town(tmp_path, before=entered)
    titles = {calling for calling, _, _ in REFUSED}
    for hospital, mine in OWNERS.items():
        page = town.page("/refused", hospital=hospital)
        shown = set(re.findall(r"\b[A-Z]{3,6}\b", re.sub(r"<[^>]+>", " ", page))) & titles
        assert shown == set(mine), hospital
    assert ">renmin</span>" in town.page("/refused")
    town.log_in("li", Role.OPERATOR, ("renmin",))
    assert "XIEHE" not in town.page("/refused")
    town.district.close()
