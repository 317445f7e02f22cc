"""What runs beside the servers: the portal's own processes and how each is stopped."""

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from signal import Signals

from portal.beat import VARIABLE, Listening
from portal.local.child import Child
from portal.local.place import REPOSITORY, Place


@dataclass(frozen=True)
class Program:
    """A process of the portal. Those that stop first have the lowest `stage`."""

    name: str
    argv: Sequence[str]
    stage: int
    stopping: Sequence[tuple[Signals, float]]
    death: Signals = signal.SIGKILL
    beats: bool = False  # whether it gives signs of life

    def child(self, place: Place, env: Mapping[str, str]) -> Child:
        """The same, ready to start."""
        log = place.logs / f"{self.name}.log"
        beat = place.notes / f"{self.name}.beat" if self.beats else None
        return Child(
            self.name,
            self.argv,
            log,
            env={**env, VARIABLE: str(beat)} if beat else env,
            beat=Listening(beat) if beat else None,
            cwd=REPOSITORY,
            stopping=self.stopping,
            death=self.death,
        )


@dataclass(frozen=True)
class Programs:
    """`migrate` runs to its end before the others start; `others` are all but the web."""

    migrate: Sequence[str]
    web: Program
    others: Sequence[Program]


def of_the_portal(place: Place, sample_port: int) -> Programs:
    """What `make run` starts."""
    scripts = Path(sys.executable).parent
    concurrency = place.environ.get("WORKER_CONCURRENCY") or "2"
    worker = f"-A celery_app worker -Q default -c {concurrency} -l info --without-gossip --without-mingle"
    return Programs(
        migrate=[str(scripts / "flask"), "--app", "wsgi", "db", "upgrade"],
        web=Program(
            "web",
            [sys.executable, "-m", "portal.front", "--host", place.host, "--port", str(place.port)],
            stage=1,
            stopping=((signal.SIGTERM, 6.0),),
            death=signal.SIGTERM,
            beats=True,
        ),
        others=[
            Program(
                "worker",
                [str(scripts / "celery"), *worker.split()],
                stage=1,
                # A task that is cut off is not lost: its lease in PostgreSQL runs out and another attempt takes it.
                stopping=((signal.SIGTERM, 3.0), (signal.SIGQUIT, 1.0)),
                beats=True,
            ),
            Program(
                "dispatcher",
                [sys.executable, "-m", "portal.worker.dispatcher"],
                stage=0,
                stopping=((signal.SIGTERM, 1.5),),
                beats=True,
            ),
            Program(
                "sample",
                [sys.executable, "-m", "portal.local.sample", str(sample_port)],
                stage=1,
                stopping=((signal.SIGTERM, 1.0),),
            ),
        ],
    )


def answers(place: Place) -> bool:
    """Whether the web is alive."""
    host, port = place.reachable
    connection = HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
