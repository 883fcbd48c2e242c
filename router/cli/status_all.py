"""`status --all`: every node that is installed on this machine, on one screen.

Each is asked by its own command, under its own account and by its own version: nothing of one is open to another.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from router.admin.installation import COMMAND
from router.admin.instances import Instance, installed
from router.cli.options import print_json, speak_as_shipped
from router.cli.speech import say, tongue
from router.cli.tables import console, show, watching
from router.text.language import N_

_SECONDS = 60.0  # a node is asked within some seconds; its command has to start first
_COLUMNS = (
    "Instance", "Node", "Late", "Within 30 min", "Waits for a person", "Alarms", "Free",
)  # fmt: skip
_WELL, _NOT_RECEIVING, _STOPPED = N_(("runs and receives", "runs and does NOT receive", "does not run"))
_NO_ANSWER = N_("cannot be asked: {why}")

Ask = Callable[[Instance], "Asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An instance's answer, as `status --json` gives it; `fault` is why there is none, then `status` is empty."""

    instance: Instance
    code: int
    status: Mapping[str, Any]
    fault: str = ""


def ask(instance: Instance, *more: str) -> Asked:
    """Call the instance's own `status --json`."""
    # The command finds the instance's configuration itself, unless the variable names one.
    environment = {name: value for name, value in os.environ.items() if name != "ROUTER_CONFIG"}
    call = [str(instance.command), "status", "--json", *more]
    try:
        done = subprocess.run(  # noqa: S603 our own command
            call, check=False, capture_output=True, text=True, timeout=_SECONDS, env=environment
        )
        return Asked(instance=instance, code=done.returncode, status=json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return Asked(instance=instance, code=1, status={}, fault=N_("it does not answer"))
    except OSError as error:
        return Asked(instance=instance, code=1, status={}, fault=error.strerror or type(error).__name__)
    except ValueError:
        words = done.stderr.strip().splitlines()
        return Asked(instance=instance, code=done.returncode or 1, status={}, fault=words[0] if words else "")


def show_instances(as_json: bool, watch: bool, *, attention: bool) -> int:
    """Show every node of this machine; the worst exit status, always 0 with `watch`."""
    speak_as_shipped()
    more, code = ["--attention"] if attention else [], 0

    def tell() -> None:
        nonlocal code
        code = tell_all(installed(), lambda one: ask(one, *more), as_json=as_json)

    watching(tell, time.sleep, again=watch)
    return 0 if watch else code


def tell_all(instances: Sequence[Instance], asks: Ask, *, as_json: bool) -> int:
    """Print all of them, and return the worst exit status."""
    with ThreadPoolExecutor(max_workers=max(len(instances), 1)) as pool:
        found = list(pool.map(asks, instances))
    if as_json:
        print_json([{"instance": one.instance.name, "exit": one.code, "error": one.fault or None, **one.status}
                    for one in found])  # fmt: skip
    elif found:
        show("Instances of this machine", _COLUMNS, [_row(one) for one in sorted(found, key=_rank)])
    else:
        console().print("no node is installed on this machine")
    return max((one.code for one in found), default=1)


def _rank(one: Asked) -> tuple[int, int, str]:
    """The worst first."""
    return -one.code, -_late(one.status), one.instance.name


def _late(status: Mapping[str, Any]) -> int:
    return sum(place["late"] for place in status.get("destinations") or ())


def _row(one: Asked) -> list[str]:
    status, name = one.status, one.instance.name or COMMAND
    if not status:
        return [name, tongue().say(_NO_ANSWER, why=say(one.fault)), *["-"] * (len(_COLUMNS) - 2)]
    stands = _WELL if status["receiving"] else _NOT_RECEIVING if status["running"] else _STOPPED
    if status["destinations"] is None:  # its database did not answer
        numbers = ["-"] * 4
    else:
        late, waits = _late(status), sum(each["count"] for each in status["attention"])
        soon = max(status["at_risk"] - late, 0)
        numbers = [str(late), str(soon), str(waits), str(len(status["alarms"]))]
    free = status["disk"]["free"] / 2**30 if status["disk"] else None
    return [name, say(stands), *numbers, "-" if free is None else f"{free:.1f} GiB"]
