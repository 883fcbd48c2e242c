"""The contract of PDFs by their names and of those that are needed once more."""

from dataclasses import replace

from router.catalogue import Catalogue
from router.catalogue.exams.exams import Chosen, ExamSnapshot
from router.intake.numbered import number_word
from router.matching.report_pdf.naming import bearer
from router.model import Channel, SetAside
from support.catalogue_rows import CLOUD, MINUTE, NOW, around_json, bind, described, document, key


def exam(catalogue: Catalogue, exam_id: str, accession: str) -> int:
    return described(catalogue, replace(key(accession), exam_id=exam_id))


def weighed(catalogue: Catalogue, exam_id: int, pdf: int) -> None:
    case: ExamSnapshot = catalogue.exams.case(exam_id)
    assert catalogue.exams.checked(case, None, None, "", Chosen(pdf=pdf, weighed=pdf))


def test_the_exams_with_a_number_are_known_by_exam_id_and_by_accession_number(catalogue: Catalogue) -> None:
    one, two = exam(catalogue, "N100", "N200"), exam(catalogue, "N200", "N300")
    found = catalogue.exams.pdf_names.bearers("N200")
    assert [(each.exam, each.exam_id, each.lacks) for each in found] == [(one, "N100", True), (two, "N200", True)]
    assert bearer("N200", frozenset({"N300"}), found) == two
    assert [each.exam for each in catalogue.exams.pdf_names.bearers("N300")] == [two]
    assert catalogue.exams.pdf_names.bearers("n300") == []


def test_an_exam_lacks_a_pdf_until_one_is_chosen_and_again_once_something_has_come_since(catalogue: Catalogue) -> None:
    number = exam(catalogue, "N100", "N200")
    pdf = catalogue.exams.documents.add(document(stem="a"), "p", number, 1, NOW)
    weighed(catalogue, number, pdf)
    (found,) = catalogue.exams.pdf_names.bearers("N200")
    assert not found.lacks
    catalogue.exams.documents.add(document("json", "b"), "q", number, 2, NOW)
    (found,) = catalogue.exams.pdf_names.bearers("N200")
    assert found.lacks


def test_pdfs_are_found_by_the_number_that_is_their_name_in_any_folder_but_those_of_the_exam(
    catalogue: Catalogue,
) -> None:
    number = exam(catalogue, "N100", "N200")
    words = frozenset({"nothing"})
    stems = ["N200", "2026/N200", "N2000"]
    top, below, _ = (
        catalogue.exams.documents.add(
            replace(document(stem=stem, digest=stem), words=words, names=number_word(stem)), f"p{n}", None, None, NOW
        )
        for n, stem in enumerate(stems)
    )  # fmt: skip
    mine = replace(key("N200"), exam_id="N100")
    found = around_json(catalogue, mine, numbers=["N200"])
    assert [(pdf.document, pdf.place, pdf.stem) for pdf in found.of_number] == [
        (top, "p0", "N200"), (below, "p1", "2026/N200")
    ]  # fmt: skip
    assert [pdf.said for pdf in found.of_number] == [words, words]
    assert found.bearers == {"N200": []}, "but for the exam itself"
    assert catalogue.exams.pdf_names.names_of(below) == {}
    bind(catalogue, top, number)
    assert [pdf.document for pdf in around_json(catalogue, mine, numbers=["N200"]).of_number] == [below]
    other = replace(mine, exam_id="N300")
    found = around_json(catalogue, other, numbers=["N200"])
    assert [(pdf.owner, pdf.owner_by_name) for pdf in found.of_number] == [(number, False), (None, False)]
    assert [bearer.exam for bearer in found.bearers["N200"]] == [number]
    catalogue.exams.documents.add(document("json", "N200"), "q", number, 2, NOW)
    assert around_json(catalogue, other, numbers=["N200"]).of_number[0].owner_by_name


def test_a_pdf_is_missed_while_its_exam_has_a_report_to_deliver_and_its_copy_is_removed(catalogue: Catalogue) -> None:
    number = exam(catalogue, "N100", "N200")
    json = catalogue.exams.documents.add(document("json", "a"), "reports/1/1/exam.hl7", number, 1, NOW)
    pdf = catalogue.exams.documents.add(
        replace(document(stem="a"), message=json), "reports/1/2/report.pdf", number, 2, NOW
    )
    weighed(catalogue, number, pdf)
    catalogue.queue.make(number, [(CLOUD, Channel.REPORT)], NOW)
    originals = catalogue.exams.originals
    assert originals.missed() == []
    assert originals.purged({number, number + 1}) == {}
    catalogue.engine.execute("UPDATE document SET purged = arrived WHERE kind = 'pdf'", ())
    (found,) = originals.missed()
    assert (found.document, found.exam, found.message) == (pdf, number, "reports/1/1/exam.hl7")
    assert originals.purged({number}) == {number: NOW}


def test_an_original_is_found_by_where_it_lies_the_newest_first(catalogue: Catalogue) -> None:
    originals = catalogue.exams.originals
    one = SetAside(home=b"", place="done/张三.pdf".encode(), inode=1, size=7)
    other = SetAside(home=b"north", place=b"done/b.pdf", inode=2, size=7)
    originals.note([one], NOW)
    originals.note([other], NOW + MINUTE)
    assert originals.lying([(one.home, one.place), (other.home, other.place), (b"", b"done/c.pdf")]) == [other, one]
    catalogue.exams.originals.remember("sub/a.PDF", 7, 12, "d1")
    assert originals.staying("d1") == [("sub/a.PDF", 7, 12)]
    assert originals.staying("d2") == []
