"""The dispatcher: it rings for what it admitted, and what it could not ring for waits again."""

from typing import Any

import pytest
from apiflask import APIFlask
from kombu.exceptions import OperationalError as BrokerDown
from redis import Redis
from sqlalchemy import text

from portal import jobs, redis_pool
from portal.extensions import db
from portal.models import User
from portal.services import processes, runs, tasks
from portal.worker.dispatcher import Dispatcher
from portal.worker.presence import Presence
from tests.cast import person


class Rings(list[str]):
    """Stands in for the broker: notes what was rung for, and breaks when it is full."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def send_task(self, name: str, *, args: list[str], **_: Any) -> None:
        if len(self) >= self.room:
            raise BrokerDown
        assert name == jobs.HEALTH_CHECK
        self.append(args[0])


@pytest.fixture
def owner(app: APIFlask) -> User:
    alice = person(app, "alice")
    with app.app_context():
        processes.seen("w1", "worker", 5)
        db.session.commit()
        return db.session.get_one(User, alice.id)


def dispatcher(app: APIFlask, monkeypatch: pytest.MonkeyPatch, room: int = 10) -> tuple[Dispatcher, Rings]:
    rings = Rings(room)
    monkeypatch.setitem(app.extensions, "celery", rings)
    return Dispatcher(app), rings


def submit(user: User, count: int) -> list[str]:
    uuids = [str(tasks.submit(user, "health_check", {}).uuid) for _ in range(count)]
    db.session.commit()
    return uuids


def statuses(user: User) -> list[str]:
    return [copy.status for copy in reversed(tasks.list_for(user).items)]


def test_it_rings_for_each(app: APIFlask, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    one, rings = dispatcher(app, monkeypatch)
    with app.app_context():
        uuids = submit(owner, 3)
        assert one.dispatch() == 3
        assert rings == uuids and statuses(owner) == ["queued"] * 3
        assert one.dispatch() == 0


def test_what_was_not_rung_for_waits_again(app: APIFlask, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    one, rings = dispatcher(app, monkeypatch, room=1)
    with app.app_context():
        uuids = submit(owner, 3)
        one.dispatch()
        assert statuses(owner) == ["queued", "pending", "pending"]
        rings.room = 10
        assert one.dispatch() == 0  # at once again it would break again
        one._ring_after = 0.0
        one.dispatch()
        assert rings == uuids


def test_while_redis_is_away_nothing_is_admitted(app: APIFlask, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    one, rings = dispatcher(app, monkeypatch)
    with app.app_context():
        submit(owner, 1)
        with monkeypatch.context() as away:
            away.setitem(
                app.extensions, "redis", Redis(connection_pool=redis_pool.pool("redis://127.0.0.1:1/0", size=2))
            )
            assert one.dispatch() == 0
        assert (rings, statuses(owner)) == ([], ["pending"])
        assert one.dispatch() == 1


def test_a_redis_that_began_empty_is_rung_again(app: APIFlask, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    one, rings = dispatcher(app, monkeypatch)
    with app.app_context():
        (uuid,) = submit(owner, 1)
        one.dispatch()
        app.extensions["redis"].flushdb()
        one.dispatch()
        assert rings == [uuid, uuid]


def test_a_worker_is_seen_until_it_ends(app: APIFlask) -> None:
    presence = Presence(app, "w9")
    with app.app_context():
        presence.start(3)
        while not processes.alive("worker"):  # the thread's first word
            db.session.rollback()
        assert processes.slots() == 3
        db.session.rollback()
        presence.stop()
        assert processes.alive("worker") == []


def test_two_workers_by_one_name_do_not_both_live(app: APIFlask, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "BEAT_SECONDS", 0.1)
    first = Presence(app, "w9")
    with app.app_context():
        first.start(1)
        while not processes.last_seen("w9"):  # the thread's first word
            db.session.rollback()
        run = runs.claim(tasks.submit(owner, "health_check", {}).uuid, "w9")
        db.session.commit()
        assert run is not None
        with pytest.raises(SystemExit, match="w9"):
            Presence(app, "w9").begin()
        assert runs.beat(run, 1, None) is not None
        db.session.commit()
        first.stop()
        Presence(app, "w9").begin()
        db.session.expire_all()
        assert statuses(owner) == ["pending"]


def test_a_worker_that_leaves_gets_nothing_new(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    presence = Presence(app, "w9")
    with app.app_context():
        presence.start(3)
        while not processes.slots():
            db.session.rollback()
        presence.leave()
        while processes.slots():
            db.session.rollback()
        assert [worker.name for worker in processes.alive("worker")] == ["w9"]
        presence.stop()


def test_a_kind_that_it_does_not_know_is_left_for_others(
    app: APIFlask, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, rings = dispatcher(app, monkeypatch)
    with app.app_context():
        uuids = submit(owner, 2)
        db.session.execute(text("ALTER TABLE tasks DISABLE TRIGGER USER"))
        db.session.execute(text("UPDATE tasks SET kind = 'newer' WHERE uuid = :uuid"), {"uuid": uuids[0]})
        db.session.execute(text("ALTER TABLE tasks ENABLE TRIGGER USER"))
        db.session.commit()
        one.dispatch()
        assert rings == uuids[1:]
