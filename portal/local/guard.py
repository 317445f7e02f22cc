"""Outlives the supervisor by a moment: when that was killed, ends what it had started.

On Linux the kernel has ended the children by then, and this ends what they had started; elsewhere it ends all.

    python -m portal.local.guard NOTES        with the read end of a pipe of the supervisor's as standard input
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.local import leftovers
from portal.local.place import REPOSITORY


@contextmanager
def guarded(notes: Path) -> Iterator[None]:
    """While inside, what is noted in `notes` does not outlive this process."""
    ours, theirs = os.pipe()
    argv = [sys.executable, "-m", "portal.local.guard", str(notes)]
    guard = subprocess.Popen(argv, stdin=ours, start_new_session=True, cwd=REPOSITORY)
    os.close(ours)
    try:
        yield
    finally:
        os.close(theirs)
        try:
            guard.wait(1.0)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()


def keep_watch(notes: Path) -> None:
    """Wait until the supervisor is gone, then end what it has left."""
    sys.stdin.buffer.read()
    processes = leftovers.noted(notes)
    leftovers.end(processes)
    for process in processes:
        # Without its leader a group keeps its number for itself, so this hits nobody else.
        process.kill_group()


if __name__ == "__main__":
    keep_watch(Path(sys.argv[1]))
