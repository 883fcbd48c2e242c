"""The instances of a study judged together: stacks, key objects, rejection notes. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from router.model import SeriesClass, SeriesFacts
from router.series.classify import Rulebook, classify
from router.series.read import distance_of
from router.series.rules import Rule

REFERRED = Rule("a key object refers to it", SeriesClass.KEY)
KEY, REJECTION = "key", "rejection"
# PS3.16 CID 7011, Rejected for Quality Reasons, for Patient Safety, Incorrect Modality Worklist Entry.
_REJECTIONS = ("113001|", "113037|", "113038|")
# Data Retention Policy Expired: the PACS makes room; the images stay valid.
_EXPIRED = "113039|"
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An instance of a study; `facts` is the number of its facts, which most instances of a series share."""

    key: int
    series_uid: str
    sop_uid: str
    facts: int
    position: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The rule that fits, and the facts it was given: the instance's own and its series'."""

    rule: Rule
    facts: SeriesFacts


Verdicts = Mapping[tuple[str, int], Verdict]


def rejects(facts: SeriesFacts) -> bool:
    """Whether this is a note that rejects the instances it refers to (IHE Imaging Object Change Management)."""
    return facts.sop_class_uid == KEY_OBJECT_SELECTION and facts.concept_name.startswith(_REJECTIONS)


def is_note(facts: SeriesFacts) -> bool:
    """Whether this is a note for archives only, never sent: one that rejects, or one about expiry."""
    return rejects(facts) or (facts.sop_class_uid == KEY_OBJECT_SELECTION and facts.concept_name.startswith(_EXPIRED))


def judge(members: Sequence[Member], facts: Mapping[int, SeriesFacts], book: Rulebook) -> Verdicts:
    """The verdict for each pair of series and facts, with the numbers of its series."""
    sizes: dict[str, int] = defaultdict(int)
    positions: dict[tuple[object, ...], list[float]] = defaultdict(list)
    groups: dict[tuple[str, int], tuple[object, ...]] = {}
    for one in members:
        sizes[one.series_uid] += 1
        group = one.series_uid, one.facts
        if group not in groups:
            own = facts[one.facts]  # slices of one series, plane, type and thickness are a stack
            groups[group] = one.series_uid, own.image_orientation, own.image_type, own.slice_thickness
        if one.position is not None:
            positions[groups[group]].append(one.position)
    stacks = {stack: distance_of(values) for stack, values in positions.items()}
    verdicts = {}
    for group, stack in groups.items():
        own, (count, distance) = facts[group[1]], stacks.get(stack, (None, None))
        if own.slice_count is not None:  # known from the frames of a multi-frame instance
            count, distance = own.slice_count, own.slice_distance
        whole = replace(own, instance_count=sizes[group[0]], slice_count=count, slice_distance=distance)
        verdicts[group] = Verdict(classify(whole, book), whole)
    return verdicts


@dataclass(frozen=True, slots=True)
class Marks:
    """SOP instance UIDs in key objects and key presentation states, and those in rejection notes."""

    key: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()


def purpose_of(facts: SeriesFacts, series_class: SeriesClass) -> str:
    """Why a document refers to instances: KEY, REJECTION, or "" when that does not matter here."""
    if rejects(facts):
        return REJECTION
    return KEY if series_class is SeriesClass.KEY else ""


def marks_of(references: Iterable[tuple[str, str]]) -> Marks:
    """Marks from pairs of purpose and SOP instance UID."""
    pairs = list(references)
    return Marks(*(frozenset(uid for purpose, uid in pairs if purpose == wanted) for wanted in (KEY, REJECTION)))


def outcome(one: Member, verdict: Verdict, marks: Marks) -> Rule:
    """The rule for one instance: a key object's reference makes it key, in any series."""
    return REFERRED if one.sop_uid in marks.key and verdict.rule.series_class is not SeriesClass.KEY else verdict.rule
