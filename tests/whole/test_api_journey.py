"""The first journey through the JSON API, from the captcha to the log-out, by HTTP alone."""

import secrets
from contextlib import closing

import psycopg2

from tests.conftest import Urls
from tests.engine.servers import Site
from tests.program import PASSWORD, Program

CSV = "city,people,founded\n北京,21893095,1045-01-01\n上海,24870895,1291-08-19\n".encode()


def test_the_journey(program: Program, source: Site) -> None:
    url = source.file("/cities.csv", CSV)
    name = f"erin-{secrets.token_hex(3)}"
    me = program.sign_up(name)["user"]
    assert program.call("GET", "/api/v1/users/me")[1] == me

    uuid = program.fetch(url, name="Cities")
    task = program.ended(uuid)
    assert (task["status"], task["progress"], task["error_message"]) == ("completed", 100, None)
    result = task["result"]
    assert (result["rows"], result["columns"], result["bytes"]) == (2, 3, len(CSV))

    dataset = program.call("GET", f"/api/v1/datasets/{result['dataset']}")[1]
    assert (dataset["name"], dataset["sha256"]) == ("Cities", result["sha256"])
    assert [column["name"] for column in dataset["columns"]] == ["city", "people", "founded"]
    rows = program.call("GET", f"/api/v1/datasets/{result['dataset']}/rows?offset=1&limit=5")[1]
    assert rows["items"] == [["上海", 24870895, "1291-08-19"]]
    assert [item["uuid"] for item in program.call("GET", "/api/v1/datasets")[1]["items"]] == [dataset["uuid"]]

    held = source.on("/held.csv", lambda sock, _: source.released.wait())
    second = program.fetch(held)
    program.until(second, lambda task: task["status"] == "processing")
    assert program.call("POST", f"/api/v1/tasks/{second}/cancel")[0] == 202
    assert program.ended(second, seconds=5)["status"] == "cancelled"
    listed = program.call("GET", "/api/v1/tasks?limit=1")[1]
    assert [item["uuid"] for item in listed["items"]] == [second] and listed["next_cursor"]

    assert program.call("POST", "/api/v1/auth/logout")[0] == 200
    assert program.call("GET", f"/api/v1/tasks/{uuid}")[0] == 401
    program.token = ""
    status, pair = program.call("POST", "/api/v1/auth/login", {"account": name, "password": PASSWORD})
    assert status == 200
    program.token = pair["access_token"]
    assert program.task(uuid)["status"] == "completed"


def test_a_password_is_hashed_at_full_cost(program: Program, kept: Urls) -> None:
    name = f"hash-{secrets.token_hex(3)}"
    program.sign_up(name)
    with closing(psycopg2.connect(kept.database)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT hashed_password FROM users WHERE username = %s", (name,))
        assert cursor.fetchall()[0][0].startswith("$2b$12$")


def test_a_health_check_asks_every_part(program: Program) -> None:
    program.sign_up(f"ops-{secrets.token_hex(3)}")
    uuid = program.call("POST", "/api/v1/tasks", {"kind": "health_check"})[1]["uuid"]
    result = program.ended(uuid)["result"]
    assert all(result[part] >= 0 for part in ("database_ms", "redis_ms", "store_ms"))


def test_it_says_that_it_is_ready(program: Program) -> None:
    status, body = program.call("GET", "/health/ready")
    assert (status, body["status"], body["postgresql"], body["redis"]) == (200, "ready", "ok", "ok")
