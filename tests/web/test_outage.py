"""Without PostgreSQL: 503 that says so, from both doors, and the process stays alive."""

import pytest
from flask.testing import FlaskClient

from portal.app import create_app
from portal.config import Settings
from tests.cast import csrf


@pytest.fixture
def cut_off(settings: Settings) -> FlaskClient:
    """A portal whose database does not answer."""
    nowhere = settings.model_dump() | {"database_url": "postgresql://u:p@127.0.0.1:1/d"}
    return create_app(Settings.model_validate(nowhere)).test_client()


def test_pages_say_so(cut_off: FlaskClient) -> None:
    assert cut_off.get("/login").status_code == 200
    answer = cut_off.post("/login", data={"csrf_token": csrf(cut_off, "/login"), "account": "a", "password": "b"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "database is away" in answer.text and "u:p@" not in answer.text


def test_the_api_says_so(cut_off: FlaskClient) -> None:
    answer = cut_off.post("/api/v1/auth/login", json={"account": "a", "password": "b"})
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert (answer.get_json()["code"], answer.headers["Retry-After"]) == ("database_unavailable", "5")


def test_health_tells_alive_from_ready(cut_off: FlaskClient) -> None:
    assert cut_off.get("/health/live").status_code == 200
    answer = cut_off.get("/health/ready")
    assert (answer.status_code, answer.get_json()["postgresql"]) == (503, "down")
