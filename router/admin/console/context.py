"""Parts of the node that the console reads and acts on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from router.admin.console.view import View
from router.admin.http.server import Answer, Request
from router.catalogue import Catalogue
from router.catalogue.queue.backlog import Place
from router.clock import Clock
from router.config.sections import Config
from router.dicom.preview.pictures import Pictures
from router.events import Event, EventBus, Kind
from router.images.rulebook import BookOf
from router.policy.attention import Attention

Act = Callable[[View, Request], Answer]
"""A page, or what a form does, for one reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleContext:
    """Parts that the console reads and acts on. `token_file` is named on the login page, never shown.

    `seal` makes the audit of what a person does durable, before it is done; TransientError when it cannot. `attention`
    is what waits for a person, of these hospitals or (none named) in all, `report` the body of /health. `file` is the
    configuration's, `pictures` makes those of series.
    """

    config: Config
    catalogue: Catalogue
    bus: EventBus
    clock: Clock
    rules: BookOf
    queues: Sequence[Place]
    free: Callable[[], int]
    token_file: Path
    seal: Callable[[], None]
    attention: Callable[[tuple[str, ...]], Sequence[Attention]]
    report: Callable[[], Mapping[str, object]] = dict
    file: Path | None = None
    pictures: Pictures = field(default_factory=Pictures)

    def record(self, kind: Kind, text: str, who: str, **about: object) -> None:
        """Record an event of now; `about` are further values of an Event."""
        self.bus.record(Event(self.clock.now(), kind, text, who=who, **about))  # type: ignore[arg-type]  # names and types are the console's own
