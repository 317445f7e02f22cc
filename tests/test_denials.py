"""Whoever asks for what is not theirs leaves one event a minute, through either door; the answer tells nothing."""

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.extensions import db
from portal.models import Event
from tests.routes_table import PROGRAMS, TABLE, THINGS
from tests.stage import NOBODYS, Stage, set_up
from tests.test_routes import ask, filled, thing_of

# What bob is refused for being bob: things of others, pages of admins.
REFUSED = [route for route, row in TABLE.items() if row.answers[2] == 404 and not route.startswith("GET /dev/")]


@pytest.fixture
def stage(app: APIFlask) -> Stage:
    return set_up(app)


def denied(stage: Stage) -> list[tuple[int | None, str]]:
    with stage.app.app_context():
        rows = db.session.scalars(select(Event).where(Event.kind == "authz.denied").order_by(Event.position))
        return [(event.user_id, event.details["at"]) for event in rows]


@pytest.mark.parametrize("route", REFUSED)
def test_each_refusal_is_noted_once_a_minute(stage: Stage, route: str) -> None:
    for _ in range(3):
        assert ask(stage, "bob", route, thing_of(stage, route)).status_code == 404
    assert denied(stage) == [(stage.ids["bob"], route)]


@pytest.mark.parametrize("route", [route for route in REFUSED if "<uuid:" in route and "/admin/" not in route])
def test_what_is_not_there_is_no_trespass(stage: Stage, route: str) -> None:
    assert any(route.partition(" ")[2].startswith(start) for start in THINGS)
    assert ask(stage, "bob", route, NOBODYS).status_code == 404
    assert denied(stage) == []


def test_strangers_before_admins_pages_are_noted_by_their_network(stage: Stage) -> None:
    client = stage.app.test_client()
    for address in ("203.0.113.7", "203.0.113.7", "203.0.113.8"):
        assert client.get("/admin/users", environ_base={"REMOTE_ADDR": address}).status_code == 404
    assert denied(stage) == [(None, "GET /admin/users")] * 2


def test_owner_and_admins_are_not_noted(stage: Stage) -> None:
    for name, route in (("alice", "GET /datasets/<uuid:uuid>"), ("frank", "GET /admin/users")):
        ask(stage, name, route, thing_of(stage, route)).close()
    assert denied(stage) == []


def test_an_export_of_anothers_dataset_and_a_file_of_anothers(stage: Stage, client: FlaskClient) -> None:
    params = {"dataset": str(stage.things["dataset"]), "format": "csv"}
    body = {"kind": "export", "params": params}
    assert client.post("/api/v1/tasks", json=body, headers=stage.token("bob")).status_code == 404
    assert denied(stage) == [(stage.ids["bob"], "POST /api/v1/tasks")]


def test_a_poll_of_anothers_task_from_its_copy(stage: Stage) -> None:
    route = "GET /api/v1/tasks/<uuid:uuid>"
    assert route in PROGRAMS
    stage.app.test_client().get(filled(route, stage.things["task"]), headers=stage.token("alice"))
    ask(stage, "bob", route, stage.things["task"])
    assert denied(stage) == [(stage.ids["bob"], route)]
