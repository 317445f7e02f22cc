"""Two tabs lose nothing, an old refresh token ends all, a revoked one is refused at once. `./dev prove tokens`"""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from portal import limits
from portal.api import guards
from portal.extensions import db
from portal.local.child import Child, stop
from portal.models import User
from portal.services import live, sessions
from portal.services.events import Visitor
from proofs.bench import (
    PASSWORD,
    SHORT,
    Answer,
    Call,
    Portal,
    Report,
    addresses,
    new_numbers,
    portal,
    program,
    tally,
)

RACES, TOGETHER = (24 if SHORT else 1000), 16  # pairs that race at one time
STORMS, USES = (3, 20) if SHORT else (40, 50)
REVOKED = 3 if SHORT else 40  # of each kind
REFUSED, REUSED = "401 token_invalid", "401 token_reuse"


class Person:
    """A log-in of somebody's, with every token it was ever given."""

    def __init__(self, session_id: UUID, user_id: int, address: str, pair: dict[str, Any]) -> None:
        self.session_id, self.user_id, self.address = session_id, user_id, address
        self.access, self.refresh = [pair["access_token"]], [pair["refresh_token"]]
        self.task = ""

    def took(self, answer: Answer) -> None:
        if answer.status == 200:
            self.access.append(answer.body["access_token"])
            self.refresh.append(answer.body["refresh_token"])

    def renew(self, token: str) -> Call:
        return Call("POST", "/api/v1/auth/refresh", {"refresh_token": token}, self.address)

    def me(self, token: str = "") -> Call:
        return Call("GET", "/api/v1/users/me", None, self.address, token or self.access[-1])

    def poll(self) -> Call:
        return Call("GET", f"/api/v1/tasks/{self.task}", None, self.address, self.access[-1])

    def post(self, path: str, body: Any = None) -> Call:
        return Call("POST", f"/api/v1{path}", body, self.address, self.access[-1])

    def every_token(self) -> list[Call]:
        return [*map(self.me, self.access), *map(self.renew, self.refresh)]


def log_in(running: Portal, count: int, net: int) -> list[Person]:
    """Members and log-ins as the services make them: a thousand passwords would take minutes."""
    ids = running.people([f"person{net}_{n}" for n in range(count)], new_numbers(count))
    made = []
    with running.app.test_request_context():
        for user_id, address in zip(ids, addresses(count, net), strict=True):
            login = sessions.start(db.session.get_one(User, user_id), kind="api", visitor=Visitor(address, "proof"))
            made.append(Person(login.id, user_id, address, guards.token_pair(login)))
        db.session.commit()
    return made


def _alive(running: Portal, people: list[Person]) -> int:
    ids = [str(person.session_id) for person in people]
    return running.count("sessions", "ended_at IS NULL AND id = ANY(CAST(:ids AS uuid[]))", ids=ids)


def _live_tokens(running: Portal, people: list[Person]) -> tuple[int, int]:
    """How many tokens were tried, and how many were taken; access tokens before refresh tokens could end anything."""
    calls = [call for person in people for call in person.every_token()]
    said = tally(running.crowd(calls))
    return len(calls), len(calls) - said.get(REFUSED, 0)


def races(running: Portal, report: Report, people: list[Person]) -> None:
    report.part(f"{RACES} times two tabs send the same refresh token at the same moment")
    said: dict[str, int] = {}
    works: dict[str, int] = {}
    for first in range(0, RACES, TOGETHER):
        group = people[first : first + TOGETHER]
        answers = running.at_once([person.renew(person.refresh[-1]) for person in group for _ in range(2)])
        _add(said, answers)
        for person, one, other in zip(group, answers[::2], answers[1::2], strict=True):
            person.took(one)
            person.took(other)
        _add(works, running.crowd([person.me(token) for person in group for token in person.access[-2:]]))
        tabs = [[person.refresh[tab] for person in group] for tab in (-2, -1)]
        for given in tabs:  # each goes on with what it was given
            renewed = running.crowd([person.renew(token) for person, token in zip(group, given, strict=True)])
            _add(works, renewed)
            for person, answer in zip(group, renewed, strict=True):
                person.took(answer)
    report.check("answers", said, {"200": 2 * RACES})
    report.check("both access tokens and both refresh tokens afterwards", works, {"200": 4 * RACES})
    report.check("log-outs", RACES - _alive(running, people), 0)
    report.check("taken for a theft", running.count("events", "kind = 'token.reused'"), 0)


def reuses(running: Portal, report: Report, people: list[Person]) -> None:
    report.part(f"{RACES} times an old refresh token after the grace of {limits.REFRESH_GRACE_SECONDS} s")
    for answer, person in zip(running.crowd([p.renew(p.refresh[-1]) for p in people]), people, strict=True):
        person.took(answer)
    before = running.count("sessions", "rotated_at IS NOT NULL AND ended_at IS NULL")
    report.check("log-ins that live before", before, RACES)
    _outlast_grace(running)
    # Half of them the token just before the good one, half the very first.
    stolen = [person.renew(person.refresh[-2 if n % 2 else 0]) for n, person in enumerate(people)]
    report.check("answers", tally(running.crowd(stolen)), {REUSED: RACES})
    report.check("dead log-ins", RACES - _alive(running, people), RACES)
    tried, taken = _live_tokens(running, people)
    report.check(f"live tokens, of {tried} tried", taken, 0)
    report.check("events that tell of it", running.count("events", "kind = 'token.reused'"), RACES)
    mails = running.sql("SELECT count(*), count(DISTINCT user_id) FROM messages WHERE changes ? 'token.reused'")[0]
    report.check("mails, and people they go to", tuple(mails), (RACES, RACES))


def storms(running: Portal, report: Report) -> None:
    report.part(f"{STORMS} times an old refresh token, {USES} times at the same moment")
    people = log_in(running, STORMS, net=2)
    for _ in range(2):
        for answer, person in zip(running.crowd([p.renew(p.refresh[-1]) for p in people]), people, strict=True):
            person.took(answer)
    _outlast_grace(running)
    first, reused, mails = [], [], []
    for person in people:
        said = tally(running.at_once([person.renew(person.refresh[1])] * USES))
        first.append((said.get(REUSED, 0), said.get(REFUSED, 0)))
        where = "kind = 'token.reused' AND user_id = :id"
        reused.append(running.count("events", where, id=person.user_id))
        mails.append(running.count("messages", "changes ? 'token.reused' AND user_id = :id", id=person.user_id))
    report.check("told of the reuse, and refused after it", set(first), {(1, USES - 1)})
    report.check("events each", set(reused), {1})
    report.check("mails each", set(mails), {1})
    tried, taken = _live_tokens(running, people)
    report.check(f"live log-ins, and live tokens of {tried} tried", (_alive(running, people), taken), (0, 0))


def _outlast_grace(running: Portal) -> None:
    running.sql(
        "UPDATE sessions SET rotated_at = rotated_at - make_interval(secs => :s)", s=limits.REFRESH_GRACE_SECONDS + 1
    )


def _add(total: dict[str, int], answers: list[Answer]) -> None:
    for said, count in tally(answers).items():
        total[said] = total.get(said, 0) + count


def with_tasks(running: Portal, count: int, net: int) -> list[Person]:
    """Each polls a task of theirs, and the copies that polls are answered from are in Redis."""
    people = log_in(running, count, net)
    made = running.crowd([person.post("/tasks", {"kind": "health_check"}) for person in people])
    for person, answer in zip(people, made, strict=True):
        person.task = answer.body["uuid"]
    until = time.monotonic() + 30
    while not running.redis.get(live.HEARD) or running.redis.exists(*_copies(people)) < count:
        assert time.monotonic() < until, "polls are not answered from Redis"
        assert tally(running.crowd([person.poll() for person in people])) == {"200": count}
    return people


def _copies(people: list[Person]) -> list[str]:
    return [f"session:{person.session_id}" for person in people]


def next_calls(running: Portal, people: list[Person]) -> dict[int, int]:
    """The statuses of everybody's very next poll and very next plain call."""
    calls = [call for person in people for call in (person.poll(), person.me())]
    return dict(Counter(answer.status for answer in running.crowd(calls)))


def revoked(running: Portal, report: Report) -> None:
    report.part(f"A revoked access token at the very next call, a poll and a plain one; {REVOKED} log-ins each")
    refused = {401: 2 * REVOKED}
    ways: dict[str, Callable[[Person], Call]] = {
        "log out": lambda p: p.post("/auth/logout"),
        "log out everywhere": lambda p: p.post("/auth/logout-all"),
        "end this log-in": lambda p: Call(
            "DELETE", f"/api/v1/users/me/sessions/{p.session_id}", None, p.address, p.access[-1]
        ),
    }
    for net, (what, way) in enumerate(ways.items(), 10):
        people = with_tasks(running, REVOKED, net)
        assert set(tally(running.crowd([way(person) for person in people]))) <= {"200", "204"}
        report.check(what, next_calls(running, people), refused)
    people = with_tasks(running, REVOKED, 13)
    for _ in range(2):
        running.crowd([person.renew(person.refresh[0]) for person in people])
    _outlast_grace(running)
    running.crowd([person.renew(person.refresh[0]) for person in people])
    report.check("reuse of the refresh token", next_calls(running, people), refused)
    people = with_tasks(running, 2, 14)
    other = [log_in_again(running, person) for person in people]
    change = {"current_password": PASSWORD, "new_password": "another walk along the sea"}
    calls = [Call("PUT", "/api/v1/users/me/password", change, p.address, token) for p, token in other]
    assert tally(running.crowd(calls)) == {"204": len(people)}
    report.check("password changed in another log-in", next_calls(running, people), {401: 2 * len(people)})


def log_in_again(running: Portal, person: Person) -> tuple[Person, str]:
    """A second log-in, by password."""
    username = running.sql("SELECT username FROM users WHERE id = :id", id=person.user_id)[0][0]
    body = {"account": username, "password": PASSWORD}
    return person, running.one(Call("POST", "/api/v1/auth/login", body, person.address)).body["access_token"]


def without_redis(running: Portal, report: Report) -> None:
    report.part(f"The same while Redis is away; {REVOKED} log-ins each")
    refused, redis = {401: 2 * REVOKED}, running.servers.redis
    people = with_tasks(running, REVOKED, 20)
    with hung(redis.child):
        ended = tally(running.crowd([person.post("/auth/logout") for person in people]))
        report.check("log-outs while Redis hangs", ended, {"200": REVOKED})
        report.check("then, with Redis still hanging", next_calls(running, people), refused)
    report.check("and when it is back, with the copies of before", next_calls(running, people), refused)
    people = with_tasks(running, REVOKED, 21)
    assert tally(running.crowd([person.post("/auth/logout") for person in people])) == {"200": REVOKED}
    others = with_tasks(running, REVOKED, 22)
    redis.stop()
    report.check("log-outs before Redis was stopped", next_calls(running, people), refused)
    report.check("the living go on without it", next_calls(running, others), {200: 2 * REVOKED})
    ended = tally(running.crowd([person.post("/auth/logout") for person in others]))
    report.check("log-outs without Redis", ended, {"200": REVOKED})
    report.check("then", next_calls(running, others), refused)
    redis.start()
    report.check("with a new, empty Redis", next_calls(running, [*people, *others]), {401: 4 * REVOKED})


@contextmanager
def hung(child: Child) -> Iterator[None]:
    """It neither runs nor ends, and keeps all it knows."""
    assert child.pid
    os.kill(child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(child.pid, signal.SIGCONT)


@contextmanager
def dispatcher(running: Portal) -> Iterator[None]:
    """It tells Redis of log-ins that ended; only then polls trust the copies there."""
    child = program(running, "dispatcher", sys.executable, "-m", "portal.worker.dispatcher")
    child.start()
    try:
        until = time.monotonic() + 60
        while not running.redis.get(live.HEARD):
            assert child.runs() and time.monotonic() < until, child.report()
            time.sleep(0.05)
        yield
    finally:
        stop([child], time.monotonic() + 5)


def main() -> None:
    report = Report("Tokens")
    with portal(mail_per_minute=100_000, mail_per_day=100_000) as running:
        people = log_in(running, RACES, net=1)
        races(running, report, people)
        reuses(running, report, people)
        storms(running, report)
        with dispatcher(running):
            revoked(running, report)
            without_redis(running, report)
    report.end()


if __name__ == "__main__":
    main()
