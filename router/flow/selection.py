"""Which instances of an exam go to a destination: decisions of the series rules, entered in the ledger."""

from datetime import datetime

from router.catalogue.exams import Case
from router.catalogue.ledger import Accounts, Undecided
from router.config import Config, Destination
from router.correlate.readiness import Images
from router.model import SeriesClass
from router.series.select import Classified, select


def select_for(
    destination: Destination, case: Case, images: Images, config: Config, accounts: Accounts, now: datetime
) -> None:
    """Decide what can be decided now; choices that need the whole study wait until it is complete."""
    open_ones = accounts.undecided(case.exam, destination.name)
    if not open_ones:
        return
    wanted = frozenset(destination.classes)
    complete = not images.needs(config.study.stable_after, now)
    # A choice between stacks looks at those that are decided already, too.
    pool = open_ones if SeriesClass.IMAGE in wanted or not complete else accounts.newest(case.exam)
    keys = {one.key for one in open_ones}
    choices = [
        (choice.key, choice.selected, choice.rule)
        for study in dict.fromkeys(one.study_uid for one in pool)
        for choice in select([_classified(one) for one in pool if one.study_uid == study], wanted, complete)
        if choice.key in keys
    ]
    accounts.decide(destination.name, choices, now)


def _classified(one: Undecided) -> Classified:
    return Classified(one.key, one.series_uid, one.series_class, one.slice_thickness, one.modality)
