"""Whose address counts: the connection's, or that which so many trusted proxies name; never what a stranger writes."""

from collections.abc import Iterator

import pytest
from apiflask import APIFlask
from sqlalchemy import select

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.models import Event
from tests.cast import person


@pytest.fixture
def behind_a_proxy(app: APIFlask, settings: Settings) -> Iterator[APIFlask]:
    """The same portal, told of one proxy."""
    other = create_app(settings.model_copy(update={"trusted_proxies": 1}))
    yield other
    with other.app_context():
        db.engine.dispose()


def _address_of_a_failure(app: APIFlask, forwarded: str) -> str:
    body = {"account": "alice", "password": "wrong"}
    app.test_client().post("/api/v1/auth/login", json=body, headers={"X-Forwarded-For": forwarded})
    with app.app_context():
        return db.session.scalars(select(Event.address).order_by(Event.position.desc())).first() or ""


def test_without_proxies_a_forged_header_changes_nothing(app: APIFlask) -> None:
    person(app, "alice")
    assert _address_of_a_failure(app, "198.51.100.7") == "127.0.0.1"


def test_behind_one_proxy_only_its_word_counts(behind_a_proxy: APIFlask) -> None:
    assert _address_of_a_failure(behind_a_proxy, "198.51.100.7, 203.0.113.5") == "203.0.113.5"


def test_changing_the_forged_part_gives_no_new_tries(behind_a_proxy: APIFlask) -> None:
    codes = set()
    for last in range(11):
        answer = behind_a_proxy.test_client().post(
            "/api/v1/auth/login",
            json={"account": f"nobody{last}", "password": "wrong"},
            headers={"X-Forwarded-For": f"198.51.100.{last}, 203.0.113.5"},
        )
        codes.add(answer.get_json()["code"])
    assert codes == {"credentials_wrong", "captcha_required"}
