"""Each web process knows how many there are: while Redis is away, it keeps the limits by its part of them."""

from pathlib import Path

import pytest
from apiflask import APIFlask

from tests.front.conftest import started


@pytest.mark.parametrize(("set_by_operator", "known"), [("", b"3"), ("6", b"6")])
def test_the_front_tells_them(whole_app: APIFlask, tmp_path: Path, set_by_operator: str, known: bytes) -> None:
    """Or whoever runs webs on several machines does."""
    options = "--processes", "3", "--app", "tests.front.telling:app"
    more = {"WEB_PROCESSES": set_by_operator} if set_by_operator else {}
    with started(whole_app.extensions["settings"], tmp_path, *options, **more) as running:
        assert running.get("/web-processes").body == known
