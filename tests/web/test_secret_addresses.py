"""An address that holds a signature is fetched whole, shown without it to everybody, and offered in a better form."""

from typing import Any
from uuid import UUID

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text, update
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.models import LoginSession, Task, User
from portal.services import request_headers, runs, tasks
from portal.services.copies import copy_of
from portal.wording import task_name
from tests.cast import Person, bearer, browser, person, post, tokens
from tests.web.task_rows import made

SECRET = "s3cr3t-s1gnature"
SIGNED = f"http://data.example.com/k.csv?X-Amz-SignedHeaders=host&X-Amz-Signature={SECRET}&year=2026"
SHOWN = "http://data.example.com/k.csv?X-Amz-SignedHeaders=host&X-Amz-Signature=…&year=2026"
PAGE = "https://git.example.org/g/p/-/blob/main/x.csv"
FILE = "https://git.example.org/g/p/-/raw/main/x.csv"


def error(**params: Any) -> dict[str, Any]:
    return {"code": "not_data", "params": {"found": "html", "reason": "share_page", **params}}


def failed(app: APIFlask, owner: Person, url: str, **params: Any) -> UUID:
    return made(app, owner, params={"url": url}, status="failed", error=error(**params))


def said(answer: TestResponse) -> Any:
    return answer.get_json()


def task_of(app: APIFlask, uuid: Any) -> Task:
    found = db.session.scalar(select(Task).where(Task.uuid == uuid))
    assert found is not None
    return found


def test_nobody_is_shown_a_signature(app: APIFlask, client: FlaskClient, alice: Person, alices: FlaskClient) -> None:
    dana = person(app, "dana", role="super_admin")
    mine, theirs = (bearer(tokens(app, name)["access_token"]) for name in ("alice", "dana"))
    danas = browser(app, "dana")
    with app.app_context():  # admins need a second factor
        both = update(LoginSession).where(LoginSession.user_id == dana.id)
        db.session.execute(both.values(two_factor_at=func.now()))
        db.session.commit()
    sent = client.post("/api/v1/tasks", json={"kind": "fetch", "params": {"url": SIGNED}}, headers=mine)
    where = sent.headers["Location"]
    answers = [
        sent,
        *(client.get(path, headers=mine) for path in (where, "/api/v1/tasks", f"{where}/events")),
        client.get("/api/v1/admin/tasks", headers=theirs),
        *(alices.get(path) for path in ("/tasks/", f"/tasks/{said(sent)['uuid']}")),
        danas.get("/admin/tasks"),
    ]
    assert [answer.status_code for answer in answers] == [202, *[200] * 7]
    assert not [answer.request.path for answer in answers if SECRET in answer.text]
    assert said(sent)["params"]["url"] == SHOWN
    kept = [app.extensions["redis"].hget(key, "body") for key in app.extensions["redis"].keys("task:*")]
    assert kept and not [body for body in kept if SECRET in str(body)]
    with app.app_context():
        assert runs.address_of(copy_of(task_of(app, said(sent)["uuid"]))) == SIGNED


def test_it_is_run_again_whole(app: APIFlask, alice: Person) -> None:
    uuid = failed(app, alice, SIGNED)
    with app.app_context():
        again = tasks.retry(db.session.get_one(User, alice.id), uuid)
        assert (again.params["url"], runs.address_of(again)) == (SHOWN, SIGNED)


def test_nobody_guesses_it_letter_by_letter(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    made(app, alice, params={"url": f"http://data.example.com/k.csv;jsessionid={SECRET}?sig={SECRET}"})
    assert "data.example.com" in alices.get("/tasks/?q=example.com/k.").text
    assert "data.example.com" not in alices.get(f"/tasks/?q={SECRET[:3]}").text


def test_no_name_is_made_of_it() -> None:
    task = Task(kind="fetch", params={"url": f"http://data.example.com/k.csv;jsessionid={SECRET}"})
    assert task_name(task) == "k.csv"


def test_one_that_was_copied_from_a_page_is_refused(app: APIFlask, client: FlaskClient, alice: Person) -> None:
    mine = bearer(tokens(app, "alice")["access_token"])
    answer = client.post("/api/v1/tasks", json={"kind": "fetch", "params": {"url": SHOWN}}, headers=mine)
    assert answer.status_code == 422 and "hidden" in answer.text


def test_the_file_of_a_page_is_taken_with_a_press(app: APIFlask, alice: Person, alices: FlaskClient) -> None:
    uuid = failed(app, alice, PAGE, offered=FILE)
    page = alices.get(f"/tasks/{uuid}").text
    assert FILE in page and 'name="offered"' in page
    answer = post(alices, f"/tasks/{uuid}/retry", page=f"/tasks/{uuid}", offered="1")
    with app.app_context():
        task = task_of(app, answer.location.rpartition("/")[2])
        assert (answer.status_code, task.params["url"], task.retry_of) == (303, FILE, uuid)


def test_and_by_a_program(app: APIFlask, client: FlaskClient, alice: Person) -> None:
    uuid = failed(app, alice, PAGE, offered=FILE)
    mine = bearer(tokens(app, "alice")["access_token"])
    assert said(client.get(f"/api/v1/tasks/{uuid}", headers=mine))["error_params"]["offered"] == FILE
    answer = client.post(f"/api/v1/tasks/{uuid}/retry?offered=true", headers=mine)
    assert (answer.status_code, said(answer)["params"]["url"]) == (202, FILE)


@pytest.mark.parametrize("params", [{}, {"offered": "http://127.0.0.1/"}])
def test_only_the_file_of_the_task_s_own_page_is_offered(
    app: APIFlask, client: FlaskClient, alice: Person, params: dict[str, str]
) -> None:
    uuid = failed(app, alice, "http://data.example.com/x.html", **params)
    mine = bearer(tokens(app, "alice")["access_token"])
    answer = client.post(f"/api/v1/tasks/{uuid}/retry?offered=true", headers=mine)
    assert answer.status_code == 409


@pytest.mark.parametrize(("url", "goes_along"), [(PAGE, True), ("https://drive.google.com/file/d/1X/view", False)])
def test_headers_go_along_to_the_same_server_only(app: APIFlask, alice: Person, url: str, goes_along: bool) -> None:
    with app.app_context():
        user = db.session.get_one(User, alice.id)
        before = tasks.submit(user, "fetch", {"url": url, "headers": {"Authorization": "Bearer hush"}}).uuid
        db.session.execute(text("SET session_replication_role = replica"))  # past the trigger: as it has ended
        ended = {"status": "failed", "finished_at": func.now(), "error": error(offered="…")}
        db.session.execute(update(Task).where(Task.uuid == before).values(ended))
        db.session.execute(text("SET session_replication_role = DEFAULT"))
        again = tasks.retry(user, before, offered=True)
        assert request_headers.opened(again) == ({"Authorization": "Bearer hush"} if goes_along else {})
        assert ("headers" in again.params) == goes_along
