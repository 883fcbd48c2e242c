"""DCMTK's storescu at the door of a running node: refusals are told by `explain`, are an alarm, and come to an end."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, dcmwrite

from router.catalogue import open_catalogue
from router.events import EventBus
from router.model import Channel
from router.policy.states import State
from support.dicom_peers import tool
from support.harness import Exam, Site, command_here, make_exam

IMAGES = (Channel.IMAGES,)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("refused"), stable_after="300 ms")
    try:
        site.configure()
        senders = ", ".join(f'{{ ae_title = "{title}" }}' for title in ("CT01", "CT02", "PACS"))
        configure(site, "[receive]", f'[receive]\nirregular = "refuse"\nsenders = [{senders}]')
        assert site.node.running
        yield site
    finally:
        site.stop()


def configure(site: Site, old: str, new: str) -> None:
    text = site.config_file.read_text(encoding="utf-8")
    assert old in text
    site.config_file.write_text(text.replace(old, new), encoding="utf-8")


def storescu(site: Site, *files: Path, title: str = "CT01", called: str = "ROUTER") -> bool:
    """Whether DCMTK says that all went well."""
    call = [tool("storescu"), "-to", "10", "-aet", title, "-aec", called, "127.0.0.1", str(site.port), *map(str, files)]
    return subprocess.run(call, capture_output=True, timeout=30, check=False).returncode == 0


def files(exam: Exam) -> list[Path]:
    return [file.path for file in exam.study.files]


def changed(path: Path, name: str) -> Path:
    """A copy without its Study Instance UID (`study`), or of which the pixel data is half there (`half`)."""
    dataset = dcmread(path)
    if name == "study":
        del dataset.StudyInstanceUID
    else:
        dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]
    copy = path.with_suffix(f".{name}")
    dcmwrite(copy, dataset)
    return copy


def alarms(site: Site) -> dict[tuple[str, str], str]:
    catalogue = open_catalogue("", site.data, EventBus())
    try:
        return {(one.alarm, one.subject): one.text for one in catalogue.alarms.standing()}
    finally:
        catalogue.engine.close_thread()


def wait_for_alarm(site: Site, alarm: str, title: str, *, standing: bool = True) -> None:
    key = alarm, f"sender {title} (127.0.0.1)"
    site.wait_until(lambda: (key in alarms(site)) == standing, f"{key} {'stands' if standing else 'is over'}")


def rows(site: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        command_here("queue", "refused", "--json", "--config", site.config_file).stdout
    )
    return found


def explained(site: Site, name: str) -> str:
    return " ".join(command_here("queue", "explain", name, "--config", site.config_file).stdout.split())


def report(site: Site, exam: Exam) -> None:
    """The RIS reports the exam, approved, of which no image is here."""
    site.drop(f"{exam.id}.json", exam.json())
    site.wait_until(lambda: bool(site.lines(exam.id)), "the exam is known")


@pytest.mark.parametrize(("number", "title", "called", "why"), [
    (1, "CT01", "ROUTR", "it calls ROUTR, which is not [receive] ae_title"),
    (2, "PACS2", "ROUTER", "its AE title and address are not in [receive] senders"),
])  # fmt: skip
def test_a_rejected_association_is_an_alarm_and_told_by_explain_over_a_restart_until_the_sender_stores(
    site: Site, number: int, title: str, called: str, why: str
) -> None:
    exam = make_exam(site, number, instances=2)
    for _ in range(3):
        assert not storescu(site, *files(exam), title=title, called=called)
    wait_for_alarm(site, "refused-sender", title)
    assert f"{title} (127.0.0.1) is refused: {why}" in alarms(site)["refused-sender", f"sender {title} (127.0.0.1)"]
    report(site, exam)
    told = [(3, called)]
    site.wait_until(lambda: [(row["times"], row["called"]) for row in rows(site) if row["ae_title"] == title] == told,
                    "each refusal is counted")  # fmt: skip
    if title == "CT01":
        assert site.node.stop() == 0
        assert site.node.running
        wait_for_alarm(site, "refused-sender", title)
    text = explained(site, exam.id)
    assert f"in that time this node refused 3 associations of {title} (127.0.0.1)" in text
    assert why in text
    assert "whether it was routed" not in text
    if title == "PACS2":
        configure(site, '{ ae_title = "PACS" }', '{ ae_title = "PACS" }, { ae_title = "PACS2" }')
        site.node.hang_up()
        site.wait_until(lambda: storescu(site, *files(exam), title=title), "the sender is let in")
    else:
        assert storescu(site, *files(exam), title=title)
    wait_for_alarm(site, "refused-sender", title, standing=False)
    site.wait_for(State.DELIVERED, exam.id, IMAGES)


def test_refused_images_are_an_alarm_and_told_by_explain_until_each_came_whole(site: Site) -> None:
    exam = make_exam(site, 3, instances=2)
    first, second = files(exam)
    storescu(site, changed(first, "study"), title="CT02")
    storescu(site, changed(second, "half"), title="CT02")
    site.wait_until(lambda: len([row for row in rows(site) if row["ae_title"] == "CT02"]) == 2, "both have rows")
    wait_for_alarm(site, "refused-images", "CT02")
    report(site, exam)
    uid = exam.study.uid
    for text in (explained(site, exam.id), explained(site, uid)):
        assert f"CT02 (127.0.0.1) offered images of study {uid} 1 time(s) at 20" in text
        assert "refused: C000, the data set is cut off: the pixel data has" in text
        assert "whether it was routed" not in text
    assert {(row["why"], row["study"]) for row in rows(site) if row["ae_title"] == "CT02"} == {
        ("A900", None), ("C000", uid),
    }  # fmt: skip
    assert storescu(site, first, title="CT02")
    site.wait_until(lambda: "images of it came after that" in explained(site, exam.id), "the first image is here")
    wait_for_alarm(site, "refused-images", "CT02")
    site.node.kill()
    assert site.node.running
    assert storescu(site, second, title="CT02")
    wait_for_alarm(site, "refused-images", "CT02", standing=False)
    site.wait_for(State.DELIVERED, exam.id, IMAGES)


def test_an_image_for_which_there_is_no_room_is_told_by_explain(site: Site) -> None:
    exam = make_exam(site, 4, instances=3)
    assert site.node.stop() == 0
    configure(site, 'min_free = "50 MiB"', 'min_free = "9000 TiB"')
    assert not storescu(site, *files(exam))
    site.wait_until(lambda: any(row["study"] == exam.study.uid for row in rows(site)), "the refusal has its row")
    report(site, exam)
    text = explained(site, exam.id)
    assert f"CT01 (127.0.0.1) offered images of study {exam.study.uid}" in text
    assert "refused: A700, no room: less than [receive] min_free is left make room" in text
    assert not [key for key in alarms(site) if key[0] == "refused-images"]
    assert site.node.stop() == 0
    configure(site, 'min_free = "9000 TiB"', 'min_free = "50 MiB"')
    assert storescu(site, *files(exam))
    site.wait_for(State.DELIVERED, exam.id, IMAGES)
