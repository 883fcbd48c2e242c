"""Approvals that cannot be read: an ApproveTime that does not read, or one beside a status of unknown words."""

import re
from dataclasses import dataclass
from enum import StrEnum

from router.exam.key import REPORTED, ExamKey
from router.matching.exam.versions import Approval, given_up, unapproved
from router.text.scripts import is_chinese_name

ANOTHER_WORD = "another word"
NO_WORD = "no word"
_LONGEST = 24  # characters of a shown word


class Part(StrEnum):
    """The part of an approval that cannot be read."""

    STATUS = "status"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadApproval:
    """The part that cannot be read; `word` is the RIS's where it is the status, "" where it gives none."""

    part: Part
    word: str = ""

    @property
    def says(self) -> str:
        """The fault in words, without patient data."""
        if self.part == Part.TIME:
            return "Report.ApproveTime (审核时间) cannot be read for certain: it waits for another JSON"
        return f"Order.Status is {shown_word(self.word)}, which says neither that it is approved nor that it is not"


def unread_approval(key: ExamKey) -> UnreadApproval | None:
    """The unreadable part of a version's approval; None where it reads, or where there is none.

    Without an ApproveTime an exam is not approved, whatever its status. A status that says that the exam was given up
    does read.
    """
    if key.status == REPORTED:
        return UnreadApproval(part=Part.TIME) if key.unread_approval else None
    timed = key.approve_time is not None or key.unread_approval
    if not timed or given_up(key.status) or unapproved(key.status) != Approval.UNREADABLE:
        return None
    return UnreadApproval(part=Part.STATUS, word=key.status)


def shown_word(word: str) -> str:
    """The word that an alarm shows: the status where it is about reports and approval, else ANOTHER_WORD.

    Exports with shifted columns have a patient's name or number there, which no alarm may show.
    """
    if not word:
        return NO_WORD
    known = len(word) <= _LONGEST and (_HAN.fullmatch(word) or _LATIN.fullmatch(word))
    return word if known and not is_chinese_name(word) else ANOTHER_WORD


_HAN = re.compile(
    "(?:已|未|待|被|由|正在?|初|复|再|终|最终|首|[一二三]级|主任|副主任|上级|高级|医师|医生|报告|诊断|结果|检查|书写|"
    "审核|审签|审定|审批|审阅|审|复核|核准|核对|核|签名|签发|签署|签|发布|发放|发出|发送|完成|结束|归档|打印|确认|"
    "提交|通过|生效|有效|定稿|正式|出具|出|完|毕|了|后|中|过)+"
)
_LATIN = re.compile(
    "(?:(?:pre|un|re)?(?:final|finali[sz]ed|approved?|verified|verify|signed(?:off)?|sign|off|report(?:ed)?|released?|"
    "published?|completed?|confirmed|authori[sz]ed|validated|reviewed|audited?|checked|done|printed|archived|issued|"
    "closed|preliminary|draft|exam|study|result|status|is|report|by|doctor|senior|junior)[ _-]?)+",
    re.IGNORECASE,
)
