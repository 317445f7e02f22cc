"""A site on the loopback, and the engine pointed at it with limits small enough for a test."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.engine.download import Limits
from portal.engine.fetch import Fetched, Web, to_parquet
from portal.engine.guard import Policy
from portal.engine.meter import Meter
from portal.engine.reading import Reading
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
    """Small in bytes, patient in seconds: on a busy machine an honest server of a test is slow, too."""
    return Limits(max_bytes=8 * 1024**2, max_seconds=60, stall_seconds=10, ratio_after=1024**2)


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def fetch(tmp_path: Path, policy: Policy, limits: Limits, stop: Stop) -> Fetch:
    """`fetch(url, meter=…, headers=…, policy=…, any limit, and what the user says of the file)`."""
    usual = policy

    def run(
        url: str,
        *,
        meter: Meter | None = None,
        headers: dict[str, str] | None = None,
        policy: Policy | None = None,
        **said: Any,
    ) -> Fetched:
        changed = {name: said.pop(name) for name in list(said) if name in Limits.__dataclass_fields__}
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        return to_parquet(
            Web(url, headers or {}, tmp_path / "source"),
            work,
            reading=Reading(**said),
            policy=policy or usual,
            limits=replace(limits, **changed),
            stop=stop,
            meter=meter or Meter(),
        )

    return run
