"""Which instances of an exam go to a destination: decisions of series rules and versions, entered in the ledger."""

from collections.abc import Sequence
from datetime import datetime

from router.catalogue import Catalogue
from router.catalogue.exams import Case
from router.catalogue.ledger import Undecided
from router.config import Config, Destination
from router.correlate.readiness import Images
from router.correlate.renewal import Renewal, renewal
from router.flow.joining import identity_policy
from router.model import SeriesClass
from router.series.select import Choice, Classified, select


def select_for(
    destination: Destination, case: Case, images: Images, config: Config, catalogue: Catalogue, now: datetime
) -> None:
    """Decide what can be decided now; choices that need the whole study wait until it is complete.

    A newer version of what the destination has goes only when it differs in what matters.
    """
    accounts = catalogue.accounts
    open_ones = accounts.undecided(case.exam, destination.name)
    if not open_ones:
        return
    wanted = frozenset(destination.classes)
    complete = not images.needs(config.study.stable_after, now)
    # A choice between stacks looks at those that are decided already, too.
    pool = open_ones if SeriesClass.IMAGE in wanted or not complete else accounts.newest(case.exam)
    keys = {one.key for one in open_ones}
    choices = [
        choice
        for study in dict.fromkeys(one.study_uid for one in pool)
        for choice in select([_classified(one) for one in pool if one.study_uid == study], wanted, complete)
        if choice.key in keys
    ]
    renewals = _renewals(destination, open_ones, config, catalogue)
    doubts = {c.key: renewals[c.key].why for c in choices if c.selected and c.key in renewals and renewals[c.key].doubt}
    if doubts:
        accounts.hold(destination.name, doubts, now)
    accounts.decide(destination.name, [_decision(c, renewals.get(c.key)) for c in choices if c.key not in doubts], now)


def _renewals(
    destination: Destination, open_ones: Sequence[Undecided], config: Config, catalogue: Catalogue
) -> dict[int, Renewal]:
    policy = identity_policy(config.identity)
    again = [one.key for one in open_ones if one.version > 1]
    pairs = catalogue.versions.renewed(destination.name, again)
    return {key: renewal(sent, newer, policy) for key, (sent, newer) in pairs.items()}


def _decision(choice: Choice, renewal: Renewal | None) -> tuple[int, bool, str]:
    if renewal is None or not choice.selected:
        return choice.key, choice.selected, choice.rule
    return choice.key, renewal.goes, f"{choice.rule}; {renewal.why}" if renewal.goes else renewal.why


def _classified(one: Undecided) -> Classified:
    return Classified(one.key, one.series_uid, one.series_class, one.slice_thickness, one.modality)
