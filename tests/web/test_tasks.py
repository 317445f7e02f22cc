"""Tasks as pages: the list and its filter, many at once, run again, what a page asks for by itself."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func

from portal import limits
from portal.services import tasks
from tests.cast import Person, csrf, person, post
from tests.web.task_rows import HTMX, made, names, running, status_of

NOBODYS = UUID("00000000-0000-4000-8000-000000000000")


# The list


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["Health check", "waits", "failed", "runs"]),
        ("status=live", ["Health check", "waits", "runs"]),
        ("status=ended", ["failed"]),
        ("status=processing", ["runs"]),
        ("kind=health_check", ["Health check"]),
        ("q=RUN", ["runs"]),
        ("q=example.com&status=failed", ["failed"]),
        ("q=%25", []),
        ("q=%00runs", ["runs"]),
        ("status=nonsense", ["Health check", "waits", "failed", "runs"]),
        ("since=2020-01-01&until=2020-12-31", ["runs"]),
        ("until=9999-12-31&since=0001-01-01", ["Health check", "waits", "failed", "runs"]),
    ],
)
def test_the_filter(app: APIFlask, alice: Person, alices: FlaskClient, query: str, shown: list[str]) -> None:
    running(app, alice, "runs", created_at=datetime(2020, 6, 1, tzinfo=UTC))
    made(app, alice, "failed", status="failed")
    made(app, alice, "waits")
    made(app, alice, kind="health_check")
    made(app, person(app, "bob"), "bob's", status="failed")
    answer = alices.get(f"/tasks/?{query}")
    assert (answer.status_code, names(answer.text)) == (200, shown)
    assert ("No tasks match." in answer.text) == (not shown)


def test_days_are_the_readers(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    made(app, alice, "late", created_at=datetime(2026, 1, 1, 3, tzinfo=UTC))
    day = "/tasks/?since=2025-12-31&until=2025-12-31"
    assert names(alices.get(f"{day}&zone=America/Toronto").text) == ["late"]
    assert names(alices.get(f"{day}&zone=Asia/Shanghai").text) == []
    for zone in ("", "Nowhere/Land", "America", "../etc"):  # the portal's own, which is Shanghai's
        query = {"since": "2026-01-01", "zone": zone}
        assert names(alices.get("/tasks/", query_string=query).text) == ["late"]


def test_a_day_that_is_none_is_told_and_left_out(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    made(app, alice, "one")
    answer = alices.get("/tasks/?since=2026-02-31")
    assert (answer.status_code, names(answer.text)) == (200, ["one"])
    assert 'id="since-error"' in answer.text


def test_paging_keeps_the_filter(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    for number in range(limits.PAGE_SIZE + 1):
        made(app, alice, f"odd {number}", status="failed" if number % 21 else "completed")
    made(app, alice, "odd last", status="failed")
    first = alices.get("/tasks/?status=failed&q=odd&kind=")
    assert len(names(first.text)) == limits.PAGE_SIZE
    older = re.search(r'href="([^"]+)" rel="next"', first.text)
    assert older
    second = alices.get(older[1].replace("&amp;", "&"))
    assert names(second.text) == ["odd 1"]
    assert 'value="odd"' in second.text and '<option selected value="failed">' in second.text
    newer = re.search(r'href="([^"]+)" rel="prev"', second.text)
    assert newer and set(newer[1].partition("?")[2].split("&amp;")) == {"q=odd", "status=failed"}


def test_rows_say_once_what_they_are_and_when_they_start(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    health = made(app, alice, kind="health_check")
    later = made(app, alice, "later", next_run_at=func.now() + timedelta(hours=1))
    soon = made(app, alice, "soon")
    when = datetime.now(UTC) + timedelta(seconds=121)
    app.extensions["redis"].hset("queue:places", mapping={str(health): "1 0", str(soon): f"3 {when.timestamp():.0f}"})
    rows = dict(
        zip((soon, later, health), alices.get("/tasks/").text.split('<article class="task-row"')[1:], strict=True)
    )
    assert "3rd in the queue · about 2 min" in rows[soon]
    assert "Starts" in rows[later] and "in the queue" not in rows[later]
    visible = re.sub(r'aria-label="[^"]*"', "", rows[health])
    assert visible.count("Health check") == 1 and "Next in the queue" in visible


def test_the_quota_is_shown_and_refreshed_alone(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    running(app, alice)
    made(app, alice)
    assert "Running 1 of 5" in alices.get("/tasks/").text
    alone = alices.get("/tasks/", headers=HTMX)
    assert alone.text.startswith('<p class="quota" id="quota">') and "Waiting 1 of 1,000" in alone.text
    assert "HX-Request" in alone.headers["Vary"]


# Many at once


def test_bulk_cancel_says_how_many_and_goes_back(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    waits, runs, done = made(app, alice), running(app, alice), made(app, alice, status="completed")
    bobs = made(app, person(app, "bob"))
    chosen = [str(uuid) for uuid in (waits, runs, done, bobs, NOBODYS)]
    sent = {"task": [*chosen, "not-a-uuid"], "action": "cancel", "next": "/tasks/?status=live"}
    answer = post(alices, "/tasks/bulk", page="/tasks/", **sent)
    assert (answer.status_code, answer.location) == (303, "/tasks/?status=live")
    assert "Cancelled: 2 of 5. The others had ended before." in alices.get(answer.location).text
    assert [status_of(app, uuid) for uuid in (waits, runs, done, bobs)] == [
        "cancelled",
        "processing",
        "completed",
        "pending",
    ]


def test_bulk_retry(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    failed, waits = made(app, alice, "again", status="failed"), made(app, alice, "waits")
    bobs = made(app, person(app, "bob"), "bob's", status="failed")
    answer = post(alices, "/tasks/bulk", page="/tasks/", task=[str(failed), str(waits), str(bobs)], action="retry")
    told = alices.get(answer.location).text
    assert "Run again: 1 of 3. The others cannot be run again now." in told
    assert names(told) == ["again", "waits", "again"]
    with app.app_context():
        assert tasks.retried_as(bobs) is None


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_bulk_goes_back_to_our_own_pages_only(alices: FlaskClient, target: str) -> None:
    answer = post(alices, "/tasks/bulk", page="/tasks/", action="cancel", next=target)
    assert (answer.status_code, answer.location) == (303, "/tasks/")
    assert "Choose some tasks first." in alices.get("/tasks/").text


@pytest.mark.parametrize(
    "sent", [{}, {"action": "delete"}, {"action": "cancel", "task": [str(uuid4()) for _ in range(limits.BULK_MAX + 1)]}]
)
def test_bulk_without_sense(alices: FlaskClient, sent: dict[str, Any]) -> None:
    assert post(alices, "/tasks/bulk", page="/tasks/", **sent).status_code == 400


# Run again


def test_retry_leads_to_the_new_task_and_both_know_of_each_other(
    app: APIFlask, alice: Person, alices: FlaskClient
) -> None:
    before = made(app, alice, "again", status="failed")
    assert f'action="/tasks/{before}/retry"' in alices.get("/tasks/").text
    first, second = (post(alices, f"/tasks/{before}/retry", page="/tasks/") for _ in range(2))
    assert first.status_code == 303 and first.location == second.location != f"/tasks/{before}"
    assert f'href="/tasks/{before}"' in alices.get(first.location).text
    assert f'href="{first.location}"' in alices.get(f"/tasks/{before}").text


def test_what_cannot_be_run_again_says_so(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    waits = made(app, alice)
    assert "/retry" not in alices.get(f"/tasks/{waits}").text
    answer = post(alices, f"/tasks/{waits}/retry", page="/tasks/")
    assert (answer.status_code, answer.location) == (303, f"/tasks/{waits}")
    assert "Only a task that failed, expired or was cancelled" in alices.get(answer.location).text


def test_anothers_task_is_none(app: APIFlask, alices: FlaskClient) -> None:
    bobs = made(app, person(app, "bob"), status="failed")
    token = csrf(alices, "/tasks/")
    for uuid in (bobs, NOBODYS):
        assert alices.post(f"/tasks/{uuid}/retry", data={"csrf_token": token}).status_code == 404
        assert alices.post(f"/tasks/{uuid}/cancel", data={"csrf_token": token}).status_code == 404
        assert alices.get(f"/tasks/{uuid}/timeline", headers=HTMX).status_code == 404
        assert alices.get(f"/tasks/{uuid}/progress", headers=HTMX).status_code == 404
        assert alices.get(f"/tasks/{uuid}").status_code == 404
