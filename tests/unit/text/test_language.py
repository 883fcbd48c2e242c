"""Languages: what is said in which words, and that a stored text is known again by its template."""

import pytest

import texts
from router.alarms import REMEDY, Alarm
from router.correlator.assess import _PDF_REMEDY
from router.exam.faults import Fault
from router.matching.images.renewal import CONTRADICTION, cut_off, late
from router.policy.states import Needs, State
from router.text.language import LANGUAGES, Tongue, chosen_language, places, typed

CHINESE, ENGLISH = Tongue("zh_CN"), Tongue("en")
MISSING = Fault(path="", name="", expected="missing: the standard requires it", mend="the RIS export")
NEGATIVE = Fault(
    path="", name="", expected="expected 0 or more", found='"-1"', mend="the RIS export or the joined studies"
)
MISSING_SAID = "缺少：标准要求必填；更正处：RIS导出"
NEGATIVE_SAID = '应为0或更大，实际是"-1"；更正处：RIS导出或已关联的检查影像'
_CUT_REMEDY = "`queue release` sends as it is what is cut off; a whole version takes its place"


def test_a_word_of_the_node_is_said_in_both_languages() -> None:
    assert [CHINESE.say(State.HELD), ENGLISH.say(State.HELD)] == ["已挂起", "held"]
    assert [CHINESE.say(Needs.PDF), ENGLISH.say(Needs.PDF)] == ["报告PDF", "report PDF"]


def test_values_stand_at_their_places() -> None:
    assert CHINESE.say("{time} ago", time="3") == "3前"


def test_a_text_without_translation_stays_english() -> None:
    assert CHINESE.say("what nobody has translated") == "what nobody has translated"
    assert CHINESE.told("what nobody has translated: at all") == "what nobody has translated: at all"
    assert CHINESE.told("") == ""


@pytest.mark.parametrize(("stored", "said"), [
    ("approval, json", "审核、检查JSON"),
    ("waiting -> held: identity: instance 1 lies in two studies", "等待 -> 已挂起：身份：影像 1 出现在两个检查影像中"),
    ("images to beijing", "影像到 beijing"),
    ("0112 no such object instance", "0112 没有该对象实例"),
    ("the stored exam JSON is gone (json, document 7)", "存储的检查JSON已不存在（JSON，文件 7）"),
    (
        "identity: study 1.2.3 differs from the exam in sex, name; study 1.2.4 differs from the exam in birth date",
        "身份：检查影像 1.2.3 与检查在以下方面不同：性别、姓名；检查影像 1.2.4 与检查在以下方面不同：出生日期",
    ),
    (
        f"exam JSON: Patient.Gender (性别): {MISSING.message}; Study.ImageCount (影像数量): {NEGATIVE.message}",
        f"检查JSON：Patient.Gender（性别）：{MISSING_SAID}；Study.ImageCount（影像数量）：{NEGATIVE_SAID}",
    ),
    (
        "no images to cloud: cannot connect: no answer in time (check address, port and line)",
        "影像不能发往 cloud：无法连接：未及时应答（检查地址、端口和线路）",
    ),
    ("waits for images, stable", "等待：影像、影像到齐"),
    (
        "identity: study 1.2.3 differs from the exam in patient id, birth date",
        "身份：检查影像 1.2.3 与检查在以下方面不同：患者ID、出生日期",
    ),
    (
        "identity: e7 of another patient lists study 1.2.3; an earlier version of this exam names another patient",
        "身份：另一患者的检查 e7 列出了影像 1.2.3；该检查的早先版本是另一患者的",
    ),
    (
        f"pdf: the text of the report PDF names e9 and not this one; {_PDF_REMEDY}",
        f"报告PDF：报告PDF的文本指明检查 e9，而不是本检查；{CHINESE.say(_PDF_REMEDY)}",
    ),
    (
        late(3),
        "晚到的影像：3 幅新影像晚于 [share] late_window 到达；`queue release` 将其发送",
    ),
    (CONTRADICTION, "较新版本：一幅影像的患者或检查单与已发送的版本不同；由人工放行后发送"),
    (
        cut_off(2, 40, 1),
        f"不完整的影像：40 幅中 2 幅不完整，已搁置，1 个被拒绝；{CHINESE.say(_CUT_REMEDY)}",
    ),
    (
        "approval: nothing of the exam goes any more: of its last version, it is not approved",
        "审核：该检查停止发送：其最新版本尚未审核",
    ),
    (
        "ledger lost: what was sent of it is not known any more; release it to send everything of it (again)",
        "台账丢失：已发送的内容不明；放行后将全部（重新）发送",
    ),
    (
        "images: no association: cannot connect to 10.0.0.1:104 (check the address, the line and the firewall)",
        "影像：no association：无法连接 10.0.0.1:104（检查地址、线路和防火墙）",
    ),
    ("everything is there; the studies in doubt are not named", "所需内容已齐；存疑的影像未列入"),
    ("  everything is there\n", "  所需内容已齐\n"),
    (
        "A password has 10 to 128 characters. It has at least five different characters.",
        "口令长度为 10 至 128 个字符。至少有五个不同的字符。",
    ),
    ("held by a person: the scanner's clock was wrong", "由人工挂起：the scanner's clock was wrong"),
    ('[share] shared_study = "all"', '[share] shared_study = "all"'),
    ("sending, but not as anybody would say it", "sending, but not as anybody would say it"),
    ("something else; the doubt is gone; nobody knows", "something else；存疑已解除；nobody knows"),
])  # fmt: skip
def test_a_stored_reason_is_known_by_its_template(stored: str, said: str) -> None:
    assert CHINESE.told(stored) == said
    assert ENGLISH.told(stored) == stored


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        " (" * 300 + ")" * 300,
        "exam " * 180,
        "sex, " * 30,
        "x" * 5000,
        "a {b} c",
        "{0}",
        "%s",
        "exam {exam}",
        "; ",
        ": ",
        ", ",
        "()",
        " ()",
    ],
)
def test_no_text_breaks_the_search_for_its_template(text: str) -> None:
    assert ENGLISH.told(text) == text
    assert CHINESE.told(text)


def test_commands_are_shown_as_they_are_typed_where_the_node_is_installed() -> None:
    text = "see `scripts/queue explain e17`, or `scripts/status`"
    assert typed(text, installed=False) == text
    shown = "see `imaging-cloud-router queue explain e17`, or `imaging-cloud-router status`"
    assert typed(text, installed=True) == shown


def test_a_long_text_of_many_pieces_is_told_quickly() -> None:
    text = "; ".join(f"study 1.2.{n} differs from the exam in patient id" for n in range(50))
    assert CHINESE.told(text).count("患者ID") == 50


@pytest.mark.parametrize("alarm", Alarm)
def test_every_alarm_has_a_name_and_a_remedy_in_both_languages(alarm: Alarm) -> None:
    name, remedy = CHINESE.alarm(alarm)
    assert not name.isascii()
    assert not remedy.isascii()
    assert ENGLISH.alarm(alarm) == (str(alarm), REMEDY[alarm])


@pytest.mark.parametrize(("asked", "accepted", "language"), [
    ("zh_CN", "en", "zh_CN"), ("", "de,zh;q=0.5,en;q=0.1", "zh_CN"), ("", "", "en"), ("xx", "fr", "en"),
    ("", "en-US,en;q=0.9", "en"), ("", "zh-CN,zh;q=0.9", "zh_CN"),
])  # fmt: skip
def test_the_first_language_that_there_is_counts(asked: str, accepted: str, language: str) -> None:
    assert chosen_language(asked, accepted, "en") == language


def test_the_node_s_language_counts_where_a_browser_names_none() -> None:
    assert [chosen_language("", "fr", language) for language in LANGUAGES] == list(LANGUAGES)


def test_the_places_of_a_text_are_found_and_braces_that_are_none_passed_by() -> None:
    assert places("exam {exam} of {{x}} lists {study}") == ["exam", "study"]
    assert places("{ not a place") == []


TEMPLATES = sorted({str(message.id) for message in texts.kept("zh_CN") if places(str(message.id))})


@pytest.mark.parametrize("text", TEMPLATES, ids=lambda text: text[:40])
def test_a_text_with_values_in_it_is_known_again(text: str) -> None:
    values = {name: f"v{number}" for number, name in enumerate(places(text))}
    if sum(map(str.isalpha, "".join(texts.own(text)))) >= 3:
        assert CHINESE.told(text.format(**values)) == CHINESE.say(text, **values)
