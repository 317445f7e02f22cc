"""The local outbox: for whoever has the key that `make run` printed, on this machine, through no proxy."""

from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from portal.config import Settings
from portal.derived_keys import outbox_key
from portal.extensions import gateways
from portal.gateways.mail import Mail

LOCAL = {"Host": "127.0.0.1:8000"}
PAGES = ("/dev/outbox", "/dev/outbox.json")


@pytest.fixture
def key(settings: Settings) -> str:
    return settings.outbox_key


@pytest.fixture(autouse=True)
def sent(app: APIFlask) -> None:
    """Two messages, the second newer."""
    with app.app_context():
        for number in ("+8613800138000", "+8613900139000"):
            gateways().sms.send(number, "login", "424242")


def test_what_the_terminal_prints_opens_it(client: FlaskClient, settings: Settings) -> None:
    printed = outbox_key(settings.secret_key.get_secret_value())  # as portal.local.run does
    opened = client.get(f"/dev/outbox?key={printed}", headers=LOCAL)
    assert (opened.status_code, opened.location) == (303, "/dev/outbox")  # in no history and no Referer
    cookie = opened.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Lax", "Path=/dev", "Max-Age="))
    page = client.get("/dev/outbox", headers=LOCAL)
    assert page.status_code == 200 and "424242" in page.text
    assert client.get("/dev/outbox.json", headers=LOCAL).status_code == 200


@pytest.mark.parametrize(
    "way", [lambda key: {"query_string": {"key": key}}, lambda key: {"headers": {"X-Outbox-Key": key}}]
)
def test_programs_send_the_key_and_get_the_newest_first(client: FlaskClient, key: str, way: Any) -> None:
    sent = way(key)
    answer = client.get("/dev/outbox.json", **{**sent, "headers": LOCAL | sent.get("headers", {})})
    assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
    assert [message["to"] for message in answer.get_json()] == ["+8613900139000", "+8613800138000"]


def test_links_can_be_clicked_and_mails_without_one_show_their_subject(
    app: APIFlask, client: FlaskClient, key: str
) -> None:
    with app.app_context():
        for link, subject in (
            ("http://127.0.0.1:8000/email/verify?token=of-nobody-at-all", "a link"),
            ("", "a notice"),
        ):
            gateways().mail.send(Mail("a@example.com", "a purpose", subject, "<p>text</p>", "text", link))
    page = client.get("/dev/outbox", headers=LOCAL | {"X-Outbox-Key": key}).text
    assert '<a href="http://127.0.0.1:8000/email/verify?token=of-nobody-at-all">' in page and "a notice" in page


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("wrong", [None, "", "x" * 32, "\u00e9" * 32, "the key without its end", "of another instance"])
def test_without_the_key_there_is_nothing(client: FlaskClient, key: str, path: str, wrong: str | None) -> None:
    tried = {"the key without its end": key[:-1], "of another instance": outbox_key("x" * 40)}.get(wrong or "", wrong)
    given = {} if tried is None else {"key": tried}
    answer = client.get(path, query_string=given, headers=LOCAL)
    assert answer.status_code == 404 and "Set-Cookie" not in answer.headers
    assert "424242" not in answer.text and key not in answer.text
    assert "make run" in answer.text  # where to find the key


@pytest.mark.parametrize(
    ("headers", "address", "status"),
    [
        (LOCAL, "127.0.0.1", 200),
        ({"Host": "localhost:8000"}, "127.0.0.1", 200),
        ({"Host": "[::1]:8000"}, "::1", 200),
        (LOCAL, "203.0.113.7", 404),
        ({"Host": "evil.example"}, "127.0.0.1", 404),
        ({**LOCAL, "X-Forwarded-For": "127.0.0.1"}, "127.0.0.1", 404),
        ({**LOCAL, "Forwarded": "for=127.0.0.1"}, "127.0.0.1", 404),
    ],
)
@pytest.mark.parametrize("path", PAGES)
def test_the_key_opens_it_from_this_machine_only(
    client: FlaskClient, key: str, path: str, headers: dict[str, str], address: str, status: int
) -> None:
    answer = client.get(path, headers={**headers, "X-Outbox-Key": key}, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status


def test_a_newcomer_is_told_how_to_open_it(client: FlaskClient) -> None:
    page = client.get("/password/forgot/sent", headers=LOCAL).text
    assert 'href="/dev/outbox"' in page and "make run" in page
