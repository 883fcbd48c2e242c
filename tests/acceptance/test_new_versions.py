"""An instance that comes again after it was sent: what goes again, what does not, and what waits for a person."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from router.dicom.dataset.header import digest
from router.matching.images.renewal import AS_SENT
from router.model import Channel
from router.policy.states import State
from router.trial.demo.studies import DemoFile
from support.harness import BOTH, Exam, Site, command_here, make_exam, send_all

IMAGES = (Channel.IMAGES,)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("new-versions"), stable_after="300 ms")
    try:
        yield site.start()
    finally:
        site.stop()


def delivered(site: Site, number: int, instances: int = 3) -> Exam:
    exam = make_exam(site, number, instances=instances)
    send_all(site.port, exam.study.files)
    site.report(exam)
    site.wait_for(State.DELIVERED, exam.id)
    return exam


def changed(folder: Path, files: Sequence[DemoFile], **values: object) -> list[DemoFile]:
    """Other versions of these files."""
    return [replace(file, path=_changed(folder, file.path, values)) for file in files]


def _changed(folder: Path, path: Path, values: dict[str, object]) -> Path:
    dataset = dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(folder / path.name)
    return folder / path.name


def ledger(site: Site, exam: Exam, version: int) -> list[dict[str, Any]]:
    """The rows of that version, as `queue explain` shows them."""
    answer = command_here("queue", "explain", exam.id, "--json", "--config", site.config_file)
    [story] = json.loads(answer.stdout)
    rows = [row for one in story["deliveries"] for row in one["ledger"]]
    return [row for row in rows if row["version"] == version]


def wait_for_version(site: Site, exam: Exam, version: int, state: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait until so many instances of that version are in that state in the ledger."""
    site.wait_until(
        lambda: [row["state"] for row in ledger(site, exam, version)] == [state] * count, f"{count} {state}"
    )
    return ledger(site, exam, version)


def requests(site: Site, exam: Exam) -> list[int]:
    """How often each instance was sent."""
    counted = site.stored_requests()
    return [counted[file.sop_instance] for file in exam.study.files]


def there(site: Site, exam: Exam, file: DemoFile) -> str:
    return digest(site.platform_data / "dicom" / exam.study.uid / file.series / f"{file.sop_instance}.dcm")


def release(site: Site, exam: Exam) -> None:
    images = f"d{site.line(exam.id, Channel.IMAGES).delivery.id}"
    why = ["--why", "the patient was registered again", "--config", site.config_file]
    assert command_here("queue", "release", images, "--yes", *why).returncode == 0


def test_what_matters_is_sent_again_and_the_rest_is_not(site: Site, tmp_path: Path) -> None:
    exam = delivered(site, 1)
    first, second, third = exam.study.files
    send_all(site.port, exam.study.files)
    send_all(site.port, changed(tmp_path, [first], SeriesDescription="corrected"))
    [row] = wait_for_version(site, exam, 2, "filtered")
    assert (row["instance"], row["rule"]) == (first.sop_instance, AS_SENT)
    assert AS_SENT in " ".join(command_here("queue", "explain", exam.id, "--config", site.config_file).stdout.split())
    assert site.is_in(State.DELIVERED, exam.id)

    [newer] = changed(tmp_path, [second], PixelData=dcmread(second.path).PixelData[::-1], ContentTime="235959")
    send_all(site.port, [newer])
    site.wait_until(lambda: requests(site, exam) == [1, 2, 1], "the changed pixels are sent again")
    site.wait_for(State.DELIVERED, exam.id, IMAGES)
    assert there(site, exam, second) == digest(newer.path)
    [row] = [row for row in ledger(site, exam, 2) if row["instance"] == second.sop_instance]
    assert row["rule"] == "class thin; sent before, differs in pixel data"

    send_all(site.port, changed(tmp_path, [third], Laterality="L"))
    site.wait_until(lambda: requests(site, exam) == [1, 2, 2], "so is another laterality")
    site.wait_for(State.DELIVERED, exam.id, BOTH)
    assert (requests(site, exam), len(site.receipts(exam.id))) == ([1, 2, 2], 1)


def test_a_version_that_names_another_patient_is_held_and_goes_when_a_person_releases_it(
    site: Site, tmp_path: Path
) -> None:
    exam = delivered(site, 2)
    first, second, _ = exam.study.files
    send_all(site.port, changed(tmp_path, [first, second], PatientName="Qian^Wu", PixelData=bytes(20000)))
    site.wait_for(State.HELD, exam.id, IMAGES)
    assert "names another patient or order than its version that was sent" in (
        site.line(exam.id, Channel.IMAGES).delivery.error
    )
    assert {row["rule"] for row in wait_for_version(site, exam, 2, "held", 2)} == {"contradicts what was sent in name"}
    assert requests(site, exam) == [1, 1, 1]
    assert site.log.count("was already delivered, and now: newer version") == 1
    pixels = bytes(range(200)) * 100
    [latest] = changed(tmp_path, [first], PatientName="Qian^Wu", PixelData=pixels, ContentTime="235959")
    send_all(site.port, [latest])
    wait_for_version(site, exam, 3, "held")
    release(site, exam)
    site.wait_for(State.DELIVERED, exam.id)
    assert requests(site, exam) == [2, 2, 1]
    assert there(site, exam, first) == digest(latest.path)
    assert "Qian" not in site.log


def test_a_patient_who_is_corrected_everywhere_is_held_until_a_person_releases_the_images(
    site: Site, tmp_path: Path
) -> None:
    exam = delivered(site, 3, instances=2)
    newer = changed(tmp_path, exam.study.files, PatientID="PAT7183-CORRECT")
    send_all(site.port, newer[:1])
    site.wait_for(State.HELD, exam.id, IMAGES)
    release(site, exam)
    site.wait_until(
        lambda: "differs from the exam in patient id" in site.line(exam.id, Channel.IMAGES).delivery.error,
        "report and images contradict each other, and no release helps",
    )
    send_all(site.port, newer[1:])
    # The release may have been in time for the first one alone, which then waits as selected.
    site.wait_until(lambda: [row["state"] for row in ledger(site, exam, 2)][1:] == ["held"], "the second is held")
    site.drop(f"{exam.id}.json", exam.json(Patient__PatientId="PAT7183-CORRECT", minutes_ago=25))
    site.drop(f"{exam.id}.pdf", exam.pdf(site.folder, impression="更正。"))
    site.wait_until(
        lambda: "newer version" in site.line(exam.id, Channel.IMAGES).delivery.error, "they agree with each other now"
    )
    assert site.is_in(State.HELD, exam.id)
    assert (requests(site, exam), len(site.receipts(exam.id))) == ([1, 1], 1)
    release(site, exam)
    site.wait_for(State.DELIVERED, exam.id)
    assert (requests(site, exam), len(site.receipts(exam.id))) == ([2, 2], 2)
    assert [there(site, exam, file) for file in newer] == [digest(file.path) for file in newer]
    assert "PAT7183" not in site.log
