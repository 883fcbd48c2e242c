"""Text is what its bytes are, whatever is declared; what has no certain reading agrees with nothing."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.sections import Series
from router.dicom.dataset.charset import decode as decode_dicom
from router.errors import InvalidData
from router.exam.key import ExamPatient
from router.exam.read import read
from router.images.rulebook import rulebook
from router.matching.patient.identity import IdentityPolicy, StudyIdentity, compare
from router.model import Patient
from router.reports.folder.originals import stem_of
from router.review.comparison import NO_READING, unreadable
from router.series.classify import classify
from router.text.decoding import UNREADABLE, decode, is_readable, reading
from support.dicom_peers import read_header

CASES = Path(__file__).parents[2] / "cases" / "text"
# The hundred most frequent surnames, and the characters of GB 2312's first level.
SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡"
    "余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯"
    "龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
COMMON = [bytes((row, cell)).decode("gb2312") for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF)
          if (row, cell) < (0xD7, 0xFA)]  # fmt: skip
TERMS = ("", "ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 58", "GB18030")


def misread_and_unreadable(names: list[str], terms: tuple[str, ...] = TERMS) -> tuple[list[str], int, int]:
    """The names that come out as others, how many came out as unreadable, and how many there were."""
    misread, lost, count = [], 0, 0
    for name in names:
        for codec in ("gb18030", "utf-8"):
            for term in terms:
                found = decode_dicom(name.encode(codec), [term])
                lost, count = lost + (not is_readable(found)), count + 1
                if is_readable(found) and found != name:
                    misread.append(f"{name} in {codec} under {term!r}: {found}")
    return misread, lost, count


def names(step: int) -> list[str]:
    """Names of two and three characters, some with a component separator; every `step`th of them."""
    pairs = [(surname, given) for surname in SURNAMES for given in COMMON]
    found = [f"{surname}{given}" for surname, given in pairs]
    found += [f"{surname}{given}{COMMON[n * 769 % len(COMMON)]}" for n, (surname, given) in enumerate(pairs)]
    found += [f"{surname}^{given}" for surname, given in pairs]
    found += [f"{surname}^{given}{COMMON[n * 769 % len(COMMON)]}" for n, (surname, given) in enumerate(pairs)]
    return found[::step]


def test_no_chinese_name_is_misread_under_any_declaration() -> None:
    step = int(os.environ.get("NAMES_STEP", "293"))
    misread, lost, count = misread_and_unreadable(names(step))
    assert count > 10_000 // step
    assert not misread
    assert lost < count / 100


# A set that another script has, under which devices send GBK: a Chinese name may be words of it by chance.
OTHER_TERMS = (*(f"ISO_IR {number}" for number in (13, 126, 127, 138, 144, 166)), "ISO 2022 IR 149")


@pytest.mark.parametrize("term", OTHER_TERMS)
def test_no_chinese_name_is_misread_under_a_set_of_another_script(term: str) -> None:
    step = int(os.environ.get("NAMES_STEP", "293")) * len(OTHER_TERMS)
    misread, lost, count = misread_and_unreadable(names(step), (term,))
    assert not misread
    assert lost < count / 20


@pytest.mark.parametrize("term", OTHER_TERMS)
@pytest.mark.parametrize("name", ["李伟", "王燕", "陈川撂", "张^九拥", "张登鄙", "王啊啊", "王欢布", "欧阳娜娜"])
def test_names_that_chance_makes_words_of_another_script_stay_chinese(name: str, term: str) -> None:
    found = decode_dicom(name.encode("gbk"), [term])
    assert found == name or not is_readable(found)


@pytest.mark.parametrize("term", [*TERMS, *OTHER_TERMS])
@pytest.mark.parametrize("name", ["赵翾", "赵彧", "赵赟", "赵芃", "李翾伟", "赵^赟", "昝赟", "王昇", "袁翾", "李子赟"])
@pytest.mark.parametrize("codec", ["gb18030", "utf-8"])
def test_characters_that_gb_2312_lacks_are_never_misread(name: str, codec: str, term: str) -> None:
    found = decode_dicom(name.encode(codec), [term])
    assert found == name or not is_readable(found)


@pytest.mark.parametrize("name", ["赵翾", "赵彧", "赵赟", "赵芃", "李翾伟"])
@pytest.mark.parametrize("term", ["", "ISO_IR 100", "ISO_IR 192"])
def test_names_whose_characters_gb_2312_lacks_are_read_in_utf_8(name: str, term: str) -> None:
    assert decode_dicom(name.encode(), [term]) == name


def test_names_that_are_utf_8_in_their_gbk_bytes_are_read_as_the_chinese_that_they_are() -> None:
    trouble = [f"{surname}伟" for surname in "郑叶袁魏姚谭石肖"]
    assert all(name.encode("gbk").decode("utf-8") for name in trouble), "the case itself is wrong"
    for name in trouble:
        for term in ("", "ISO_IR 100", "GB18030", "ISO 2022 IR 58"):
            assert decode_dicom(name.encode("gbk"), [term]) == name
        assert decode_dicom(name.encode("gbk"), ["ISO_IR 192"]) in {name, UNREADABLE}


CHINESE = (CASES / "chinese.txt").read_text("utf-8").split()
OTHERS = (CASES / "others.txt").read_text("utf-8").split()


@pytest.mark.parametrize("name", CHINESE)
@pytest.mark.parametrize("codec", ["gb18030", "utf-8"])
@pytest.mark.parametrize("term", TERMS)
def test_chinese_text_is_read_whatever_is_declared(name: str, codec: str, term: str) -> None:
    found = decode_dicom(name.encode(codec), [term])
    assert found == name or (codec == "utf-8" and term in {"GB18030", "ISO 2022 IR 58"} and not is_readable(found))


@pytest.mark.parametrize("name", ["張偉", "陳^大文", "黃^美玲", "𠮷田"])
@pytest.mark.parametrize("term", ["", "ISO_IR 100", "ISO_IR 192"])
def test_traditional_and_rare_characters_in_utf_8_are_read(name: str, term: str) -> None:
    assert decode_dicom(name.encode(), [term]) == name


DECLARED_RIGHTLY = [
    line.split(" | ") for line in (CASES / "scripts.txt").read_text("utf-8").splitlines() if not line.startswith("#")
]


@pytest.mark.parametrize(("term", "codec", "texts"), DECLARED_RIGHTLY, ids=[row[0] for row in DECLARED_RIGHTLY])
def test_text_that_is_declared_rightly_stays_what_it_is(term: str, codec: str, texts: str) -> None:
    for text in texts.split():
        assert decode_dicom(text.encode(codec), [term]) == text


def test_korean_after_its_escape_is_korean() -> None:
    escape = b"\x1b$)C"
    value = b"Hong^Gildong=" + escape + "洪".encode("euc_kr") + b"^" + escape + "吉洞".encode("euc_kr")
    assert decode_dicom(value, ["", "ISO 2022 IR 149"]) == "Hong^Gildong=洪^吉洞"


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("term", ["", "ISO_IR 100"])
def test_utf_8_of_other_scripts_is_seen_or_unreadable_and_never_chinese(text: str, term: str) -> None:
    found = decode_dicom(text.encode(), [term])
    assert found == text or not is_readable(found)


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        ("José^Maria".encode("latin-1"), ""),  # some single-byte set, and no telling which
        ("Müller".encode("latin-1"), "utf-8"),
        ("张三".encode("gbk")[:-1], "latin-1"),  # cut off
        (b"\x80\x81\x82", "latin-1"),
        (b"\xff\xfe\xff", "utf-8"),
        ("濮变".encode("gbk") + b"\xba\xa6", ""),  # two readings in Chinese
    ],
)
def test_what_has_no_certain_reading_is_marked(data: bytes, declared: str) -> None:
    assert reading(data, declared) is None
    assert not is_readable(decode(data, declared))


@pytest.mark.parametrize("name", ["ZHANG张", "ZHANG脑", "LI妮"])
def test_latin_letters_that_run_into_chinese_ones_do_not_make_them_latin(name: str) -> None:
    found = decode_dicom(name.encode("gbk"), ["ISO_IR 100"])
    assert found == name or not is_readable(found)


def test_a_delimiter_that_may_be_half_of_a_character_does_not_split_what_is_unreadable() -> None:
    assert decode(b"A\xff\\B", "utf-8") == f"A{UNREADABLE}B"


@pytest.mark.parametrize(
    "character", [c for c in map(chr, range(0x4E00, 0x9FA6)) if c.encode("gbk")[1:] in {b"\\", b"^"}]
)
def test_half_a_character_is_no_delimiter(character: str) -> None:
    name = f"张^{character}国"
    assert decode_dicom(name.encode("gbk"), [""]) == name


@pytest.mark.parametrize(
    ("number", "name"), [(71, "张三"), (407, "ZHANG^SAN=张三"), (411, "张三"), (72, "王喆"), (82, "张三")]
)
def test_the_names_of_the_cases_are_read(number: int, name: str) -> None:
    assert read_header(CASES / f"{number}.dcmds").patient.name == name


def test_series_rules_see_the_text_that_the_bytes_are() -> None:
    facts = read_header(CASES / "82.dcmds").facts
    assert (facts.series_description, classify(facts, rulebook(Series())).series_class) == ("剂量报告", "dose")


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_an_exam_json_is_read_by_its_bytes(codec: str) -> None:
    assert read('{"Patient": {"Name": "郑伟"}}'.encode(codec)) == {"Patient": {"Name": "郑伟"}}


def test_an_exam_json_that_has_no_certain_reading_is_refused() -> None:
    with pytest.raises(InvalidData, match="for certain"):
        read('{"Patient": {"Name": "José^Maria"}}'.encode("latin-1"))


@pytest.mark.parametrize("codec", ["utf-8", "gbk"])
def test_the_name_of_a_file_is_read_by_its_bytes(tmp_path: Path, codec: str) -> None:
    path = tmp_path / os.fsdecode("郑伟".encode(codec) + b".json")
    assert stem_of(tmp_path, path) == "郑伟"


def test_names_of_files_that_cannot_be_read_stay_different(tmp_path: Path) -> None:
    stems = {stem_of(tmp_path, tmp_path / os.fsdecode(b"Jos" + byte + b"^Maria.json")) for byte in (b"\xe9", b"\xe8")}
    assert len(stems) == 2


@given(st.binary(max_size=40), st.sampled_from(["", "latin-1", "utf-8", "gb18030", "iso8859-5", "shift_jis", "x"]))
def test_any_bytes_are_read_or_marked(data: bytes, declared: str) -> None:
    text = decode(data, declared)
    assert text == reading(data, declared) or not is_readable(text)


def identity(**said: str) -> StudyIdentity:
    patient = Patient(said.get("patient_id", ""), said.get("name", ""), "", "")
    return StudyIdentity(patient, said.get("accession", ""))


@pytest.mark.parametrize("field", ["patient_id", "name", "accession"])
def test_what_cannot_be_read_agrees_with_nothing_and_contradicts_nothing(field: str) -> None:
    said = f"A{UNREADABLE}"
    exam = ExamPatient({"Patient.PatientId": said}, said)
    for patient, accession in ((exam, said), (ExamPatient({"Patient.PatientId": "P1"}, "Zhang San"), "A1")):
        found = compare(patient, accession, identity(**{field: said}), IdentityPolicy())
        assert (found.agree, found.differ) == (frozenset(), ())


def test_fields_without_a_certain_reading_are_named() -> None:
    assert unreadable([identity(patient_id="P1", name="张三"), identity(name=UNREADABLE)]) == ["name"]
    assert unreadable([identity(accession=f"A{UNREADABLE}")]) == ["accession number"]
    assert is_readable(NO_READING)
