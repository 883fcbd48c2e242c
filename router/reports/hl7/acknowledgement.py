"""Answers that a sender wants to a message: HL7 v2.9 2.9.2 (original mode) and 2.9.3 (enhanced mode), table 0155."""

import re
from collections.abc import Iterator

from router.reports.hl7.hl7v2 import header

_CONDITIONS = frozenset({"AL", "NE", "ER", "SU"})
_LONGEST = 4096
_ANSWERS = frozenset({"ACK", "MCF"})  # MSH-9.1 of what is itself an answer


def is_answer(message: bytes) -> bool:
    """Whether this is itself an acknowledgement, which nobody answers."""
    head = header(_msh(message))
    return head.field(9).partition(head.component)[0].strip().upper() in _ANSWERS


def codes(message: bytes, code: str) -> Iterator[str]:
    """MSA-1 of each answer, in their order, to a message that came to `code` (AA, AE or AR).

    In enhanced mode (MSH-15 or MSH-16 says something) an accept acknowledgement says that the message is kept, or not
    and the exchange ends with it; the application acknowledgement follows. A field that says nothing asks for none.
    """
    head = header(_msh(message))
    written = (head.field(number).strip().upper() for number in (15, 16))
    accept, application = (each if each in _CONDITIONS else "" for each in written)
    if not accept and not application:
        yield code
        return
    well = code == "AA"
    if _is_wanted(accept, well=well):
        yield "C" + code[1:]
        if not well:
            return
    if _is_wanted(application, well=well):
        yield code


def _msh(message: bytes) -> bytes:
    """The first MSH alone: a message may hold a large PDF."""
    return re.split(rb"[\r\n]", message[max(message.find(b"MSH"), 0) :][:_LONGEST], maxsplit=1)[0]


def _is_wanted(condition: str, *, well: bool) -> bool:
    return condition in ("AL", "SU" if well else "ER")
