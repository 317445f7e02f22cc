"""A program that uses nothing but HTTP, as product documentation writes the API."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import altcha

from tests.stack import PASSWORD as PASSWORD
from tests.stack import Stack, new_number

LIVE = ("pending", "queued", "processing")


class Program:
    """Calls of one client to a portal; `token` is sent once it is there."""

    def __init__(self, portal: Stack) -> None:
        self.base = portal.url
        # It names the portal as it was told to listen, which may be an address that nobody can ask.
        self._outbox = urlsplit(portal.outbox_json)._replace(scheme="", netloc="").geturl()
        self.token = ""

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        headers = {"Content-Type": "application/json", "Accept-Language": "en"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, method=method, data=data, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read() or b"null")
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def outbox(self) -> list[dict[str, Any]]:
        """What was sent, newest first."""
        messages: list[dict[str, Any]] = self.call("GET", self._outbox)[1]
        return messages

    def ticket(self) -> str:
        """A captcha, fetched and solved."""
        challenge = altcha.Challenge.from_dict(self.call("GET", "/api/v1/auth/captcha")[1]["challenge"])
        solution = altcha.solve_challenge(challenge)
        assert solution is not None
        return altcha.Payload(challenge, solution).to_base64()

    def sign_up(self, username: str) -> dict[str, Any]:
        """Captcha, code from the outbox, account; this program is logged in afterwards."""
        number = new_number()
        body = {"phone_number": number, "purpose": "register", "captcha": {"ticket": self.ticket()}}
        assert self.call("POST", "/api/v1/auth/sms-code", body)[0] == 202
        code = next(message["code"] for message in self.outbox() if message["to"] == number)
        email = f"{username}@example.com"
        person = {"username": username, "email": email, "phone_number": number, "password": PASSWORD, "sms_code": code}
        status, answer = self.call("POST", "/api/v1/auth/register", person)
        assert status == 200, answer
        self.token = answer["access_token"]
        return dict(answer)

    def fetch(self, url: str, **params: Any) -> str:
        """Submit a fetch; answers the task's uuid."""
        status, task = self.call("POST", "/api/v1/tasks", {"kind": "fetch", "params": {"url": url, **params}})
        assert status == 202, task
        return str(task["uuid"])

    def task(self, uuid: str) -> dict[str, Any]:
        status, task = self.call("GET", f"/api/v1/tasks/{uuid}")
        assert status == 200, task
        return dict(task)

    def until(self, uuid: str, seen: Callable[[dict[str, Any]], bool], seconds: float = 30) -> dict[str, Any]:
        """The task, once it is as wanted."""
        deadline = time.monotonic() + seconds
        while not seen(task := self.task(uuid)):
            assert time.monotonic() < deadline, task
            time.sleep(0.15)  # ten polls a second are too many
        return task

    def ended(self, uuid: str, seconds: float = 30) -> dict[str, Any]:
        return self.until(uuid, lambda task: task["status"] not in LIVE, seconds)
