"""Ends of alarms about what is not here any more: a destination, a part of the node, a folder of quarantine/.

Whoever raises such an alarm would end it, and is gone with it: out of the configuration, or removed while no node ran.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from router.alarms import Alarm
from router.catalogue.alarms import Standing
from router.model import Channel

MAY_BE_GONE = (Alarm.BREAKER, Alarm.CRYPTO, Alarm.DEFECT, Alarm.POISON)
"""The kinds that `gone` looks at."""
_WORK, _QUARANTINE = "work ", "quarantine "  # the beginnings of subjects
_REMOVED = "the destination is not configured any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """All that is here: where deliveries go by the configuration, the node's loops by name, the folders of quarantine/.

    `works` is None where nobody knows them.
    """

    places: Collection[tuple[str, Channel]]
    works: Collection[str] | None
    quarantined: Collection[str]


def gone(standing: Iterable[Standing], here: Here) -> Iterator[tuple[Standing, str]]:
    """The alarms about what is gone, each with the words of its end."""
    names, served = {name for name, _ in here.places}, {f"{channel} to {name}" for name, channel in here.places}
    for one in standing:
        to_nowhere = one.alarm == Alarm.BREAKER and one.subject not in served
        if to_nowhere or (one.alarm == Alarm.CRYPTO and one.destination and one.destination not in names):
            yield one, _REMOVED
        if one.alarm == Alarm.DEFECT and _is_gone(one.subject, _WORK, here.works):
            yield one, "this part of the node does not run any more"
        if one.alarm == Alarm.POISON and _is_gone(one.subject, _QUARANTINE, here.quarantined):
            yield one, "it is not in quarantine any more"


def _is_gone(subject: str, beginning: str, here: Collection[str] | None) -> bool:
    return here is not None and subject.startswith(beginning) and subject.removeprefix(beginning) not in here
