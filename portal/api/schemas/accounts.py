"""Sign up, log in, tokens, people."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from portal.api.schemas import Answer, Body

Short = Annotated[str, Field(max_length=254)]


class CaptchaAnswer(Answer):
    """What to solve; for `altcha` the widget's challenge."""

    provider: str
    challenge: dict[str, Any]


class CaptchaTicket(Body):
    """The solved captcha; for ALTCHA the widget's base64 payload."""

    ticket: Annotated[str, Field(min_length=1, max_length=8000)]
    randstr: Annotated[str, Field(max_length=100)] = ""


class SmsCodeBody(Body):
    phone_number: Annotated[str, Field(max_length=32, examples=["+8613800138000"])]
    purpose: Literal["register"]
    captcha: CaptchaTicket


class SmsCodeAnswer(Answer):
    """Seconds until the code is too old, and until another may be asked for."""

    expires_in: int
    resend_after: int


class RegisterBody(Body):
    username: Short
    email: Short
    phone_number: Annotated[str, Field(max_length=32)]
    password: Annotated[str, Field(max_length=1000)]
    sms_code: Annotated[str, Field(max_length=10)]


class LoginBody(Body):
    """`account` is a username, an e-mail address or a phone number."""

    account: Short
    password: Annotated[str, Field(max_length=1000)]


class RefreshBody(Body):
    refresh_token: Annotated[str, Field(max_length=4000)]


class UserAnswer(Answer):
    uuid: UUID
    username: str
    email: str
    phone_number: str
    role: str
    locale: str
    email_verified_at: datetime | None
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
