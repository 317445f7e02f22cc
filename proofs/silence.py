"""No answer before the log-in tells who has an account: not in status, headers or body, and not in time.

`make prove-silence`: servers and the application of its own; the application is called in this process, so that
no network blurs the times. SHORT=1 takes fewer samples and under a minute.
"""

import gc
import json
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import flask_migrate
from apiflask import APIFlask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from loguru import logger
from scipy.stats import mannwhitneyu
from sqlalchemy import insert, text
from werkzeug.test import TestResponse

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.local.servers import throwaway
from portal.models import User
from portal.services import passwords

SHORT = bool(os.environ.get("SHORT"))
ROUNDS, LOGIN_ROUNDS, WARM_UP, BYTES_ONLY = (30, 12, 3, 4) if SHORT else (420, 420, 20, 20)
P = 0.01
GROUPS = ("known", "inactive", "unknown")
NORMALISED = """\
X-Request-Id, and request_id in a problem: drawn for each request
csrf_token in a form: signed with the moment; as long for everyone
the session cookie: compared by what it holds, without csrf_token and flow, which are drawn for each browser
what was typed (name, address, number): shown again in the form; as long for everyone
Retry-After and the sentence with it: 59 s may have become 60"""
SILENT = {"X-Request-Id"}


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

    def account(self, turn: int) -> str:
        return (self.username, self.email, self.number)[turn % 3]


class PassingCaptcha:
    """Lets everything pass: solving one is the visitor's work, and the same for everyone."""

    provider = "altcha"
    sources: dict[str, str] = {}

    def offer(self) -> dict[str, Any]:
        return {"provider": self.provider, "challenge": {}}

    def verify(self, ticket: str, randstr: str, address: str) -> str:
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

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def api(self, path: str, **body: Any) -> Sending:
        return self._sending(f"/api/v1/auth/{path}", json=body)

    def page(self, path: str, *, seen: dict[str, str] | None = None, **typed: Any) -> Sending:
        with self.client.session_transaction() as session:
            session.update({"csrf_token": self.raw, "flow": "f" * 22, **(seen or {})})
        signed = URLSafeTimedSerializer(self.app.secret_key, salt="wtf-csrf-token").dumps(self.raw)
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
        for _ in range(3):
            assert login(self)().status_code == 401
        return self


def login(visit: Visit, **more: Any) -> Sending:
    return visit.api("login", account=visit.person.account(visit.turn), password="not the password", **more)


def login_page(visit: Visit) -> Sending:
    return visit.page("/login", account=visit.person.account(visit.turn), password="not the password")


def wrong_code(visit: Visit, path: str, purpose: str, **more: str) -> Sending:
    return visit.after_code(purpose).api(path, phone_number=visit.person.number, sms_code="no code", **more)


def wrong_code_page(visit: Visit, path: str, purpose: str, **more: str) -> Sending:
    """The code's step of a browser that asked for it."""
    first = {"login": "/login/sms", "reset_password": "/password/forgot/sms", "register": "/register"}[purpose]
    assert visit.sms_page(first)().status_code == 303
    return visit.page(path, seen={f"{purpose}_phone": visit.person.number}, sms_code="no code", **more)


NEW = {"new_password": "a long walk by the sea"}


def erin() -> dict[str, str]:
    return {"username": "erin", "email": "erin@example.com", "password": "a long walk by the sea"}


SCENES: dict[str, tuple[int, int, Callable[[Visit], Sending]]] = {
    "log in, wrong password (API)": (LOGIN_ROUNDS, 401, login),
    "log in, wrong password (page)": (LOGIN_ROUNDS, 401, login_page),
    "log in, captcha wanted (API)": (BYTES_ONLY, 400, lambda visit: login(visit.after_failures())),
    "log in, captcha wanted (page)": (BYTES_ONLY, 400, lambda visit: login_page(visit.after_failures())),
    "code to register (API)": (ROUNDS, 202, lambda visit: visit.sms("register")),
    "code to register (page)": (ROUNDS, 303, lambda visit: visit.sms_page("/register")),
    "code to log in (API)": (ROUNDS, 202, lambda visit: visit.sms("login")),
    "code to log in (page)": (ROUNDS, 303, lambda visit: visit.sms_page("/login/sms")),
    "code to reset (API)": (ROUNDS, 202, lambda visit: visit.sms("reset_password")),
    "code to reset (page)": (ROUNDS, 303, lambda visit: visit.sms_page("/password/forgot/sms")),
    "another code too soon (API)": (ROUNDS, 429, lambda visit: visit.after_code("login").sms("login")),
    "another code a minute later (API)": (
        ROUNDS,
        202,
        lambda visit: visit.after_code("login").a_minute_later().sms("login"),
    ),
    "forgot (API)": (
        ROUNDS,
        202,
        lambda visit: visit.api("password/forgot", account=visit.person.account(visit.turn)),
    ),
    "forgot (page)": (
        ROUNDS,
        303,
        lambda visit: visit.page("/password/forgot", account=visit.person.account(visit.turn), captcha_ticket=visit.raw),
    ),
    "wrong code to register (API)": (
        LOGIN_ROUNDS,
        422,
        lambda visit: wrong_code(visit, "register", "register", **erin()),
    ),
    "wrong code to log in (API)": (ROUNDS, 422, lambda visit: wrong_code(visit, "login/sms", "login")),
    "wrong code to log in (page)": (ROUNDS, 422, lambda visit: wrong_code_page(visit, "/login/sms/code", "login")),
    "wrong code to reset (API)": (
        ROUNDS,
        422,
        lambda visit: wrong_code(visit, "password/reset", "reset_password", **NEW),
    ),
    "wrong code to reset (page)": (
        ROUNDS,
        422,
        lambda visit: wrong_code_page(visit, "/password/reset/code", "reset_password", **NEW),
    ),
}


def bare(visit: Visit, answer: TestResponse) -> str:
    """The whole answer, but for what NORMALISED lists."""
    lines = [f"status: {answer.status}"]
    for name, value in answer.headers:
        if name == "Set-Cookie" and value.startswith("session="):
            cookie, _, rest = value.removeprefix("session=").partition(";")
            signer = visit.app.session_interface.get_signing_serializer(visit.app)  # type: ignore[attr-defined]
            held = {key: kept for key, kept in signer.loads(cookie).items() if key not in ("csrf_token", "flow")}
            value = f"session={json.dumps(held, sort_keys=True)};{rest}"
        if name == "Retry-After" and int(value) in (59, 60):
            value = "60"
        lines.append(f"{name}: {'' if name in SILENT else value}")
    body = answer.get_data(as_text=True)
    if answer.is_json:
        parsed = json.loads(body) | ({"request_id": ""} if "request_id" in body else {})
        body = json.dumps(parsed).replace("59 seconds", "60 seconds")
    said = "\n".join([*lines, body])
    for typed in (visit.person.email, visit.person.username, visit.person.number):
        said = said.replace(typed, "TYPED" + "." * len(typed))
    before, mark, after = said.partition('name="csrf_token" value="')
    while mark:
        token, _, rest = after.partition('"')
        head, mark, after = rest.partition('name="csrf_token" value="')
        before += f'csrf_token of {len(token)}"{head}'
    return before


@dataclass
class Samples:
    times: dict[str, list[float]] = field(default_factory=lambda: {group: [] for group in GROUPS})
    different: list[str] = field(default_factory=list)


def people(app: APIFlask, count: int) -> dict[str, list[Person]]:
    """So many of each group, of whom two groups are in the database, and nothing else is anywhere."""
    groups = {group: [Person.new() for _ in range(count)] for group in GROUPS}
    mixed = [(person, group == "known") for group in GROUPS[:2] for person in groups[group]]
    random.shuffle(mixed)
    with app.app_context():
        stored = passwords.hashed("correct horse battery staple")
        db.session.execute(text("TRUNCATE users, events, events_head, messages, stopped_prefixes CASCADE"))
        db.session.execute(
            insert(User),
            [
                {"username": p.username, "email": p.email, "phone_number": p.number, "hashed_password": stored}
                | {"is_active": active}
                for p, active in mixed
            ],
        )
        db.session.commit()
        db.session.execute(text("ANALYZE"))
        db.session.commit()
    return groups


def sample(app: APIFlask, rounds: int, status: int, scene: Callable[[Visit], Sending]) -> Samples:
    """One of each group in turn, in a new order each round."""
    samples = Samples()
    groups = people(app, rounds + WARM_UP)
    for turn in range(rounds + WARM_UP):
        app.extensions["redis"].flushdb()
        visits = {group: Visit(app, groups[group][turn], turn) for group in GROUPS}
        sendings = {group: scene(visits[group]) for group in random.sample(GROUPS, 3)}
        seen = {}
        for group in random.sample(GROUPS, 3):
            gc.collect(0)
            began = time.perf_counter()
            answer = sendings[group]()
            took = time.perf_counter() - began
            assert answer.status_code == status, f"{answer.status} {answer.text[:400]}"
            seen[group] = bare(visits[group], answer)
            if turn >= WARM_UP:
                samples.times[group].append(took)
        samples.different += [group for group in GROUPS[:2] if seen[group] != seen["unknown"]]
    return samples


def compare(app: APIFlask, name: str) -> bool:
    """Print what was found; False when somebody could be told from nobody."""
    rounds, status, scene = SCENES[name]
    silent, suspects = True, GROUPS[:2]
    for attempt in (1, 2):
        found = sample(app, rounds, status, scene)
        values = {g: mannwhitneyu(found.times[g], found.times["unknown"]).pvalue for g in GROUPS[:2]}
        medians = "  ".join(f"{1000 * median(found.times[group]):8.3f}" for group in GROUPS)
        timed = "  ".join(f"p {values[g]:.4f}" for g in GROUPS[:2]) if rounds > BYTES_ONLY else "not timed"
        print(f"{name:36} {status} {rounds:4} each  ms {medians}  {timed}  different bytes {len(found.different)}", flush=True)
        silent = silent and not found.different
        suspects = tuple(g for g in suspects if rounds > BYTES_ONLY and values[g] <= P)
        if not suspects or not silent:
            break
        if attempt == 1:
            print(f"  {', '.join(suspects)}: p <= {P}, once more with fresh people")
    return silent and not suspects


@contextmanager
def portal() -> Iterator[APIFlask]:
    """The real application on servers of its own."""
    keys = {name: secrets.token_urlsafe(40) for name in ("secret_key", "jwt_secret_key", "password_key")}
    raised = dict.fromkeys(["sms_per_minute", "sms_per_day", "mail_per_minute", "mail_per_day", "api_per_minute"], 10**6)
    with tempfile.TemporaryDirectory() as folder, throwaway(Path(folder)) as servers:
        app = create_app(
            Settings(
                portal_mode="local",
                **keys,
                **raised,
                database_url=servers.postgres.url,
                redis_url=servers.redis.url,
                instance_path=Path(folder) / "instance",
                default_locale="en",
            )
        )
        logger.remove()
        app.extensions["gateways"] = replace(app.extensions["gateways"], captcha=PassingCaptcha())
        with app.app_context():
            flask_migrate.upgrade(str(Path(app.root_path).parent / "migrations"))
        yield app
        with app.app_context():
            db.engine.dispose()


def main() -> int:
    chosen = [name for name in SCENES if all(word in name for word in sys.argv[1:])]
    print("Not compared:", *NORMALISED.splitlines(), sep="\n  - ")
    print("Limits raised: SMS, mail and API overall. Each sample has its own person and address; Redis is emptied")
    print("before each round. The captcha lets everything pass. Medians: known, inactive, unknown; p: known and")
    print(f"inactive against unknown (Mann-Whitney, two-sided). A p <= {P} counts when a second run shows it, too.")
    with portal() as app:
        gc.disable()
        told = [name for name in chosen if not compare(app, name)]
    print(f"{len(chosen)} scenes, {2 * len(chosen)} comparisons:", "silent" if not told else f"NOT SILENT: {told}")
    return bool(told)


if __name__ == "__main__":
    sys.exit(main())
