"""What a page of tasks asks for by itself: rows, a task, its timeline; and what a submit that is refused leaves."""

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, update
from werkzeug.test import TestResponse

from portal import limits
from portal.extensions import db
from portal.models import Task, User
from portal.services import live
from portal.services.copies import copy_of
from tests.cast import Person, csrf, person, post
from tests.web.task_rows import HTMX, made, running

ADDRESS = {"url": "http://example.com/one.csv", "name": "One", "format": "csv"}


def asks(html: str, element: str) -> tuple[str, str] | None:
    """The address and the trigger that an element of this id polls with; None when it does not."""
    tag = re.search(rf'<[a-z]+ [^>]*id="{element}"[^>]*>', html)
    assert tag, f"no {element} in {html[:500]}"
    found = re.search(r'hx-get="([^"]+)" hx-trigger="([^"]+)"', tag[0])
    return (found[1].replace("&amp;", "&"), found[2]) if found else None


def poll(client: FlaskClient, *uuids: UUID, **more: str) -> TestResponse:
    return client.get("/tasks/progress", query_string={"task": [str(uuid) for uuid in uuids], **more}, headers=HTMX)


def told(answer: TestResponse) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(answer.headers["HX-Trigger"])["tasks-ended"]["tasks"]
    return found


# The list


def test_the_list_asks_for_its_live_rows_in_one_go(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    made(app, alice, status="failed")
    old = running(app, alice, created_at=func.now() - timedelta(minutes=5))
    assert (asks(alices.get("/tasks/").text, "live") or "")[1] == "every 5s"
    young = made(app, alice)
    found = asks(alices.get("/tasks/").text, "live")
    assert found and found[1] == "every 1s"
    sent = parse_qs(urlsplit(found[0]).query)
    assert (sent["task"], urlsplit(found[0]).path) == ([str(young), str(old)], "/tasks/progress")
    answer = alices.get(found[0], headers=HTMX)
    assert asks(answer.text, "live") == found
    partials = re.findall(r'<hx-partial hx-target="#row-([^"]+)" hx-swap="outerMorph"><article', answer.text)
    assert partials == [str(young), str(old)]
    assert "HX-Trigger" not in answer.headers and 'hx-trigger="load"' not in answer.text
    assert "HX-Request" in answer.headers["Vary"]


def test_it_asks_no_more_once_all_have_ended_and_tells_of_each(
    app: APIFlask, alice: Person, alices: FlaskClient
) -> None:
    ended = {status: made(app, alice, f"数据 {status}", status=status) for status in ("completed", "failed", "expired")}
    answer = poll(alices, *ended.values(), seen="1.3")
    assert asks(answer.text, "live") is None
    assert [(notice["task"], notice["message"], notice["level"]) for notice in told(answer)] == [
        (str(ended["completed"]), "数据 completed has completed.", "success"),
        (str(ended["failed"]), "数据 failed has failed.", "error"),
        (str(ended["expired"]), "数据 expired has expired.", "info"),
    ]
    assert 'hx-get="/tasks/" hx-trigger="load" hx-target="#quota"' in answer.text


def test_of_many_it_tells_how_many_and_none_of_those_cancelled(
    app: APIFlask, alice: Person, alices: FlaskClient
) -> None:
    failed = [made(app, alice, "x" * 200, status="failed") for _ in range(4)]
    cancelled = [made(app, alice, status="cancelled") for _ in range(4)]
    assert told(poll(alices, *failed, *cancelled)) == [{"message": "4 tasks have ended.", "level": "info"}]
    few = told(poll(alices, *failed[:3], *cancelled))
    assert [notice["task"] for notice in few] == [str(uuid) for uuid in failed[:3]]
    assert all(len(notice["message"]) < 80 for notice in few)
    assert "HX-Trigger" not in poll(alices, *cancelled).headers


def test_others_tasks_and_nonsense_are_left_out(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    own, bobs = made(app, alice), made(app, person(app, "bob"), "bob's")
    answer = alices.get(f"/tasks/progress?task={bobs}&task={own}&task=x&task={UUID(int=0)}&task={own}", headers=HTMX)
    assert re.findall(r'<hx-partial hx-target="#row-([^"]+)"', answer.text) == [str(own)]
    assert str(bobs) not in answer.text
    assert poll(alices).status_code == 200
    assert poll(alices, *(UUID(int=n) for n in range(limits.BULK_MAX + 1))).status_code == 400


def test_strangers_are_led_to_the_log_in_and_readers_to_the_list(app: APIFlask, alices: FlaskClient) -> None:
    answer = poll(app.test_client())
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login")
    assert alices.get("/tasks/progress").location == "/tasks/"


def test_a_poll_of_many_takes_no_sql(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    uuids = [running(app, alice) for _ in range(20)]
    with app.app_context():
        live.hear([], live.clock())
        for task in db.session.scalars(select(Task)):
            live.publish_task(copy_of(task))
        engine = db.engine
    poll(alices, *uuids)  # the log-in is known from now on
    said: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        answer = poll(alices, *uuids)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert (answer.text.count("<hx-partial"), said) == (20, [])


# One task


def test_a_task_is_asked_for_less_often_the_older_it_is(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    for age, trigger in ((0, "every 1s"), (60, "every 2s"), (300, "every 5s"), (3600, "every 10s")):
        uuid = running(app, alice, created_at=func.now() - timedelta(seconds=age))
        found = asks(alices.get(f"/tasks/{uuid}").text, f"task-{uuid}")
        assert found and found[1] == trigger
        assert asks(alices.get(found[0], headers=HTMX).text, f"task-{uuid}") == found


def test_the_timeline_is_fetched_when_the_state_is_news(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    uuid = made(app, alice)
    shown = alices.get(f"/tasks/{uuid}").text
    assert "Accepted" in shown and 'hx-trigger="load"' not in shown
    found = asks(shown, f"task-{uuid}")
    assert found and 'hx-trigger="load"' not in alices.get(found[0], headers=HTMX).text
    with app.app_context():
        values = {"status": "queued", "dispatched_at": func.now()}
        db.session.execute(update(Task).where(Task.uuid == uuid).values(values))
        db.session.commit()
        app.extensions["redis"].delete(f"task:{uuid}")
    answer = alices.get(found[0], headers=HTMX)
    assert f'hx-get="/tasks/{uuid}/timeline" hx-trigger="load" hx-target="#timeline"' in answer.text
    assert asks(answer.text, f"task-{uuid}") != found
    timeline = alices.get(f"/tasks/{uuid}/timeline", headers=HTMX)
    assert timeline.text.startswith("<section") and "HX-Request" in timeline.headers["Vary"]
    assert re.findall(r"<li>(.+?) <time", timeline.text) == ["Accepted", "Handed to the workers"]
    assert alices.get(f"/tasks/{uuid}/timeline").location == f"/tasks/{uuid}"


def test_a_task_that_is_being_cancelled_says_so_and_is_asked_for_on(
    app: APIFlask, alice: Person, alices: FlaskClient
) -> None:
    uuid = running(app, alice)
    token = {"csrf_token": csrf(alices, "/tasks/")}
    answer = alices.post(f"/tasks/{uuid}/cancel", data=token, headers=HTMX)
    assert 'data-status="cancelling"' in answer.text and f'id="cancel-{uuid}"' not in answer.text
    assert asks(answer.text, f"task-{uuid}") is not None
    row = alices.post(f"/tasks/{uuid}/cancel?as=row", data=token, headers=HTMX)
    assert row.text.startswith(f'<article class="task-row" id="row-{uuid}"')


# Submitting


@pytest.fixture
def one_may_wait(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.extensions["settings"], "tasks_waiting_per_user", 1)


@pytest.mark.usefixtures("one_may_wait")
def test_beyond_the_quota_the_form_keeps_what_was_typed(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    failed = made(app, alice, status="failed")
    made(app, alice)
    answer = post(alices, "/tasks/", page="/tasks/", nonce="n" * 32, **ADDRESS)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    assert "You have 1 tasks waiting" in answer.text
    for kept in (f'value="{ADDRESS["url"]}"', 'value="One"', '<option selected value="csv">', f'value="{"n" * 32}"'):
        assert kept in answer.text
    for path, back in ((f"/tasks/{failed}/retry", f"/tasks/{failed}"), ("/tasks/health-check", "/tasks/")):
        refused = post(alices, path, page="/tasks/")
        assert (refused.status_code, refused.location) == (303, back)
        assert "You have 1 tasks waiting" in alices.get(back).text
    refused = post(alices, "/tasks/bulk", page="/tasks/", action="retry", task=str(failed))
    assert "You have 1 tasks waiting" in alices.get(refused.location).text


def test_a_full_queue_is_503_with_the_form(app: APIFlask, alices: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.extensions["settings"], "tasks_waiting", 0)
    monkeypatch.setattr("portal.services.quotas._FEW", 0)
    answer = post(alices, "/tasks/", page="/tasks/", **ADDRESS)
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert "Too many tasks are waiting." in answer.text and f'value="{ADDRESS["url"]}"' in answer.text


def test_a_form_is_one_task_however_often_it_is_sent(app: APIFlask, alices: FlaskClient) -> None:
    first, second = (post(alices, "/tasks/", page="/tasks/", nonce="once", **ADDRESS) for _ in range(2))
    assert first.status_code == 303 and first.location == second.location
    health = {post(alices, "/tasks/health-check", page="/tasks/", nonce="health").location for _ in range(2)}
    assert len(health) == 1
    other = post(alices, "/tasks/", page="/tasks/", nonce="once", **{**ADDRESS, "name": "Two"})
    assert other.status_code == 422 and "This form was sent before with other data." in other.text
    (fresh,) = re.findall(r'name="nonce"[^>]* value="([0-9a-f]{32})"', other.text)
    assert post(alices, "/tasks/", page="/tasks/", nonce=fresh, **{**ADDRESS, "name": "Two"}).status_code == 303
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Task)) == 3


# Mail when done


def test_mails_about_tasks_are_switched_on_and_off(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    def wanted() -> bool:
        with app.app_context():
            return db.session.get_one(User, alice.id).mail_when_done

    assert "Switch on mails about tasks" in alices.get("/account/").text
    for value, state, offered in (("yes", True, "Switch off mails"), ("no", False, "Switch on mails")):
        answer = post(alices, "/account/notices", page="/account/", wanted=value)
        assert (answer.status_code, answer.location, wanted()) == (303, "/account/", state)
        assert offered in alices.get("/account/").text
    assert post(alices, "/account/notices", page="/account/").status_code == 422
    assert not wanted()
