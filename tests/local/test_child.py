"""One child: its log, its end, its group."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from portal.local import child as children
from portal.local.child import Child, run_to_end, stop
from portal.local.refusals import Refused
from tests.local.instances import until


def _python(folder: Path, code: str) -> Child:
    return Child("worker", [sys.executable, "-c", code], folder / "worker.log")


def test_a_failure_is_reported_with_its_last_lines_and_its_log(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        run_to_end(_python(tmp_path, "for n in range(20): print(n)\nraise SystemExit('no such table')"))
    assert str(refused.value).splitlines() == [
        "worker ended with exit code 1.",
        *(f"    {line}" for line in (15, 16, 17, 18, 19)),
        "    no such table",
        f"    Log: {tmp_path}/worker.log",
    ]


def test_only_what_it_said_itself_is_reported(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text("of yesterday\n")
    quiet = _python(tmp_path, "")
    run_to_end(quiet)
    assert quiet.last_lines() == []


def test_a_log_stays_bounded_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LOG_LIMIT", 1000)
    writer = _python(
        tmp_path,
        "import signal; print('x' * 2000, flush=True); signal.signal(10, lambda *_: 0); signal.pause(); print('more')",
    )
    writer.start()
    log = tmp_path / "worker.log"
    until(lambda: log.stat().st_size > 2000)
    writer.trim_log()
    assert (log.stat().st_size, (tmp_path / "worker.log.1").stat().st_size) == (0, 2001)
    os.kill(writer.pid or 0, signal.SIGUSR1)
    until(lambda: not writer.runs())
    assert log.read_text() == "more\n"


def test_who_does_not_listen_is_killed_with_its_group(tmp_path: Path) -> None:
    deaf = _python(
        tmp_path,
        "import os, signal; signal.signal(15, signal.SIG_IGN); print(os.fork(), flush=True); signal.pause()",
    )
    deaf.stopping = ((signal.SIGTERM, 0.1),)
    deaf.start()
    lines = until(lambda: [line for line in deaf.last_lines() if line != "0"])
    stop([deaf], time.monotonic() + 5)
    assert deaf.ending() == "was ended by SIGKILL"
    until(lambda: not _runs(int(lines[0])))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False
