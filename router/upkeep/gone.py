"""Ends of alarms about something that is gone: a destination, a part of the node, a folder of quarantine/.

The part that raises such an alarm would end it, and is gone too: out of the configuration, or removed while no node
ran.
"""

from collections.abc import Collection, Iterable, Iterator

from router.alarms import Alarm
from router.catalogue.node.alarms import Standing
from router.model import Channel
from router.policy.account import answers_of, keys_of, place_of, profile_of

MAY_BE_GONE = (Alarm.BREAKER, Alarm.CRYPTO, Alarm.PROFILE, Alarm.DEFECT, Alarm.POISON)
"""The kinds that `gone` looks at."""
_OF_AN_ACCOUNT = (Alarm.CRYPTO, Alarm.PROFILE)
_WORK, _QUARANTINE = "work ", "quarantine "  # the beginnings of subjects
_REMOVED = "the destination is not configured any more"


def gone(
    active: Iterable[Standing], *, places: Collection[tuple[str, Channel, str]], works: Collection[str] | None,
    quarantined: Collection[str],
) -> Iterator[tuple[Standing, str]]:  # fmt: skip
    """The active alarms about something that is gone, each with the text of its end.

    `places` are the configured ones with the account, `works` the node's loops by name, None where they are not known.
    """
    served = {place_of(*place) for place in places}
    reports = [(name, account) for name, channel, account in places if channel == Channel.REPORT]
    theirs = {of(*one) for one in reports for of in (answers_of, keys_of, profile_of)} | served
    for one in active:
        to_nowhere = one.alarm == Alarm.BREAKER and one.subject not in served
        if to_nowhere or (one.alarm in _OF_AN_ACCOUNT and one.destination and one.subject not in theirs):
            yield one, _REMOVED
        if one.alarm == Alarm.DEFECT and _is_gone(one.subject, _WORK, works):
            yield one, "this part of the node does not run any more"
        if one.alarm == Alarm.POISON and _is_gone(one.subject, _QUARANTINE, quarantined):
            yield one, "it is not in quarantine any more"


def _is_gone(subject: str, beginning: str, here: Collection[str] | None) -> bool:
    return here is not None and subject.startswith(beginning) and subject.removeprefix(beginning) not in here
