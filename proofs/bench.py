"""For the proofs: real servers, the application as it is deployed, callers in parallel, figures with marks."""

import json
import os
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, NoReturn

import flask_migrate
from loguru import logger
from redis import Redis
from sqlalchemy import func, text

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.local.child import Child, stop
from portal.local.ports import free_port
from portal.local.servers import Postgres, Servers, Valkey, throwaway
from portal.models import User
from portal.services import passwords

ROOT = Path(__file__).parent.parent
SHORT = os.environ.get("SHORT", "") not in ("", "0")
SPEED_COUNTS = os.environ.get("SPEED_COUNTS", "1") != "0"  # the tests say no: they share their machine
WORKERS = 2  # processes of the web
CALLERS = 32
PASSWORD = "walking along the sea"
OPERATORS = ("135", "136", "137", "138", "139", "150", "151", "152", "158", "159", "182", "187", "188")


class Report:
    """Prints a line for each figure, and ends the program with 1 when one is not as it must be."""

    def __init__(self, title: str) -> None:
        self._started, self._failed, self._slow, self._checks = time.monotonic(), 0, 0, 0
        print(f"{title}{' (short: fewer of everything)' if SHORT else ''}", flush=True)

    def part(self, title: str) -> None:
        print(f"\n[{time.monotonic() - self._started:3.0f} s] {title}", flush=True)

    def say(self, fact: str) -> None:
        print(f"       {fact}", flush=True)

    def check(self, what: str, found: object, expected: object) -> None:
        good = found == expected
        self._checks, self._failed = self._checks + 1, self._failed + (not good)
        print(f"{'pass' if good else 'FAIL'}   {what}: {found}{'' if good else f', must be {expected}'}", flush=True)

    def speed(self, what: str, good: bool) -> None:
        """A figure that another program on the machine can spoil, and whether it is good enough."""
        if SPEED_COUNTS or good:
            self.check(what, good, True)
            return
        self._checks, self._slow = self._checks + 1, self._slow + 1
        print(f"slow   {what}", flush=True)

    def end(self) -> NoReturn:
        seconds = time.monotonic() - self._started
        good, slow = self._checks - self._failed - self._slow, f", {self._slow} slow" if self._slow else ""
        print(f"\n{good} of {self._checks} figures as they must be{slow}, {seconds:.0f} s", flush=True)
        sys.exit(1 if self._failed or not self._checks else 0)


class Call(NamedTuple):
    """A request to the JSON door; `address` is what the proxy says the visitor's is."""

    method: str
    path: str
    body: Any = None
    address: str = "192.0.2.1"
    token: str = ""
    key: str = ""  # Idempotency-Key


class Answer(NamedTuple):
    status: int
    body: Any
    content: bytes = b""
    retry_after: str = ""

    @property
    def said(self) -> str:
        """The status, with the error's code if it is one: `422 code_wrong`."""
        code = self.body.get("code", "") if isinstance(self.body, dict) and self.status >= 400 else ""
        return f"{self.status} {code}".strip()


class Portal:
    """The running application, and the same one inside this process, for what no request can do."""

    def __init__(self, settings: Settings, servers: Servers, port: int, env: dict[str, str], folder: Path) -> None:
        self.servers, self.port, self.env, self.folder = servers, port, env, folder
        self.app = create_app(settings)
        logger.remove()
        self.redis = Redis.from_url(servers.redis.url)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Rows, or none; committed."""
        with self.app.app_context(), db.engine.begin() as connection:
            found = connection.execute(text(statement), values)
            return list(found) if found.returns_rows else []

    def count(self, table: str, where: str = "true", **values: Any) -> int:
        return int(self.sql(f"SELECT count(*) FROM {table} WHERE {where}", **values)[0][0])

    def people(self, names: Sequence[str], numbers: Sequence[str]) -> list[int]:
        """Members with the usual password; answers their ids."""
        with self.app.app_context():
            proven = {"hashed_password": passwords.hashed(PASSWORD), "email_verified_at": func.now()}
            made = [
                User(username=name, email=f"{name}@ds.example", phone_number=number, **proven)
                for name, number in zip(names, numbers, strict=True)
            ]
            db.session.add_all(made)
            db.session.commit()
            return [user.id for user in made]

    def one(self, call: Call) -> Answer:
        return self.at_once([call])[0]

    def at_once(self, calls: Sequence[Call]) -> list[Answer]:
        """All at the same moment, each on a connection of its own that is open already; raises what broke one."""
        barrier = threading.Barrier(len(calls))
        return self._threads(len(calls), lambda caller, n: [(n, caller(calls[n], barrier.wait))])

    def crowd(self, calls: Iterable[Call], callers: int = CALLERS) -> list[Answer]:
        """All, as fast as so many callers can."""
        waiting: SimpleQueue[tuple[int, Call]] = SimpleQueue()
        for item in enumerate(calls):
            waiting.put(item)

        def work(caller: Callable[..., Answer], _: int) -> Iterator[tuple[int, Answer]]:
            while True:
                try:
                    number, call = waiting.get_nowait()
                except Empty:
                    return
                yield number, caller(call)

        return self._threads(min(callers, waiting.qsize()), work)

    def _threads(self, count: int, work: Callable[..., Iterable[tuple[int, Answer]]]) -> list[Answer]:
        answers: dict[int, Answer] = {}
        failures: list[BaseException] = []

        def run(n: int) -> None:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
            try:
                connection.connect()
                answers.update(work(lambda call, before=None: ask(connection, call, before), n))
            except (OSError, HTTPException, threading.BrokenBarrierError) as error:
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(600)
        if failures:
            raise failures[0]
        return [answers[n] for n in sorted(answers)]


def ask(connection: HTTPConnection, call: Call, before: Callable[[], object] | None = None) -> Answer:
    """One request; `before` is called when all but the sending is done."""
    headers = {"Content-Type": "application/json", "Accept-Language": "en"}
    # The visitor forges the first hop; the proxy adds the true one.
    headers["X-Forwarded-For"] = f"203.0.113.{secrets.randbelow(256)}, {call.address}"
    if call.token:
        headers["Authorization"] = f"Bearer {call.token}"
    if call.key:
        headers["Idempotency-Key"] = call.key
    data = None if call.body is None else json.dumps(call.body).encode()
    if before:
        before()
    connection.request(call.method, call.path, data, headers)
    answer = connection.getresponse()
    content = answer.read()
    is_json = "json" in answer.headers.get("Content-Type", "")
    body = json.loads(content) if content and is_json else None
    return Answer(answer.status, body, content, answer.headers.get("Retry-After", ""))


@contextmanager
def portal(*, lasting: bool = False, with_web: bool = True, **values: Any) -> Iterator[Portal]:
    """PostgreSQL, Valkey and the web with two processes, behind one trusted proxy; all gone afterwards.

    A `lasting` PostgreSQL survives a crash, as one in use does; without a web, others are started by `web`.
    """
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # the SDKs would look for the test cloud behind it
    with tempfile.TemporaryDirectory() as made, _servers(_new(Path(made), "servers"), lasting) as servers:
        given: dict[str, Any] = {
            "portal_mode": "local",
            **{name: secrets.token_urlsafe(40) for name in ("secret_key", "jwt_secret_key", "password_key")},
            "database_url": servers.postgres.url,
            "redis_url": servers.redis.url,
            "instance_path": _new(Path(made), "instance"),
            "default_locale": "en",
            "trusted_proxies": 1,
            "api_per_minute": 1_000_000,
            **values,
        }
        env = {name.upper(): json.dumps(v) if isinstance(v, dict) else str(v) for name, v in given.items()}
        running = Portal(Settings(**given), servers, free_port(), env, Path(made))
        own = [web(running)] if with_web else []
        for child in own:
            child.start()
        try:
            with running.app.app_context():
                flask_migrate.upgrade(str(ROOT / "migrations"))
            for child in own:
                answers(child, running.port)
            yield running
        finally:
            stop(own, time.monotonic() + 5)
            with running.app.app_context():
                db.engine.dispose()


@contextmanager
def _servers(folder: Path, lasting: bool) -> Iterator[Servers]:
    if not lasting:
        with throwaway(folder) as servers:
            yield servers
        return
    with Postgres(folder) as postgres, Valkey(folder, throwaway=True) as redis:
        yield Servers(postgres, redis)


def program(running: Portal, name: str, *argv: str, **env: str) -> Child:
    """Another process of the portal, to start and to `stop`; `env` are settings of its own."""
    return Child(name, argv, running.folder / f"{name}.log", env={**os.environ, **running.env, **env}, cwd=ROOT)


def web(running: Portal, name: str = "web", port: int = 0, **env: str) -> Child:
    """A web on the portal's port, or on another."""
    options = f"--port {port or running.port} --processes {WORKERS}"
    return program(running, name, sys.executable, "-m", "portal.front", *options.split(), **env)


def answers(child: Child, port: int, seconds: float = 60) -> None:
    """Wait until a web answers; ends the program when it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and child.runs():
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            if ask(connection, Call("GET", "/health/live")).status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    raise SystemExit(f"The web did not start.\n{child.log_excerpt()}")


def _new(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def tally(answers: Iterable[Answer]) -> dict[str, int]:
    """How often each was said, most often first."""
    return dict(Counter(answer.said for answer in answers).most_common())


def captcha() -> dict[str, str]:
    """A ticket that the test cloud lets pass, once."""
    return {"ticket": f"good{secrets.token_hex(12)}", "randstr": "@proof"}


def new_numbers(count: int) -> list[str]:
    """Different mainland numbers, too widely spread for any beginning to be stopped."""
    found: set[str] = set()
    while len(found) < count:
        found.add(f"+86{secrets.choice(OPERATORS)}{secrets.randbelow(10**8):08}")
    return list(found)


def addresses(count: int, net: int = 1) -> list[str]:
    return [f"10.{net}.{n // 250}.{n % 250 + 1}" for n in range(count)]


def ask_code(number: str, purpose: str, address: str) -> Call:
    body = {"phone_number": number, "purpose": purpose, "captcha": captcha()}
    return Call("POST", "/api/v1/auth/sms-code", body, address)
