"""What a container runs ends when its process hangs, so that the engine starts it again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.local.instances import until

BEATING = "import os, signal, sys; from portal.beat import Beat; Beat.of_environment().start(); "
LOOPING = "import os, sys, time; from portal.beat import Beat; beat = Beat.of_environment(); "


def kept(code: str, *args: str) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-m", "portal.keepalive", sys.executable, "-c", code, *args]
    return subprocess.Popen(argv, stderr=subprocess.PIPE)


def test_its_exit_code_is_the_command_s() -> None:
    for code in (0, 3):
        process = kept(f"raise SystemExit({code})")
        process.communicate(timeout=20)
        assert process.returncode == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on(number: signal.Signals, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = kept(
        f"import signal, pathlib; signal.signal({int(number)}, lambda *_: exit(7));"
        f"pathlib.Path('{ready}').touch(); signal.pause()"
    )
    until(ready.exists)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 7


def test_a_process_that_is_stopped_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = BEATING + f"child = os.fork(); open('{pids}', 'a').write(f'{{os.getpid()}} '); signal.pause()"
    process = kept(code)
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    both = [int(pid) for pid in pids.read_text().split()]
    began = time.monotonic()
    for pid in both:
        os.kill(pid, signal.SIGSTOP)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - began <= 15
    assert process.returncode == 1
    assert b"gives no sign of life and is killed" in said
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in both))


def test_a_process_that_works_goes_on(tmp_path: Path) -> None:
    process = kept(LOOPING + "\nfor _ in range(24): beat.touch(); time.sleep(0.5)")
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")
