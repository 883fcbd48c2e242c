"""The contract of exams, their documents and their studies."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from router.catalogue import Catalogue
from router.catalogue.exams.exam_rows import Description, description
from router.catalogue.exams.filing import Filing
from router.catalogue.exams.links import OverlappingExam
from router.catalogue.exams.snapshots import WaitingPdf
from router.catalogue.node.restore import Restore
from router.matching.exam.versions import JsonVersion, PdfVersion
from support.catalogue_rows import (
    MINUTE,
    NOW,
    around_json,
    around_pdf,
    at_once,
    bind,
    document,
    exam,
    instance,
    key,
    place_of,
)

TRAPS = ("1", "12", "21", "%", "_", '"', "'", "\\", 'a"1', "a", "A", "1%", "['1']", '","', "号")


def test_an_exam_has_one_number_per_branch_and_exam_id(catalogue: Catalogue) -> None:
    number = catalogue.exams.number_of("", "01", "E1", NOW)
    assert catalogue.exams.number_of("", "01", "E1", NOW + MINUTE) == number
    assert (
        len({number, catalogue.exams.number_of("", "02", "E1", NOW), catalogue.exams.number_of("", "01", "e1", NOW)})
        == 3
    )


LONG = "".join(random.Random(1).choices("0123456789abcdef", k=12_000))  # nothing that an index compresses


def test_keys_of_any_length_are_kept_and_found_again_and_stop_nothing(catalogue: Catalogue) -> None:
    """One that no index took would come again and again, and keep everything else waiting."""
    number = catalogue.exams.number_of("", LONG, LONG, NOW)
    assert catalogue.exams.number_of("", LONG, LONG, NOW) == number
    assert catalogue.exams.number_of("", LONG, f"{LONG}1", NOW) != number
    assert catalogue.exams.describe(number, key(LONG))
    referring = instance(1, accession=LONG, others=(f"{LONG}1",))
    catalogue.instances.add([replace(referring, header=replace(referring.header, references=(LONG,)))])
    assert [study.uid for study in catalogue.exams.links.candidates(LONG)] == ["1.2"]
    taken = replace(document(stem=LONG), words=frozenset({LONG, "E1"}))
    catalogue.exams.documents.add(taken, "p", None, None, NOW)
    assert around_pdf(catalogue, LONG).seen
    catalogue.exams.originals.remember(LONG, 1, 2, "d1")
    assert catalogue.exams.originals.remembered(LONG) == {(1, 2): "d1"}


def test_an_exam_that_lists_thousands_of_studies_is_joined_as_any_other(catalogue: Catalogue) -> None:
    uids = [f"1.2.{n}" for n in range(16_000)]
    assert catalogue.exams.links.link(exam(catalogue), uids, "listed", NOW) == uids


def test_many_threads_that_meet_a_new_exam_agree_on_its_number(catalogue: Catalogue) -> None:
    jobs = [lambda: [catalogue.exams.number_of("", "01", f"E{n}", NOW) for n in range(5)] for _ in range(6)]
    answers = at_once(catalogue, jobs)
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0])) == 5


def test_no_intake_revision_is_given_twice(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    answers = at_once(catalogue, [lambda: [catalogue.exams.next_revision(number) for _ in range(4)]] * 5)
    assert sorted(n for answer in answers for n in answer) == list(range(1, 21))


def test_a_number_that_a_rebuild_entered_is_not_given_to_the_next_exam(catalogue: Catalogue) -> None:
    restore = Restore(catalogue.engine)
    assert restore.exam(7, "", "01", "OLD", NOW) == 7
    assert restore.exam(9, "", "01", "OLD", NOW) == 7
    assert catalogue.exams.number_of("", "01", "NEW", NOW) == 8
    restore.revision(7, 4)
    restore.revision(7, 2)
    assert catalogue.exams.next_revision(7) == 5
    assert (restore.has_exam(8), restore.has_exam(9)) == (True, False)


def test_the_very_same_file_is_seen_and_any_other_is_not(catalogue: Catalogue) -> None:
    catalogue.exams.documents.add(document(), "p", None, None, NOW)
    later = NOW + timedelta(microseconds=1)
    same = [around_pdf(catalogue), around_pdf(catalogue, since=NOW - MINUTE)]
    others = [around_pdf(catalogue, "in/E1"), around_pdf(catalogue, digest="d2"), around_pdf(catalogue, since=later)]
    assert [found.seen for found in (*same, *others)] == [True, True, False, False, False]
    assert not around_json(catalogue, key()).seen


def test_documents_come_back_in_the_case_with_their_times_to_the_microsecond(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    taken = replace(document("json", digest="j1"), key=key(), content="c", reported="r")
    json = catalogue.exams.documents.add(taken, "reports/1/1/exam.json", number, 1, NOW)
    pdf = catalogue.exams.documents.add(document(), "reports/1/2/report.pdf", number, 2, NOW)
    case = catalogue.exams.case(number)
    assert case.jsons == (
        JsonVersion(
            document=json,
            arrived=NOW,
            file_time=NOW,
            submit_time=NOW - MINUTE,
            approve_time=NOW,
            approved=True,
            content="c",
            reported="r",
            stem="in/e1",
        ),
    )
    assert case.pdfs == (PdfVersion(document=pdf, arrived=NOW, file_time=NOW, stem="in/e1", vouched=True),)
    assert case.places == {json: "reports/1/1/exam.json", pdf: "reports/1/2/report.pdf"}
    assert Restore(catalogue.engine).places() == set(case.places.values())


def test_an_instant_without_a_zone_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match="time zone"):
        catalogue.exams.number_of("", "01", "E1", NOW.replace(tzinfo=None))


def test_a_pdf_without_exam_waits_until_it_is_bound(catalogue: Catalogue) -> None:
    first, second = (
        catalogue.exams.filings.write(Filing(enters=document(stem=stem)), place_of, NOW) for stem in ("in/e1", "in/e2")
    )
    assert [(one.exam, one.place) for one in (first, second)] == [
        (None, f"reports/unpaired/{one.document}/pdf") for one in (first, second)
    ]
    waiting = WaitingPdf(
        document=first.document or 0, place=first.place, stem="in/e1", vouched=True, said=frozenset()
    )  # fmt: skip
    assert around_json(catalogue, key()).of_name == [waiting]
    assert around_pdf(catalogue).waits
    number = exam(catalogue)
    catalogue.exams.checked(catalogue.exams.case(number), None, None, "")
    bound = bind(catalogue, waiting.document, number)
    assert around_json(catalogue, key()).of_name == []
    assert not around_pdf(catalogue).waits
    assert catalogue.exams.case(number).places == {waiting.document: bound.bound[0][1]}
    assert catalogue.exams.to_check(NOW, 9) == [number]


def test_a_pdf_of_another_exam_comes_with_what_speaks_for_that_one(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E100")
    taken = replace(document(), words=frozenset({"张三"}))
    pdf = catalogue.exams.documents.add(taken, "p", number, 1, NOW)
    (found,) = around_json(catalogue, key()).of_name
    assert (found.document, found.owner, found.owner_words) == (pdf, number, frozenset({"E100"}))
    assert (found.said, found.owner_by_name, found.sent) == (frozenset({"张三"}), False, {})
    catalogue.exams.documents.add(document("json"), "q", number, 2, NOW)
    assert around_json(catalogue, replace(key(), exam_id="E100")).of_name == [], "the exam's own"


def test_the_exam_of_a_json_is_described_before_anything_is_decided(catalogue: Catalogue) -> None:
    assert around_json(catalogue, key()).exam is None
    number = catalogue.exams.number_of("", "01", "E1", NOW, description(key()))
    json = catalogue.exams.documents.add(replace(document("json", digest="j1"), key=key()), "p", number, 1, NOW)
    found = around_json(catalogue, key())
    assert (found.exam, found.described, found.lacks) == (number, Description("A1", "张三", "P1"), True)
    assert [(version.document, digest) for version, digest in found.jsons] == [(json, "j1")]


def test_a_taken_place_is_left_alone(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    places = iter(["", "", "free"])
    filed = catalogue.exams.filings.write(Filing(exam=number, enters=document()), lambda *_: next(places), NOW)
    assert (filed.revision, filed.place) == (3, "free")


def test_the_last_document_of_a_name_and_kind_counts(catalogue: Catalogue) -> None:
    one, other = exam(catalogue, "E1"), exam(catalogue, "E2")
    for digest, number in (("j1", one), ("j2", other)):
        catalogue.exams.documents.add(document("json", digest=digest), digest, number, 1, NOW)
    assert catalogue.exams.documents.exams_of_stem("in/e1") == [other, one]
    assert catalogue.exams.documents.exams_of_stem("in/e") == []
    catalogue.exams.documents.add(document(digest="p1"), "p1", one, 2, NOW)
    catalogue.exams.documents.add(document(digest="p2"), "p2", one, 3, NOW)
    assert [(found.exam, found.latest) for found in around_pdf(catalogue).of_name] == [(other, ""), (one, "p2")]


def test_a_document_is_marked_stale_once(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    documents = [catalogue.exams.documents.add(document("json", digest=d), d, number, 1, NOW) for d in ("j1", "j2")]
    assert catalogue.exams.documents.mark_stale(documents[:1]) == documents[:1]
    assert catalogue.exams.documents.mark_stale(documents) == documents[1:]
    assert catalogue.exams.documents.mark_stale([]) == []


def test_an_exam_is_found_by_what_names_it_alone(catalogue: Catalogue) -> None:
    one, other = exam(catalogue, "E1", "1.2", "1.3"), exam(catalogue, "E2", "1.3")
    catalogue.exams.describe(one, key("A1"))
    catalogue.exams.describe(other, key("A1"))
    catalogue.exams.documents.add(document("json", "2026/e_1"), "p", one, 1, NOW)
    named = catalogue.exams.named_by
    names = {"accession": "A1", "study_uid": "1.2", "exam_id": "E9"}
    assert list(named(names).items()) == [("exam_id", []), ("study_uid", [one]), ("accession", [one, other])]
    assert named({"exam_id": "E1", "study_uid": ""}) == {"exam_id": [one]}
    assert named({"study_uid": "1.3", "accession": "A1"}, one) == {"study_uid": [other], "accession": [other]}
    assert [catalogue.exams.find(name) for name in ("E2", "1.2", "e_1.pdf", "2026/e_1", "ex1", "%", "")] == [
        [other], [one], [one], [one], [], [], []
    ]  # fmt: skip
    assert sorted(catalogue.exams.find("1.3")) == [one, other]
    assert catalogue.exams.names([one, other, 99]) == {one: "E1", other: "E2"}
    assert catalogue.exams.pdf_names.identifiers(one) == {"张三"}


def test_describing_an_exam_tells_whether_anything_is_new(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    news = [catalogue.exams.describe(number, k) for k in (key(), key(), key("A2"), key("A2", patient_id="P2"))]
    assert news == [True, False, True, True]


def test_links_are_made_once_and_keep_the_key_that_joined_first(catalogue: Catalogue) -> None:
    number = catalogue.exams.number_of("", "01", "E1", NOW)
    assert catalogue.exams.links.link(number, ["1.2", "1.2", "1.3"], "listed", NOW) == ["1.2", "1.3"]
    assert catalogue.exams.links.link(number, ["1.3", "1.4"], "accession", NOW) == ["1.4"]
    catalogue.exams.links.unlink(number, ["1.2", "9.9"])
    assert catalogue.exams.case(number).links == {"1.3": "listed", "1.4": "accession"}


def test_joining_a_study_has_the_other_exams_that_share_it_evaluated(catalogue: Catalogue) -> None:
    one, other, none = exam(catalogue, "E1", "1.2"), exam(catalogue, "E2"), exam(catalogue, "E3", "1.3")
    for number in (one, other, none):
        catalogue.exams.checked(catalogue.exams.case(number), None, None, "")
    catalogue.exams.describe(one, key("A5", patient_id="P5"))
    catalogue.exams.links.link(other, ["1.2"], "accession", NOW)
    assert catalogue.exams.to_check(NOW, 9) == [one]
    assert catalogue.exams.case(other).siblings == (
        OverlappingExam(
            exam=one, accession_number="A5", patient_id="P5", patient_name="张三", study_uid="1.2", approved=False
        ),
    )  # fmt: skip
    assert catalogue.exams.case(none).siblings == ()


def test_two_threads_may_join_the_same_studies(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    uids = [f"1.{n}" for n in range(20)]
    answers = at_once(catalogue, [lambda: catalogue.exams.links.link(number, uids, "listed", NOW)] * 4)
    assert set(catalogue.exams.case(number).links) == set(uids)
    assert {uid for answer in answers for uid in answer} == set(uids)


def test_a_case_holds_studies_that_are_here_and_links_to_those_to_come(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2", "1.3")
    catalogue.instances.add([instance(1), instance(2)])
    case = catalogue.exams.case(number)
    assert (case.exam, case.branch, case.exam_id, case.doubt) == (number, "01", "E1", "")
    assert case.links == {"1.2": "listed", "1.3": "listed"}
    assert {uid: study.instances for uid, study in case.studies.items()} == {"1.2": 2}


def test_a_case_is_one_view_whatever_is_written_meanwhile(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    with catalogue.engine.read():
        before = catalogue.exams.next_check(), catalogue.exams.case(number).pdfs
        at_once(catalogue, [lambda: catalogue.exams.documents.add(document(), "p", number, 1, NOW + MINUTE)])
        assert (catalogue.exams.next_check(), catalogue.exams.case(number).pdfs) == before
    assert len(catalogue.exams.case(number).pdfs) == 1


def test_candidates_name_the_very_accession_number(catalogue: Catalogue) -> None:
    for position, number in enumerate(TRAPS):
        accession, others = (number, ()) if position % 2 else ("", (number, f"{number}{number}0"))
        catalogue.instances.add([instance(1, f"1.{position}", accession=accession, others=others)])
    for position, number in enumerate(TRAPS):
        assert [study.uid for study in catalogue.exams.links.candidates(number)] == [f"1.{position}"], number
    assert catalogue.exams.links.candidates("") == []


def test_more_studies_than_one_statement_asks_for_are_found_linked_and_unlinked(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.instances.add([instance(1, f"1.{n}", accession="0") for n in range(5)])
    monkeypatch.setattr("router.catalogue.db.engine._AT_ONCE", 2)
    assert len(catalogue.exams.links.candidates("0")) == 5
    one, other = exam(catalogue, "E1", *(f"1.{n}" for n in range(5))), exam(catalogue, "E2", "1.4")
    assert (len(catalogue.exams.case(one).studies), len(catalogue.exams.case(one).siblings)) == (5, 1)
    catalogue.exams.links.unlink(one, [f"1.{n}" for n in range(5)])
    assert catalogue.exams.case(one).links == {}
    catalogue.exams.request_evaluation([one, other], NOW - MINUTE)
    assert sorted(catalogue.exams.to_check(NOW - MINUTE, 9)) == [one, other]


def test_exams_are_evaluated_longest_waiting_first_and_not_before_their_time(catalogue: Catalogue) -> None:
    late, early, future, closed = (exam(catalogue, name) for name in ("LATE", "EARLY", "FUTURE", "CLOSED"))
    assert catalogue.exams.next_check() is None
    catalogue.exams.request_evaluation([late], NOW)
    catalogue.exams.request_evaluation([early], NOW - MINUTE)
    catalogue.exams.request_evaluation([future, closed], NOW)
    catalogue.exams.postpone(future, NOW + MINUTE)
    assert catalogue.exams.checked(catalogue.exams.case(closed), None, NOW, "a doubt")
    assert catalogue.exams.to_check(NOW, 9) == [early, late]
    assert catalogue.exams.to_check(NOW, 1) == [early]
    assert catalogue.exams.next_check() == NOW - MINUTE
    assert catalogue.exams.case(closed).doubt == "a doubt"


def test_an_exam_that_was_touched_during_its_evaluation_is_evaluated_again(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    case = catalogue.exams.case(number)
    catalogue.exams.request_evaluation([number], NOW)
    assert not catalogue.exams.checked(case, None, None, "")
    assert catalogue.exams.to_check(NOW, 9) == [number]
    assert catalogue.exams.checked(catalogue.exams.case(number), None, None, "")
    assert catalogue.exams.to_check(NOW, 9) == []


def test_no_touch_is_lost_among_threads(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    before = catalogue.exams.case(number).touched
    at_once(catalogue, [lambda: catalogue.exams.request_evaluation([number], NOW)] * 8)
    assert catalogue.exams.case(number).touched == before + 8
