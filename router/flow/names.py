"""Names that people give: `d85` a delivery, `e17` an exam by the node's number, or what an exam is called elsewhere.

Where a word is the node's number of one exam and another's ExamId or file, `e:17` and `d:85` are the numbers alone.
"""

import re

from router.catalogue import Catalogue
from router.catalogue.queue import Delivery
from router.errors import InvalidData

_NUMBERED = re.compile(r"([de])(:?)([0-9]{1,9})", re.IGNORECASE)


def delivery_named(catalogue: Catalogue, name: str) -> Delivery | None:
    """The delivery of that number, `d85` or bare; None when the name is no such number."""
    found = _NUMBERED.fullmatch(name)
    if found and found[1] in "dD":
        return catalogue.queue.get(int(found[3]))
    return catalogue.queue.get(int(name)) if name.isdecimal() else None


def exams_named(catalogue: Catalogue, name: str) -> list[int]:
    """The exams under any name; InvalidData for a word that is a number of the node's and another exam's name, too."""
    delivery = delivery_named(catalogue, name)
    numbered = [delivery.exam] if delivery else []
    found = _NUMBERED.fullmatch(name)
    if found and found[1] in "eE" and catalogue.exams.names([int(found[3])]):
        numbered = [int(found[3])]
    others = [] if found and found[2] else catalogue.exams.find(name)
    if found and numbered and set(others) - set(numbered):
        forms = ", ".join(f"e:{each}" for each in dict.fromkeys(numbered + others))
        raise InvalidData("several exams have that name", hint=f"name one of them: {forms}")
    return list(dict.fromkeys(numbered + others))
