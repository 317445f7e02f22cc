"""Switching an account off stops all that is done in its name, in one transaction; letting in again starts nothing."""

import threading
from pathlib import Path
from secrets import token_hex
from typing import Any
from uuid import UUID

import pytest
from apiflask import APIFlask
from sqlalchemy import func, select, text

from portal.errors import Conflict, Unauthorized
from portal.extensions import db, gateways
from portal.models import (
    Dataset,
    Event,
    LoginSession,
    Message,
    Notice,
    Removal,
    Task,
    TaskHeaders,
    TaskKey,
    Upload,
    User,
)
from portal.models.tasks import LIVE
from portal.services import admin, messages, notices, processes, queue, runs, sessions, tasks, tidying, uploads
from portal.services.events import Visitor
from portal.services.switching_off import Stopped
from tests.cast import bearer, person, tokens
from tests.store import adopt

URL = "http://example.com/one.csv"
HERE = Visitor("192.0.2.1", "test")
SECRET = {"Authorization": "Bearer of-the-source"}
FAULT = {"code": "no_answer", "params": {}}


@pytest.fixture(autouse=True)
def people(app: APIFlask) -> None:
    person(app, "alice", mail_when_done=True)
    person(app, "bob")
    person(app, "dana", role="super_admin")


def user(name: str) -> User:
    return db.session.scalars(select(User).where(User.username == name)).one()


def switch(active: bool) -> Stopped | None:
    changed = admin.change(user("dana"), user("alice").uuid, active=active, visitor=HERE)
    db.session.commit()
    return changed.stopped


def fetch(owner: str = "alice", **params: Any) -> UUID:
    uuid = tasks.submit(user(owner), "fetch", {"url": URL, **params}, key=token_hex(8)).uuid
    db.session.commit()
    return uuid


def status(uuid: UUID) -> tuple[str, bool]:
    db.session.expire_all()
    task = db.session.scalars(select(Task).where(Task.uuid == uuid)).one()
    return task.status, task.cancel_requested_at is not None


def count(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def sent(name: str, tmp_path: Path) -> Upload:
    file = tmp_path / "sent.csv"
    file.write_bytes(b"a\n1\n")
    with file.open("rb") as content:
        upload = uploads.keep(user(name), "sent.csv", uploads.measured(content))
    db.session.commit()
    return upload


def test_all_of_it_stops_and_is_told(app: APIFlask, tmp_path: Path) -> None:
    pair = tokens(app, "alice")
    with app.app_context():
        ended, waiting, running = fetch(name="ended"), fetch(headers=SECRET), fetch(skip_broken=True, name="x")
        assert runs.fail(runs.claim(ended, "w1"), FAULT, passing=False)  # type: ignore[arg-type]
        run = runs.claim(running, "w1")
        assert run is not None
        tasks.submit(user("bob"), "fetch", {"url": URL, "headers": SECRET}, key="bobs")
        db.session.commit()
        sent("alice", tmp_path), sent("bob", tmp_path)
        messages.queue_mail("verify_email", "alice@example.com", user_id=user("alice").id, visitor=HERE)
        db.session.commit()
        stopped = switch(active=False)
        assert stopped == Stopped(1, tasks_cancelled=1, tasks_stopping=1, secrets=1, uploads=1, mails=2)
        assert (status(ended)[0], status(waiting), status(running)) == (
            "failed",
            ("cancelled", True),
            ("processing", True),
        )
        # The worker hears of it at its next beat, and no fault that can pass brings the task back.
        assert (beaten := runs.beat(run, 1, None)) and beaten.cancel_requested_at
        assert runs.fail(run, FAULT, passing=True) is None
        assert runs.cancelled(run)
        db.session.commit()
        # Of bob's nothing is gone.
        assert [count(model) for model in (TaskHeaders, TaskKey, Upload, Removal)] == [1, 1, 1, 1]
        assert db.session.scalars(select(Task.status).where(Task.owner_id == user("bob").id)).all() == ["pending"]
        states = db.session.scalars(select(Message.state).where(Message.purpose != "account_changed"))
        assert set(states) == {"suppressed"} and count(Notice) == 0
        event = db.session.scalars(select(Event).where(Event.kind == "account.deactivated")).one()
        assert (event.details["tasks_cancelled"], event.details["secrets"]) == (1, 1)
        tidying.remove_files()
        db.session.commit()
    for path in ("/api/v1/users/me", f"/api/v1/tasks/{running}"):
        answer = app.test_client().get(path, headers=bearer(pair["access_token"]))
        assert answer.status_code == 401


def test_letting_in_again_brings_nothing_back(app: APIFlask, tmp_path: Path) -> None:
    adopt(app)
    pair = tokens(app, "alice")
    with app.app_context():
        uuid = fetch(headers=SECRET)
        upload_key = sent("alice", tmp_path).store_key
        switch(active=False)
        assert switch(active=True) is None
        assert status(uuid) == ("cancelled", True) and queue.admit() == []
        assert notices.drain() == 0 and count(Upload) == 0
        with pytest.raises(Conflict, match="headers_erased"):  # run again without them it would fail, or worse
            tasks.retry(user("alice"), uuid)
        db.session.rollback()
        assert runs.claim(uuid, "w1") is None
        tidying.remove_files()
        db.session.commit()
        assert upload_key not in [stored.key for stored in gateways().store.listed()]
    refresh = {"refresh_token": pair["refresh_token"]}
    assert app.test_client().post("/api/v1/auth/refresh", json=refresh).status_code == 401


def test_nothing_starts_for_who_is_switched_off_behind_our_back(app: APIFlask) -> None:
    """By an operator's UPDATE, say: neither the dispatcher nor a worker begins, and what others have goes on."""
    with app.app_context():
        hers, his = fetch(), fetch("bob")
        rung = fetch(name="rung")
        db.session.execute(
            text("UPDATE tasks SET status = 'queued', dispatched_at = now() WHERE uuid = :u"), {"u": rung}
        )
        db.session.execute(text("UPDATE users SET is_active = false WHERE username = 'alice'"))
        processes.seen("w1", "worker", 9)
        db.session.commit()
        assert [each.uuid for each in queue.admit()] == [his]
        db.session.commit()
        assert runs.claim(hers, "w1") is None and runs.claim(rung, "w1") is None
        assert runs.claim(his, "w1")
        for submit in (lambda: fetch(name="new"), lambda: tasks.retry(user("alice"), hers)):
            with pytest.raises(Unauthorized):
                submit()
            db.session.rollback()


def test_what_is_submitted_at_that_moment_is_stopped_or_refused(app: APIFlask) -> None:
    for _ in range(5):
        with app.app_context():
            switch(active=True)
            alice, uuid = user("alice").id, user("alice").uuid
            before = count(Task)
        refused: list[int] = []
        gate = threading.Barrier(7)

        def submit(alice: int = alice, refused: list[int] = refused, gate: threading.Barrier = gate) -> None:
            with app.app_context():
                owner = db.session.get_one(User, alice)
                gate.wait()
                for number in range(100):
                    try:
                        tasks.submit(owner, "health_check", {})
                        db.session.commit()
                    except Unauthorized:
                        refused.append(number)
                        return

        def log_in(alice: int = alice, gate: threading.Barrier = gate) -> None:
            with app.app_context():
                owner = db.session.get_one(User, alice)
                gate.wait()
                try:
                    while True:
                        sessions.start(owner, kind="api", visitor=HERE)
                        db.session.commit()
                except Unauthorized:
                    return

        threads = [threading.Thread(target=each) for each in [submit] * 4 + [log_in] * 2]
        for thread in threads:
            thread.start()
        with app.app_context():
            boss = user("dana")
            gate.wait()
            while count(Task) - before < 10:  # they are at it
                db.session.rollback()
            admin.change(boss, uuid, active=False, visitor=HERE)
            db.session.commit()
        for thread in threads:
            thread.join()
        with app.app_context():
            assert len(refused) == 4
            hers = select(func.count()).where(Task.owner_id == alice, Task.status.in_(LIVE))
            live = select(func.count()).where(LoginSession.user_id == alice, LoginSession.ended_at.is_(None))
            assert (db.session.scalar(hers), db.session.scalar(live)) == (0, 0)


def test_a_file_that_was_coming_is_not_kept(app: APIFlask, tmp_path: Path) -> None:
    file = tmp_path / "sent.csv"
    file.write_bytes(b"a\n1\n")
    with app.app_context():
        alice, before = user("alice"), {stored.key for stored in gateways().store.listed()}
        uploads.announce(alice, 4)
        switch(active=False)
        with file.open("rb") as content, pytest.raises(Unauthorized):
            uploads.keep(alice, "sent.csv", uploads.measured(content))
        db.session.rollback()
        assert count(Upload) == 0 and {stored.key for stored in gateways().store.listed()} == before


def test_a_worker_that_publishes_and_an_admin_do_not_wait_for_each_other(app: APIFlask) -> None:
    """The worker holds its task and refers to the owner; the admin holds the owner and waits for the task."""
    with app.app_context():
        uuid = fetch()
        run = runs.claim(uuid, "w1")
        db.session.commit()
        assert run is not None
        task = runs.complete(run, {"rows": 1})
        assert task is not None

        def switch_off() -> None:
            with app.app_context():
                switch(active=False)

        thread = threading.Thread(target=switch_off)
        thread.start()
        waits = text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM tasks%'"
        )
        with db.engine.connect() as other:
            while not other.scalar(waits):
                other.rollback()
        size: dict[str, Any] = {
            "source_bytes": 1,
            "stored_bytes": 1,
            "rows": 1,
            "columns": [],
            "store_key": f"datasets/{uuid}/1.parquet",
        }
        digests = {"source_sha256": "0" * 64, "stored_sha256": "0" * 64}
        made = Dataset(owner_id=task.owner_id, task_id=task.id, name="x", source_url=URL, **size, **digests)
        made.keep_until = func.now()
        db.session.add(made)
        db.session.commit()
        thread.join()
        assert status(uuid) == ("completed", False)
        assert not user("alice").is_active
