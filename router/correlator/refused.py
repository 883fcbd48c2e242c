"""Refusals as people see them: added up over days, and named beside images that are missing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from router.catalogue.node.refusals import OTHERS, RefusalCount
from router.config.sections import Config
from router.matching.images.hospital import hospital_of_sender
from router.refusals import Why, meaning, remedy, sender

BEFORE = timedelta(days=1)  # an exam's images may have been offered so long before its report was known
_MOST_NAMED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalSum(RefusalCount):
    """Refusals of a sender for one cause, of several days; `studies` counts the known studies among them.

    `hospital` is the one that they concern, "" where nothing tells.
    """

    studies: int
    hospital: str = ""

    @property
    def who(self) -> str:
        """The sender."""
        return sender(self.calling, self.address) or "an unknown sender"

    @property
    def means(self) -> str:
        """The cause in words."""
        return meaning(self.why, self.reason, self.called)

    @property
    def todo(self) -> str:
        """Advice for a person; "" where there is nothing to do."""
        return f"`scripts/quarantine show {self.place}`" if self.place else remedy(self.why)


Owner = Callable[[RefusalCount], str]
"""Gives the hospital of a refusal, "" where nothing tells."""


def owner_by_sender(config: Config) -> Owner:
    """Gives the hospital whose sender was refused."""
    return lambda one: hospital_of_sender(one.calling, one.address, config)


def nobodys(_: RefusalCount) -> str:
    """The owner of refusals where nobody asks for their hospital."""
    return ""


def by_study(rows: Iterable[RefusalCount], owner: Owner = nobodys) -> list[RefusalSum]:
    """Refusals of all days added up by sender, cause and study, the latest first."""
    found: dict[tuple[str, ...], RefusalSum] = {}
    for row in rows:
        key = row.calling, row.address, row.called, row.why, row.study_uid, row.place
        one = RefusalSum(**asdict(row), studies=int(bool(row.study_uid)), hospital=owner(row))
        found[key] = _together(found[key], one) if key in found else one
    return sorted(found.values(), key=lambda one: one.last, reverse=True)


def by_sender(rows: Iterable[RefusalCount], owner: Owner = nobodys) -> list[RefusalSum]:
    """Refusals of all days added up by sender, cause and hospital, the latest first."""
    found: dict[tuple[str, ...], RefusalSum] = {}
    for one in by_study(rows, owner):
        key = one.calling, one.address, one.called, one.why, one.place, one.hospital
        known = found.get(key)
        sums = replace(_together(known, one), study_uid="", studies=known.studies + one.studies) if known else one
        found[key] = sums
    return sorted(found.values(), key=lambda one: one.last, reverse=True)


def _together(one: RefusalSum, other: RefusalSum) -> RefusalSum:
    later = max(one, other, key=lambda each: each.last)
    return replace(
        one, count=one.count + other.count, first=min(one.first, other.first), last=later.last, reason=later.reason
    )


def worth_a_hint(rows: Iterable[RefusalCount], owner: Owner, hospital: str) -> list[RefusalSum]:
    """Refusals of senders with a name whose study is unknown: some images of an exam of the hospital may be among them.

    Those of another hospital are none of its.
    """
    named = (row for row in rows if (row.calling and row.calling != OTHERS) or row.why == Why.TLS)
    return [
        one for one in by_sender(named, owner)
        if one.why not in (Why.STOPPING, Why.COMMITMENT) and one.hospital in ("", hospital)
    ]  # fmt: skip


def with_refusals(text: str, own: Sequence[RefusalSum], hints: Sequence[RefusalSum]) -> str:
    """The text of missing images, with refusals of these studies by this node, or else with those of that time."""
    said = [f"this node refused images of it from {one.who}: {one.means}" for one in own if not one.place]
    said += [f"an image of it is in quarantine: {one.reason}" for one in own if one.place]
    if not own:
        said = [f"this node refused {one.who} in that time: {one.means}" for one in hints if not one.place]
    return "; ".join([text, *dict.fromkeys(said[:_MOST_NAMED])])
