"""The cast, and how its members come in: alice owns, bob is another member, charlie a stranger."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import altcha
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.models import User
from portal.services import passwords

PASSWORD = "correct horse battery staple"
PHONES = {"alice": "+8613800138000", "bob": "+8613900139000", "dana": "+8613700137000"}


@dataclass(frozen=True)
class Person:
    id: int
    uuid: UUID
    username: str


@cache
def _hashed(key: str) -> str:
    return passwords.hashed(PASSWORD)


def person(app: APIFlask, name: str, **values: Any) -> Person:
    """A member with the usual password and a verified address, made without signing up.

    With `email=None` the address still waits to be verified.
    """
    address = f"{name}@example.com"
    if "email" in values and values["email"] is None:
        values |= {"pending_email": address}
    else:
        values = {"email": address, "email_verified_at": func.now()} | values
    with app.app_context():
        user = User(
            username=name,
            phone_number=PHONES[name],
            hashed_password=_hashed(app.config["SECRET_KEY"]),
            **{"locale": "en", **values},
        )
        db.session.add(user)
        db.session.commit()
        return Person(user.id, user.uuid, user.username)


def solved(client: FlaskClient) -> str:
    """A solved captcha's ticket, as the widget would send it."""
    challenge = client.get("/api/v1/auth/captcha").get_json()["challenge"]
    parsed = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(parsed)
    assert solution is not None
    return altcha.Payload(parsed, solution).to_base64()


def csrf(client: FlaskClient, path: str) -> str:
    """The CSRF token of a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path, follow_redirects=True).text)
    assert found, f"{path} has no form"
    return found[1]


def post(client: FlaskClient, path: str, *, page: str = "/login", **data: Any) -> TestResponse:
    """A form, posted from a page."""
    headers = data.pop("headers", None)
    return client.post(path, data={"csrf_token": csrf(client, page), **data}, headers=headers)


def browser(app: APIFlask, name: str) -> FlaskClient:
    """A browser in which a person is logged in."""
    client = app.test_client()
    assert post(client, "/login", account=name, password=PASSWORD).status_code == 303
    return client


def tokens(app: APIFlask, name: str) -> dict[str, Any]:
    """A program's log-in: the answer with both tokens."""
    answer = app.test_client().post("/api/v1/auth/login", json={"account": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
