"""The policy of comparing patients, from the configuration. Pure."""

from collections.abc import Mapping

from router.config.sections import Identity
from router.matching.patient.identity import IdentityPolicy


def identity_policy(config: Identity, aliases: Mapping[str, str], *, several: bool = False) -> IdentityPolicy:
    """The [identity] section, with the numbers that people have said are of one patient; `several`: hospitals."""
    if config.ignore_case:
        aliases = {number.upper(): of.upper() for number, of in aliases.items()}
    return IdentityPolicy(
        patient_id_fields=config.patient_id,
        strip=config.strip,
        blank=frozenset(value.upper() for value in config.blank),
        aliases=aliases,
        blank_names=config.blank_names,
        ignore_case=config.ignore_case,
        checks=config.checks or 2,
        evidence=config.evidence,
        several=several,
    )
