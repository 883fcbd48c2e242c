"""`queue reconcile --remote`: what destinations say that they have beside what they confirmed; sending again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from router.cli.opened import clock_of, opened
from router.cli.options import print_json
from router.cli.queue.many import agreed
from router.cli.speech import echo, say
from router.cli.tables import show
from router.config.sections import Config
from router.errors import InvalidData, RouterError
from router.model import Channel
from router.policy.account import at
from router.policy.comparison import Confirmed, OurImages, Ours
from router.review.remote import NOT_TO_BE_TRUSTED, Found, Place, RemoteComparison, asking
from router.storage.pins import Pins

_SHOWN, _FEW, _PART = 200, 50, 20  # a twentieth of ours is much
_COLUMNS = ("Exam", "Delivery", "Revision", "Destination", "What")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resending:
    """Resending as a person asked for it (`asked`); with `yes` no question comes first."""

    asked: bool
    yes: bool
    who: str


def compare_remote(
    config: Config, chosen: Sequence[Place], when: tuple[datetime, datetime | None], resending: Resending, *,
    as_json: bool,
) -> None:  # fmt: skip
    """Compare each of these places, and tell it; Exit 1 where something differs or a destination did not answer."""
    documents, well = [], True
    with opened(config) as (catalogue, bus), catalogue.engine.patient():
        clock = clock_of(catalogue)
        ask = asking(Pins(config.node.data), clock)
        remote = RemoteComparison(config, catalogue, bus, clock, ask=ask)
        for place in chosen:
            found, trouble = _compared(remote, place, when[0], when[1] or clock.now())
            sent = _sent_again(remote, found, resending) if found is not None and resending.asked else 0
            well = well and found is not None and (found.well or sent == len(found.difference.missing) > 0)
            documents.append(_document(place, found, trouble, sent))
            if not as_json:
                _tell(place, found, trouble, sent)
    if as_json:
        print_json(documents)
    if not well:
        raise click.exceptions.Exit(1)


def _compared(
    remote: RemoteComparison, place: Place, begin: datetime, end: datetime
) -> tuple[Found | None, str]:  # fmt: skip
    """The comparison, or why there is none: one destination's trouble is no other one's."""
    try:
        return remote.compare(place, begin, end), ""
    except RouterError as error:
        return None, str(error)


def _sent_again(remote: RemoteComparison, found: Found, resending: Resending) -> int:
    """Have what is missing sent again, after a question where it is much; InvalidData for an answer of no use."""
    if found.why_not in NOT_TO_BE_TRUSTED and found.missing:
        hint = "ask the platform's operator, and compare again"
        raise InvalidData(f"nothing is sent again: {found.why_not}", hint=hint)
    missing = found.missing
    much = not found.there or (len(missing) >= _FEW and len(missing) * _PART > found.ours)
    if missing and much:
        name = at(found.place.destination.name, found.place.hospital)
        what = f"send again {len(missing)} of {found.ours} report(s) to {name}, which says that it has {found.there}"
        if found.place.channel == Channel.IMAGES:
            what = f"send again images of {len(missing)} of {found.ours} exam(s) to {name}, which has {found.there}"
        agreed(what, [], yes=resending.yes)
    return remote.send_again(found.place, missing, "the destination has lost it", resending.who)


def _tell(place: Place, found: Found | None, trouble: str, sent: int) -> None:
    name = at(place.destination.name, place.hospital)
    if place.channel == Channel.IMAGES:
        name = say(f"images at {name}")
    if found is None:
        echo(f"{name}: no comparison: {trouble}")
        return
    if found.not_offered:
        echo(f"{name}: it answers no such question: {found.not_offered}")
        return
    difference = found.difference
    echo(
        f"{name}: {found.ours} confirmed, {found.there} there, {len(difference.missing)} missing there,"
        f" {len(difference.otherwise)} in another state, {found.strange} unknown here"
    )
    if found.why_not:
        echo(f"nothing goes again by itself: {found.why_not}")
    rows = [*_rows(found, difference.missing, "missing there"), *_rows(found, difference.otherwise, "another state")]
    if rows:
        show("What differs", _COLUMNS, rows[:_SHOWN])
    if sent:
        echo(f"{sent} deliveries are sent again")


def _rows(found: Found, these: Sequence[Confirmed], what: str) -> list[tuple[str, ...]]:
    name = found.place.destination.name
    return [(f"e{one.exam}", f"d{one.delivery}", _revision(one), name, _said(one, what)) for one in these]


def _revision(one: Confirmed) -> str:
    return str(one.revision) if isinstance(one, Ours) else "-"


def _said(one: Confirmed, what: str) -> str:
    """The differences, with the number of instances where they are images."""
    if not isinstance(one, OurImages):
        return say(what)
    sent = sum(one.studies.values())
    return say(f"{len(one.lost)} of {sent} instances: {one.why or what}")


def _document(place: Place, found: Found | None, trouble: str, sent: int) -> dict[str, Any]:
    named = {
        "destination": place.destination.name, "hospital": place.hospital or None, "channel": str(place.channel),
    }  # fmt: skip
    if found is None:
        return {**named, "error": trouble}
    return {
        **named, "offered": not found.not_offered, "not_offered": found.not_offered or None, "ours": found.ours,
        "there": found.there, "missing": _named(found.difference.missing),
        "otherwise": _named(found.difference.otherwise), "unknown": found.strange, "why_not": found.why_not or None,
        "resent": sent,
        "days": [{"day": day.isoformat(), "ours": ours, "missing": lost} for day, ours, lost in found.days],
    }  # fmt: skip


def _named(these: Sequence[Confirmed]) -> list[dict[str, Any]]:
    return [{"exam": f"e{one.exam}", "delivery": f"d{one.delivery}", **_particulars(one)} for one in these]


def _particulars(one: Confirmed) -> dict[str, Any]:
    if isinstance(one, OurImages):
        return {"instances": sum(one.studies.values()), "lost": len(one.lost), "why": one.why or None}
    return {"revision": one.revision} if isinstance(one, Ours) else {}
