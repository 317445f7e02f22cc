"""The worker's way back to a broker that was away."""

from typing import Any

import pytest
from apiflask import APIFlask
from kombu.exceptions import OperationalError


def test_a_worker_looks_for_the_broker_every_two_seconds_at_least(
    app: APIFlask, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: None)
    celery: Any = app.extensions["celery"]
    connection = celery.connection_for_read(url="redis://127.0.0.1:1/0")
    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, seconds: pauses.append(seconds), 6)
    assert pauses == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
