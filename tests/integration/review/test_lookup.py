"""Names of things: a word means one exam or delivery, or it is refused with the forms that fit one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.cli import main
from router.errors import InvalidData, WrongUse
from router.events import Kind
from router.reports.pdf.reader import Readers
from router.review.lookup import ExamId, Lookup
from support.exam_workflow import CLOUD, WANG, ExamWorkflow
from support.intake_folder import CONFIG, E1

STUDY = "1.2.3"


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    """Exam e1 has deliveries d1 and d2, e2 is called "E1" by its RIS, e3 "700", e4 "D2"."""
    made = ExamWorkflow(tmp_path, readers)
    for exam_id in (E1, "E1", "700", "D2"):
        made.ris(exam_id, Study__StudyInstanceUIDs=[f"1.2.{len(exam_id)}{ord(exam_id[0])}"])
    yield made
    made.catalogue.engine.close_thread()


@pytest.fixture
def lookup(clinic: ExamWorkflow) -> Lookup:
    return Lookup(clinic.catalogue)


@pytest.mark.parametrize(
    ("word", "exam"),
    [(E1, 1), ("e3", 3), ("E3", 3), ("e:1", 1), ("d3", 2), ("d:2", 1), ("700", 3), ("e:4", 4), (f"1.2.{len(E1)}86", 1)],
)
def test_a_word_that_fits_one_exam_names_it(lookup: Lookup, word: str, exam: int) -> None:
    assert lookup.exam(word) == exam
    assert lookup.exams(word) == [exam]


def test_a_delivery_is_named_by_its_number_and_an_exam_names_all_of_its_deliveries(lookup: Lookup) -> None:
    assert [one.id for one in lookup.deliveries(["d4"])] == [4]
    assert [one.id for one in lookup.deliveries(["e2", "d:2"])] == [3, 4, 2]


@pytest.mark.parametrize(
    ("word", "forms"), [("e1", "e:1, e:2"), ("E1", "e:1, e:2"), ("d2", "d:2, e:4"), ("D2", "d:2, e:4")]
)
def test_a_word_that_fits_two_things_is_refused_with_the_forms_that_fit_one(
    lookup: Lookup, word: str, forms: str
) -> None:
    for ask in (lookup.exam, lookup.exams, lambda word: lookup.deliveries([word])):
        with pytest.raises(WrongUse) as refused:
            ask(word)
        assert forms in str(refused.value)
        assert "--exam-id" in str(refused.value)


def test_an_exam_id_that_looks_like_a_number_of_this_node_can_be_said(lookup: Lookup) -> None:
    assert lookup.exam(ExamId("E1")) == 2
    assert lookup.exam(ExamId("D2")) == 4
    with pytest.raises(InvalidData):
        lookup.exam(ExamId("e1"))


@pytest.mark.parametrize(("word", "forms"), [("1", "e1, d1"), ("4", "e4, d4"), ("8", "d8")])
def test_a_bare_number_is_refused_with_the_form_to_use(lookup: Lookup, word: str, forms: str) -> None:
    with pytest.raises(WrongUse) as refused:
        lookup.exam(word)
    assert refused.value.hint == f"say which: {forms}"


@pytest.mark.parametrize("word", ["e99", "d99", "99", "nobody", "e:99", "9" * 40, "e" + "9" * 40, "", "e١"])
def test_what_nobody_is_called_is_not_known(lookup: Lookup, word: str) -> None:
    with pytest.raises(InvalidData) as refused:
        lookup.exam(word)
    assert not isinstance(refused.value, WrongUse)
    assert lookup.exams(word) == []


def test_resolving_by_a_bare_number_touches_nothing(clinic: ExamWorkflow, tmp_path: Path) -> None:
    """It once meant delivery 4, of another patient's exam."""
    (tmp_path / "router.toml").write_text(CONFIG + CLOUD, encoding="utf-8")
    call = ["queue", "resolve", "4", "--why", WANG.why, "--config", str(tmp_path / "router.toml")]
    with pytest.raises(SystemExit) as ended:
        main(call)
    assert ended.value.code == 2
    events = [event for _, event in clinic.catalogue.history.of([1, 2, 3, 4], [])]
    assert events
    assert Kind.DECIDED not in {event.kind for event in events}
