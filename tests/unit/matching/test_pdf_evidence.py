"""Which PDF goes with the version that counts: every way in which the parts of a report come, each with its answer.

The answers were written down by the design's rules, before there was a program to ask.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from router.matching.exam.versions import JsonVersion, PdfVersion, Unread, successive
from router.matching.report_pdf import times
from router.matching.report_pdf.choice import Choice, Evidence, Kind, Papers, choose

T = datetime(2026, 3, 2, 8, tzinfo=UTC)
WINDOW = timedelta(minutes=10)
NONE = "-"

# A story: D draft, W withdrawn, A approved (JSONs), P PDF, each with the minute of its coming and a letter for what it
# reports or shows. Answers: the minute of the PDF that goes, "-" for none, "?" and the minute for one in doubt.
# At once, and when the window is over; by order of PDFs whose text names the exam, of scans, and where content speaks.
STORIES = [
    # one version
    ("a JSON alone", "A0x", "-", "-", "-", "-", "-"),
    ("a PDF alone", "P0x", "-", "-", "-", "-", "-"),
    ("JSON, then PDF", "A0x P0.1x", "0.1", "0.1", "0.1", "0.1", "0.1"),
    ("PDF, then JSON", "P0x A0.1x", "0", "0", "0", "0", "0"),
    ("both at once", "A0x P0x", "0", "0", "0", "0", "0"),
    ("the PDF hours before its JSON", "P0x A600x", "0", "0", "0", "0", "0"),
    ("the PDF late by a signature", "A0x P120x", "120", "120", "120", "120", "120"),
    # a draft, then its approval
    ("a draft and no PDF", "D0x A120y", "-", "-", "-", "-", "-"),
    ("the most usual order", "D0x P119.9y A120y", "119.9", "119.9", "119.9", "119.9", "119.9"),
    ("the most usual order, nothing changed", "D0x P119.9x A120x", "119.9", "119.9", "119.9", "119.9", "119.9"),
    ("the most usual order, in a minute", "D0x P0.1y A0.2y", "0.1", "0.1", "0.1", "0.1", "0.1"),
    ("the most usual order, a quick doctor", "D0x P4.9y A5y", "4.9", "4.9", "4.9", "4.9", "4.9"),
    ("a draft, then both at once", "D0x A120y P120y", "120", "120", "120", "120", "120"),
    ("a draft, then both at once, unchanged", "D0x A120x P120x", "120", "120", "120", "120", "120"),
    ("a draft, then JSON and PDF", "D0x A120y P120.1y", "120.1", "120.1", "120.1", "120.1", "120.1"),
    ("a PDF long after the draft, long before approval", "D0x P60y A120y", "60", "60", "60", "60", "60"),
    ("two drafts, then PDF and JSON", "D0x D60y P119.9z A120z", "119.9", "119.9", "119.9", "119.9", "119.9"),
    ("a draft, the approval late by a signature", "D0x A120y P240y", "240", "240", "240", "240", "240"),
    # a draft that has its own PDF
    ("a draft with its PDF, changed", "D0x P0.1x A120y", "-", "-", "-", "-", "-"),
    ("a draft with its PDF before it, changed", "P0x D0.1x A120y", "-", "-", "-", "-", "-"),
    ("a draft and its PDF at once, changed", "D0x P0x A120y", "-", "-", "-", "-", "-"),
    ("a draft with its PDF, unchanged", "D0x P0.1x A120x", "0.1", "0.1", "0.1", "0.1", "0.1"),
    ("a draft with its PDF, the approval too", "D0x P0.1x A120y P120.1y", "120.1", "120.1", "120.1", "120.1", "120.1"),
    ("the same, unchanged", "D0x P0.1x A120x P120.1x", "120.1", "120.1", "120.1", "120.1", "120.1"),
    ("the same, the PDF first", "D0x P0.1x P119.9y A120y", "119.9", "119.9", "119.9", "119.9", "119.9"),
    ("a draft with its PDF, a quick doctor", "D0x P0.1x A5y", "-", "-", "-", "-", "-"),
    ("the same, and the approval's PDF", "D0x P0.1x A5y P5.1y", "5.1", "5.1", "5.1", "5.1", "5.1"),
    ("a draft's PDF that looks like the approval's", "D0x P0.1x A0.2y", "0.1", "0.1", "0.1", "-", "-"),
    ("the same, and the approval's PDF at once", "D0x P0.1x A0.2y P0.3y", "0.3", "0.3", "0.3", "0.3", "0.3"),
    # corrected after it was approved
    ("a correction without a PDF", "A0x P0.1x A60y", "-", "-", "-", "-", "-"),
    ("a correction with its PDF at once", "A0x P0.1x A60y P60y", "60", "60", "60", "60", "60"),
    ("a correction's JSON, then PDF", "A0x P0.1x A60y P60.1y", "60.1", "60.1", "60.1", "60.1", "60.1"),
    ("a correction's PDF, then JSON", "A0x P0.1x P59.9y A60y", "59.9", "59.9", "59.9", "59.9", "59.9"),
    ("a correction's PDF, a signature late", "A0x P0.1x A60y P180y", "180", "180", "180", "180", "180"),
    ("a correction's PDF whose JSON is to come", "A0x P0.1x P59.9y", "0.1", "59.9", "?59.9", "0.1", "59.9"),
    ("the report printed again", "A0x P0.1x P59.9x", "0.1", "59.9", "?59.9", "59.9", "59.9"),
    ("signed at once after it was sent", "A0x P0.1x P2x", "0.1", "2", "?2", "2", "2"),
    ("approved again, nothing changed, no PDF", "A0x P0.1x A60x", "-", "-", "-", "-", "-"),
    ("approved again, nothing changed, a PDF", "A0x P0.1x A60x P60.1x", "60.1", "60.1", "60.1", "60.1", "60.1"),
    ("two corrections, one PDF", "A0x P0.1x A60y A61z P61.1z", "?61.1", "?61.1", "?61.1", "61.1", "61.1"),
    ("a correction before any PDF", "A0x A1y P2y", "?2", "?2", "?2", "2", "2"),
    ("two corrections in minutes", "A0x P0.1x A3y P3.1y A6z", "-", "-", "-", "-", "-"),
    ("the first PDF follows its own JSON", "A0x P1x A3y", "-", "-", "-", "-", "-"),
    ("a correction and its PDF before the first PDF", "A0x A60y P60.1y P60.9x", "60.1", "?60.9", "?60.9", "60.1",
     "60.1"),
    ("the first PDF after the correction", "A0x A60y P61x", "61", "61", "61", "-", "-"),
    ("a first PDF that never came, and a correction", "A0x P119.9y A120y", "119.9", "119.9", "119.9", "119.9", "119.9"),
    # two approved versions that lack a PDF: nothing but content tells of which of them one is
    ("two versions, then their PDFs", "A0x A0.1y P0.2x P0.3y", "?0.3", "?0.3", "?0.3", "0.3", "0.3"),
    ("two versions, the newer's PDF first", "A0x A0.1y P0.2y P0.3x", "?0.3", "?0.3", "?0.3", "0.2", "0.2"),
    ("two versions, the former's PDF", "A0x A0.1y P0.2x", "?0.2", "?0.2", "?0.2", "-", "-"),
    ("two versions, both at once", "A0x P0x A0.1y P0.1y", "0.1", "0.1", "0.1", "0.1", "0.1"),
    ("two versions, their PDFs late by a signature", "A0x A1y P120x P180y", "?180", "?180", "?180", "180", "180"),
    ("two versions, a PDF late by a signature", "A0x A1y P120x", "?120", "?120", "?120", "-", "-"),
    ("two versions, a PDF now and one late", "A0x A0.1y P0.2x P120y", "?120", "?120", "?120", "120", "120"),
    ("two versions that report the same", "A0x A1x P2x", "2", "2", "2", "2", "2"),
    ("withdrawn between the two", "A0x W9x A9.5y P9.6y", "?9.6", "?9.6", "?9.6", "9.6", "9.6"),
    ("two versions and a PDF, then a third with its own", "A0x A0.1y P0.2x A60z P60.1z", "60.1", "60.1", "60.1", "60.1",
     "60.1"),
    # withdrawn (撤销审核), and approved again
    ("withdrawn, PDF, approved again", "A0x P0.1x W60x P119.9x A120x", "119.9", "119.9", "119.9", "119.9", "119.9"),
    ("the same, changed", "A0x P0.1x W60x P119.9y A120y", "119.9", "119.9", "119.9", "119.9", "119.9"),
    ("withdrawn, approved again, PDF", "A0x P0.1x W60x A120y P120.1y", "120.1", "120.1", "120.1", "120.1", "120.1"),
    ("withdrawn, both at once", "A0x P0.1x W60x A120x P120x", "120", "120", "120", "120", "120"),
    ("withdrawn, approved again, no PDF", "A0x P0.1x W60x A120x", "-", "-", "-", "-", "-"),
    ("the same, changed, no PDF", "A0x P0.1x W60x A120y", "-", "-", "-", "-", "-"),
    ("approved again in a minute", "A0x P0.1x W60x P60.2y A60.3y", "60.2", "60.2", "60.2", "60.2", "60.2"),
    ("withdrawn twice", "A0x P0.1x W9x A60y P60y W70y P119.9z A120z", "119.9", "119.9", "119.9", "119.9", "119.9"),
]  # fmt: skip

NAMED, SCAN, CONTENT = "text that names the exam", "scan", "content"


@dataclass(frozen=True)
class Way:
    """How it came: under one name, each revision under its own, by HL7 with the PDF apart, or in one message."""

    name: str

    def stem(self, kind: str, at: str, text: str) -> str:
        if self.name == "own names":
            return f"r-{text}"
        return {"HL7 and files": f"mllp/{kind != 'P'}", "HL7 with PDF": "mllp/01/E"}.get(self.name, "r")


def of_story(story: str, means: str, way: str = "files", made: timedelta | None = None) -> Papers:
    """The papers of a story; the PDFs' clock is `made` off, after the source's usual offset is removed."""
    taken: list[JsonVersion] = []
    pdfs: list[PdfVersion] = []
    said: dict[int, Evidence] = {}
    tokens = re.findall(r"([DAWP])([0-9.]+)([a-z])", story)
    for number, (kind, at, text) in enumerate(tokens):
        came, stem = T + timedelta(minutes=float(at)), Way(way).stem(kind, at, text)
        if kind == "P":
            with_it = [n for n, (k, a, _) in enumerate(tokens) if k != "P" and a == at] if way == "HL7 with PDF" else []
            message = with_it[0] if with_it else None
            pdfs.append(
                PdfVersion(
                    document=number, arrived=came, file_time=came, stem=stem, message=message, vouched=means != SCAN
                )
            )
            said[number] = Evidence(contents=frozenset({text}) if means == CONTENT else None, made=came, origin="r")
        else:
            approved = came if kind == "A" else None
            whole = f"{text}{approved}"
            taken.append(
                JsonVersion(
                    document=number,
                    arrived=came,
                    file_time=came,
                    submit_time=came,
                    approve_time=approved,
                    approved=kind == "A",
                    content=text,
                    reported=whole,
                    stem=stem,
                )
            )
    said = {n: _known(one, taken) for n, one in said.items()} if means == CONTENT else said
    if made is not None:
        approvals = {v.document: v.approve_time for v in taken if v.approve_time is not None}
        said = {n: _timed(one, pdfs, n, approvals, made) for n, one in said.items()}
    return Papers(taken=taken, pdfs=pdfs, evidence=said, window=WINDOW)


def _known(one: Evidence, taken: Iterable[JsonVersion]) -> Evidence:
    """Content says nothing of what no JSON has."""
    contents = {version.content for version in taken}
    return one if one.contents and one.contents <= contents else replace(one, contents=None)


def _timed(one: Evidence, pdfs: list[PdfVersion], number: int, at: dict[int, datetime], off: timedelta) -> Evidence:
    came = next(pdf.arrived for pdf in pdfs if pdf.document == number)
    return replace(one, times=times.of(came + off, came, at), made=came + off)


def answer(choice: Choice) -> str:
    if choice.pdf is not None:
        return f"{(choice.pdf.arrived - T).total_seconds() / 60:g}"
    if choice.doubt:
        assert choice.in_question is not None
        return f"?{(choice.in_question.arrived - T).total_seconds() / 60:g}"
    return NONE


def after(papers: Papers, minutes: float) -> datetime:
    arrivals = [one.arrived for one in papers.taken] + [one.arrived for one in papers.pdfs]
    return max(arrivals) + timedelta(minutes=minutes)


@pytest.mark.parametrize("off", [None, 0, 4, -4, 480, -480], ids=lambda off: f"clock {off}")
@pytest.mark.parametrize("way", ["files", "HL7 and files", "HL7 with PDF"])
@pytest.mark.parametrize(("name", "story", "once", "later", "scan", "by_text", "text_later"), STORIES, ids=lambda s: s)
def test_each_story_of_a_report_has_its_pdf(
    name: str, story: str, once: str, later: str, scan: str, by_text: str, text_later: str, way: str, off: int | None
) -> None:
    shift = None if off is None else timedelta(minutes=off)
    for means, first, then in ((NAMED, once, later), (SCAN, once, scan), (CONTENT, by_text, text_later)):
        papers = of_story(story, means, way, shift)
        assert answer(choose(papers, after(papers, 0.01))) == first, means
        assert answer(choose(papers, after(papers, 11))) == then, means


@pytest.mark.parametrize("name_and_story", [(one[0], one[1]) for one in STORIES], ids=lambda s: s[0])
def test_a_pdf_never_goes_with_what_its_text_is_not_of(name_and_story: tuple[str, str]) -> None:
    papers = of_story(name_and_story[1], CONTENT)
    texts = {number: one.contents for number, one in papers.evidence.items()}
    for minutes in (0.01, 11, 600):
        found = choose(papers, after(papers, minutes)).pdf
        if found is not None and texts[found.document] is not None:
            assert successive(papers.taken)[-1].content in (texts[found.document] or ())


# What other words than arrival say, where order alone would have said something else.


def test_under_names_of_their_own_a_drafts_pdf_is_the_drafts() -> None:
    story = "D0x P0.1x A0.2y"
    assert answer(choose(of_story(story, NAMED), after(of_story(story, NAMED), 0))) == "0.1"
    papers = of_story(story, NAMED, "own names")
    assert answer(choose(papers, after(papers, 11))) == NONE
    papers = of_story("D0x P0.1x A0.2y P0.3y A1z", NAMED, "own names")
    assert answer(choose(papers, after(papers, 11))) == NONE


def test_a_pdf_is_of_the_message_that_it_came_in() -> None:
    for way, found in (("files", "0"), ("HL7 with PDF", NONE)):
        papers = of_story("D0x P0x A0.2y", NAMED, way)
        assert answer(choose(papers, after(papers, 0))) == found


def test_times_keep_a_late_pdf_of_the_former_version_from_the_corrected_one() -> None:
    papers = of_story("A0x A60y P61x", NAMED)
    approvals = {v.document: v.approve_time for v in papers.taken if v.approve_time}
    said = Evidence(times=times.of(T, T + timedelta(minutes=61), approvals), made=T)
    late = replace(papers, evidence={papers.pdfs[0].document: said})
    assert answer(choose(late, after(late, 11))) == NONE
    content = replace(said, contents=frozenset({"y"}))
    both = replace(papers, evidence={papers.pdfs[0].document: content})
    assert answer(choose(both, after(both, 11))) == "61"
    assert choose(both, after(both, 11)).kind == Kind.CONTENT


def test_of_two_pdfs_of_one_source_the_older_one_does_not_take_the_place_of_the_newer() -> None:
    papers = of_story("D0x A60y P60.1y P61x", NAMED)
    made = {pdf.document: pdf.arrived for pdf in papers.pdfs}
    late = papers.pdfs[1].document
    said = {n: Evidence(made=T if n == late else at, origin="folder") for n, at in made.items()}
    known = replace(papers, evidence=said)
    assert answer(choose(known, after(known, 11))) == "60.1"
    elsewhere = replace(papers, evidence={**said, late: replace(said[late], origin="mllp")})
    assert answer(choose(elsewhere, after(elsewhere, 11))) == "61"


@pytest.mark.parametrize("means", [NAMED, SCAN])
def test_times_message_or_name_tell_which_of_two_versions_a_pdf_is_of(means: str) -> None:
    late = "A0x A60y P120y"
    assert answer(choose(of_story(late, means), after(of_story(late, means), 11))) == "?120"
    timed = of_story(late, means, made=timedelta(0))
    assert (answer(choose(timed, after(timed, 11))), choose(timed, after(timed, 11)).kind) == ("120", Kind.TIMES)
    named = of_story("A0x A0.1y P0.2y", means, "own names")
    assert answer(choose(named, after(named, 11))) == "0.2"
    together = of_story("A0x A0.1y P0.1y", means, "HL7 with PDF")
    assert answer(choose(together, after(together, 11))) == "0.1"


def test_a_pdf_does_not_replace_what_a_person_confirmed_while_the_other_version_lacks_one() -> None:
    papers = of_story("A0x A0.1y P0.2y P20x", NAMED)
    said = replace(papers, pdfs=[replace(papers.pdfs[0], confirmed=papers.taken[1].document), papers.pdfs[1]])
    assert answer(choose(said, after(said, 0))) == "0.2"
    assert answer(choose(said, after(said, 11))) == "?20"


def test_a_pdf_that_came_alone_and_has_nothing_of_the_findings_is_a_doubt_though_it_names_the_exam() -> None:
    papers = of_story("A0x P0.1x P59.9y", NAMED)
    lone = papers.pdfs[1].document
    strange = replace(papers, evidence={**papers.evidence, lone: Evidence(lacks=frozenset({"x"}))})
    assert answer(choose(strange, after(strange, 0))) == "0.1"
    assert answer(choose(strange, after(strange, 11))) == "?59.9"
    assert "nothing of the findings" in choose(strange, after(strange, 11)).doubt
    before = replace(strange, strict=False)
    assert answer(choose(before, after(before, 11))) == "59.9"
    first = replace(of_story("A0x P1x", NAMED), evidence={1: Evidence(lacks=frozenset({"x"}))})
    assert answer(choose(first, after(first, 11))) == "1"


def test_on_a_data_folder_of_before_a_pdf_goes_with_the_newest_of_two_versions_as_it_did() -> None:
    papers = replace(of_story("A0x A0.1y P0.2x", SCAN), strict=False)
    assert answer(choose(papers, after(papers, 0))) == "0.2"


def test_a_persons_word_is_above_all_until_a_pdf_of_the_next_version() -> None:
    papers = of_story("A0x P0x A60y", CONTENT)
    said = replace(papers, pdfs=[replace(papers.pdfs[0], confirmed=papers.taken[1].document)])
    found = choose(said, after(said, 0))
    assert (answer(found), found.kind) == ("0", Kind.PERSON)
    next_ = of_story("A0x P0x A60y A90z", CONTENT)
    said = replace(next_, pdfs=[replace(next_.pdfs[0], confirmed=next_.taken[1].document)])
    assert answer(choose(said, after(said, 0))) == NONE


def test_what_is_in_doubt_or_not_read_yet_does_not_go_and_claims_nothing() -> None:
    papers = of_story("A0x P0x", NAMED)
    doubted = replace(papers, pdfs=[replace(papers.pdfs[0], doubt="names another patient")])
    assert answer(choose(doubted, after(doubted, 0))) == "?0"
    unread = replace(papers, pdfs=[replace(papers.pdfs[0], unread=Unread.ONCE)])
    assert choose(unread, after(unread, 0)) == Choice()
    other = of_story("A0x P1x P2x", NAMED)
    first = replace(other, pdfs=[replace(other.pdfs[0], doubt="names another patient"), other.pdfs[1]])
    assert answer(choose(first, after(first, 0))) == "2"


def test_on_a_data_folder_of_before_a_scan_that_came_alone_goes_as_it_did() -> None:
    papers = replace(of_story("A0x P0.1x P59.9y", SCAN), strict=False)
    assert answer(choose(papers, after(papers, 11))) == "59.9"


def test_nothing_that_came_is_no_choice() -> None:
    assert choose(Papers(taken=[], pdfs=[]), T) == Choice()
