"""The history: only ever added to, whole under parallel writers, and a change by SQL is named."""

import threading
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.services import events
from portal.services.events import Visitor

HERE = Visitor("203.0.113.9", "a browser \x00 (数据站)")


@pytest.fixture
def ten(app: APIFlask) -> Any:
    """Ten rows, in an application context."""
    with app.app_context():
        for number in range(10):
            events.record("login.failed", HERE, user_id=number, at="password", number=number, name="数据")
            db.session.commit()
        yield


def _tamper(sql: str) -> None:
    """As whoever owns the database may: past the trigger."""
    db.session.execute(text("SET LOCAL session_replication_role = replica"))
    db.session.execute(text(sql))
    db.session.commit()


def test_an_untouched_history_is_whole(app: APIFlask, ten: None) -> None:
    assert events.find_broken() == (10, None)


def test_no_history_is_whole_too(app: APIFlask) -> None:
    with app.app_context():
        assert events.find_broken() == (0, None)


@pytest.mark.parametrize("position", [1, 5, 10])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET kind = 'login.succeeded'",
        "UPDATE events SET address = ''",
        "UPDATE events SET user_agent = user_agent || ' '",
        "UPDATE events SET user_id = 4711",
        "UPDATE events SET actor_id = NULL",
        "UPDATE events SET at = at + interval '1 microsecond'",
        "UPDATE events SET details = jsonb_set(details, '{number}', '99')",
        "UPDATE events SET details = '{}'",
        "UPDATE events SET hash = repeat('0', 64)",
        "DELETE FROM events",
    ],
)
def test_a_changed_or_removed_row_is_named(app: APIFlask, ten: None, change: str, position: int) -> None:
    _tamper(f"{change} WHERE position = {position}")
    assert events.find_broken() == (position - 1, position)


def test_rows_that_were_cut_off_are_missed(app: APIFlask, ten: None) -> None:
    _tamper("DELETE FROM events WHERE position > 7")
    assert events.find_broken() == (7, 8)


def test_an_end_that_was_moved_back_is_noticed(app: APIFlask, ten: None) -> None:
    _tamper("UPDATE events_head SET position = 7, hash = (SELECT hash FROM events WHERE position = 7)")
    _tamper("DELETE FROM events WHERE position > 7")
    assert events.find_broken()[1] is not None


def test_all_rows_gone_is_noticed(app: APIFlask, ten: None) -> None:
    _tamper("DELETE FROM events")
    assert events.find_broken() == (0, 1)


def test_two_rows_that_changed_places_are_noticed(app: APIFlask, ten: None) -> None:
    _tamper("UPDATE events SET position = 99 WHERE position = 4")
    _tamper("UPDATE events SET position = 4 WHERE position = 5")
    _tamper("UPDATE events SET position = 5 WHERE position = 99")
    assert events.find_broken() == (3, 4)


def test_a_row_that_was_put_in_is_named(app: APIFlask, ten: None) -> None:
    columns = "at, kind, user_id, actor_id, address, user_agent, details, hash"
    db.session.execute(text(f"INSERT INTO events SELECT 11, {columns} FROM events WHERE position = 3"))
    db.session.commit()
    assert events.find_broken() == (10, 11)


@pytest.mark.parametrize("change", ["UPDATE events SET kind = 'x'", "DELETE FROM events"])
def test_the_history_refuses_to_be_changed(app: APIFlask, ten: None, change: str) -> None:
    with pytest.raises(IntegrityError, match="only ever added to"):
        db.session.execute(text(f"{change} WHERE position = 5"))
    db.session.rollback()
    assert events.find_broken() == (10, None)


def test_what_was_rolled_back_is_not_told(app: APIFlask, ten: None) -> None:
    db.session.execute(text("SELECT 1"))
    events.record("login.succeeded", HERE, user_id=1)
    db.session.rollback()
    db.session.execute(text("SELECT 1"))
    db.session.commit()
    events.record_now("login.failed", HERE)
    assert events.find_broken() == (11, None)


def test_parallel_writers_leave_a_whole_chain(app: APIFlask) -> None:
    """Both ways of writing, some transactions with several events, some rolled back."""
    gate = threading.Barrier(12)

    def write(number: int) -> None:
        gate.wait()
        for turn in range(10):
            with app.app_context():
                for _ in range(turn % 3 + 1):
                    events.record("login.succeeded", HERE, user_id=number, turn=turn)
                if turn == 5:
                    db.session.rollback()
                else:
                    db.session.commit()
                events.record_now("login.failed", HERE, user_id=number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with app.app_context():
        # 1, 2, 3, 1, 2, (3 rolled back), 1, 2, 3, 1 and ten at once
        assert events.find_broken() == (12 * (16 + 10), None)


def test_a_kind_that_nobody_knows_is_a_bug(app: APIFlask) -> None:
    with app.app_context(), pytest.raises(ValueError, match="no event"):
        events.record("login.imagined", HERE)
