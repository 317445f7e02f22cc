"""The worker, and the dispatcher, whose main loop hangs when it is told to, while their threads go on.

As Celery's application: `-A tests.worker.wedged`; as a dispatcher: `python -m tests.worker.wedged FILE`, which hangs
when that file is there.
"""

import sys
import time
from pathlib import Path
from typing import Any

from celery.worker.control import control_command

from celery_app import app, flask_app
from portal.worker.dispatcher import Dispatcher


@control_command()  # type: ignore[untyped-decorator]  # celery has no types
def wedge(_: Any) -> None:
    """Commands are carried out in the main loop."""
    time.sleep(3600)


class Wedged(Dispatcher):
    def dispatch(self) -> int:
        while Path(sys.argv[1]).exists():
            time.sleep(0.1)
        return super().dispatch()


__all__ = ["app"]

if __name__ == "__main__":
    Wedged(flask_app).run()
