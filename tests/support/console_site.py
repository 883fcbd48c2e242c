"""A console over real HTTP, for tests: a clinic, its pages, and a person who may log in."""

import http.client
import re
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

from argon2 import PasswordHasher

from router.admin.console.console import Console
from router.admin.console.context import ConsoleContext
from router.admin.http.hosts import names_of
from router.admin.http.server import AdminServer, Answer
from router.catalogue.node.users import User
from router.catalogue.queue.backlog import Place
from router.config.sections import Admin
from router.dicom.preview.pictures import Pictures
from router.images.rulebook import rulebook
from router.model import Channel
from router.policy.roles import Role
from router.review.attention import look
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1

STUDY = "1.2.3"
PASSWORD = "Tulpe-7-Wiese"
SECRET = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)  # cheap
TOKEN = "a-token-for-the-test"  # it opens nothing but this test's console


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    text: str


class Site:
    """A clinic with an exam that is held, and the console over it."""

    def __init__(
        self, clinic: ExamWorkflow, admin: Admin, context: ssl.SSLContext | None = None,
        pictures: Pictures | None = None,
    ) -> None:  # fmt: skip
        self.clinic = clinic
        config = clinic.config.model_copy(update={"admin": admin})
        places = [
            Place("cloud", Channel.REPORT, timedelta(hours=1)),
            Place("cloud", Channel.IMAGES, timedelta(hours=6)),
        ]
        quarantine = clinic.config.node.data / "quarantine"
        console = ConsoleContext(
            config=config, catalogue=clinic.catalogue, bus=clinic.bus, clock=clinic.clock,
            rules=lambda _: rulebook(config.series), queues=places, free=lambda: 2**33,
            token_file=Path("console-token"), seal=self.seal,
            attention=lambda of: look(clinic.catalogue, places, quarantine, clinic.clock.now(), of),
            report=lambda: self.report, pictures=pictures or Pictures(),
        )  # fmt: skip
        self.sealing: Exception | None = None
        self.report: Mapping[str, object] = {"receiving": True, "degraded": []}
        self.console, self.places = Console(console, TOKEN), places
        routes, close = self.console.routes(), clinic.catalogue.engine.close_thread
        routes["/health"] = lambda _: Answer(200, b"well")
        self.routes = frozenset(routes)
        self.server = AdminServer(routes, close, context, names_of(admin))
        self.port = self.server.start("127.0.0.1", 0)
        self.cookies: dict[str, str] = {}

    def seal(self) -> None:
        if self.sealing is not None:
            raise self.sealing

    def ask(self, path: str, form: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None) -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with closing(connection):
            sent = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **(headers or {})}
            if form is None:
                connection.request("GET", path, headers=sent)
            else:
                sent["Content-Type"] = "application/x-www-form-urlencoded"
                connection.request("POST", path, urlencode(form), sent)
            answer = connection.getresponse()
            given = answer.headers.get_all("Set-Cookie") or []
            self.cookies |= dict(cookie.partition(";")[0].split("=", 1) for cookie in given)
            return Got(answer.status, dict(answer.headers), answer.read().decode())

    def log_in(self, who: str = "wang", role: Role = Role.ADMINISTRATOR, hospitals: tuple[str, ...] = ()) -> Got:
        """Log in as this user, who is added with PASSWORD where there is none yet."""
        now = self.clinic.clock.now()
        user = User(name=who, role=role, hospitals=hospitals, secret=SECRET, initial=False, changed=now, created=now)
        self.clinic.catalogue.users.add(user)
        return self.ask("/login", {"who": who, "password": PASSWORD})

    @property
    def exam(self) -> int:
        return self.clinic.case(E1).exam

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.ask("/").text)
        assert found is not None
        return found[1]

    def act(self, verb: str, **changes: object) -> Got:
        form: dict[str, object] = {"csrf": self.csrf, "id": self.exam, "delivery": self.delivery, "what": verb}
        form["seen"] = self.seen
        return self.ask("/act", form | {"why": "asked"} | changes)

    @property
    def seen(self) -> str:
        """What the exam's page shows, as its form tells."""
        found = re.search(r'name="seen" value="([^"]+)"', self.ask(f"/exam?id={self.exam}").text)
        return "" if found is None else found[1]

    @property
    def delivery(self) -> int:
        return self.clinic.delivery(E1).id
