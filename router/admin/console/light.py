"""The light of the first screen: its colour and its one sentence, by the worst that is known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from router.text.language import N_


class Colour(StrEnum):
    """Red: something fails, or is late; amber: a person should look; green: all is well."""

    RED = "red"
    AMBER = "amber"
    GREEN = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Facts that the light is made of. `troubles` are parts of the node that do not work, in words, the worst first.

    `receiving`: images can be taken; `down` are destinations that do not answer, `refusing` those that take nothing
    until a person has corrected something, `paused` those that a person has stopped, all of them where that is so;
    `underway` deliveries have a due time and are not delivered.
    """

    receiving: bool
    troubles: Sequence[str]
    missed: int
    at_risk: int
    underway: int
    waiting: int
    alarms: int
    down: Sequence[str]
    refusing: Sequence[str]
    paused: Sequence[str]


@dataclass(frozen=True, slots=True)
class Light:
    """`says` has places for `values`. `more` counts further reasons for a colour other than green."""

    colour: Colour
    says: str
    values: Mapping[str, object] = field(default_factory=dict)
    more: int = 0


def light(known: Known) -> Light:
    """The light for these facts."""
    found = list(_worries(known))
    if found:
        colour, says, values = found[0]
        return Light(colour, says, values, len(found) - 1)
    if known.underway:
        values = {"count": known.underway}
        return Light(Colour.GREEN, N_("All is well: on their way and in time: {count}."), values)
    return Light(Colour.GREEN, N_("All is well: everything that was approved has been delivered."))


def _worries(known: Known) -> Iterator[tuple[Colour, str, Mapping[str, object]]]:
    """Reasons for red, then for amber, the worst first."""
    what = known.troubles[0] if known.troubles else ""
    if not known.receiving:
        yield Colour.RED, N_("No images can be taken: {what}"), {"what": what}
    if known.missed:
        yield Colour.RED, N_("Too late: {count} deliveries are over their time."), {"count": known.missed}
    if known.refusing:
        text = N_("{places} takes nothing until a key, certificate or address is corrected: deliveries wait here.")
        yield Colour.RED, text, {"places": ", ".join(known.refusing)}
    if known.down:
        yield Colour.RED, N_("No answer from {places}: deliveries wait here."), {"places": ", ".join(known.down)}
    if known.receiving and what:
        yield Colour.AMBER, N_("A part of the node does not work: {what}"), {"what": what}
    if known.at_risk:
        yield (
            Colour.AMBER,
            N_("Hurry: {count} deliveries are in the last fifth of their time."),
            {"count": known.at_risk},
        )
    if known.waiting:
        yield Colour.AMBER, N_("A person is needed: {count} things wait."), {"count": known.waiting}
    if known.paused:
        yield Colour.AMBER, N_("Sending to {places} is paused."), {"places": ", ".join(known.paused)}
    if known.alarms and not known.waiting:
        yield Colour.AMBER, N_("Alarms stand: {count}."), {"count": known.alarms}
