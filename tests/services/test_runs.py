"""The protocol of tasks: claims, fences, beats, the reaper, and the trigger that holds the edges."""

from uuid import UUID

import pytest
from apiflask import APIFlask
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from portal import limits
from portal.errors import Conflict
from portal.extensions import db
from portal.models import Task, User
from portal.models.tasks import STATUSES
from portal.services import processes, queue, runs, tasks
from portal.services.copies import TaskCopy
from tests.cast import person

EDGES = {
    "pending": {"queued", "processing", "cancelled", "expired"},
    "queued": {"pending", "processing", "cancelled", "expired"},
    "processing": {"pending", "completed", "failed", "cancelled"},
    "completed": {"expired"},
    "failed": set(),
    "cancelled": set(),
    "expired": set(),
}


@pytest.fixture
def owner(app: APIFlask) -> User:
    alice = person(app, "alice")
    with app.app_context():
        user = db.session.get_one(User, alice.id)
        db.session.expunge(user)
    return user


def submit(owner: User) -> UUID:
    task = tasks.submit(owner, "health_check", {})
    db.session.commit()
    return task.uuid


def claim(uuid: UUID) -> TaskCopy:
    run = runs.claim(uuid, "w1")
    db.session.commit()
    assert run is not None
    return run


def row(uuid: UUID) -> Task:
    db.session.expire_all()
    return db.session.scalars(select(Task).where(Task.uuid == uuid)).one()


def lose_the_lease(uuid: UUID) -> None:
    past = func.now() - text("interval '1 second'")
    db.session.execute(update(Task).where(Task.uuid == uuid).values(lease_until=past))
    db.session.commit()


def sweep() -> int:
    count = queue.put_back_lost()
    db.session.commit()
    return count


def force(task: Task, status: str) -> None:
    """Write a status as plain SQL, with what the constraints ask of it."""
    values = {
        "status": status,
        "lease_until": func.now() if status == "processing" else None,
        "finished_at": None if status in ("pending", "queued", "processing") else func.now(),
        "attempt": Task.attempt + (1 if status == "processing" else 0),
    }
    db.session.execute(update(Task).where(Task.id == task.id).values(values))


PATHS = {
    "pending": [],
    "queued": ["queued"],
    "processing": ["processing"],
    "completed": ["processing", "completed"],
    "failed": ["processing", "failed"],
    "cancelled": ["cancelled"],
    "expired": ["expired"],
}


@pytest.mark.parametrize("start", STATUSES)
def test_the_database_refuses_every_other_edge(app: APIFlask, owner: User, start: str) -> None:
    with app.app_context():
        for end in set(STATUSES) - {start}:
            task = row(submit(owner))
            for step in PATHS[start]:
                force(task, step)
            db.session.commit()
            if end in EDGES[start]:
                force(task, end)
                db.session.commit()
                assert row(task.uuid).status == end
            else:
                with pytest.raises(IntegrityError, match=r"may not go from|count claims"):
                    force(task, end)
                db.session.rollback()
                assert row(task.uuid).status == start


@pytest.mark.parametrize("column", ["result", "error", "progress", "finished_at"])
def test_an_ended_task_does_not_change(app: APIFlask, owner: User, column: str) -> None:
    with app.app_context():
        task = row(submit(owner))
        tasks.cancel(owner, task.uuid)
        db.session.commit()
        values = {"result": {}, "error": {}, "progress": 50, "finished_at": func.now()}
        with pytest.raises(IntegrityError, match="has ended"):
            db.session.execute(update(Task).where(Task.id == task.id).values({column: values[column]}))
        db.session.rollback()


def test_a_task_is_claimed_once(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        run = claim(uuid)
        assert (run.status, run.attempt) == ("processing", 1)
        assert runs.claim(uuid, "w2") is None


def test_a_worker_that_lost_its_task_writes_nothing(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        first = claim(uuid)
        lose_the_lease(uuid)
        assert sweep() == 1
        second = claim(uuid)
        assert second.attempt == 2
        assert runs.beat(first, 50, None) is None
        assert runs.complete(first, {"by": 1}) is None
        assert runs.fail(first, {"code": "internal"}, passing=False) is None
        assert runs.complete(second, {"by": 2}) is not None
        db.session.commit()
        assert row(uuid).result == {"by": 2}


def test_a_task_whose_worker_dies_each_time_fails_after_three(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        for attempt in (1, 2, 3):
            assert claim(uuid).attempt == attempt
            lose_the_lease(uuid)
            sweep()
        task = row(uuid)
        assert (task.status, task.error) == ("failed", {"code": "worker_lost", "params": {}})


def test_a_worker_that_is_born_again_takes_its_tasks_back(app: APIFlask, owner: User) -> None:
    with app.app_context():
        first, second = claim(submit(owner)), runs.claim(submit(owner), "w2")
        assert second is not None
        assert queue.take_back("w1") == 1
        db.session.commit()
        assert (row(first.uuid).status, row(first.uuid).losses) == ("pending", 1)
        assert row(second.uuid).status == "processing"
        assert runs.beat(first, 10, None) is None


def test_a_restart_of_the_worker_is_no_loss(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        for attempt in range(1, limits.TASK_LOSSES + 2):
            processes.seen("w1", "worker", 2)
            assert claim(uuid).attempt == attempt
            processes.seen("w1", "worker", 0)  # it is shutting down, and killed before it is done
            assert queue.take_back("w1") == 1
            db.session.commit()
        assert (row(uuid).status, row(uuid).losses) == ("pending", 0)
        assert [step.kind for step in tasks.timeline(owner, uuid)][-2:] == ["started", "lost"]


def test_faults_that_can_pass_are_tried_again_three_times_with_growing_waits(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        error = {"code": "connection_closed", "params": {}}
        waits = []
        for _ in range(limits.TASK_RETRIES):
            assert runs.fail(claim(uuid), error, passing=True) is not None
            db.session.commit()
            wait = select(func.extract("epoch", Task.next_run_at - func.now())).where(Task.uuid == uuid)
            waits.append(float(db.session.scalar(wait) or 0))
            assert queue.admit() == []
            db.session.execute(update(Task).where(Task.uuid == uuid).values(next_run_at=func.now()))
            db.session.commit()
        assert [47 < waits[0] < 73, 95 < waits[1] < 145, 190 < waits[2] < 290] == [True] * 3
        runs.fail(claim(uuid), error, passing=True)
        db.session.commit()
        assert (row(uuid).status, row(uuid).attempt, row(uuid).error) == ("failed", 4, error)


def test_a_database_that_was_away_is_not_waited_for_long(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        runs.fail(claim(uuid), {"code": "database_unavailable", "params": {}}, passing=True)
        db.session.commit()
        wait = select(func.extract("epoch", Task.next_run_at - func.now())).where(Task.uuid == uuid)
        assert row(uuid).status == "pending" and float(db.session.scalar(wait) or 0) < 1.3


def test_a_workers_death_is_no_try(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        for _ in range(limits.TASK_LOSSES - 1):
            claim(uuid)
            lose_the_lease(uuid)
            sweep()
        for _ in range(limits.TASK_RETRIES):
            runs.fail(claim(uuid), {"code": "no_answer", "params": {}}, passing=True)
            assert row(uuid).status == "pending"
            db.session.execute(update(Task).where(Task.uuid == uuid).values(next_run_at=func.now()))
            db.session.commit()
        assert (row(uuid).attempt, row(uuid).losses) == (5, 2)


def test_cancelling_a_running_task_waits_for_the_work_to_stop(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        run = claim(uuid)
        asked = tasks.cancel(owner, uuid)
        db.session.commit()
        assert asked.status == "processing" and asked.cancel_requested_at is not None
        assert tasks.cancel(owner, uuid).cancel_requested_at == asked.cancel_requested_at
        beat = runs.beat(run, 10, None)
        assert beat is not None and beat.cancel_requested_at is not None
        runs.cancelled(run)
        db.session.commit()
        assert row(uuid).status == "cancelled"
        with pytest.raises(Conflict):
            tasks.cancel(owner, uuid)


def test_a_task_that_was_asked_to_stop_does_not_complete(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        run = claim(uuid)
        assert runs.cancelled(run) is None  # nobody asked
        tasks.cancel(owner, uuid)
        db.session.commit()
        assert runs.complete(run, {}) is None
        assert runs.cancelled(run) is not None
        db.session.commit()
        assert (row(uuid).status, row(uuid).result) == ("cancelled", None)


def test_a_cancelled_task_whose_worker_died_is_cancelled_by_the_reaper(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        claim(uuid)
        tasks.cancel(owner, uuid)
        db.session.commit()
        lose_the_lease(uuid)
        sweep()
        assert row(uuid).status == "cancelled"


def test_progress_never_falls_and_is_never_100_early(app: APIFlask, owner: User) -> None:
    with app.app_context():
        run = claim(submit(owner))
        seen = []
        for progress in (30, 10, 100):
            task = runs.beat(run, progress, None)
            assert task is not None
            seen.append(task.progress)
        assert seen == [30, 30, 99]
        lose_the_lease(run.uuid)
        sweep()
        assert claim(run.uuid).progress == 99


def test_an_unanswered_doorbell_is_rung_again(app: APIFlask, owner: User) -> None:
    with app.app_context():
        processes.seen("w1", "worker", 2)
        uuid = submit(owner)
        assert [task.uuid for task in queue.admit()] == [uuid]
        db.session.commit()
        assert sweep() == 0
        past = func.now() - text(f"interval '{limits.DOORBELL_SECONDS + 1} seconds'")
        db.session.execute(update(Task).where(Task.uuid == uuid).values(dispatched_at=past))
        db.session.commit()
        assert sweep() == 1
        assert [task.uuid for task in queue.admit()] == [uuid]
        db.session.commit()


def test_a_task_that_starts_too_late_expires(app: APIFlask, owner: User) -> None:
    with app.app_context():
        uuid = submit(owner)
        db.session.execute(update(Task).where(Task.uuid == uuid).values(start_before=func.now()))
        db.session.commit()
        assert runs.claim(uuid, "w1") is None
        assert queue.expire_late() == 1
        db.session.commit()
        assert row(uuid).status == "expired"


def test_a_rolled_back_submit_leaves_nothing_behind(app: APIFlask, owner: User) -> None:
    with app.app_context():
        task = tasks.submit(owner, "health_check", {})
        uuid = task.uuid
        db.session.rollback()
        assert app.extensions["redis"].exists(f"task:{uuid}") == 0
        assert db.session.scalar(select(func.count()).select_from(Task)) == 0


def test_an_older_copy_never_replaces_a_newer_one(app: APIFlask, owner: User) -> None:
    from portal.services import live
    from portal.services.copies import copy_of

    with app.app_context():
        uuid = submit(owner)
        old = copy_of(row(uuid))
        new = claim(uuid)
        live.publish_task(old)
        assert live.look(uuid, [uuid]).tasks[uuid].version == new.version > old.version
