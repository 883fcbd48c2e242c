"""The console in a real browser: one start of Chromium walks through all of it and reports what it found.

`console_flows.js` does the walking, in frames of a page of the same server. Only two things differ from the console as
it is served: its pages may be framed by that page, and they refresh themselves more often.
"""

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from router.admin.http.server import AdminServer, Answer, Handle, Request, html
from support.console_site import PASSWORD, Site

_PATHS = (
    "/ /work /exam?id={exam} /queue /unreported /refused /files /login /users /password /senders /statistics"
    " /exchange /configuration"
)
PAGES = tuple(_PATHS.split())
_AXE = Path(__file__).parents[2] / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
_FLOWS = Path(__file__).parent / "console_flows.js"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_SECONDS = 240.0  # for a machine that does four other things


def browser() -> str | None:
    """The browser's program, where there is one."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


def has_axe() -> bool:
    """Whether accessibility can be checked: axe-core is installed by `scripts/test` where npm is there."""
    return _AXE.exists()


@dataclass(slots=True)
class Walk:
    """The walk of one browser; `found` is what each step has reported, `statuses` what the pages were answered with."""

    site: Site
    change: Callable[[], None]
    found: dict[str, Any] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    silent: bool = False
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, folder: Path) -> Mapping[str, Any]:
        """Walk until the last step has reported; its results by name."""
        console = {path: self._framed(handle) for path, handle in self.site.console.routes().items()}
        server = AdminServer({**console, **self._own()}, self.site.clinic.catalogue.engine.close_thread)
        port = server.start("127.0.0.1", 0)
        program = [
            browser() or "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", f"http://127.0.0.1:{port}/walk",
        ]  # fmt: skip
        started = subprocess.Popen(
            program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
        try:
            assert self.over.wait(_PATIENCE_SECONDS), f"the browser has reported {list(self.found)} only"
        finally:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            server.stop()
        return self.found

    def _own(self) -> dict[str, Handle]:
        pages = " ".join(PAGES).format(exam=self.site.exam)
        data = {"pages": pages, "exam": self.site.exam, "password": PASSWORD, "axe": "yes" if has_axe() else "no"}
        shown = " ".join(f'data-{name}="{value}"' for name, value in data.items())
        walk = f'<!doctype html><body {shown}><script src="/walk.js" defer></script>'
        script = "text/javascript; charset=utf-8"
        return {
            "/walk": lambda _: html(walk.encode()),
            "/walk.js": lambda _: Answer(200, _FLOWS.read_bytes(), script),
            "/axe.js": lambda _: Answer(200, _AXE.read_bytes(), script),
            "/report": self._report,
            "/change": lambda _: self._do(self.change),
            "/silence": lambda _: self._do(lambda: setattr(self, "silent", True)),
            "/speak": lambda _: self._do(lambda: setattr(self, "silent", False)),
        }

    def _report(self, request: Request) -> Answer:
        name = request.form["name"]
        self.found[name] = json.loads(request.form["found"])
        if name == "violations":  # the last one
            self.over.set()
        return Answer(200, b"")

    def _do(self, act: Callable[[], None]) -> Answer:
        act()
        return Answer(200, b"")

    def _framed(self, handle: Handle) -> Handle:
        def framed(request: Request) -> Answer:
            if self.silent and "X-Live" in request.headers:
                return Answer(503, b"")
            answer = handle(request)
            self.statuses.append(answer.status)
            policy = answer.headers.get("Content-Security-Policy", "")
            policy = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
            body = answer.body.replace(b'data-every="5"', b'data-every="0.2"')
            headers = {**answer.headers, **({"Content-Security-Policy": policy} if policy else {})}
            headers.pop("Content-Length", None)
            return replace(answer, body=body, headers=headers)

        return framed
