"""Sharing: scope, exclusions and the day on which it began."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from router.config.sections import EXCLUDE_FIELDS, Config
from router.policy.states import State

# Objects that go with images and say nothing about the kind of exam.
_ACCOMPANYING = frozenset({"SR", "KO", "PR", "DOC", "SEG", "REG", "OT", ""})


@dataclass(frozen=True, slots=True)
class ExcludeRule:
    """A rule that excludes exams: all its expressions match, `fields` in the header, `sayings` in the exam JSON."""

    name: str
    fields: Mapping[str, str]
    sayings: Mapping[str, str] = field(default_factory=dict)

    def excludes(self, headers: Sequence[Mapping[str, str]], said: Mapping[str, Sequence[str]]) -> bool:
        """Whether it excludes an exam; one of its `headers` is enough."""
        says = (
            any(re.search(expression, text) for text in said.get(name) or ("",))
            for name, expression in self.sayings.items()
        )
        return all(says) and any(
            all(re.search(expression, header.get(field, "")) for field, expression in self.fields.items())
            for header in (headers if self.fields else [{}])
        )


@dataclass(frozen=True, slots=True)
class SharePolicy:
    """The [share] section."""

    modalities: frozenset[str]
    start: datetime | None
    exclude: tuple[ExcludeRule, ...]


@dataclass(frozen=True, slots=True)
class Aside:
    """The state of an exam that is not shared, and the reason in words."""

    state: State
    why: str


def aside(
    policy: SharePolicy, headers: Sequence[Mapping[str, str]], modalities: frozenset[str],
    approved_at: datetime | None, said: Mapping[str, Sequence[str]] | None = None,
) -> Aside | None:  # fmt: skip
    """The state and reason of an exam that is not shared; None when it is, or when that is not known yet.

    `headers` are the header fields, by DICOM keyword, of each study that is here; `said` the texts of the exam JSON, by
    the names in the rules.
    """
    for rule in policy.exclude:
        if rule.excludes(headers, said or {}):
            return Aside(State.EXCLUDED, f"rule {rule.name!r} of [[share.exclude]]")
    kinds = modalities - _ACCOMPANYING
    if kinds and not kinds & policy.modalities:
        return Aside(State.OUT_OF_SCOPE, f"modality {', '.join(sorted(kinds))} is not in [share] modalities")
    if policy.start is not None and approved_at is not None and approved_at < policy.start:
        return Aside(State.NOT_SHARED, "approved before [share] from")
    return None


def share_policy(config: Config) -> SharePolicy:
    """The [share] section."""
    share = config.share
    start = share.from_
    if start is not None and start.tzinfo is None:
        start = start.replace(tzinfo=config.node.timezone)
    rules = []
    for rule in share.exclude:
        named = rule.model_extra or {}
        header = {name: expression for name, expression in named.items() if name in EXCLUDE_FIELDS}
        rules.append(ExcludeRule(rule.name, header, {name: e for name, e in named.items() if name not in header}))
    return SharePolicy(frozenset(share.modalities), start, tuple(rules))
