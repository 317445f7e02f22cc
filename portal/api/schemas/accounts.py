"""Sign up, log in, tokens, people."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StrictBool, model_validator

from portal.api.schemas import Answer, Body
from portal.models import Event
from portal.wording import event_sentence

Short = Annotated[str, Field(max_length=254)]
Phone = Annotated[str, Field(max_length=32, examples=["+8613800138000"])]
Code = Annotated[str, Field(max_length=10)]
Otp = Annotated[str, Field(max_length=20)]
Password = Annotated[str, Field(max_length=1000)]
Flow = Annotated[
    str | None,
    Field(max_length=64, description="What the answer to `/auth/sms-code` named; may be left out in the same network"),
]
Token = Annotated[str, Field(max_length=2000)]


class CaptchaAnswer(Answer):
    """What to solve; for `altcha` the widget's challenge."""

    provider: Literal["altcha", "tencent"]
    challenge: dict[str, Any] | None = None
    app_id: str | None = None


class CaptchaTicket(Body):
    """The solved captcha; for ALTCHA the widget's base64 payload."""

    ticket: Annotated[str, Field(min_length=1, max_length=8000)]
    randstr: Annotated[str, Field(max_length=100)] = ""


class SmsCodeBody(Body):
    phone_number: Phone
    purpose: Literal["register", "login", "reset_password", "change_phone"]
    captcha: CaptchaTicket


class SmsCodeAnswer(Answer):
    """Seconds until the code is too old, and until another may be asked for.

    `flow` is to be sent back with the code, so that nobody else's guesses use it up.
    """

    expires_in: int
    resend_after: int
    flow: str


class RegisterBody(Body):
    username: Short
    email: Short
    phone_number: Phone
    password: Password
    sms_code: Code
    flow: Flow = None


class LoginBody(Body):
    """`account` is a username, an e-mail address or a phone number.

    `captcha` is asked for after failures, `otp` (a second factor's code, or a recovery code) of those who have one.
    """

    account: Short
    password: Password
    captcha: CaptchaTicket | None = None
    otp: Otp = ""


class SmsLoginBody(Body):
    phone_number: Phone
    sms_code: Code
    flow: Flow = None
    otp: Otp = ""


class ForgotBody(Body):
    """`account` as at the log-in; `captcha` beyond a few an hour."""

    account: Short
    captcha: CaptchaTicket | None = None


class ResetBody(Body):
    """Either the `token` of the mailed link, or `phone_number` and `sms_code` (with its `flow`)."""

    token: Token | None = None
    phone_number: Phone | None = None
    sms_code: Code | None = None
    flow: Flow = None
    new_password: Password

    @model_validator(mode="after")
    def _one_proof(self) -> "ResetBody":
        by_code = self.phone_number is not None and self.sms_code is not None
        if (self.token is not None) == by_code:
            raise ValueError("send either token, or phone_number and sms_code")
        return self


class TokenBody(Body):
    token: Token


class ConfirmBody(Body):
    password: Password
    otp: Otp = ""


class PasswordBody(Body):
    """`current_password` (with `otp`, for those with a second factor) may be left out while the log-in is fresh."""

    current_password: Password | None = None
    otp: Otp = ""
    new_password: Password


class ProfileBody(Body):
    """What to change. `phone_number` needs the `sms_code` sent to it for `change_phone`.

    A new `email` becomes `pending_email` until it is verified by the mailed link; the one before stays in force.
    With `mail_when_done` a mail tells of each task that has ended, once the e-mail address is verified.
    """

    username: Short | None = None
    email: Short | None = None
    locale: Literal["zh", "en"] | None = None
    phone_number: Phone | None = None
    sms_code: Code | None = None
    flow: Flow = None
    mail_when_done: StrictBool | None = None


class RefreshBody(Body):
    refresh_token: Annotated[str, Field(max_length=4000)]


class UserAnswer(Answer):
    """A person. `email` is the address that was verified at `email_verified_at`; both are null until one was.

    `pending_email` waits to be verified: until then nobody logs in by it, and it gets no link to reset the password.
    """

    uuid: UUID
    username: str
    email: str | None
    pending_email: str | None
    phone_number: str
    role: str
    locale: str
    email_verified_at: datetime | None
    mail_when_done: bool
    created_at: datetime


class TokensAnswer(Answer):
    """`expires_in` is in seconds, of the access token."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"]
    expires_in: int


class LoginAnswer(TokensAnswer):
    user: UserAnswer


class SessionAnswer(Answer):
    """A live log-in; `current` is the one that asks."""

    id: UUID
    kind: Literal["browser", "api"]
    user_agent: str
    address: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool = False


class SessionsAnswer(Answer):
    items: list[SessionAnswer]
    next_cursor: int | None = None


class EventAnswer(Answer):
    """Something that happened to the account; `kind` is stable, `text` is for people."""

    id: int
    at: datetime
    kind: str
    text: str
    address: str
    user_agent: str
    details: dict[str, Any]


class EventsAnswer(Answer):
    items: list[EventAnswer]
    next_cursor: int | None


def dump_event(event: Event) -> EventAnswer:
    """An event as the API answers it, in the caller's language."""
    return EventAnswer(
        id=event.position,
        at=event.at,
        kind=event.kind,
        text=event_sentence(event),
        address=event.address,
        user_agent=event.user_agent,
        details=event.details,
    )
