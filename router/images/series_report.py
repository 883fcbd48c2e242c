"""Classes of a study in the catalogue by the series rules of today, and why.

The module does not read DICOM files: commands about the queue start twice as quickly without pydicom.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from router.catalogue import Catalogue
from router.model import SeriesClass
from router.series.classify import Rulebook, used
from router.series.study import judge, outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Instances of a series that one rule decided by the same facts; `used` is in words, absent facts left out."""

    series_uid: str
    series_class: SeriesClass
    rule: str
    used: str
    count: int


def lines_of(catalogue: Catalogue, study_uid: str, book: Rulebook) -> list[Line]:
    """Classes of the study's series by the rules of today; nothing is recorded."""
    members = [one.member for one in catalogue.series_members.of_study(study_uid)]
    verdicts = judge(members, catalogue.series_members.facts(one.facts for one in members), book)
    marks = catalogue.references.marks([study_uid])
    judged = ((one, verdicts[one.series_uid, one.facts]) for one in members)
    ruled = ((one.series_uid, outcome(one, verdict, marks), verdict.facts) for one, verdict in judged)
    counts = Counter((uid, rule.series_class, rule.name, in_words(used(facts, rule))) for uid, rule, facts in ruled)
    return [
        Line(series_uid=uid, series_class=series_class, rule=rule, used=facts, count=count)
        for (uid, series_class, rule, facts), count in counts.items()
    ]


def in_words(facts: Mapping[str, object]) -> str:
    """Facts for a person; absent ones are left out, a long text is cut."""
    said = ((name, "\\".join(value) if isinstance(value, tuple) else value) for name, value in facts.items())
    return ", ".join(f"{name}={str(value)[:60]}" for name, value in said if value not in ("", None))
