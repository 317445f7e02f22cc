"""Through every flow, right and wrong, no log line and no row of history or ledger holds what was secret in it."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pyotp
import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from loguru import logger
from sqlalchemy import text

from portal.extensions import db, gateways
from portal.services import parcels, passwords
from tests.cast import bearer, csrf, post, solved

FIRST, SECOND, THIRD, WRONG = (
    "a long walk by the sea",
    "seven geese over the lake",
    "the ferry leaves at noon",
    "not-the-password-77",
)
PHONE, OTHER_PHONE, NOBODYS_PHONE = "+8613600136000", "+8613500135000", "+8613400134000"
WRONG_CODE, WRONG_OTP, FORGED = "918273", "817263", "forged.token.of-somebody"


class Keeper(logging.Handler):
    """Everything that is logged, as the portal's own sinks would write it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def keep(self, message: Any) -> None:
        self.lines.append(f"{message}{message.record['extra']}")


@pytest.fixture
def kept(app: APIFlask) -> Iterator[Keeper]:
    keeper = Keeper()
    sink = logger.add(keeper.keep, level="DEBUG", format="{message}", diagnose=False, backtrace=False)
    root = logging.getLogger()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    yield keeper
    root.setLevel(level)
    root.removeHandler(keeper)
    logger.remove(sink)


class Walk:
    """One person's way through the portal; `secrets` grows with all that nobody else may read."""

    def __init__(self, app: APIFlask) -> None:
        self.app, self.page, self.program = app, app.test_client(), app.test_client()
        self.secrets: dict[str, str] = {}
        numbers = {"PHONE": PHONE, "OTHER_PHONE": OTHER_PHONE, "NOBODYS_PHONE": NOBODYS_PHONE}
        for name, number in numbers.items():
            self.secrets |= {name: number, f"{name} without +": number[1:], f"{name} without +86": number[3:]}
        passwords_used = {"first": FIRST, "second": SECOND, "third": THIRD, "wrong": WRONG}
        self.secrets |= {f"{name} password": password for name, password in passwords_used.items()}
        self.secrets |= {"wrong code": WRONG_CODE, "wrong otp": WRONG_OTP, "forged token": FORGED}

    def secret(self, what: str, value: str) -> str:
        self.secrets[f"{what} {len(self.secrets)}"] = value
        return value

    def api(self, path: str, status: int, *, method: str = "POST", by: str = "", **body: Any) -> Any:
        headers = bearer(by) if by else {}
        answer = self.program.open(f"/api/v1{path}", method=method, json=body, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        return answer.get_json(silent=True) if answer.data else None

    def pair(self, answer: dict[str, Any]) -> dict[str, Any]:
        for name in ("access_token", "refresh_token"):
            self.secret(name, answer[name])
        return answer

    def cookie(self, client: FlaskClient) -> None:
        for name in ("session", "device"):
            if found := client.get_cookie(name):
                self.secret(f"{name} cookie", found.value)

    def code(self, purpose: str, number: str = PHONE) -> str:
        """Ask for a code as a program, a minute after the last; answers it."""
        self.a_minute_later()
        captcha = {"ticket": self.secret("captcha ticket", solved(self.program))}
        self.api("/auth/sms-code", 202, phone_number=number, purpose=purpose, captcha=captcha)
        return self.sent("sms")

    def a_minute_later(self) -> None:
        with self.app.app_context():
            db.session.execute(text("UPDATE messages SET created_at = created_at - interval '2 hours'"))
            db.session.commit()

    def sent(self, channel: str) -> str:
        """The newest message's code or token."""
        with self.app.app_context():
            while parcel := parcels.claim():
                db.session.commit()
                parcels.deliver(parcel)
                db.session.commit()
            box = gateways().outbox
            assert box is not None
            message = next(each for each in box.messages() if each["channel"] == channel)
        if channel == "sms":
            return self.secret("code", message["code"]) if message["code"] else ""
        (token,) = parse_qs(urlsplit(message["link"]).query)["token"]
        return self.secret("link", token)

    def sign_up(self) -> dict[str, Any]:
        new = {"username": "erin", "email": "erin@example.com", "password": FIRST, "phone_number": PHONE}
        code = self.code("register")
        self.api("/auth/register", 422, **new, sms_code=WRONG_CODE)
        pair = self.pair(self.api("/auth/register", 200, **new, sms_code=code))
        by = pair["access_token"]
        self.api("/auth/email/verify", 422, by=by, token=FORGED)
        self.api("/auth/email/verify", 200, by=by, token=self.sent("mail"))
        return pair

    def log_in(self) -> None:
        self.api("/auth/login", 401, account=PHONE, password=WRONG)
        self.api("/auth/login", 401, account=NOBODYS_PHONE, password=WRONG)
        self.pair(self.api("/auth/login", 200, account=PHONE[3:], password=FIRST))
        assert post(self.page, "/login", account=PHONE, password=WRONG).status_code == 401
        self.cookie(self.page)
        for redis_key in self.app.extensions["redis"].scan_iter("login:*"):
            self.app.extensions["redis"].delete(redis_key)
        assert post(self.page, "/login", account=PHONE, password=FIRST).status_code == 303
        self.cookie(self.page)
        self.code("login", NOBODYS_PHONE)
        code = self.code("login")
        self.api("/auth/login/sms", 422, phone_number=PHONE, sms_code=WRONG_CODE)
        self.pair(self.api("/auth/login/sms", 200, phone_number=PHONE, sms_code=code))

    def refresh(self, pair: dict[str, Any]) -> None:
        first = pair["refresh_token"]
        second = self.pair(self.api("/auth/refresh", 200, refresh_token=first))
        third = self.pair(self.api("/auth/refresh", 200, refresh_token=second["refresh_token"]))
        self.api("/auth/refresh", 401, refresh_token=first)  # reused: the log-in ends
        self.api("/auth/refresh", 401, refresh_token=FORGED)
        self.api("/users/me", 401, method="GET", by=third["access_token"])
        self.api("/users/me", 401, method="GET", by=FORGED)

    def second_factor(self) -> None:
        shown = self.page.get("/account/two-factor/set-up").text
        found = re.search(r"secret=([A-Z2-7]{32})|\b([A-Z2-7]{4}(?: [A-Z2-7]{4}){7}|[A-Z2-7]{32})\b", shown)
        assert found, "the page shows no secret"
        secret = self.secret("totp secret", (found[1] or found[2]).replace(" ", ""))
        path, now = "/account/two-factor/set-up", pyotp.TOTP(secret).now()
        assert post(self.page, path, page=path, otp=WRONG_OTP).status_code == 422
        codes = post(self.page, path, page=path, otp=self.secret("otp", now)).text
        recovery = [self.secret("recovery code", code) for code in re.findall(r"\b[0-9a-z]{5}-[0-9a-z]{5}\b", codes)]
        assert len(set(recovery)) == 10
        self.api("/auth/login", 401, account="erin", password=FIRST)
        self.api("/auth/login", 422, account="erin", password=FIRST, otp=WRONG_OTP)
        pair = self.pair(self.api("/auth/login", 200, account="erin", password=FIRST, otp=recovery[0]))
        self.api("/auth/confirm", 422, by=pair["access_token"], password=WRONG, otp=recovery[1])
        assert post(self.page, "/account/two-factor/off", page="/account/two-factor").status_code == 303

    def change(self) -> None:
        pair = self.pair(self.api("/auth/login", 200, account="erin", password=FIRST))
        token, me = pair["access_token"], "/users/me"
        code = self.code("change_phone", OTHER_PHONE)
        self.api(me, 422, method="PATCH", by=token, phone_number=OTHER_PHONE, sms_code=WRONG_CODE)
        self.api(me, 200, method="PATCH", by=token, phone_number=OTHER_PHONE, sms_code=code)
        self.api(me, 200, method="PATCH", by=token, email="erin.new@example.com")
        self.api("/users/me/password", 422, method="PUT", by=token, current_password=WRONG, new_password=SECOND)
        self.api("/users/me/password", 204, method="PUT", by=token, new_password=SECOND)
        self.api("/tasks", 202, by=token, kind="fetch", params={"url": f"http://example.com/{quote('a b')}.csv"})

    def reset(self) -> None:
        code, number = self.code("reset_password", OTHER_PHONE), OTHER_PHONE
        wrong = {"phone_number": number, "sms_code": WRONG_CODE, "new_password": THIRD}
        self.api("/auth/password/reset", 422, **wrong)
        self.api("/auth/password/reset", 200, **(wrong | {"sms_code": code}))
        self.api("/auth/password/forgot", 202, account=OTHER_PHONE)
        self.api("/auth/password/forgot", 202, account=NOBODYS_PHONE)
        link = self.sent("mail")
        assert self.page.get(f"/password/reset?token={link}").status_code == 200
        self.api("/auth/password/reset", 422, token=FORGED, new_password=FIRST)
        self.api("/auth/password/reset", 200, token=link, new_password=FIRST)

    def meet_a_bug(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A traceback through frames that hold a password and a number."""

        def breaks(password: str, stored: str | None) -> bool:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(passwords, "matches", breaks)
            self.api("/auth/login", 500, account=OTHER_PHONE, password=FIRST)
            data = {"csrf_token": csrf(self.page, "/login"), "account": OTHER_PHONE, "password": FIRST}
            assert self.page.post("/login", data=data).status_code == 500


def rows(app: APIFlask) -> list[str]:
    """History and ledger, but for moments and hashes, whose digits are nobody's."""
    with app.app_context():
        query = "SELECT to_jsonb(t) - '{{at,hash,created_at,send_after,verified_at,recipient}}'::text[] FROM {} t"
        return [
            json.dumps(row, ensure_ascii=False)
            for table in ("events", "messages")
            for row in db.session.scalars(text(query.format(table)))
        ]


def leaks(lines: list[str], secrets: dict[str, str]) -> list[str]:
    """Which secret stands in which line; digits that are part of a longer number or hash are not it."""
    found = []
    for what, value in secrets.items():
        forms = {value, quote(value), quote(value, safe="")}
        pattern = re.compile("|".join(rf"(?<![0-9A-Fa-f]){re.escape(form)}(?![0-9A-Fa-f])" for form in forms))
        found += [f"{what}: {line[:200]}" for line in lines if pattern.search(line)]
    return found


def test_no_log_line_and_no_row_holds_a_secret(
    app: APIFlask, kept: Keeper, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    walk = Walk(app)
    pair = walk.sign_up()
    walk.log_in()
    walk.refresh(pair)
    walk.second_factor()
    walk.change()
    walk.reset()
    walk.meet_a_bug(monkeypatch)
    written = capfd.readouterr()
    lines, told = [*kept.lines, *written.out.splitlines(), *written.err.splitlines()], rows(app)
    assert len(kept.lines) > 40 and len(told) > 25 and any("a bug" in line for line in lines)
    assert len(walk.secrets) > 50
    assert leaks([*lines, *told], walk.secrets) == []


def test_a_leak_is_noticed(kept: Keeper) -> None:
    unused = "13300133000"  # by any other test: what is said here is kept for the whole suite's watch, too
    logger.debug("sent {} to {}", "771903", unused)
    logging.getLogger("vendor").debug("token %s", quote("a b/c"))
    found = leaks(kept.lines, {"code": "771903", "number": unused, "token": "a b/c", "other": "234"})
    assert {each.partition(":")[0] for each in found} == {"code", "number", "token"}
