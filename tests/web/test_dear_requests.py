"""What strangers may send without a log-in costs about as much as a page, whatever is in it."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

MANY = "&".join(f"a{n}=1" for n in range(8000))
OBJECTS = '{"account":[' + "{}," * 80_000 + '{}],"password":"x"}'
KEYS = "{" + ",".join(f'"k{n}":0' for n in range(20_000)) + "}"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
Sending = Callable[[FlaskClient], Any]
DEAR: dict[str, Sending] = {
    "languages": lambda c: c.get("/login", headers={"Accept-Language": ",".join(f"x{n};q=0.1" for n in range(6000))}),
    "a query": lambda c: c.get(f"/login?{MANY}"),
    "cookies": lambda c: c.get("/login", headers={"Cookie": MANY.replace("&", ";")}),
    "a session": lambda c: c.get("/login", headers={"Cookie": "session=." + "a" * 60_000}),
    "a form": lambda c: c.post("/login", data=MANY * 2, content_type=FORM),
    "a field": lambda c: c.post("/login", data={"account": "a\u0315\u0300" * 20_000, "password": "b"}),
    "objects": lambda c: c.post("/api/v1/auth/login", data=OBJECTS, content_type=JSON),
    "keys": lambda c: c.post("/api/v1/auth/login", data=KEYS, content_type=JSON),
    "a token": lambda c: c.get("/api/v1/users/me", headers={"Authorization": "Bearer " + "e30." * 15_000}),
    "a path": lambda c: c.get("/" + "a/" * 4000),
    "the description": lambda c: c.get("/openapi.json"),
    "a captcha": lambda c: c.get("/api/v1/auth/captcha"),
    "a password": lambda c: c.post(
        "/api/v1/auth/password/reset", json={"token": "x" * 80, "new_password": "671$<+5!0@%8(97[4{|2oaot"}
    ),
}


@pytest.mark.parametrize("send", DEAR.values(), ids=DEAR)
def test_no_request_of_a_stranger_is_dear(app: APIFlask, send: Sending) -> None:
    client = app.test_client()

    def cost(sending: Sending) -> float:
        began = time.thread_time()
        assert sending(client).status_code < 500
        return time.thread_time() - began

    page = min(cost(lambda c: c.get("/login")) for _ in range(5))
    cost(send)  # what is made once is made
    dearest = min(cost(send) for _ in range(3))
    assert dearest < max(40 * page, 0.1), f"{dearest * 1000:.0f} ms beside {page * 1000:.0f} ms of a page"
