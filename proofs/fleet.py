"""The portal with its workers, dispatchers and webs as processes that can be killed, and data to fetch."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from portal.api import guards
from portal.extensions import db
from portal.gateways.store import FolderStore
from portal.local.child import Child, stop
from portal.local.ports import free_port
from portal.models import User
from portal.services import sessions, tasks
from portal.services.events import Visitor
from proofs import bench
from proofs.bench import Answer, Call, Portal
from proofs.keeper import Keeper
from proofs.source import Source, serving

LIVE = "('pending', 'queued', 'processing')"
READY_SECONDS = 60.0


class Member(NamedTuple):
    """A user, with an access token of a log-in of theirs."""

    id: int
    token: str


class Caller:
    """Somebody's connection to a web; made anew when it has broken."""

    def __init__(self, port: int, token: str = "", seconds: float = 30) -> None:
        self._port, self._token, self._seconds = port, token, seconds
        self._connection: HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> Answer:
        """One request; raises OSError or HTTPException when no answer came."""
        if self._connection is None:
            self._connection = HTTPConnection("127.0.0.1", self._port, timeout=self._seconds)
        try:
            return bench.ask(self._connection, Call(method, path, body, token=self._token, key=key))
        except BaseException:
            self.close()
            raise

    def insist(self, method: str, path: str, body: Any = None, key: str = "", seconds: float = 120) -> Answer:
        """The same until it is answered by something else than 429 or 503."""
        until = time.monotonic() + seconds
        while True:
            try:
                answer = self.ask(method, path, body, key)
                if answer.status not in (429, 503):
                    return answer
            except (OSError, HTTPException):
                if time.monotonic() > until:
                    raise
            if time.monotonic() > until:
                raise TimeoutError(f"{method} {path} was not answered in {seconds} s")
            time.sleep(0.05)

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


class Fleet:
    """All that runs. Processes are started by the keeper: see there."""

    def __init__(self, running: Portal, source: Source, keeper: Keeper) -> None:
        self.portal, self.source, self.keeper = running, source, keeper
        self.workers: list[Child] = []
        self.dispatchers: list[Child] = []
        self.webs: list[Child] = []
        self.ports: list[int] = []  # of the webs
        self._members = 0

    # Processes

    def worker(self, name: str, slots: int, **env: str) -> Child:
        """One more, started; `env` are settings of its own."""
        options = f"-Q default -c {slots} -n {name}@%h --without-gossip --without-mingle -l warning"
        argv = (str(Path(sys.executable).with_name("celery")), "-A", "celery_app", "worker", *options.split())
        return self._started(self.workers, bench.program(self.portal, name, *argv, **env))

    def dispatcher(self, name: str, **env: str) -> Child:
        argv = (sys.executable, "-m", "portal.worker.dispatcher")
        return self._started(self.dispatchers, bench.program(self.portal, name, *argv, **env))

    def web(self, name: str, **env: str) -> Child:
        """The first is on the portal's own port, each further one on another; see `ports`."""
        self.ports.append(free_port() if self.ports else self.portal.port)
        return self._started(self.webs, bench.web(self.portal, name, self.ports[-1], **env))

    def _started(self, group: list[Child], child: Child) -> Child:
        group.append(child)
        self.keeper.start(child)
        return child

    def ready(self) -> None:
        """Wait until every web answers, every worker listens to the broker and every dispatcher to the database."""
        for child, port in zip(self.webs, self.ports, strict=True):
            bench.answers(child, port)
        if not self.wait(lambda: len(self._listening()) >= len(self.workers), READY_SECONDS):
            raise SystemExit("\n".join(child.report() for child in self.workers))
        if not self.wait(lambda: self._dispatching() >= len(self.dispatchers), READY_SECONDS):
            raise SystemExit("\n".join(child.report() for child in self.dispatchers))

    def _listening(self) -> list[Any]:
        return [client for client in self.portal.redis.client_list() if client["cmd"] == "brpop"]

    def _dispatching(self) -> int:
        return self.portal.count("pg_stat_activity", "application_name = 'dispatcher'")

    def keep(self, *children: Child) -> None:
        """Start these again whenever they end, as a supervisor does; all processes when none is named."""
        for child in children or (*self.webs, *self.workers, *self.dispatchers):
            self.keeper.keep(child)

    def kill(self, child: Child, number: signal.Signals = signal.SIGKILL) -> bool:
        """Send the process itself a signal, unless it has ended; what is kept comes again."""
        return self.keeper.do(lambda: self._sent(child, number))

    def kill_group(self, child: Child) -> None:
        """kill -9 of the process and all it started, at once."""
        self.keeper.do(lambda: self._sent(child, signal.SIGKILL, os.killpg))

    @staticmethod
    def _sent(child: Child, number: signal.Signals, send: Callable[[int, int], None] = os.kill) -> bool:
        # In the keeper's thread: in another one it could hit the process that has just taken its place.
        if not child.runs() or child.pid is None:
            return False
        send(child.pid, number)
        return True

    @staticmethod
    def children_of(child: Child) -> list[int]:
        """The processes it started, such as a worker's slots."""
        try:
            return [int(pid) for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()]
        except OSError:
            return []

    @classmethod
    def webs_of(cls, child: Child) -> list[int]:
        """Those of a web's processes that serve."""
        return [pid for pid in cls.children_of(child) if name_of(pid) != "looks"]

    # Servers

    def kill_redis(self) -> None:
        """kill -9 and a start with nothing in it, on the same port."""
        self.keeper.do(lambda: self._again(self.portal.servers.redis, signal.SIGKILL))

    def restart_postgres(self) -> None:
        """An immediate stop, as after a crash, and a start that recovers."""
        self.keeper.do(lambda: self._again(self.portal.servers.postgres, signal.SIGQUIT))

    @staticmethod
    def _again(server: Any, number: signal.Signals) -> None:
        if server.child.runs():
            os.kill(server.child.pid, number)
        while server.child.runs():
            time.sleep(0.005)
        server.start()

    # People and tasks

    def member(self) -> Member:
        return self.members(1)[0]

    def members(self, count: int) -> list[Member]:
        """New members, each with an access token, made by the services without a request."""
        first, self._members = self._members, self._members + count
        ids = self.portal.people([f"member{first + n}" for n in range(count)], bench.new_numbers(count))
        made = []
        with self.portal.app.test_request_context():
            for user_id in ids:
                user = db.session.get_one(User, user_id)
                login = sessions.start(user, kind="api", visitor=Visitor("192.0.2.1", "proof"))
                made.append(Member(user_id, guards.token_pair(login)["access_token"]))
            db.session.commit()
        return made

    def caller(self, member: Member | None = None, web: int = 0, seconds: float = 30) -> Caller:
        return Caller(self.ports[web], member.token if member else "", seconds)

    def submit(self, member: Member, url: str, key: str = "") -> str:
        """A fetch, by a request; its uuid."""
        caller = self.caller(member)
        try:
            answer = caller.ask("POST", "/api/v1/tasks", fetch(url), key)
        finally:
            caller.close()
        assert answer.status == 202, answer
        return str(answer.body["uuid"])

    def submit_many(self, member: Member, urls: str | Sequence[str], count: int = 1) -> list[str]:
        """Fetches of one address, or one of each of many, by the service in this process; their uuids."""
        addresses = [urls] * count if isinstance(urls, str) else urls
        with self.portal.app.app_context():
            user = db.session.get_one(User, member.id)
            made = [str(tasks.submit(user, "fetch", {"url": url}).uuid) for url in addresses]
            db.session.commit()
            return made

    # Waiting

    def wait(self, condition: Callable[[], object], seconds: float = 60, every: float = 0.05) -> bool:
        """Whether the condition came true in time; a server that is away has not said so yet."""
        until = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return True
            except (DBAPIError, RedisError, OSError, HTTPException):
                pass
            if time.monotonic() > until:
                return False
            time.sleep(every)

    def ended(self, seconds: float) -> bool:
        """Wait until no task is pending, queued or processing."""
        return self.wait(lambda: self.portal.count("tasks", f"status IN {LIVE}") == 0, seconds, every=0.2)

    def stored(self) -> set[str]:
        """The keys of all files in the store."""
        return {stored.key for stored in FolderStore(self.portal.app.extensions["settings"].store_folder).listed()}


def name_of(pid: int) -> str:
    """A process's, as the kernel knows it; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def fetch(url: str) -> dict[str, Any]:
    """The body of a submit."""
    return {"kind": "fetch", "params": {"url": url}}


@contextmanager
def fleet(
    *, workers: int = 1, slots: int = 2, dispatchers: int = 1, webs: int = 1, lasting: bool = True, **settings: Any
) -> Iterator[Fleet]:
    """Servers, webs, workers with so many slots each, dispatchers and a data server; all gone afterwards."""
    with serving() as source, Keeper() as keeper:
        allowed = {"fetch_allow_hosts": f"127.0.0.1:{source.port}", **settings}
        with bench.portal(lasting=lasting, with_web=False, **allowed) as running:
            made = Fleet(running, source, keeper)
            try:
                for n in range(webs):
                    made.web(f"web{n + 1}")
                for n in range(workers):
                    made.worker(f"worker{n + 1}", slots)
                for n in range(dispatchers):
                    made.dispatcher(f"dispatcher{n + 1}")
                made.ready()
                yield made
            finally:
                keeper.let_go()
                stop([*made.dispatchers, *made.webs, *made.workers], time.monotonic() + 5)
