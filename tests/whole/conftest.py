"""The whole portal, running, and a data source beside it."""

from collections.abc import Iterator

import pytest

from tests.conftest import Urls, own_database
from tests.engine.servers import Site
from tests.program import Program
from tests.stack import Stack, stack


@pytest.fixture(scope="session")
def source() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="session")
def kept(servers: Urls) -> Iterator[Urls]:
    """Where the portal keeps what it knows."""
    with own_database(servers, 15) as own:
        yield own


@pytest.fixture(scope="session")
def portal(kept: Urls, source: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """On the servers of the test run, so that it is tried on those of one's own too."""
    with stack(
        tmp_path_factory.mktemp("portal"),
        DATABASE_URL=kept.database,
        REDIS_URL=kept.redis,
        FETCH_ALLOW_HOSTS=f"127.0.0.1:{source.port}",
        FETCH_MAX_BYTES=str(400 * 1024**2),
    ) as running:
        yield running


@pytest.fixture
def program(portal: Stack) -> Program:
    return Program(portal)
