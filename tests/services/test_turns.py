"""Fair share: idle slots are filled in turn, and who waits is told their place."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from apiflask import APIFlask
from sqlalchemy import func, select, text, update

from portal.extensions import db
from portal.models import Task, User
from portal.services import live, processes, queue, runs, tasks
from tests.cast import person


@pytest.fixture
def people(app: APIFlask) -> list[User]:
    ids = [person(app, name).id for name in ("alice", "bob", "dana")]
    with app.app_context():
        users = [db.session.get_one(User, each) for each in ids]
        db.session.expunge_all()
    return users


def submit(user: User, count: int = 1, countdown: int = 0) -> list[UUID]:
    uuids = [tasks.submit(user, "health_check", {}, countdown=countdown).uuid for _ in range(count)]
    db.session.commit()
    return uuids


def admitted() -> list[UUID]:
    found = [task.uuid for task in queue.admit()]
    db.session.commit()
    return found


def run_to_the_end(uuids: Sequence[UUID]) -> None:
    for uuid in uuids:
        run = runs.claim(uuid, "w1")
        assert run is not None
        assert runs.complete(run, {}) is not None
        db.session.commit()


def workers(slots: int) -> None:
    processes.seen("w1", "worker", slots)
    db.session.commit()


def test_without_a_worker_everyone_waits(app: APIFlask, people: list[User]) -> None:
    with app.app_context():
        submit(people[0])
        assert admitted() == []


def test_only_idle_slots_are_filled(app: APIFlask, people: list[User]) -> None:
    with app.app_context():
        workers(3)
        mine = submit(people[0], 5)
        assert admitted() == mine[:3]
        assert admitted() == []
        run_to_the_end(mine[:1])
        assert admitted() == mine[3:4]


def test_users_take_turns(app: APIFlask, people: list[User]) -> None:
    alice, bob, dana = people
    with app.app_context():
        workers(3)
        first = submit(alice, 10)
        assert admitted() == first[:3]
        (bobs,), danas = submit(bob), submit(dana, 2)
        run_to_the_end(first[:3])
        assert admitted() == [bobs, danas[0], first[3]]


def test_with_one_slot_too(app: APIFlask, people: list[User]) -> None:
    alice, bob, _ = people
    with app.app_context():
        workers(1)
        first, second = submit(alice, 4), submit(bob, 2)
        seen = []
        for _ in range(6):
            (next_,) = admitted()
            seen.append(next_)
            run_to_the_end([next_])
        assert seen == [first[0], second[0], first[1], second[1], first[2], first[3]]


def test_a_hard_cap_leaves_slots_idle(app: APIFlask, people: list[User], monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        monkeypatch.setattr(app.extensions["settings"], "tasks_running_per_user", 2)
        monkeypatch.setattr(app.extensions["settings"], "lend_idle_workers", False)
        workers(4)
        mine = submit(people[0], 4)
        assert admitted() == mine[:2]
        assert admitted() == []
        (bobs,) = submit(people[1])
        assert admitted() == [bobs]


def test_what_is_delayed_takes_no_turn(app: APIFlask, people: list[User]) -> None:
    with app.app_context():
        workers(2)
        submit(people[0], countdown=60)
        assert admitted() == []
        assert queue.expected_starts() == {}


def test_a_silent_workers_slot_is_not_waited_for(app: APIFlask, people: list[User]) -> None:
    with app.app_context():
        workers(1)
        lost, later = submit(people[0], 2)
        admitted()
        assert runs.claim(lost, "w1") is not None
        db.session.commit()
        assert admitted() == []
        silent = func.now() + text("interval '20 seconds'")  # of a lease of 30
        db.session.execute(update(Task).where(Task.uuid == lost).values(lease_until=silent))
        db.session.commit()
        assert admitted() == [later]


def test_a_worker_that_is_not_seen_any_more_has_no_slots(app: APIFlask, people: list[User]) -> None:
    with app.app_context():
        workers(2)
        db.session.execute(text("UPDATE processes SET seen_at = now() - interval '7 seconds'"))
        db.session.commit()
        assert processes.slots() == 0 and processes.alive("worker") == []
        workers(2)
        assert processes.slots() == 2
        processes.gone("w1")
        assert processes.slots() == 0
        db.session.rollback()


def test_who_waits_is_told_the_place(app: APIFlask, people: list[User]) -> None:
    alice, bob, _ = people
    with app.app_context():
        workers(1)
        first, second = submit(alice, 3), submit(bob)
        live.tell_places(queue.expected_starts())
        places = {copy.uuid: copy.place for copy in tasks.list_for(alice).items}
        assert places == {first[0]: 1, first[1]: 3, first[2]: 4}
        bobs = tasks.copy_for(bob, second[0])
        assert bobs.place == 2 and bobs.expected_start is not None
        run_to_the_end(first[:1])
        assert tasks.copy_for(alice, first[0]).place is None


def test_nobody_says_when_without_a_worker(app: APIFlask, people: list[User]) -> None:
    with app.app_context():
        (uuid,) = submit(people[0])
        live.tell_places(queue.expected_starts())
        copy = tasks.copy_for(people[0], uuid)
        assert (copy.place, copy.expected_start) == (1, None)


def test_rings_that_were_lost_are_rung_again(app: APIFlask, people: list[User]) -> None:
    with app.app_context():
        workers(2)
        mine = submit(people[0], 2)
        assert not live.remembers_rings() and live.remembers_rings()
        admitted()
        app.extensions["redis"].flushdb()
        assert not live.remembers_rings()
        assert queue.put_back() == 2
        db.session.commit()
        assert admitted() == mine
        steps = [step.kind for step in tasks.timeline(people[0], mine[0])]
        assert steps == ["accepted", "queued", "requeued", "queued"]
        assert db.session.scalar(select(func.count()).select_from(Task).where(Task.status == "queued")) == 2
