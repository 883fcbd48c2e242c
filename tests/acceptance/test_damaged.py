"""What a disk changed after it was taken: never confirmed by the platform, told, and put right by what comes again."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router.dicom.dataset.header import digest
from router.model import Channel
from router.policy.states import State
from support.harness import BOTH, Exam, Site, command_here, make_exam, send_all

IMAGES, REPORT = (Channel.IMAGES,), (Channel.REPORT,)
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("damaged"), stable_after="300 ms")
    try:
        yield site.start()
    finally:
        site.stop()


def flip(path: Path, at: int) -> None:
    """One bit, `at` bytes from the start, or before the end."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def flip_name(path: Path) -> None:
    flip(path, path.read_bytes().index(b"Zhouzhou") + 2)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10240])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0\0")


DAMAGES: dict[str, Damage] = {
    "a pixel's bit": lambda path: flip(path, -1000),
    "the last bit": lambda path: flip(path, -1),
    "a name's bit": flip_name,
    "cut by 10 KB": cut,
    "grown": grow,
    "emptied": lambda path: path.write_bytes(b""),
    "gone": Path.unlink,
}


def stored(site: Site, exam: Exam) -> list[Path]:
    return sorted((site.data / "studies" / exam.study.uid).rglob("*.dcm"))


def alarms(site: Site) -> list[str]:
    answer = command_here("status", "--json", "--config", site.config_file)
    return [alarm["about"] for alarm in json.loads(answer.stdout)["alarms"] if alarm["alarm"] == "damaged"]


def received(site: Site, number: int, side: int = 100) -> Exam:
    exam = make_exam(site, number, instances=3, side=side)
    send_all(site.port, exam.study.files)
    site.wait_until(lambda: len(stored(site, exam)) == 3, "3 images are filed")
    return exam


@pytest.mark.parametrize("side", [100, 900], ids=["20 KB", "1.6 MB"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_image_is_never_confirmed_and_the_rest_goes(site: Site, damage: str, side: int) -> None:
    exam = received(site, 100 + 10 * list(DAMAGES).index(damage) + side // 900, side)
    broken = stored(site, exam)[1]
    DAMAGES[damage](broken)
    site.report(exam)
    site.wait_for(State.FAILED, exam.id, IMAGES)
    assert site.line(exam.id, Channel.IMAGES).delivery.error == "1 of 3 damaged"
    there = {path.stem: digest(path) for path in (site.platform_data / "dicom" / exam.study.uid).rglob("*.dcm")}
    assert there == {f.sop_instance: digest(f.path) for f in exam.study.files if f.sop_instance != broken.stem}
    assert broken.stem not in site.stored_requests()
    assert f"study {exam.study.uid}" in alarms(site)

    send_all(site.port, exam.study.files)  # the PACS sends the study once more
    site.wait_for(State.DELIVERED, exam.id)
    site.assert_images_equal(exam.study)
    assert all(count == 1 for uid, count in site.stored_requests().items() if uid.startswith(exam.study.uid + "."))


def documents(site: Site, exam: Exam, name: str) -> list[Path]:
    number = site.line(exam.id, Channel.REPORT).delivery.exam
    return sorted((site.data / "reports" / str(number)).glob(name))


@pytest.mark.parametrize(("number", "kind", "name"), [(1, "pdf", "report.pdf"), (2, "json", "exam.json")])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_changed_document_holds_the_report_only_until_it_is_dropped_again(
    site: Site, number: int, kind: str, name: str, restarted: bool
) -> None:
    exam = make_exam(site, number + 10 * restarted, instances=3)
    site.report(exam)
    site.wait_for(State.WAITING, exam.id, REPORT)
    site.wait_until(lambda: "pdf" not in " ".join(site.line(exam.id, Channel.REPORT).delivery.waiting_for), "paired")
    [path] = documents(site, exam, f"*/{name}")
    if restarted:
        site.node.stop()
    if kind == "pdf":
        flip(path, 300)
    else:
        change_text(path)
    send_all(site.port, exam.study.files)
    site.wait_for(State.HELD, exam.id, REPORT)
    site.wait_for(State.DELIVERED, exam.id, IMAGES)
    delivery = site.line(exam.id, Channel.REPORT).delivery
    assert delivery.held_by == "damaged"
    assert "is not what came" in delivery.error
    assert not site.exam_at_platform(exam.id).exists()
    site.wait_until(lambda: f"e{delivery.exam}" in alarms(site), "the alarm is raised")

    site.drop(f"{exam.id}.{kind}", exam.json() if kind == "json" else pdf_as_dropped(site, exam))
    site.wait_for(State.DELIVERED, exam.id, BOTH)
    assert len(site.receipts(exam.id)) == 1
    site.wait_until(lambda: f"e{delivery.exam}" not in alarms(site), "the alarm is cleared")


def change_text(path: Path) -> None:
    """Another value of a field by which nothing is joined."""
    data = path.read_bytes()
    at = data.index(b"Impression") + 20
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def pdf_as_dropped(site: Site, exam: Exam) -> bytes:
    return (site.drop_folder / "done" / f"{exam.id}.pdf").read_bytes()


def test_a_json_that_tells_another_patient_holds_everything(site: Site) -> None:
    exam = make_exam(site, 30, instances=3)
    site.report(exam)
    site.wait_for(State.WAITING, exam.id)
    [path] = documents(site, exam, "*/exam.json")
    site.node.stop()
    path.write_bytes(path.read_bytes().replace("周".encode(), "王".encode()))
    send_all(site.port, exam.study.files)
    site.wait_for(State.HELD, exam.id)
    assert site.has_nothing_of(exam)
    site.drop(f"{exam.id}.json", exam.json())
    site.wait_for(State.DELIVERED, exam.id)


@pytest.mark.parametrize(("number", "name"), [(40, "exam.json"), (41, "report.pdf")])
def test_what_was_frozen_and_changed_afterwards_does_not_go(site: Site, number: int, name: str) -> None:
    site.platform.kill()
    exam = received(site, number)
    site.report(exam)
    site.wait_for(State.READY, exam.id, REPORT)
    site.wait_until(lambda: bool(documents(site, exam, "sent/*/1/exam.json")), "it is frozen")
    [path] = documents(site, exam, "sent/*/1/exam.json" if name == "exam.json" else "*/report.pdf")
    flip(path, 300)
    assert site.platform.running
    site.wait_for(State.HELD, exam.id, REPORT, seconds=60)
    assert not site.exam_at_platform(exam.id).exists()
    if name == "exam.json":
        command_here(
            "queue", "release", exam.id, "--yes", "--why", "the disk was replaced", "--config", site.config_file
        )
    else:
        site.drop(f"{exam.id}.pdf", pdf_as_dropped(site, exam))
    site.wait_for(State.DELIVERED, exam.id, REPORT)
    assert len(site.receipts(exam.id)) == 1
