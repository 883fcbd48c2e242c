"""Names and numbers in the text of a report, and whether they contradict its exam (design: Reports).

Words are compared whole, in one normal form: 123 is not found in 91234, nor 张三 in 张三丰.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HAN = "\u3400-\u9fff\U00020000-\U0003ffff"
_NUMBER = re.compile(r"[0-9A-Z](?:[0-9A-Z._/-]*[0-9A-Z])?")
_RUN = re.compile(rf"[{_HAN}](?:[{_HAN}·]*[{_HAN}])?")
# Names of two characters are often printed with a gap between them.
_SPACED = re.compile(rf"(?<![{_HAN}])[{_HAN}](?:[ \t]+[{_HAN}])+(?![{_HAN}])")
_LABEL = re.compile(
    "患者|病人|受检者|姓名|性别|年龄|科室|科别|病区|床号|先生|女士|(?:住院|门诊|检查|影像|病案|登记)号?|出生日期|电话|[男女]$"
)
# A name after these is a doctor's; a doctor may have the name of a patient.
_STAFF = re.compile(rf"(?:(?:审核|报告)?(?:医师|医生|技师)|审核)(?:签名|签字)?[ \t]*:?[ \t]*[{_HAN}]{{2,4}}")
# Possessive from the first letter of a run on: a text of one long run takes no longer than another.
_LATIN = re.compile(r"(?<![A-Z])[A-Z]{2,}+(?:[ ,^]++[A-Z]{2,}+)+")
_SHORTEST_NUMBER = 3
_LONGEST_NAME, _LONGEST_JOINED = 6, 20
_DIGITS_OF_A_SERIES = 4
_AT_MOST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """An exam with the number as ExamId or accession number, named by `own`; `lacks`: its version has no PDF."""

    exam: int
    hospital: str
    branch: str
    exam_id: str
    own: frozenset[str]
    lacks: bool


def words(text: str) -> frozenset[str]:
    """The words of a text that may name an exam: numbers, and possible names of patients; at most 300."""
    text = _normal(text)
    found = dict.fromkeys(word for part in (_numbers(text), _han_names(text), _latin_names(text)) for word in part)
    return frozenset(list(found)[:_AT_MOST])


def identifiers(exam_id: str, accession_number: str, patient_name: str) -> frozenset[str]:
    """The words by which a text names this exam, without those too short or too plain to identify it."""
    numbers = {_normal(number).strip() for number in (exam_id, accession_number)}
    name = _normal(patient_name).replace("^", " ")
    joined = "".join(name.split())
    names = {joined} if _RUN.fullmatch(joined) and len(joined) > 1 else set(_han_names(name))
    return frozenset({n for n in numbers if _is_number(n)} | names | {_joined(w) for w in _latin_runs(name)})


def number_of(stem: str) -> str:
    """The number that a PDF's name consists of, without folders; "" where it identifies no exam."""
    name = stem.rpartition("/")[2]
    return name if len(name) > 1 and any(sign in "123456789" for sign in name) else ""


def bearer(number: str, said: frozenset[str], bearers: Sequence[Bearer]) -> int | None:
    """The exam that a PDF named by the number joins; None where there is none, or where several may.

    `said` are the words of its text, which decide between several exams with the number. Accession numbers are
    reused: a PDF named by one joins an exam that lacks a PDF.
    """
    if len(bearers) > 1:
        shared = Counter(word for one in bearers for word in one.own)
        unique = [one for one in bearers if any(shared[word] == 1 for word in said & one.own)]
        return unique[0].exam if len(unique) == 1 else None
    return next((one.exam for one in bearers if one.lacks or one.exam_id == number), None)


def doubt(said: frozenset[str], own: frozenset[str], other: int | None, *, reused: bool) -> str:
    """The reason why a PDF may be another exam's; "" when there is none.

    `said` are the words of its text (none: it has no readable text), `own` the exam's identifiers, `other` a known exam
    that it names; `reused`: another exam's JSON came under its file name.
    """
    if said & own:
        return ""
    if other is not None:
        return f"the text of the report PDF names e{other} and not this one"
    in_a_series = [w for w in own if w[0].isalpha() and sum(map(str.isdigit, w)) >= _DIGITS_OF_A_SERIES]
    if in_a_series and not {_shape(word) for word in said}.isdisjoint(map(_shape, in_a_series)):
        return "the text of the report PDF names an exam that is not known, and not this one"
    if reused:
        return "the file name served several exams, and the text of the report PDF does not tell which it is of"
    return ""


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).upper().replace("\u30fb", "·").replace("\u2022", "·")


def _is_number(word: str) -> bool:
    return len(word) >= _SHORTEST_NUMBER and any(c.isdigit() for c in word) and bool(_NUMBER.fullmatch(word))


def _numbers(text: str) -> Iterator[str]:
    for match in _NUMBER.finditer(text):
        parts = {match[0], *match[0].split("/")} if "/" in match[0] else {match[0]}
        yield from (part for part in sorted(parts) if _is_number(part))


def _han_names(text: str) -> Iterator[str]:
    text = _SPACED.sub(lambda match: re.sub(r"[ \t]", "", match[0]), _STAFF.sub(" ", text))
    for run in _RUN.findall(text):
        for part in (run, *_LABEL.split(run)):
            if 1 < len(part) <= (_LONGEST_JOINED if "·" in part else _LONGEST_NAME):
                yield part


def _latin_names(text: str) -> Iterator[str]:
    for run in _latin_runs(text):
        for size in (2, 3):
            for start in range(len(run) - size + 1):
                yield _joined(run[start : start + size])


def _latin_runs(text: str) -> Iterator[list[str]]:
    for match in _LATIN.finditer(text):
        yield re.findall("[A-Z]+", match[0])


def _joined(names: list[str]) -> str:
    """Family name first or last: the same words."""
    return " ".join(sorted(names))


def _shape(word: str) -> str:
    """The form of a number with its leading letters: A0001 and A0002 have the same."""
    lead = re.match("[A-Z]*", word)
    begin = lead[0] if lead else ""
    return begin + re.sub("[A-Z]", "A", re.sub("[0-9]", "9", word[len(begin) :]))
