"""Sign up, log in and out, tokens."""

from typing import Any

from apiflask import APIBlueprint
from flask_babel import get_locale

from portal import limits, validation
from portal.api import guards
from portal.api.schemas import Message
from portal.api.schemas.accounts import (
    CaptchaAnswer,
    LoginAnswer,
    LoginBody,
    RefreshBody,
    RegisterBody,
    SmsCodeAnswer,
    SmsCodeBody,
    SmsLoginBody,
    TokensAnswer,
    UserAnswer,
)
from portal.errors import Unauthorized
from portal.extensions import db, gateways
from portal.models import User
from portal.services import accounts, codes, factors, sessions
from portal.wording import sentence

bp = APIBlueprint("api_accounts", __name__, url_prefix="/api/v1/auth", tag="auth")


@bp.get("/captcha")
@guards.public
@bp.doc(operation_id="getCaptcha")
@bp.output(CaptchaAnswer)
def captcha() -> Any:
    """A captcha to solve before an SMS code is asked for."""
    return gateways().captcha.offer()


@bp.get("/captcha/challenge")
@guards.public
@bp.doc(hide=True)
def captcha_challenge() -> Any:
    """The challenge alone, as the widget in the browser wants it."""
    return gateways().captcha.offer()["challenge"]


@bp.post("/sms-code")
@guards.public
@bp.doc(operation_id="sendSmsCode")
@bp.input(SmsCodeBody, arg_name="body")
@bp.output(SmsCodeAnswer, status_code=202)
def sms_code(body: SmsCodeBody) -> Any:
    """Send a one-time code; the answer is the same whether or not the number has an account."""
    letter = codes.request(
        validation.normalise_phone(body.phone_number),
        body.purpose,
        ticket=body.captcha.ticket,
        randstr=body.captcha.randstr,
        visitor=guards.visitor(),
    )
    db.session.commit()
    try:
        codes.deliver(letter)
    finally:
        db.session.commit()  # what became of it
    return {
        "expires_in": limits.CODE_SECONDS,
        "resend_after": limits.SMS_RESEND_SECONDS,
        "flow": letter.flow,
    }


@bp.post("/register")
@guards.public
@bp.doc(operation_id="register")
@bp.input(RegisterBody, arg_name="body")
@bp.output(LoginAnswer)
def register(body: RegisterBody) -> Any:
    """A new account, logged in at once."""
    registration = accounts.Registration(**body.model_dump(exclude={"flow"}))
    locale, visitor = str(get_locale()), guards.visitor()
    return _logged_in(accounts.register(registration, locale=locale, visitor=visitor, flow=body.flow))


@bp.post("/login")
@guards.public
@bp.doc(operation_id="logIn")
@bp.input(LoginBody, arg_name="body")
@bp.output(LoginAnswer)
def login(body: LoginBody) -> Any:
    """By username, e-mail address or phone number, and password; `otp` for those with a second factor."""
    ticket, randstr = (body.captcha.ticket, body.captcha.randstr) if body.captcha else ("", "")
    visitor = guards.visitor()
    user = accounts.authenticate(body.account, body.password, visitor=visitor, ticket=ticket, randstr=randstr)
    return _logged_in(user, body.otp)


@bp.post("/login/sms")
@guards.public
@bp.doc(operation_id="logInBySms")
@bp.input(SmsLoginBody, arg_name="body")
@bp.output(LoginAnswer)
def login_sms(body: SmsLoginBody) -> Any:
    """By phone number and the code sent to it for `login`."""
    number, visitor = validation.normalise_phone(body.phone_number), guards.visitor()
    user = accounts.authenticate_by_code(number, body.sms_code, visitor=visitor, flow=body.flow, otp=body.otp)
    return _logged_in(user, body.otp)


@bp.post("/refresh")
@guards.public
@bp.doc(operation_id="refreshTokens")
@bp.input(RefreshBody, arg_name="body")
@bp.output(TokensAnswer)
def refresh(body: RefreshBody) -> Any:
    """A new pair. A refresh token is good once; an older one ends the log-in."""
    session_id, jti = guards.opened(body.refresh_token, "refresh")
    try:
        login = sessions.rotate(session_id, jti, visitor=guards.visitor())
    except Unauthorized:
        db.session.commit()  # the end of the log-in, when an old token was used
        raise
    pair = guards.token_pair(login)
    db.session.commit()
    return pair


@bp.post("/logout")
@guards.bearer_required
@bp.doc(operation_id="logOut", security="bearer")
@bp.output(Message)
def logout() -> Any:
    """End this log-in: its tokens are refused from the next call on."""
    sessions.end(guards.user(), guards.login().id, "logout", visitor=guards.visitor())
    db.session.commit()
    return {"message": sentence({"code": "logged_out", "params": {}})}


@bp.post("/logout-all")
@guards.bearer_required
@bp.doc(operation_id="logOutEverywhere", security="bearer")
@bp.output(Message)
def logout_all() -> Any:
    """End every log-in of yours, browsers too."""
    sessions.end_all(guards.user(), "logout_all", visitor=guards.visitor())
    db.session.commit()
    return {"message": sentence({"code": "logged_out", "params": {}})}


def _logged_in(user: User, otp: str = "") -> dict[str, Any]:
    if user.has_second_factor:
        if not otp:
            raise Unauthorized("otp_required", field="otp")
        factors.check(user, otp, visitor=guards.visitor())
    login = sessions.start(user, kind="api", visitor=guards.visitor(), two_factor=user.has_second_factor)
    db.session.commit()
    return {**guards.token_pair(login), "user": UserAnswer.model_validate(login.user)}
