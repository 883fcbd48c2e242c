"""A district's console and metrics, called without a socket, and people who log in there."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from router.admin.console.console import Console
from router.admin.console.context import ConsoleContext
from router.admin.http.metrics import Gauges, Metrics
from router.admin.http.server import Answer, Request
from router.admin.status.hospitals import HospitalCounts
from router.catalogue.node.users import User
from router.catalogue.queue.backlog import Place
from router.clock import FakeClock
from router.config.hospitals import several_of
from router.images.rulebook import rulebook
from router.model import Channel
from router.policy.roles import Role
from router.review.attention import look, look_by_hospital, tallied
from router.review.refusal_owners import quarantine_owners
from support.catalogue_rows import CLOUD
from support.console_site import PASSWORD, SECRET
from support.hospital_rows import District, configure, ordinary

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PLACES = [Place(CLOUD, Channel.IMAGES, timedelta(hours=6))]


class Town:
    """A district with its console and its metrics, called without a socket."""

    def __init__(
        self, folder: Path, names: tuple[str, ...] | None = None, *, before: Callable[[District], None] = lambda _: None
    ) -> None:
        self.district: District = ordinary(folder, NOW)
        before(self.district)
        if names is not None:
            for path in (folder / "hospitals").iterdir():
                path.unlink()
            configure(folder, names)
        catalogue, config, clock = self.district.catalogue, self.district.config, FakeClock(NOW)
        quarantine = config.node.data / "quarantine"

        def owners() -> Mapping[str, str]:
            return quarantine_owners(config, catalogue)

        self.cookies: dict[str, str] = {}
        self.routes = Console(ConsoleContext(
            config=config, catalogue=catalogue, bus=self.district.bus, clock=clock,
            rules=lambda _: rulebook(config.series), queues=PLACES, free=lambda: 2**33, token_file=Path("token"),
            seal=lambda: None, attention=lambda of: look(catalogue, PLACES, quarantine, NOW, of, owners),
        ), "a-token-for-the-test").routes()  # fmt: skip
        gauges = Gauges(
            catalogue, lambda: PLACES, "node", lambda: 2**33, clock, lambda: look(catalogue, PLACES, quarantine, NOW),
            lambda: several_of(config),
            lambda: {
                name: tallied(found)
                for name, found in look_by_hospital(catalogue, PLACES, quarantine, NOW, owners).items()
            },
        )  # fmt: skip
        self.metrics = Metrics(gauges, lambda: PLACES)
        self.counts = HospitalCounts(lambda: config, catalogue, clock)

    def page(self, path: str, **query: str) -> str:
        return self.ask(path, query).body.decode()

    def ask(self, path: str, query: Mapping[str, str], *, live: bool = False) -> Answer:
        headers = Message()
        if live:
            headers["X-Live"] = "1"
        return self.routes[path](Request(
            method="GET", path=path, query={"lang": "en", **query}, form={}, cookies=self.cookies, headers=headers
        ))  # fmt: skip

    def post(self, path: str, **form: object) -> Answer:
        """Send a form of the person who has logged in; the cookie of a login is kept."""
        known = re.search(r'name="csrf" value="([^"]+)"', self.page("/")) if self.cookies else None
        sent = {"csrf": known[1]} if known else {}
        request = Request(
            method="POST", path=path, query={"lang": "en"}, form=sent | {n: str(v) for n, v in form.items()},
            cookies=self.cookies, headers=Message(),
        )  # fmt: skip
        answer = self.routes[path](request)
        if given := answer.headers.get("Set-Cookie", ""):
            self.cookies |= dict([given.partition(";")[0].split("=", 1)])
        return answer

    def log_in(self, who: str, role: Role, hospitals: tuple[str, ...] = ()) -> None:
        """Log in as this user, who is added."""
        self.cookies.clear()
        self.district.catalogue.users.add(User(
            name=who, role=role, hospitals=hospitals, secret=SECRET, initial=False, changed=NOW, created=NOW
        ))  # fmt: skip
        assert self.post("/login", who=who, password=PASSWORD).status == 303

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples that are not 0, by the values of their labels, in the order of their names."""
        families = text_string_to_metric_families(self.metrics.answer(None).body.decode())
        found = (one for family in families for one in family.samples if one.name == f"router_{name}")
        return {tuple(v for _, v in sorted(one.labels.items())): one.value for one in found if one.value}
