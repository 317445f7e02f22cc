"""The real supervisor and servers around small stand-ins for the portal's own processes.

python standins.py              what `make run` does
python standins.py web PORT     one of the stand-ins
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from portal.beat import Beat
from portal.local.place import Place
from portal.local.programs import Program, Programs
from portal.local.run import run

ME = [sys.executable, str(Path(__file__).resolve())]
ASKED = ((signal.SIGTERM, 0.3),)


def programs(place: Place, sample_port: int) -> Programs:
    """Stand-ins; the worker ignores SIGTERM, as a busy one would."""
    return Programs(
        migrate=["true"],
        web=Program("web", [*ME, "web", str(place.port)], stage=1, stopping=ASKED, death=signal.SIGTERM),
        others=[
            Program("worker", [*ME, "worker"], stage=1, stopping=ASKED),
            Program("dispatcher", [*ME, "dispatcher"], stage=0, stopping=ASKED, beats=True),
            Program("sample", [sys.executable, "-m", "portal.local.sample", str(sample_port)], stage=1, stopping=ASKED),
        ],
    )


class _Alive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["web", port]:
            ThreadingHTTPServer(("127.0.0.1", int(port)), _Alive).serve_forever()
        case ["worker"]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork() == 0:  # a pool has processes of its own
                signal.pause()
            signal.pause()
        case ["dispatcher"]:
            Beat.of_environment().start()
            signal.pause()
        case _:
            sys.exit(run(os.environ, Path.cwd(), programs))
