"""The contract of files that lie in the drop folder: one row a file and kind, under a number that comes once."""

import unicodedata
from dataclasses import replace
from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.exams.documents import TakenDocument
from router.catalogue.exams.files import FileKind, FolderFile, Lying
from router.model import SetAside
from support.catalogue_rows import NOW, bind, document, exam, key

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PLACE = SetAside(home="院区".encode(), place="rejected/张.json".encode("gb18030"), inode=2**64 - 1, size=7)


def lying(path: str = "a.json", kind: FileKind = FileKind.REJECTED, **more: object) -> Lying:
    return replace(Lying(kind=kind, path=path, why="json", text="not JSON", mark="1"), **more)  # type: ignore[arg-type]


def taken(catalogue: Catalogue, stem: str, kind: str = "pdf", number: int | None = None, digest: str = "d") -> int:
    found: TakenDocument = replace(document(kind, stem, digest), key=key() if kind == "json" else None)
    place = f"reports/x/{stem}.{kind}"
    return catalogue.exams.documents.add(found, place, number, 1 if number else None, NOW)


def names(found: list[FolderFile]) -> list[str]:
    return [one.found.path for one in found]


def test_a_file_comes_back_as_it_was_listed(catalogue: Catalogue) -> None:
    files, found = catalogue.exams.files, lying("院区/张.json", place=PLACE, branch="02", kept="x", exam=3)
    listed, new = files.enter(found, NOW)
    assert (new, listed.found, listed.since, listed.dismissed) == (True, found, NOW, None)
    assert files.open() == [listed]
    assert files.of_paths(FileKind.REJECTED, ["院区/张.json", "b"]) == [listed]
    assert files.of_paths(FileKind.OTHER, ["院区/张.json"]) == []


def test_the_same_file_again_keeps_its_number_and_a_changed_one_is_not_dismissed_any_more(catalogue: Catalogue) -> None:
    files = catalogue.exams.files
    first, _ = files.enter(lying(), NOW)
    files.dismiss([first.id], "wang", "known", NOW)
    same, new = files.enter(lying(text="still not JSON"), NOW + DAY)
    assert (same.id, new, same.since, same.dismissed, same.who) == (first.id, False, NOW, NOW, "wang")
    assert files.open() == []
    assert files.open(dismissed=True) == [same]
    changed, new = files.enter(lying(mark="2"), NOW + DAY)
    assert (changed.id, new, changed.since, changed.dismissed, changed.who) == (first.id, True, NOW + DAY, None, "")


def test_no_number_is_given_twice(catalogue: Catalogue) -> None:
    files = catalogue.exams.files
    first, _ = files.enter(lying(), NOW)
    files.end([first.id])
    second, _ = files.enter(lying("b.json"), NOW)
    assert second.id == first.id + 1


def test_a_scan_lists_what_it_found_and_nothing_else_and_counts_what_is_beyond(catalogue: Catalogue) -> None:
    files = catalogue.exams.files
    files.enter(lying(), NOW)
    found = [lying(f"{n:05}.doc", FileKind.OTHER) for n in range(1200)]
    files.keep(FileKind.OTHER, found, 5000, NOW)
    assert len(files.listed(FileKind.OTHER)) == 1000
    assert files.counts() == {"rejected": 1, "unclaimed": 0, "near": 0, "other": 5000}
    files.dismiss([one.id for one in files.listed(FileKind.OTHER)[:10]], "wang", "known", NOW)
    assert files.counts()[FileKind.OTHER] == 4990
    before = files.listed(FileKind.OTHER)
    files.keep(FileKind.OTHER, found, 5000, NOW + DAY)
    assert files.listed(FileKind.OTHER) == before
    files.keep(FileKind.OTHER, found[:2], 2, NOW + DAY)
    assert names(files.listed(FileKind.OTHER)) == ["00000.doc", "00001.doc"]
    files.keep(FileKind.OTHER, [], 0, NOW)
    assert files.counts() == {"rejected": 1, "unclaimed": 0, "near": 0, "other": 0}


def test_a_name_of_any_length_stays_one_file(catalogue: Catalogue) -> None:
    files = catalogue.exams.files
    found = [lying("检" * 5000 + ".doc", FileKind.OTHER)]
    for _ in range(2):
        files.keep(FileKind.OTHER, found, 1, NOW)
    (one,) = files.listed(FileKind.OTHER)
    assert one.id == 1


def test_a_file_is_named_by_number_path_name_or_nearly_its_name(catalogue: Catalogue) -> None:
    files = catalogue.exams.files
    numbers = [files.enter(lying(path), NOW)[0].id for path in ("in/A1.json", "B1.json", "in/B1.json", "José.json")]
    assert [one.id for one in files.named(f"f{numbers[0]}")] == numbers[:1]
    assert names(files.named("in/A1.json")) == names(files.named("A1.json")) == ["in/A1.json"]
    assert names(files.named("a1")) == names(files.named("A1 - 副本.PDF")) == ["in/A1.json"]
    assert names(files.named("B1.json")) == ["B1.json", "in/B1.json"]
    assert names(files.named(unicodedata.normalize("NFD", "José.json"))) == ["José.json"]
    for name in ("f99", "C1", "f", "fx", "%", "_1.json"):
        assert files.named(name) == []


def test_a_pdf_without_an_exam_is_unclaimed_once_its_time_is_over_and_until_an_exam_claims_it(
    catalogue: Catalogue,
) -> None:
    files, number = catalogue.exams.files, exam(catalogue)
    taken(catalogue, "a", digest="1")
    newest = taken(catalogue, "a", digest="2")
    taken(catalogue, "paired", number=number)
    taken(catalogue, "dicom:1.2.3")
    assert files.unclaimed(NOW - DAY, NOW - MINUTE, NOW - DAY, 9) == []
    assert files.unclaimed(NOW + MINUTE, NOW + DAY, NOW + DAY, 9) == []
    assert files.unclaimed(NOW - DAY, NOW, NOW - DAY, 9) == [(newest, "a")]
    assert [stem for _, stem in files.unclaimed(NOW - DAY, NOW, NOW, 9)] == ["a", "dicom:1.2.3"]
    files.enter(lying("a.pdf", FileKind.UNCLAIMED, document=newest), NOW)
    assert files.unclaimed(NOW - DAY, NOW, NOW - DAY, 9) == []
    assert files.claimed() == files.outlasted(NOW) == []
    assert names(files.outlasted(NOW + MINUTE)) == ["a.pdf"]
    bind(catalogue, newest, number)
    assert names(files.claimed()) == ["a.pdf"]


def test_a_pdf_whose_name_is_near_that_of_a_json_is_found_with_it(catalogue: Catalogue) -> None:
    files, number = catalogue.exams.files, exam(catalogue)
    taken(catalogue, "in/a1", "json", number)
    waiting = taken(catalogue, "in/A1 - 副本")
    taken(catalogue, "elsewhere/a1")
    taken(catalogue, "in/a2")
    ((document_, stem, partner),) = files.near_pdfs(9)
    assert (document_, stem, partner.name, partner.exam, partner.lacks) == (
        waiting, "in/A1 - 副本", "in/a1.json", number, True,
    )  # fmt: skip
    taken(catalogue, "in/a1", number=number)
    ((_, _, partner),) = files.near_pdfs(9)
    assert not partner.lacks


def test_documents_that_miss_their_partner_are_found_by_near_keys(catalogue: Catalogue) -> None:
    files = catalogue.exams.files
    lacks, whole = exam(catalogue, "E1"), exam(catalogue, "E2")
    taken(catalogue, "a1", "json", lacks)
    taken(catalogue, "a2", "json", whole)
    taken(catalogue, "a2", number=whole)
    taken(catalogue, "a3")
    found = files.lacking({"a1", "a2", "a3"})
    assert [(one.key, one.name, one.exam) for one in found] == [("a1", "a1.json", lacks), ("a3", "a3.pdf", None)]


def test_what_is_of_an_exam_is_found_by_its_number_and_by_near_names(catalogue: Catalogue) -> None:
    files, number = catalogue.exams.files, exam(catalogue, "EXAM77")
    taken(catalogue, "a1", "json", number)
    for path, of in (("A1.json", None), ("other.doc", number), ("b1.json", None)):
        files.enter(lying(path, exam=of), NOW)
    assert names(files.of_exam(number)) == ["A1.json", "other.doc"]
    assert (files.exams_of("a1"), files.exams_of("A1"), files.exams_of("A1", nearly=True)) == ([number], [], [number])
    assert files.exams_named(["EXAM77", "X"]) == [number]


def test_content_that_was_forgotten_is_not_remembered(catalogue: Catalogue) -> None:
    catalogue.exams.originals.remember("a.json", 1, 2, "bad")
    catalogue.exams.originals.remember("a.json", 3, 4, "good")
    catalogue.exams.originals.forget_seen("a.json", "bad")
    assert catalogue.exams.originals.remembered("a.json") == {(3, 4): "good"}
