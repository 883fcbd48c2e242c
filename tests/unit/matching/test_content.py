"""What the text of a PDF says of the versions of a report."""

import pytest

from router.matching.report_pdf.content import Runs, is_text, lacking, reading, runs_of_pdf, runs_of_report

LUNGS = "双肺纹理清晰，右肺上叶见结节影，大小约1.5cm，边缘光滑，未见毛刺。纵隔居中，心影不大。"
CALM = "胸部CT平扫示右肺上叶结节，建议三个月后复查。"
HEAD = "示范医院影像诊断报告\n姓名：张三 性别：男 检查号：A0001\n"
OTHER = "肝脏大小形态正常，表面光滑，各叶比例适当，肝内外胆管未见扩张，胆囊不大，壁不厚。"


def pdf(*parts: str, head: str = HEAD) -> Runs:
    return runs_of_pdf(head + "\n".join(parts) + "\n报告医师：王五")


def texts(*findings: str) -> dict[str, Runs]:
    return {str(number): runs_of_report((one, CALM)) for number, one in enumerate(findings)}


def test_one_version_agrees_when_most_of_its_text_is_there() -> None:
    found = reading(pdf(LUNGS, CALM), texts(LUNGS))
    assert (found.of, found.share) == (frozenset({"0"}), 1.0)
    assert "100%" in found.why


def test_little_agreement_is_no_evidence() -> None:
    found = reading(pdf("胸部未见明显异常。"), texts(LUNGS))
    assert found.of is None
    assert found.share < 0.6


def test_a_text_lacks_the_findings_of_which_it_has_next_to_nothing() -> None:
    corrected = LUNGS.replace("右肺上叶", "左肺下叶")
    assert lacking(pdf(OTHER), texts(LUNGS, OTHER)) == frozenset({"0"})
    assert lacking(pdf(corrected, CALM), texts(LUNGS)) == frozenset()
    assert lacking(pdf(), texts(LUNGS)) == frozenset({"0"})
    assert lacking(runs_of_pdf(""), texts(LUNGS)) == frozenset()  # a scan
    assert lacking(pdf(OTHER), {"0": runs_of_report(("正常", ""))}) == frozenset()


def test_the_findings_of_another_exam_speak_against_it() -> None:
    found = reading(pdf(OTHER), texts(LUNGS), {"7": runs_of_report((OTHER, ""))})
    assert found.of == frozenset()
    assert reading(pdf("另一份报告的文字。"), texts(LUNGS), {"7": runs_of_report((OTHER, ""))}).of is None


# A version, how another one differs, and both directions.
_DIFFERENCES = [
    ("1.5cm", "15cm"), ("1.5cm", "1.6cm"), ("右肺上叶见", "左肺上叶见"), ("未见毛刺", "可见毛刺"), ("纵隔居中，", ""),
    ("大小约1.5cm", "大小约1.5-2cm"), ("约1.5cm", "约1.5/2cm"), ("边缘光滑", "边缘毛糙"),
    ("心影不大。", "心影不大。另见少量胸腔积液。"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), _DIFFERENCES)
def test_versions_are_told_apart_by_what_differs_and_the_signs_around_it(one: str, other: str) -> None:
    assert one in LUNGS
    changed = LUNGS.replace(one, other)
    versions = texts(LUNGS, changed)
    assert reading(pdf(LUNGS, CALM), versions).of == frozenset({"0"})
    assert reading(pdf(changed, CALM), versions).of == frozenset({"1"})


def test_versions_that_read_the_same_are_not_told_apart_from_each_other_but_from_a_third() -> None:
    wide = LUNGS.replace("1.5cm", "１．５ｃｍ").replace("，", "， ")
    versions = texts(LUNGS, wide, LUNGS.replace("1.5", "2.5"))
    assert reading(pdf(LUNGS, CALM), versions).of == frozenset({"0", "1"})


def test_a_pdf_that_has_both_versions_tells_nothing() -> None:
    changed = LUNGS.replace("1.5cm", "2.5cm")
    assert reading(pdf("更正前：" + LUNGS, "更正后：" + changed, CALM), texts(LUNGS, changed)).of is None


def test_a_difference_too_short_to_be_found_tells_nothing() -> None:
    versions = {"0": runs_of_report((LUNGS, "右肺结节")), "1": runs_of_report((LUNGS, "左肺结节"))}
    assert reading(pdf(LUNGS, "右肺结节"), versions).of in (None, frozenset({"0", "1"}))


def test_findings_go_on_over_a_page_break_with_its_head_foot_and_number() -> None:
    half = len(LUNGS) // 2
    pages = [f"{HEAD}{LUNGS[:half]}\n第 1 页 / 共 2 页", f"{HEAD}{LUNGS[half:]}\n{CALM}\n第 2 页 / 共 2 页"]
    assert reading(runs_of_pdf("\f".join(pages)), texts(LUNGS)).share == 1.0


def test_lines_break_anywhere_and_width_and_blanks_do_not_count() -> None:
    broken = "\n".join(LUNGS[at : at + 7] for at in range(0, len(LUNGS), 7)).replace("1.5cm", "1.5 ｃｍ")
    assert reading(pdf(broken, CALM), texts(LUNGS)).share == 1.0


@pytest.mark.parametrize(
    ("text", "legible"),
    [
        (HEAD + LUNGS, True),
        ("Normal chest, no nodules.", True),
        ("", False),
        (" \n\f ", False),
        ("\x0f\xe1\x05\x13\x11\x22\x01\x02", False),  # glyphs of a subset font that does not say what they are
        ("\ufffd\ufffd\ufffd\ufffd张三", False),
        ("\ue000\ue001\ue002\ue003ab", False),
        ("ԀԁԂԃԄԅԆԇ12", False),
        ("........----........", False),
    ],
)
def test_text_that_nobody_could_read_is_no_text(text: str, legible: bool) -> None:
    assert is_text(text) == legible
    assert legible or reading(runs_of_pdf(text), texts(LUNGS)).of is None


def test_a_text_of_any_length_is_read_in_moments() -> None:
    found = reading(runs_of_pdf("肺" * 10**6 + LUNGS), texts(LUNGS * 1000, "x" * 10**6))
    assert found.of is None
