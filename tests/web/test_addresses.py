"""Whose address counts: the connection's, or that which so many trusted proxies name; never what a stranger writes."""

from collections.abc import Iterator

import pytest
from apiflask import APIFlask
from sqlalchemy import select

from portal import remote_address
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


FORGED = [
    '"',
    '9.9.9.9:"',
    '9.9.9.9%"',
    '[2001:db8::9]"',
    'a"b\\"',
    "\\",
    '"9.9.9.9',
    "",
    ",",
    ",,9.9.9.9,",
    "for=9.9.9.9;by=",
]


@pytest.mark.parametrize("forged", FORGED)
def test_nothing_put_before_its_word_swallows_it(behind_a_proxy: APIFlask, forged: str) -> None:
    """What nginx makes of a visitor's own header: that, a comma and the address."""
    assert _address_of_a_failure(behind_a_proxy, f"{forged}, 203.0.113.5") == "203.0.113.5"


def test_of_two_proxies_the_farther_one_names_the_visitor(settings: Settings, app: APIFlask) -> None:
    behind_two = create_app(settings.model_copy(update={"trusted_proxies": 2}))
    for forged in FORGED[:2]:
        assert _address_of_a_failure(behind_two, f"{forged}, 203.0.113.5, 192.0.2.1") == "203.0.113.5"
    assert _address_of_a_failure(behind_two, "203.0.113.5") == "127.0.0.1"  # it came past one of them
    with behind_two.app_context():
        db.engine.dispose()


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


FORMS = {
    "198.51.100.7": ["198.51.100.7", " 198.51.100.7 ", "198.51.100.7:4711", "::ffff:198.51.100.7", "::FFFF:c633:6407"],
    "198.51.100.8": ["[::ffff:198.51.100.8]:80", "::ffff:198.51.100.8%eth0", "::ffff:0:198.51.100.8"],
    "198.51.100.9": ["64:ff9b::198.51.100.9", "2002:c633:6409::1", "2002:c633:6409:77:1:2:3:4"],
    "198.51.100.10": ["2001:0:4136:e378:8000:63bf:39cc:9bf5"],
    "2001:db8::1": ["2001:db8::1", "2001:DB8:0::1", "[2001:db8::1]", "[2001:db8::1]:443", "2001:db8::1%1"],
    "2002:7f00:1::": ["2002:7f00:1::"],
    "64:ff9b::7f00:1": ["64:ff9b::127.0.0.1"],
    "": ["", "unknown", "_hidden", "198.51.100", "1.2.3.4.5", "::1::"],
}


@pytest.mark.parametrize(("form", "written"), [(form, each) for form, said in FORMS.items() for each in said])
def test_an_address_has_one_form(form: str, written: str) -> None:
    assert remote_address.form(written) == form


def test_ipv4_visitors_of_an_ipv6_socket_are_not_one_crowd(app: APIFlask) -> None:
    person(app, "alice")
    codes = []
    for last in range(12):
        answer = app.test_client().post(
            "/api/v1/auth/login",
            json={"account": f"nobody{last}", "password": "wrong"},
            environ_base={"REMOTE_ADDR": f"::ffff:198.51.100.{last}"},
        )
        codes.append(answer.get_json()["code"])
    assert codes == ["credentials_wrong"] * 12
    with app.app_context():
        newest = db.session.scalars(select(Event.address).order_by(Event.position.desc())).first()
    assert newest == "198.51.100.11"


@pytest.mark.parametrize("forwarded", ["[::ffff:203.0.113.5]:4711", "203.0.113.5:4711", "::ffff:203.0.113.5"])
def test_what_a_proxy_adds_to_an_address_is_taken_off(behind_a_proxy: APIFlask, forwarded: str) -> None:
    assert _address_of_a_failure(behind_a_proxy, forwarded) == "203.0.113.5"
