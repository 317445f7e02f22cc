"""`python -m portal.keepalive COMMAND…`: runs it, and ends with it; kills it when it gives no sign of life.

For containers: an engine starts again what ends, but does nothing about a container that is merely unhealthy.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from loguru import logger

from portal.beat import VARIABLE, Listening

LOOK_SECONDS = 0.5


def main(argv: list[str]) -> int:
    """The command's exit code; 1 when it was killed."""
    with tempfile.TemporaryDirectory(prefix="beat-") as folder:
        file = Path(folder) / "beat"
        listening = Listening(file)
        # A group of its own: what hangs is killed with all that it started.
        process = subprocess.Popen(argv, env={**os.environ, VARIABLE: str(file)}, start_new_session=True)

        def pass_on(number: int, _: FrameType | None) -> None:
            process.send_signal(number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, pass_on)
        while process.poll() is None:
            time.sleep(LOOK_SECONDS)
            if listening.is_silent():
                logger.error("{} gives no sign of life and is killed", argv[0])
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        code = process.returncode
        return code if code >= 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
