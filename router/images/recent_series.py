"""Classes of the series that came last, by the series rules in use and by a rule that is tried out; nothing is kept.

It reads the catalogue alone, so that it is as quick for a study of ten thousand images as the rules are.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from router.catalogue import Catalogue
from router.catalogue.images.series_members import RecentStudy
from router.config.sections import Config, Destination
from router.images.rulebook import BookOf, book_for
from router.images.series_report import in_words
from router.model import SeriesFacts, ThinLimit
from router.series.classify import Rulebook, used
from router.series.rules import Rule
from router.series.select import candidate, select
from router.series.study import Marks, Member, Verdict, Verdicts, judge, outcome

STUDIES = 60
MOST_INSTANCES = 8_000  # then no further study is read
Question = tuple[tuple[ThinLimit, ...], SeriesFacts]
"""Facts that a rule is asked about: the limits for thin slices, and the facts with those of the whole series."""
Fitting = Mapping[Question, Rule]
"""The rule that is tried out, for the questions that it fits; it comes before all rules in use."""


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of a study, as the rules see them."""

    study: RecentStudy
    members: Sequence[Member]
    facts: Mapping[int, SeriesFacts]
    marks: Marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The rule that decides, and whether some destination gets the instance."""

    rule: Rule
    sent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSum:
    """Series of one sender, device and modality with one outcome, and the one that a rule tried out would give.

    `used`: the facts that this rule asked about; "" where none was tried.
    """

    sender: str
    device: str
    modality: str
    now: Outcome
    then: Outcome
    used: str
    series: int
    instances: int


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Instances of a series with the same facts and outcome; each is itself alone, which is quick to count."""

    study: RecentStudy
    series: str
    verdict: Verdict
    outcome: Outcome


class RecentSeries:
    """The series of the studies that came last; `hospitals` none: of all."""

    def __init__(self, catalogue: Catalogue, config: Config, rules: BookOf, hospitals: Sequence[str]) -> None:
        self._config = config
        self._rules = rules
        self._studies = list(_headers(catalogue, hospitals))
        self._asked: dict[Question, None] = {}
        self._now = list(self._pieces({}))

    @property
    def questions(self) -> Sequence[Question]:
        """All that a rule can be asked about these series, each once."""
        return list(self._asked)

    @property
    def series(self) -> int:
        """How many they are."""
        return len({(one.study.uid, one.series) for one in self._now})

    @property
    def instances(self) -> int:
        """How many instances these have."""
        return len(self._now)

    def sums(self) -> list[SeriesSum]:
        """The outcomes by the rules in use, by sender, device and modality."""
        found = _summed(Counter((one, one) for one in self._now), lambda _: "")
        return sorted(found, key=lambda one: (one.sender, one.device, one.modality, -one.instances))

    def changes(self, fitting: Fitting) -> list[SeriesSum]:
        """Outcomes that become others, those of the most instances first."""
        pairs = Counter(zip(self._now, self._pieces(fitting), strict=True))
        changed = {pair: count for pair, count in pairs.items() if pair[0].outcome != pair[1].outcome}
        return sorted(_summed(changed, _words), key=lambda one: -one.instances)

    def _pieces(self, fitting: Fitting) -> Iterator[_Piece]:
        """Each instance, in a fixed order."""
        for one in self._studies:
            book = self._rules(one.study.hospitals)
            verdicts = self._judged(one, book, fitting)
            chosen = set[int]()
            for destination in self._destinations(one.study.hospitals):
                theirs = book_for(destination, book)
                said = verdicts if theirs.limits == book.limits else self._judged(one, theirs, fitting)
                chosen |= chosen_of(one.members, said, theirs, destination, one.marks)
            made: dict[tuple[object, ...], _Piece] = {}
            for member in one.members:
                verdict = verdicts[member.series_uid, member.facts]
                rule, sent = outcome(member, verdict, one.marks), member.key in chosen
                key = member.series_uid, member.facts, rule is verdict.rule, sent
                if key not in made:
                    told = Outcome(rule=replace(rule, conditions=()), sent=sent)
                    made[key] = _Piece(one.study, member.series_uid, Verdict(rule, verdict.facts), told)
                yield made[key]

    def _judged(self, one: Headers, book: Rulebook, fitting: Fitting) -> Verdicts:
        found = judge(one.members, one.facts, book)
        for verdict in found.values():
            self._asked[book.limits, verdict.facts] = None
        return {
            key: replace(each, rule=fitting.get((book.limits, each.facts), each.rule)) for key, each in found.items()
        }

    def _destinations(self, hospitals: frozenset[str]) -> list[Destination]:
        """Those that a study of these hospitals may go to."""
        images = [one for one in self._config.destination if one.dicom is not None]
        return [one for one in images if not hospitals or not hospitals.isdisjoint(self._config.served(one))]


def chosen_of(
    members: Iterable[Member], verdicts: Verdicts, book: Rulebook, destination: Destination, marks: Marks
) -> set[int]:
    """The keys of the instances of a whole study that go to the destination."""
    pool = [
        candidate(m.key, m.series_uid, m.sop_uid, verdicts[m.series_uid, m.facts], book.limits, marks) for m in members
    ]
    return {choice.key for choice in select(pool, frozenset(destination.classes), complete=True) if choice.selected}


def _headers(catalogue: Catalogue, hospitals: Sequence[str]) -> Iterator[Headers]:
    read = 0
    for study in catalogue.series_members.recent(STUDIES, hospitals):
        members = [one.member for one in catalogue.series_members.of_study(study.uid)]
        facts = catalogue.series_members.facts(one.facts for one in members)
        yield Headers(study, members, facts, catalogue.references.marks([study.uid]))
        read += len(members)
        if read >= MOST_INSTANCES:
            return


def _summed(
    pairs: Mapping[tuple[_Piece, _Piece], int], words: Callable[[_Piece], str]
) -> list[SeriesSum]:  # fmt: skip
    groups: dict[tuple[str, str, str, Outcome, Outcome, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    for (now, then), count in pairs.items():
        of = now.study
        key = of.sender, of.device, of.modality, now.outcome, then.outcome, words(then)
        groups[key][of.uid, now.series] += count
    return [
        SeriesSum(
            sender=sender, device=device, modality=modality, now=now, then=then, used=said, series=len(counts),
            instances=counts.total(),
        )
        for (sender, device, modality, now, then, said), counts in groups.items()
    ]  # fmt: skip


def _words(one: _Piece) -> str:
    return in_words(used(one.verdict.facts, one.verdict.rule))
