"""GET /health: whether images can be taken, for a load balancer; `?strict=1`: whether all works, for a monitor."""

import json
from collections.abc import Callable, Mapping

from router.admin.http.server import Answer, Handle, Request

Report = Callable[[], Mapping[str, object]]


def health(report: Report) -> Handle:
    """Answer 200 while the report is `ok`, else 503; with `strict=1` also 503 while it lists anything `degraded`."""

    def handle(request: Request) -> Answer:
        state = report()
        strict = request.query.get("strict", "0") != "0"
        well = state["ok"] and not (strict and state.get("degraded"))
        return Answer(200 if well else 503, json.dumps(state).encode(), "application/json")

    return handle
