"""GET /health: whether the node works, for a load balancer or a monitor."""

import json
from collections.abc import Callable, Mapping

from router.admin.server import Answer, Handle

Report = Callable[[], Mapping[str, object]]


def health(report: Report) -> Handle:
    """Answers 200 while `report()["ok"]` is true, else 503; the body is the report as JSON."""

    def handle(_: object) -> Answer:
        state = report()
        return Answer(200 if state["ok"] else 503, json.dumps(state).encode(), "application/json")

    return handle
