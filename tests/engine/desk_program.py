"""A desk, a process that serves it, and somebody who asks: run by test_look_process.py, as forks are not for pytest.

Prints what was answered, as JSON: rows, or the fault's code and how many seconds it took.
"""

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from portal.engine import look_process
from portal.engine.columns import Column
from portal.errors import Fault
from tests.engine.rows import columns_of


def _served(desk: look_process.Desk) -> int:
    pid = os.fork()
    if not pid:
        desk.serve(lambda: None)
    return pid


def _asked(path: Path, columns: list[Column], **how: Any) -> dict[str, Any]:
    began = time.monotonic()
    try:
        rows = look_process.ask(path, columns, **how).rows
        return {"rows": [row.decode() if isinstance(row, bytes) else row for row in rows]}
    except Fault as fault:
        return {"fault": fault.code, "seconds": time.monotonic() - began}
    except RuntimeError as bug:
        return {"bug": str(bug).splitlines()[-1]}


def main(path: Path, case: str) -> None:
    columns = columns_of(path)
    server = _served(look_process.open_desk())
    said: list[dict[str, Any]] = []
    if case == "in time":
        said = [_asked(path, columns), _asked(path, columns, as_json=True, limit=1)]
    elif case == "wrong":
        bug: dict[str, Any] = {"names": 5}  # which no caller sends
        said = [_asked(path.with_name("gone"), columns), _asked(path, columns, **bug), _asked(path, columns)]
    elif case == "stopped":
        os.kill(server, signal.SIGSTOP)
        said = [_asked(path, columns, seconds=0.5)]
    elif case == "killed":
        os.mkfifo(fifo := path.with_name("fifo"))  # it waits in opening it, and writers only come in while it does

        def kill() -> None:
            fifo.open("wb").close()
            os.kill(server, signal.SIGKILL)

        threading.Thread(target=kill).start()
        said = [_asked(fifo, columns, seconds=20)]
    sys.stdout.write(json.dumps(said))
    with suppress(ProcessLookupError):
        os.kill(server, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
