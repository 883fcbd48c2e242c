"""Chat and other message services through apprise: each message goes by a program of its own, within half a minute.

Addresses hold secrets: they go to the program on its stdin, and no text of apprise is shown. apprise takes HTTP status
200 for success; most Chinese chat services refuse with 200 and an error code, so the program checks that, too.

Its input is JSON: `urls`, the addresses, and, unless they are only to be checked, `title` and `body`. Its output:
`known`, for each address whether apprise reads it; `sent`; `status` and `code` of the last answer.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from router.errors import ConfigurationError, TransientError
from router.forward.http import overhear
from router.process.environment import inherited

SECONDS = 30.0
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from router.forward.chat import main
main()
"""
_INSTALL = "pip install 'imaging-cloud-router[notify]' into the node's environment, or run scripts/install again"


def service(url: str) -> str:
    """The part of an address that may be shown: `wecombot`."""
    return url.partition("://")[0].lower()


def require_known(urls: Sequence[str]) -> None:
    """Check the addresses; ConfigurationError where apprise is missing, or does not read one of them."""
    if not urls:
        return
    if find_spec("apprise") is None:
        raise ConfigurationError("[alarms] targets: apprise is not installed", hint=_INSTALL)
    try:
        known = _run({"urls": list(urls)}, "")["known"]
    except TransientError as error:
        raise ConfigurationError(f"[alarms] targets: {error.message}", hint=_INSTALL) from error
    faults = tuple(
        f"target {number} ({service(url)}): no address that apprise reads (it is not shown)"
        for number, (url, fine) in enumerate(zip(urls, known, strict=True), 1)
        if not fine
    )
    if faults:
        raise ConfigurationError("[alarms] targets:", faults=faults)


def send(url: str, title: str, body: str, proxy: str) -> None:
    """Send a message; TransientError unless the service says that it has accepted it."""
    answer = _run({"urls": [url], "title": title, "body": body}, proxy)
    if not answer["sent"]:
        status, code = answer["status"], answer["code"]
        if status is None:
            raise TransientError("it cannot be reached, or does not answer")
        raise TransientError(f"it answers {status}" + (f", error code {code}" if code else ""))


def _run(question: Mapping[str, object], proxy: str) -> Mapping[str, Any]:
    command = [sys.executable, "-P", "-W", "ignore", "-c", _PROGRAM, os.pathsep.join(sys.path)]
    environment = inherited(os.environ) | ({"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy} if proxy else {})
    try:
        done = subprocess.run(  # noqa: S603  # our own program
            command, input=json.dumps(question).encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"no answer within {SECONDS:.0f} s") from error
    try:
        found: Mapping[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise TransientError(f"apprise ended with {done.returncode}") from error
    return found


def main() -> None:
    """The program."""
    import apprise

    question = json.load(sys.stdin)
    asset = apprise.AppriseAsset(async_mode=False, app_id="imaging-cloud-router", app_url="", secure_logging=True)
    services = [apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True) for url in question["urls"]]
    answer: dict[str, object] = {"known": [one is not None for one in services]}
    if "body" in question:
        answer |= _sent(services[0], question["title"], question["body"])
    json.dump(answer, sys.stdout)


def _sent(one: Any, title: str, body: str) -> dict[str, object]:
    heard: list[tuple[int, bytes]] = []
    overhear(lambda status, content: heard.append((status, content)))
    taken = one is not None and bool(one.notify(title=title, body=body))
    refusals = [code for _, content in heard if (code := said_code(content, "errcode"))]
    said = refusals or [said_code(content, "code") for _, content in heard[-1:] if not taken]
    status = heard[-1][0] if heard else None
    return {"sent": taken and not refusals, "status": status, "code": said[-1] if said else ""}


def said_code(content: bytes, name: str) -> str:
    """The error code of this name in a JSON answer, "" for none and for success.

    WeCom and DingTalk name it `errcode`. Others have a `code` that may also say success, in ways of their own.
    """
    try:
        document = json.loads(content)
    except ValueError:
        return ""
    code = document.get(name) if isinstance(document, dict) else None
    return "" if code in (None, 0, "0") else str(code)[:20]
