"""GET /health: whether images can be taken, for a load balancer; `?strict=1`: whether all works, for a monitor."""

import json
from collections.abc import Callable, Mapping

from router.admin.http.server import Answer, Handle, Request

Report = Callable[[], Mapping[str, object]]


def health(report: Report) -> Handle:
    """Answers 200 while `report()["ok"]` is true, else 503; the body is the report as JSON.

    Asked with `strict=1` it answers 503 also when `report()["degraded"]` lists anything.
    """

    def handle(request: Request) -> Answer:
        state = report()
        strict = request.query.get("strict", "0") != "0"
        well = state["ok"] and not (strict and state.get("degraded"))
        return Answer(200 if well else 503, json.dumps(state).encode(), "application/json")

    return handle
