"""A site on the loopback, and the engine pointed at it with limits small enough for a test."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.engine.download import Limits
from portal.engine.fetch import Fetched, to_parquet
from portal.engine.guard import Policy
from portal.engine.meter import Meter
from portal.engine.stop import Stop
from tests.engine.servers import Site

Fetch = Callable[..., Fetched]


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def policy(site: Site) -> Policy:
    return Policy(allow_hosts=frozenset({(site.host, site.port)}))


@pytest.fixture
def limits() -> Limits:
    return Limits(max_bytes=8 * 1024**2, max_seconds=10, stall_seconds=0.5, connect_seconds=1, ratio_after=1024**2)


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def fetch(tmp_path: Path, policy: Policy, limits: Limits, stop: Stop) -> Fetch:
    """`fetch(url, format=…, meter=…, and any limit)`."""

    def run(url: str, *, format: str | None = None, meter: Meter | None = None, **changed: Any) -> Fetched:
        own = replace(limits, **changed)
        meter = meter or Meter()
        return to_parquet(url, tmp_path, format=format, policy=policy, limits=own, stop=stop, meter=meter)

    return run
