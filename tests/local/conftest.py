"""A folder to run an instance in, gone with all its processes after the test."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from portal.local.identity import NOBODY
from tests.local.instances import Instance


@contextmanager
def a_folder(as_nobody: bool = False) -> Iterator[Instance]:
    """A folder that its user can reach; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="portal-"))
    try:
        with closing(Instance(folder, as_nobody)) as instance:
            if as_nobody:
                os.chown(folder, NOBODY, NOBODY)
            yield instance
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def instance() -> Iterator[Instance]:
    """A folder of its own."""
    with a_folder() as made:
        yield made


@pytest.fixture(params=["ourselves", "nobody"])
def anybodys(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A folder of its own, ours or that of an ordinary user, which only root can arrange."""
    if (as_nobody := request.param == "nobody") and os.geteuid() != 0:
        pytest.skip("only root can become nobody")
    with a_folder(as_nobody) as made:
        yield made


@pytest.fixture(scope="module")
def running() -> Iterator[Instance]:
    """One that runs, for tests that only look."""
    with a_folder() as made:
        (made.folder / ".env").write_text("FETCH_ALLOW_HOSTS=data.test:8080\nPORT=1\nSMS_PER_DAY=7\n")
        yield made.up(PYTHONDONTWRITEBYTECODE="1")
