"""One running portal, one server with data and one browser for all tests here; `visits` opens windows."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import altcha
import pytest
from playwright.sync_api import APIRequestContext, Browser, Playwright

from tests.browser.chromium import find_chromium
from tests.browser.data_server import DataServer, serving
from tests.browser.visits import Visits
from tests.conftest import Urls, own_database
from tests.stack import Stack, new_number, stack

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def data() -> Iterator[DataServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def kept(servers: Urls) -> Iterator[Urls]:
    """Where the portal keeps what it knows."""
    with own_database(servers, 14) as own:
        yield own


@pytest.fixture(scope="session")
def portal(kept: Urls, data: DataServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(
        tmp_path_factory.mktemp("portal"),
        DATABASE_URL=kept.database,
        REDIS_URL=kept.redis,
        FETCH_ALLOW_HOSTS=data.host,
        DEFAULT_LOCALE="en",
    ) as started:
        yield started


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    chromium = find_chromium()
    return {"executable_path": chromium.executable, "env": chromium.env}


@pytest.fixture(scope="session")
def program(playwright: Playwright, portal: Stack) -> Iterator[APIRequestContext]:
    """A client of the JSON API."""
    context = playwright.request.new_context(base_url=portal.url)
    yield context
    context.dispose()


class Outbox:
    """What was sent by SMS or mail."""

    def __init__(self, program: APIRequestContext, address: str) -> None:
        self._program, self._address = program, address

    def messages(self) -> list[dict[str, Any]]:
        """Newest first."""
        sent: list[dict[str, Any]] = self._program.get(self._address).json()
        return sent

    def code_for(self, number: str) -> str:
        """The newest code that went to a number."""
        return next(str(message["code"]) for message in self.messages() if message["to"] == number)


@pytest.fixture(scope="session")
def outbox(program: APIRequestContext, portal: Stack) -> Outbox:
    return Outbox(program, portal.outbox_json)


class Member(NamedTuple):
    username: str
    password: str


def join(program: APIRequestContext, outbox: Outbox, username: str) -> Member:
    """Sign up as a program does."""
    challenge = altcha.Challenge.from_dict(program.get("/api/v1/auth/captcha").json()["challenge"])
    solution = altcha.solve_challenge(challenge)
    assert solution is not None
    ticket = altcha.Payload(challenge, solution).to_base64()
    number = new_number()
    asked = {"phone_number": number, "purpose": "register", "captcha": {"ticket": ticket}}
    assert program.post("/api/v1/auth/sms-code", data=asked).status == 202
    account = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
    account |= {"phone_number": number, "sms_code": outbox.code_for(number)}
    answer = program.post("/api/v1/auth/register", data=account)
    assert answer.status == 200, answer.text()
    return Member(username, PASSWORD)


@pytest.fixture(scope="session")
def member(program: APIRequestContext, outbox: Outbox) -> Member:
    return join(program, outbox, "alice")


@pytest.fixture
def other_member(program: APIRequestContext, outbox: Outbox) -> Member:
    """Someone whose log-ins a test may end."""
    return join(program, outbox, f"bob-{new_number()[-8:]}")


@pytest.fixture(scope="session")
def logged_in(browser: Browser, portal: Stack, member: Member, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The cookies of alice's browser, as a file."""
    opened = Visits(browser, portal.url)
    visit = opened()
    visit.log_in(*member)
    file = str(tmp_path_factory.mktemp("cookies") / "alice.json")
    visit.context.storage_state(path=file)
    opened.close()
    return file


@pytest.fixture
def visits(browser: Browser, portal: Stack) -> Iterator[Visits]:
    opened = Visits(browser, portal.url)
    yield opened
    opened.close()
