"""Destinations of an exam: by its hospital and by the rules of [[destination.accept]]. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from router.config.sections import Config, Destination
from router.exam.mapping import values_at
from router.exam.values import stripped
from router.matching.exam.share import Aside
from router.policy.states import State

# Fields of the exam JSON that the short names of a rule stand for.
_SHORT: Mapping[str, Sequence[str]] = {
    "branch": ("HospitalBranchCode",),
    "modality": ("Order.ModalityCode",),
    "device": ("Order.DeviceAETitle",),
    "department": ("Order.ExecDepartmentCode", "Order.ExecDepartmentName"),
}
SHORT = frozenset(_SHORT)
_OF_ANOTHER = "[[destination]] hospitals: it takes no exams of this hospital"
_NO_RULE = "[[destination.accept]]: no rule fits the exam"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Traits of an exam that decide on its destinations.

    `document` is the exam JSON with its gaps filled, `said` what the RIS wrote under the names that rules ask for
    (`asked`). The images' `modalities` count where the JSON names none.
    """

    hospital: str
    branch: str
    document: Mapping[str, object] = field(default_factory=dict)
    said: Mapping[str, Sequence[str]] = field(default_factory=dict)
    modalities: frozenset[str] = frozenset()


def goes_to(destination: Destination, traits: Traits) -> bool:
    """Whether the exam is for the destination at all."""
    return away_from(destination, traits) is None


def away_from(destination: Destination, traits: Traits) -> Aside | None:
    """The state and reason of an exam's deliveries to a destination that does not take it; None where it does."""
    if destination.hospitals and traits.hospital not in destination.hospitals:
        return Aside(State.OUT_OF_SCOPE, _OF_ANOTHER)
    rules = [rule.model_extra or {} for rule in destination.accept]
    if rules and not any(_fits(rule, traits) for rule in rules):
        return Aside(State.OUT_OF_SCOPE, _NO_RULE)
    return None


def asked(config: Config) -> frozenset[str]:
    """Names of fields and keys that the rules of all destinations ask the RIS's document for."""
    rules = (rule.model_extra or {} for destination in config.destination for rule in destination.accept)
    return frozenset(name for rule in rules for name in rule) - _SHORT.keys()


def has_rules(config: Config) -> bool:
    """Whether a destination takes exams by what their JSON says."""
    return any(destination.accept for destination in config.destination)


def _fits(rule: Mapping[str, str], traits: Traits) -> bool:
    return all(
        any(re.fullmatch(pattern, text) for text in _texts(name, traits) or ("",)) for name, pattern in rule.items()
    )


def _texts(name: str, traits: Traits) -> list[str]:
    found = [text for path in _SHORT.get(name, (name,)) for text in _at(path, traits.document)]
    found += traits.said.get(name, ())
    if name == "branch":
        found = found or [traits.branch]
    if name == "modality" and not found:
        found = sorted(traits.modalities)
    return found


def _at(path: str, document: Mapping[str, object]) -> Iterable[str]:
    return [text for value in values_at(document, path) if (text := stripped(value))]
