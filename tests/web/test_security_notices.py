"""Each change of what protects an account, made through a door, after strangers have used up whatever they can.

`./dev test -n0 -s tests/web/test_security_notices.py` prints the table of changes and who was told.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select, text, update

from portal.extensions import db
from portal.models import Message, User
from portal.notice_words import CHANGES
from portal.services import factors, messages
from tests.cast import PASSWORD, solved
from tests.postman import Postman
from tests.stage import RAW_CSRF, Stage, set_up
from tests.web.test_flows import code_for, token_for, with_factor

NEW = "quite another horse battery"
MINE, MINE_NEXT = "alice@example.com", "next@example.com"
NUMBER, NUMBER_NEXT = "+8613800138000", "+8613700137077"
MAIL, SMS = ("mail", MINE), ("sms", NUMBER)
Told = tuple[tuple[str, str], ...]
# What strangers can use up: their network's share, this address's and number's, and all that may be sent at all.
SPEND = """
INSERT INTO messages (channel, purpose, recipient, prefix, network, send_to, state, vendor_code, vendor_id, created_at)
SELECT channel, 'reset_password', :who, '', '127.0.0.1/32', '', 'sent', '', '', clock_timestamp()
FROM unnest(ARRAY['mail', 'sms']) AS channel, generate_series(1, 20)
"""


@dataclass
class Scene:
    """Alice, logged in in a browser and a program; the cast around her."""

    stage: Stage
    verified: bool
    web: FlaskClient = field(init=False)
    api: FlaskClient = field(init=False)
    kept: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.web, self.api = self.stage.browser("alice"), self.stage.app.test_client()
        if not self.verified:
            waits = "email = NULL, email_verified_at = NULL, pending_email = :email"
            self.sql(f"UPDATE users SET {waits} WHERE id = :id", email=MINE)

    def sql(self, statement: str, **values: Any) -> None:
        with self.stage.app.app_context():
            db.session.execute(text(statement), {"id": self.stage.ids["alice"], **values})
            db.session.commit()

    def submit(self, path: str, **data: Any) -> None:
        answer = self.web.post(path, data={"csrf_token": self.stage.csrf_token(), **data})
        assert answer.status_code in (200, 303), answer.text[:2000]

    def call(self, method: str, path: str, body: Any, status: int = 200, **more: Any) -> Any:
        answer = self.api.open(f"/api/v1{path}", method=method, json=body, **more)
        assert answer.status_code == status, answer.text
        return answer.get_json(silent=True)

    def factor(self) -> None:
        """Switch alice's second factor on."""
        self.kept["totp"], self.kept["recovery"] = with_factor(self.stage.app, "alice")

    def code(self, number: str, purpose: str, **by: Any) -> None:
        """Have a code sent to a program, and keep it with its flow."""
        body = {"phone_number": number, "purpose": purpose, "captcha": {"ticket": solved(self.api)}}
        flow = self.call("POST", "/auth/sms-code", body, 202, **by)["flow"]
        self.kept["code"] = {"phone_number": number, "sms_code": code_for(self.stage.app, number), "flow": flow}


def nothing(scene: Scene) -> None: ...


def ask_for_number_code(scene: Scene) -> None:
    scene.kept["headers"] = scene.stage.token("alice")
    scene.code(NUMBER_NEXT, "change_phone", headers=scene.kept["headers"])


def all_but_one_guess(scene: Scene) -> None:
    scene.code(NUMBER, "login")
    scene.sql("UPDATE messages SET wrong_guesses = 4")
    scene.sql(
        "INSERT INTO messages (channel, purpose, recipient, prefix, network, send_to, state, vendor_code, vendor_id,"
        " created_at, wrong_guesses) SELECT channel, purpose, recipient, '', '', '', 'sent', '', '',"
        " created_at - interval '1 hour', 5 FROM messages, generate_series(1, 3)"
    )


def guess_once_more(scene: Scene) -> None:
    body = {**scene.kept["code"], "sms_code": "no code"}
    assert scene.call("POST", "/auth/login/sms", body, 422)["code"] == "code_wrong"


def log_in(scene: Scene, *, environ: dict[str, str] | None = None, **more: Any) -> Any:
    body = {"account": "alice", "password": PASSWORD, **more}
    return scene.call("POST", "/auth/login", body, environ_base=environ or {})


def two_tokens(scene: Scene) -> None:
    first = log_in(scene)["refresh_token"]
    second = scene.call("POST", "/auth/refresh", {"refresh_token": first})["refresh_token"]
    scene.call("POST", "/auth/refresh", {"refresh_token": second})
    scene.sql("UPDATE sessions SET rotated_at = rotated_at - interval '1 hour' WHERE rotated_at IS NOT NULL")
    scene.kept["old"] = first


def by_admin(**change: Any) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        path, by = f"/admin/users/{scene.stage.uuids['alice']}", scene.stage.token("grace")
        scene.call("PATCH", path, change, headers=by)

    return act


def verify(scene: Scene) -> None:
    scene.submit("/email/verify", token=token_for(scene.stage.app, "alice", "verify_email"))


def enter_address(scene: Scene) -> None:
    scene.submit("/account/email", email=MINE_NEXT)


def begin_factor(scene: Scene) -> None:
    with scene.stage.app.app_context():
        user = db.session.get_one(User, scene.stage.ids["alice"])
        scene.kept["totp"] = pyotp.TOTP(factors.begin(user).secret)
        db.session.commit()


def enable_factor(scene: Scene) -> None:
    scene.submit("/account/two-factor/set-up", otp=scene.kept["totp"].now())


def reset_by_code(scene: Scene) -> None:
    scene.call("POST", "/auth/password/reset", {**scene.kept["code"], "new_password": NEW})


def use_old_token(scene: Scene) -> None:
    scene.call("POST", "/auth/refresh", {"refresh_token": scene.kept["old"]}, 401)


def put_number(scene: Scene) -> None:
    scene.call("PATCH", "/users/me", scene.kept["code"], headers=scene.kept["headers"])


def long_ago(scene: Scene) -> None:
    scene.sql("UPDATE users SET created_at = created_at - interval '1 year'")


@dataclass(frozen=True)
class Case:
    """How a change is made, what there must be before, and who is told: with a verified address, and without one.

    None where it cannot happen so.
    """

    act: Callable[[Scene], object]
    before: Callable[[Scene], object] = nothing
    verified: Told | None = (MAIL,)
    unverified: Told | None = (SMS,)


TABLE = {
    "account.username": Case(lambda scene: scene.submit("/account/username", username="alice-2")),
    "account.email": Case(verify, enter_address, (MAIL, ("mail", MINE_NEXT)), None),
    "account.phone": Case(put_number, ask_for_number_code, (MAIL, SMS)),
    "account.role": Case(by_admin(role="admin")),
    "account.deactivated": Case(by_admin(is_active=False)),
    "account.activated": Case(by_admin(is_active=True), by_admin(is_active=False)),
    "code.blocked": Case(guess_once_more, all_but_one_guess),
    "email.change_asked": Case(enter_address, unverified=()),
    "email.verified": Case(verify, verified=None),
    "factor.enabled": Case(enable_factor, begin_factor),
    "factor.disabled": Case(lambda scene: scene.submit("/account/two-factor/off"), Scene.factor),
    "factor.recovery_renewed": Case(lambda scene: scene.submit("/account/two-factor/recovery-codes"), Scene.factor),
    "factor.recovery_used": Case(lambda scene: log_in(scene, otp=scene.kept["recovery"][0]), Scene.factor),
    "login.new_device": Case(log_in, long_ago, unverified=()),
    "password.changed": Case(lambda scene: scene.submit("/account/password", new_password=NEW)),
    "password.reset": Case(reset_by_code, lambda scene: scene.code(NUMBER, "reset_password")),
    "token.reused": Case(use_old_token, two_tokens),
}
CASES = [
    pytest.param(kind, verified, id=f"{kind}-{'verified' if verified else 'unverified'}")
    for kind, case in TABLE.items()
    for verified, told in ((True, case.verified), (False, case.unverified))
    if told is not None
]


@pytest.fixture(scope="module")
def printed() -> Iterator[dict[tuple[str, bool], Told]]:
    """Who was told of what; printed in the end."""
    table: dict[tuple[str, bool], Told] = {}
    yield table
    words = {MAIL: "mail to the address", SMS: "SMS to the number", ("mail", MINE_NEXT): "mail to the new address"}
    sys.stdout.write(f"\n{'change':24} {'with a verified address':44} without one\n")
    for kind in TABLE:
        rows = [table.get((kind, verified)) for verified in (True, False)]
        said = ["cannot be" if row is None else " and ".join(words[each] for each in row) or "nobody" for row in rows]
        sys.stdout.write(f"{kind:24} {said[0]:44} {said[1]}\n")


def test_the_table_has_every_change() -> None:
    assert TABLE.keys() == CHANGES.keys()


@pytest.mark.parametrize(("kind", "verified"), CASES)
def test_the_owner_is_told_whatever_strangers_have_used_up(
    app: APIFlask, monkeypatch: pytest.MonkeyPatch, printed: dict[tuple[str, bool], Told], kind: str, verified: bool
) -> None:
    scene, case = Scene(set_up(app), verified), TABLE[kind]
    case.before(scene)
    with app.app_context():
        Postman(monkeypatch).rounds()  # what came before is gone
        db.session.execute(update(Message).values(send_after=Message.send_after - timedelta(hours=2)))
        db.session.commit()
    for name in ("mail_per_minute", "mail_per_day", "sms_per_minute", "sms_per_day", "sms_per_address_day"):
        monkeypatch.setattr(app.extensions["settings"], name, 20)
    for recipient in (NUMBER, f"reset_password|{MINE}", f"verify_email|{MINE_NEXT}"):
        with app.app_context():
            who = messages.recipient_key(recipient)
        scene.sql(SPEND, who=who)
    refused = scene.call("POST", "/auth/password/forgot", {"account": "bob"}, 429)
    assert refused["code"] == "mail_too_many"
    case.act(scene)
    with app.app_context():
        handed = Postman(monkeypatch).rounds()
        told = tuple((each.channel, each.to) for each in handed)
        assert told == (case.verified if verified else case.unverified)
        for mail in handed:
            assert mail.purpose == "account_changed"
            assert mail.channel == "sms" or str(CHANGES[kind]).partition("%")[0] in mail.text
    printed[kind, verified] = told


def test_a_stranger_whom_nobody_knows_costs_the_same(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twentieth wrong code of a number that has no account: a message for nobody, as for resets."""
    scene = Scene(set_up(app), verified=True)
    all_but_one_guess(scene)
    scene.sql("UPDATE users SET phone_number = :n WHERE id = :id", n=NUMBER_NEXT)
    guess_once_more(scene)
    with app.app_context():
        waiting = db.session.scalars(select(Message).where(Message.purpose == "account_changed")).one()
        assert (waiting.state, waiting.user_id, waiting.send_to) == ("waiting", None, "")
        assert Postman(monkeypatch).rounds() == []


def test_a_known_device_is_no_news(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its cookie anywhere; a program by its name and network."""
    scene = Scene(set_up(app), verified=True)
    long_ago(scene)

    def told() -> int:
        with app.app_context():
            db.session.execute(update(Message).values(send_after=Message.send_after - timedelta(hours=2)))
            db.session.commit()
            return len(Postman(monkeypatch).rounds())

    def enter(client: FlaskClient, address: str) -> int:
        with client.session_transaction() as session:
            session["csrf_token"] = RAW_CSRF
        body = {"csrf_token": scene.stage.csrf_token(), "account": "alice", "password": PASSWORD}
        assert client.post("/login", data=body, environ_base={"REMOTE_ADDR": address}).status_code == 303
        return told()

    def call(address: str, agent: str = "robot/1") -> int:
        log_in(scene, environ={"REMOTE_ADDR": address, "HTTP_USER_AGENT": agent})
        return told()

    browser = app.test_client()
    assert [enter(browser, "203.0.113.1"), enter(browser, "198.51.100.1")] == [1, 0]
    assert enter(app.test_client(), "192.0.2.1") == 1
    assert [call("2001:db8::1", "robot/1"), call("2001:db8::2", "robot/1"), call("2001:db8:1::1", "robot/1")] == [
        1,
        0,
        1,
    ]
    assert call("2001:db8::1", "robot/2") == 1


@pytest.mark.parametrize("before", ["live", "ended", "run out"])
def test_a_device_of_before_the_password_was_changed_is_news(
    app: APIFlask, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """Whoever the change kept out, and who comes back from the same device, does not come back unseen."""
    scene = Scene(set_up(app), verified=True)
    long_ago(scene)
    log_in(scene)
    if before == "ended":
        scene.sql("UPDATE sessions SET ended_at = now(), end_reason = 'logout' WHERE kind = 'api'")
    elif before == "run out":
        scene.sql("UPDATE sessions SET expires_at = now() WHERE kind = 'api'")
    scene.code(NUMBER, "reset_password")
    reset_by_code(scene)
    with app.app_context():
        Postman(monkeypatch).rounds()
        db.session.execute(update(Message).values(send_after=Message.send_after - timedelta(hours=2)))
        db.session.commit()
    log_in(scene, password=NEW)
    with app.app_context():
        (mail,) = Postman(monkeypatch).rounds()
        assert (mail.to, mail.subject) == (MINE, str(CHANGES["login.new_device"]))
    log_in(scene, password=NEW)
    with app.app_context():
        db.session.execute(update(Message).values(send_after=Message.send_after - timedelta(hours=2)))
        db.session.commit()
        assert Postman(monkeypatch).rounds() == []


@pytest.mark.parametrize("locale", ["en", "zh"])
@pytest.mark.parametrize("name", ["gift.example.org", "www.example", "a.b"])
def test_no_mail_carries_a_name_that_mail_programs_make_a_link_of(
    app: APIFlask, monkeypatch: pytest.MonkeyPatch, name: str, locale: str
) -> None:
    """Neither to a stranger's address that somebody entered, nor to the owner whose account somebody renamed."""
    scene = Scene(set_up(app), verified=True)
    scene.sql("UPDATE users SET locale = :locale WHERE id = :id", locale=locale)
    scene.submit("/account/username", username=name)
    enter_address(scene)
    scene.call("POST", "/auth/password/forgot", {"account": MINE}, 202)
    with app.app_context():
        handed = Postman(monkeypatch).rounds()
    assert {each.purpose for each in handed} == {"account_changed", "verify_email", "reset_password"}
    for mail in handed:
        assert name not in mail.subject + mail.text + mail.html
        assert {"en": "Hello,", "zh": "您好："}[locale] in mail.text and "None" not in mail.text
