"""GET /health: whether the node works, for a load balancer or a monitor."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Report = Callable[[], Mapping[str, object]]


class HealthServer:
    """Answers 200 while `report()["ok"]` is true, else 503; the body is the report as JSON."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._server: ThreadingHTTPServer | None = None

    def start(self, host: str, port: int) -> int:
        """Listen; the real port. Raises OSError when it is taken."""
        server = ThreadingHTTPServer((host, port), _handler(self._report))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="admin", daemon=True).start()
        self._server = server
        return int(server.server_address[1])

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _handler(report: Report) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path != "/health":
                self.send_error(404)
                return
            state = report()
            body = json.dumps(state).encode()
            self.send_response(200 if state["ok"] else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Probes come every few seconds; they are not logged."""

    return Handler
