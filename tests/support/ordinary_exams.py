"""An ordinary hospital's month: exams as a RIS exports them, and what the modalities' headers say of the same patients.

`visits(count, seed)` yields one `Visit` an exam. Report and images of a visit are always of one patient; nothing in
them is a mix-up. Most modalities take the patient from the worklist: numbers as the RIS has them, the name in pinyin. A
few are typed in by hand, with the variants that people type; some patients are unknown, newborn, twins, of a minority,
or foreigners. What is held of such a month is held in vain.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from router.exam.key import ExamPatient
from router.matching.patient.identity import StudyIdentity
from router.model import Patient
from support.unihan_names import characters, names, spelt


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One exam: its JSON's side, its study's side, and what kind of patient it is.

    `exam` has Patient.PatientId, name, birth date (1949-12-31) and sex (M, F or "") as the JSON's key holds them;
    `study` has the same as DICOM writes it. The JSON lists `study_uid`.
    """

    number: int
    kind: str
    exam: ExamPatient
    accession_number: str
    study_uid: str
    study: StudyIdentity

    @property
    def exam_id(self) -> str:
        return f"M{self.number:06}"


def visits(count: int, seed: int = 1) -> Iterator[Visit]:
    """The same visits for the same numbers."""
    chance = random.Random(seed)
    given = names(chance)
    for number in range(count):
        kind = _drawn(chance, _KINDS)
        visit = _plain(number, kind, next(given), chance)
        visit = _CHANGES.get(kind, _as_it_is)(visit, chance)
        yield _typed(visit, chance) if chance.random() < _BY_HAND else visit


_BY_HAND = 0.03
_KINDS = {"ordinary": 930, "emergency": 15, "newborn": 10, "twins": 2, "minority": 20, "foreign": 5, "dialect": 5,
          "kept numbers": 9, "neither number": 1, "no birth date": 3}  # fmt: skip
_MINORITY = (
    ("买买提·阿依古丽", "AYGUL^MEMET"), ("阿卜杜热合曼·艾合买提", "ABDURAHMAN^AHMAT"),
    ("迪丽努尔·吐尔逊", "DILINUER TUERXUN"),
    ("扎西顿珠", "TASHI DHONDUP"), ("卓玛拉姆", "ZHUOMALAMU"), ("巴特尔", "BATUER"), ("古丽娜扎尔", "GULINAZHAER"),
    ("阿不都热依木·买买提依明", "ABUDUREYIMUMAIMAI"),
)  # fmt: skip
_FOREIGN = (
    ("约翰·史密斯", "SMITH^JOHN"), ("山田太郎", "YAMADA^TARO"), ("金正洙", "KIM^JEONGSU"), ("SMITH JOHN", "SMITH^JOHN"),
    ("Nguyễn Văn An", "NGUYEN^VAN AN"), ("伊万·彼得罗夫", "IVAN PETROV"),
)  # fmt: skip
_DIALECT = (
    ("陈大文", "CHAN^TAI MAN"), ("黄志强", "WONG^CHI KEUNG"), ("林美玲", "LIM^BEE LENG"), ("单晓峰", "SAN^XIAOFENG"),
    ("吕志明", "LU^ZHIMING"), ("张敏", "CHANG^MIN"),
)  # fmt: skip
_BESIDE = ("^^^F", " F", " 45Y", " (F)", "^^^MR", "")


def _drawn(chance: random.Random, weights: dict[str, int]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]


def _plain(number: int, kind: str, name: str, chance: random.Random) -> Visit:
    born = f"{chance.randrange(1935, 2020)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    sex, patient_id, accession = chance.choice("MF"), f"{chance.randrange(10**7, 10**8)}", f"CT2026{number:08}"
    latin = spelt(name, chance)
    dicom = chance.choice((latin, latin, latin, f"{latin}={name[0]}^{name[1:]}", f"{name}"))
    study = StudyIdentity(Patient(patient_id, dicom, born.replace("-", ""), sex), accession)
    exam = ExamPatient({"Patient.PatientId": patient_id}, name, born, sex)
    uid = f"1.2.826.0.1.3680043.9.7777.2026.{number + 1}"
    return Visit(number=number, kind=kind, exam=exam, accession_number=accession, study_uid=uid, study=study)


def _with(visit: Visit, ours: dict[str, str], **theirs: str) -> Visit:
    study = replace(visit.study, patient=replace(visit.study.patient, **theirs))
    exam = replace(visit.exam, **ours)  # type: ignore[arg-type]  # names of its text fields
    return replace(visit, exam=exam, study=study)


def _as_it_is(visit: Visit, _chance: random.Random) -> Visit:
    return visit


def _emergency(visit: Visit, chance: random.Random) -> Visit:
    """Unknown when the scanner ran; the RIS may know the name by now."""
    unknown = chance.choice(("无名氏", "无名男", "急诊001", "UNKNOWN", "无名氏3", "WU MING SHI"))
    ours = chance.choice((visit.exam.name, unknown, "无名氏"))
    guessed = ("19000101", "19700101", "", f"{visit.exam.birth_date[:4]}0101")
    return _with(visit, {"name": ours}, name=unknown, birth_date=chance.choice(guessed))


def _newborn(visit: Visit, chance: random.Random) -> Visit:
    name = visit.exam.name + chance.choice(("之子", "之女"))
    full = spelt(visit.exam.name, chance)
    theirs = chance.choice((name, f"{full} {'ZHI ZI' if name.endswith('子') else 'ZHI NV'}", full, f"{full} BABY"))
    return _with(visit, {"name": name}, name=theirs)


def _twins(visit: Visit, chance: random.Random) -> Visit:
    mark = chance.choice("AB12")
    plain = _newborn(visit, chance)
    return _with(plain, {"name": plain.exam.name + mark}, name=f"{plain.study.patient.name}{mark}")


def _of(pairs: tuple[tuple[str, str], ...]) -> Callable[[Visit, random.Random], Visit]:
    def changed(visit: Visit, chance: random.Random) -> Visit:
        ours, theirs = chance.choice(pairs)
        return _with(visit, {"name": ours}, name=theirs)

    return changed


def _kept_numbers(visit: Visit, chance: random.Random) -> Visit:
    """One of the numbers is not there, or says nothing."""
    nothing = chance.choice(("", "0", "000000", "1", "UNKNOWN", "N/A"))
    if chance.random() < 0.5:
        return replace(visit, study=replace(visit.study, accession_number=nothing))
    return _with(visit, {}, patient_id=nothing)


def _neither_number(visit: Visit, _chance: random.Random) -> Visit:
    """A mobile device without a worklist: name and sex are all that it has."""
    return _with(replace(visit, study=replace(visit.study, accession_number="")), {}, patient_id="")


def _no_birth_date(visit: Visit, chance: random.Random) -> Visit:
    return _with(visit, {}, birth_date=chance.choice(("", "19000101", f"{visit.exam.birth_date[:4]}0101")))


_CHANGES: dict[str, Callable[[Visit, random.Random], Visit]] = {
    "emergency": _emergency, "newborn": _newborn, "twins": _twins, "minority": _of(_MINORITY),
    "foreign": _of(_FOREIGN), "dialect": _of(_DIALECT), "kept numbers": _kept_numbers, "no birth date": _no_birth_date,
    "neither number": _neither_number,
}  # fmt: skip


def _typed(visit: Visit, chance: random.Random) -> Visit:
    """Without the worklist: one of the numbers is typed, the name as people type it."""
    name = visit.study.patient.name
    cut, initials = name[: chance.randrange(4, 17)], "".join(word[0] for word in name.split("^") if word)
    slip = chance.randrange(len(name))
    variants = (name, name, name, cut, f"{name[0]}^{initials}", name[:slip] + chance.choice("aeiou") + name[slip + 1 :],
                name + chance.choice(_BESIDE), name.replace("h", "").replace("H", ""))  # fmt: skip
    typed = chance.choice(variants) if not any(char in set(characters()) for char in name) else name
    with_id = bool(visit.study.patient.patient_id) and chance.random() < 0.9
    study = replace(visit.study, accession_number=visit.study.accession_number if not with_id else "")
    visit = replace(visit, study=study)
    birth_date = chance.choice((visit.study.patient.birth_date, "", f"{visit.exam.birth_date[:4]}0101"))
    return _with(
        visit, {}, name=typed, birth_date=birth_date, patient_id=visit.study.patient.patient_id if with_id else ""
    )
