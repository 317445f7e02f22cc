"""One supervisor a folder, however it ended last time: the kernel lets go of the lock with the process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.local.refusals import Refused


@contextmanager
def only_one(instance: Path) -> Iterator[None]:
    """Hold the folder; raises Refused with the holder's pid when it is held."""
    with open(instance / "lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise Refused(
                f"Already running on this folder (pid {holder}): {instance}\n"
                "Stop that one, or choose another: INSTANCE_PATH=other PORT=8001 make run"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
