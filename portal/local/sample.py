"""Serves the sample data on 127.0.0.1, so that a first fetch needs neither the internet nor the portal's own port.

python -m portal.local.sample PORT
"""

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "static/sample"


class Handler(SimpleHTTPRequestHandler):
    """Files of one folder; no listing."""

    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".csv": "text/csv; charset=utf-8"}

    def list_directory(self, path: object) -> None:  # noqa: ARG002
        """Answer 404 where a listing would be."""
        self.send_error(404)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Only errors are worth a line."""


def server(port: int) -> ThreadingHTTPServer:
    """A server on 127.0.0.1 that is not running yet; raises OSError when the port is taken."""
    return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=str(FOLDER)))


if __name__ == "__main__":
    server(int(sys.argv[1])).serve_forever()
