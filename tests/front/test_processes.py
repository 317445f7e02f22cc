"""Each web process knows how many there are: while Redis is away, it keeps the limits by its part of them."""

import os
import signal
from pathlib import Path

import pytest
from apiflask import APIFlask

from portal.limits import LOOKS_SHARE
from tests.front.conftest import started, until


@pytest.mark.parametrize(("set_by_operator", "known"), [("", b"3"), ("6", b"6")])
def test_the_front_tells_them(whole_app: APIFlask, tmp_path: Path, set_by_operator: str, known: bytes) -> None:
    """Or whoever runs webs on several machines does."""
    options = "--processes", "3", "--app", "tests.front.telling:app"
    more = {"WEB_PROCESSES": set_by_operator} if set_by_operator else {}
    with started(whole_app.extensions["settings"], tmp_path, *options, **more) as running:
        assert running.get("/web-processes").body == known


def test_processes_for_looks_are_replaced_and_end_with_the_web(whole_app: APIFlask, tmp_path: Path) -> None:
    """As many as looks may be at work at once."""
    options = "--processes", "2", "--app", "tests.front.telling:app"
    with started(whole_app.extensions["settings"], tmp_path, *options) as running:
        before = running.looks()
        assert len(before) == 2 * LOOKS_SHARE.places
        webs = running.webs()
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(running.looks()) == len(before) and before[0] not in running.looks())
        assert running.webs() == webs
        all_of_them = running.children()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in all_of_them))
