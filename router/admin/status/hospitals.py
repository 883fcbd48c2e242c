"""Counts by hospital for GET /health, which does not ask the database itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from router.catalogue import Catalogue
from router.clock import Clock
from router.config.hospitals import several_of
from router.config.sections import Config

EVERY_SECONDS = 10.0
"""How old the counts may be."""


class HospitalCounts:
    """The counts of the last look, the worst hospital first; none where the node serves one alone."""

    def __init__(self, config: Callable[[], Config], catalogue: Catalogue, clock: Clock) -> None:
        self._config = config
        self._catalogue = catalogue
        self._clock = clock
        self._found: Sequence[Mapping[str, object]] = ()

    def step(self) -> None:
        """Count anew."""
        names = several_of(self._config())
        found = self._catalogue.survey.hospitals(self._clock.now(), names) if names else ()
        self._found = [asdict(one) for one in found]

    def latest(self) -> Sequence[Mapping[str, object]]:
        """Open, late, held and failed deliveries of each."""
        return self._found
