"""The whole portal as its users start it: `python -m portal.local`, in a folder of its own."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.local.ports import free_port
from tests.watch import leaks_of_instance

ROOT = Path(__file__).parent.parent
PASSWORD = "walking along the sea"  # of everyone who signs up there


class Stack:
    """A running portal: where it answers, where its outbox is read, and where it keeps its things."""

    def __init__(self, url: str, outbox: str, folder: Path, process: "subprocess.Popen[str]") -> None:
        self.url, self.outbox, self.folder, self.process = url, outbox, folder, process

    @property
    def outbox_json(self) -> str:
        """The same for programs."""
        return self.outbox.replace("/outbox?", "/outbox.json?")


@contextmanager
def stack(folder: Path, **env: str) -> Iterator[Stack]:
    """Start it, wait until it says that it is ready, stop it as Ctrl-C would."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    settings = {"INSTANCE_PATH": str(folder), "PORT": str(port), "CAPTCHA_COST": "100", "SMS_PER_ADDRESS_DAY": "10000"}
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.local"],
        cwd=ROOT,
        env={**inherited, **settings, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if " arrive at http" in line:
                break
        else:
            raise AssertionError("the portal did not start:\n" + "".join(said))
        yield Stack(f"http://127.0.0.1:{port}", line.split()[-1], folder, process)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert leaks_of_instance(folder, PASSWORD) == []


def new_number() -> str:
    """A mainland mobile number that no test used before."""
    return f"+86138{secrets.randbelow(10**8):08}"
