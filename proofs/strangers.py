"""Strangers at the door: who they ask about, and every question that could tell who has an account."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from apiflask import APIFlask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import text
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.services import passwords

NEW = {"new_password": "a long walk by the sea"}
WRONG = "This code is wrong or too old"
ERIN = {"username": "erin", "email": "erin@example.com", "password": "a long walk by the sea"}


@dataclass(frozen=True)
class Person:
    username: str
    email: str
    number: str

    @classmethod
    def new(cls) -> "Person":
        name = f"p{secrets.token_hex(5)}"
        # Seven random digits after the first two: no prefix sees many codes.
        return cls(name, f"{name}@example.com", f"+8613{secrets.randbelow(10**9):09}")


class PassingCaptcha:
    """Lets everything pass: solving one is the visitor's work, and the same for everyone."""

    provider = "altcha"
    sources: dict[str, str] = {}

    def offer(self) -> dict[str, Any]:
        return {"provider": self.provider, "challenge": {}}

    def verify(self, ticket: str, randstr: str, address: str) -> str:
        del randstr, address
        return ticket


Sending = Callable[[], TestResponse]


@dataclass
class Visit:
    """A browser or program that nobody has seen, from an address of its own, and the person it asks about."""

    app: APIFlask
    person: Person
    turn: int
    client: FlaskClient = field(init=False)
    address: str = field(default_factory=lambda: ".".join(["10", *(str(secrets.randbelow(250) + 1) for _ in "abc")]))
    raw: str = field(default_factory=lambda: secrets.token_hex(20))
    # Of its own: one for all would be a spray, which is asked for a captcha.
    wrong_password: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    @property
    def account(self) -> str:
        """Each of the three names in turn."""
        return (self.person.username, self.person.email, self.person.number)[self.turn % 3]

    def api(self, path: str, **body: Any) -> Sending:
        return self._sending(f"/api/v1/auth/{path}", json=body)

    def page(self, path: str, *, seen: dict[str, str] | None = None, **typed: Any) -> Sending:
        with self.client.session_transaction() as session:
            session.update({"csrf_token": self.raw, "flow": "f" * 22, **(seen or {})})
        signed = URLSafeTimedSerializer(self.app.config["SECRET_KEY"], salt="wtf-csrf-token").dumps(self.raw)
        return self._sending(path, data={"csrf_token": signed, **typed})

    def _sending(self, path: str, **said: Any) -> Sending:
        return lambda: self.client.post(path, environ_base={"REMOTE_ADDR": self.address}, **said)

    def sms(self, purpose: str) -> Sending:
        captcha = {"ticket": secrets.token_hex(16)}
        return self.api("sms-code", phone_number=self.person.number, purpose=purpose, captcha=captcha)

    def sms_page(self, path: str) -> Sending:
        return self.page(path, phone_number=self.person.number, captcha_ticket=secrets.token_hex(16))

    def after_code(self, purpose: str) -> "Visit":
        """A code was asked for."""
        assert self.sms(purpose)().status_code == 202
        return self

    def a_minute_later(self) -> "Visit":
        with self.app.app_context():
            db.session.execute(text("UPDATE messages SET created_at = created_at - interval '61 seconds'"))
            db.session.commit()
        return self

    def after_failures(self) -> "Visit":
        # Wrong they are anyway: only what is asked afterwards is timed, so the hashing is left out.
        with patch.object(passwords, "matches", lambda *_: False):
            for _ in range(3):
                assert login(self)().status_code == 401
        return self


def login(visit: Visit) -> Sending:
    return visit.api("login", account=visit.account, password=visit.wrong_password)


def login_page(visit: Visit) -> Sending:
    return visit.page("/login", account=visit.account, password=visit.wrong_password)


def forgot_page(visit: Visit) -> Sending:
    return visit.page("/password/forgot", account=visit.account, captcha_ticket=visit.raw)


def wrong_code(visit: Visit, purpose: str, **more: str) -> Sending:
    """The code is wrong; another was asked for."""
    path = {"register": "register", "login": "login/sms", "reset_password": "password/reset"}[purpose]
    return visit.after_code(purpose).api(path, phone_number=visit.person.number, sms_code="no code", **more)


def wrong_code_page(visit: Visit, purpose: str, **more: str) -> Sending:
    """The same in the browser that asked."""
    first, second = {
        "login": ("/login/sms", "/login/sms/code"),
        "reset_password": ("/password/forgot/sms", "/password/reset/code"),
    }[purpose]
    assert visit.sms_page(first)().status_code == 303
    return visit.page(second, seen={f"{purpose}_phone": visit.person.number}, sms_code="no code", **more)


@dataclass(frozen=True)
class Scene:
    """What is asked, and the status and some words that everyone is answered with. `slow` ones hash a password."""

    name: str
    status: int
    ask: Callable[[Visit], Sending]
    said: str = ""
    slow: bool = False


SCENES = (
    Scene("log in, wrong password (API)", 401, login, slow=True),
    Scene("log in, wrong password (page)", 401, login_page, slow=True),
    Scene("log in, captcha wanted (API)", 400, lambda visit: login(visit.after_failures())),
    Scene("log in, captcha wanted (page)", 400, lambda visit: login_page(visit.after_failures())),
    Scene("code to register (API)", 202, lambda visit: visit.sms("register")),
    Scene("code to register (page)", 303, lambda visit: visit.sms_page("/register")),
    Scene("code to log in (API)", 202, lambda visit: visit.sms("login")),
    Scene("code to log in (page)", 303, lambda visit: visit.sms_page("/login/sms")),
    Scene("code to reset (API)", 202, lambda visit: visit.sms("reset_password")),
    Scene("code to reset (page)", 303, lambda visit: visit.sms_page("/password/forgot/sms")),
    Scene("another code too soon (API)", 429, lambda visit: visit.after_code("login").sms("login")),
    Scene("another code too soon (page)", 429, lambda visit: visit.after_code("login").sms_page("/login/sms")),
    Scene("another code in a minute (API)", 202, lambda visit: visit.after_code("login").a_minute_later().sms("login")),
    Scene("forgot (API)", 202, lambda visit: visit.api("password/forgot", account=visit.account)),
    Scene("forgot (page)", 303, forgot_page),
    Scene("wrong code to register (API)", 422, lambda visit: wrong_code(visit, "register", **ERIN), WRONG),
    Scene("wrong code to log in (API)", 422, lambda visit: wrong_code(visit, "login"), WRONG),
    Scene("wrong code to log in (page)", 422, lambda visit: wrong_code_page(visit, "login"), WRONG),
    Scene("wrong code to reset (API)", 422, lambda visit: wrong_code(visit, "reset_password", **NEW), WRONG),
    Scene("wrong code to reset (page)", 422, lambda visit: wrong_code_page(visit, "reset_password", **NEW), WRONG),
)
