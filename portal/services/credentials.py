"""What a person changes about the account, and how they get back in."""

import secrets
from contextlib import suppress
from typing import Any

from sqlalchemy import func, select, update

from portal import account_names, limits, validation
from portal.errors import BadRequest, Conflict, Invalid, TooMany, Unavailable
from portal.extensions import db
from portal.models import LoginSession, User
from portal.services import (
    accounts,
    captcha,
    codes,
    events,
    factors,
    links,
    messages,
    passwords,
    security_notices,
    sessions,
    windows,
)
from portal.services.events import Visitor


def request_reset(account: str, *, ticket: str = "", randstr: str = "", visitor: Visitor) -> None:
    """Have a link mailed to whoever goes by this name; the same happens, and as much, if there is nobody.

    An address that was not verified gets none: it may be somebody else's. Its owner resets by SMS.
    Raises `TooMany`. Without a captcha only a few an hour from one network.
    """
    if ticket:
        captcha.spend(ticket, randstr=randstr, address=visitor.address)
    else:
        key = f"reset:{messages.network(visitor.address)}"
        try:
            windows.take({key: limits.RESET_PER_NETWORK}, share=secrets.token_hex(8))
        except TooMany:
            raise BadRequest("captcha_required", field="captcha") from None
    name = account_names.read(account)
    owner = accounts.owner_of(name)
    user_id = owner.id if owner.is_active else None
    messages.queue_mail("reset_password", name.key, user_id=user_id if owner.email else None, visitor=visitor)
    events.record("password.link", visitor, user_id=user_id)


def reset_by_mail(token: str, new_password: str, *, visitor: Visitor) -> User:
    """Set the password by a mailed link; every log-in ends. `Invalid` for `token` or `new_password`."""
    return _reset(links.opened(token, "reset_password"), new_password, visitor)


def reset_by_code(
    phone_number: str, sms_code: str, new_password: str, *, visitor: Visitor, flow: str | None = None
) -> User:
    """Set the password by an SMS code; every log-in ends. `Invalid` for `sms_code` or `new_password`."""
    validation.normalise_password(new_password, field="new_password")
    with codes.spent(phone_number, "reset_password", sms_code, visitor=visitor, flow=flow):
        user = db.session.scalar(
            select(User).where(User.phone_number == phone_number, User.is_active).with_for_update(key_share=True)
        )
        if user is None:
            raise Invalid("code_wrong", field="sms_code")
        return _reset(user, new_password, visitor)


def _reset(user: User, new_password: str, visitor: Visitor) -> User:
    _set_password(user, new_password, visitor, but=None)
    security_notices.tell(user, "password.reset", visitor=visitor)
    return user


def confirm(login: LoginSession, password: str, otp: str, *, visitor: Visitor) -> None:
    """Make a log-in fresh: by the password and, for those who have one, the second factor. `Invalid` or `TooMany`."""
    sessions.confirm(login, password, visitor=visitor)
    if login.user.has_second_factor:
        factors.confirm(login, otp, visitor=visitor)


def change_password(login: LoginSession, new_password: str, *, visitor: Visitor) -> None:
    """Set another password; every other log-in ends. The log-in must be fresh."""
    sessions.require_fresh(login)
    user = _locked(login)
    _set_password(user, new_password, visitor, but=login)
    security_notices.tell(user, "password.changed", visitor=visitor)


def _set_password(user: User, new_password: str, visitor: Visitor, *, but: LoginSession | None) -> None:
    about = (user.username, user.email or "", user.pending_email or "", user.phone_number.removeprefix("+86"))
    password = validation.normalise_password(new_password, field="new_password")
    with passwords.place(visitor):
        passwords.judged(password, about=about, visitor=visitor, field="new_password")
        user.hashed_password = passwords.hashed(password)
    db.session.flush()
    sessions.end_for_password(user, visitor=visitor, but=but)


def change_email(login: LoginSession, email: str, *, visitor: Visitor) -> None:
    """Another address, which waits until it is verified; the one before stays in force. Must be fresh.

    Whether somebody has it is not told. The address that is in force takes the waiting one back.
    """
    sessions.require_fresh(login)
    user, new = _locked(login), validation.normalise_email(email)
    if new == user.email:
        user.pending_email = None
        db.session.flush()
        return
    if new != user.pending_email:
        user.pending_email = new
        db.session.flush()
        security_notices.tell(user, "email.change_asked", visitor=visitor)
    with suppress(TooMany, Unavailable):
        accounts.mail_verification(user, visitor=visitor)


def change_phone(
    login: LoginSession, phone_number: str, sms_code: str, *, visitor: Visitor, flow: str | None = None
) -> None:
    """Another number, against a code sent to it. `Invalid`, or `Conflict` when it is taken. Must be fresh."""
    sessions.require_fresh(login)
    with codes.spent(phone_number, "change_phone", sms_code, visitor=visitor, flow=flow):
        _take_number(login, phone_number, visitor)


def _take_number(login: LoginSession, phone_number: str, visitor: Visitor) -> None:
    user = _locked(login)
    before = user.phone_number
    with accounts.unique_names():
        user.phone_number = phone_number
        db.session.flush()
    security_notices.tell(user, "account.phone", visitor=visitor, old_number=before)


def change(
    login: LoginSession,
    *,
    visitor: Visitor,
    phone_number: str | None = None,
    sms_code: str = "",
    flow: str | None = None,
    **others: Any,
) -> User:
    """All that is given, or nothing of it: also `username`, `email`, `locale`, `mail_when_done`."""
    if phone_number is None:
        return _change(login, visitor, **others)
    sessions.require_fresh(login)
    number = validation.normalise_phone(phone_number)
    # First of all: guesses are counted while nothing is locked.
    with codes.spent(number, "change_phone", sms_code, visitor=visitor, flow=flow):
        _take_number(login, number, visitor)
        return _change(login, visitor, **others)


def _change(
    login: LoginSession,
    visitor: Visitor,
    *,
    username: str | None = None,
    email: str | None = None,
    locale: str | None = None,
    mail_when_done: bool | None = None,
) -> User:
    if username is not None:
        change_username(login, username, visitor=visitor)
    if email is not None:
        change_email(login, email, visitor=visitor)
    if locale is not None:
        accounts.set_locale(login.user_id, locale)
    if mail_when_done is not None:
        accounts.change_notice(login.user, mail_when_done)
    db.session.refresh(login.user)
    return login.user


def change_username(login: LoginSession, username: str, *, visitor: Visitor) -> None:
    """Another name; `Invalid` or `Conflict`. One logs in by it: the log-in must be fresh."""
    sessions.require_fresh(login)
    user, new = login.user, validation.normalise_username(username)
    if new == user.username:
        return
    with accounts.unique_names():
        key = account_names.fold(new)
        db.session.execute(update(User).where(User.id == user.id).values(username=new, username_key=key))
    db.session.refresh(user)
    security_notices.tell(user, "account.username", visitor=visitor)


def request_verification(user: User, *, visitor: Visitor) -> None:
    """Mail the link again; `Conflict` when no address waits to be verified, `TooMany`."""
    if not user.pending_email:
        raise Conflict("email_verified_already")
    accounts.mail_verification(user, visitor=visitor)
    events.record("email.link", visitor, user_id=user.id)


def verify_email(owner: User, token: str, *, visitor: Visitor) -> None:
    """The waiting address is the account's, in place of the one before.

    Whoever reads the mail must be logged in to the account, too: it may have been made by somebody else, who waits
    for them to settle in it. `Invalid` when the link is not good any more or another account's, `Conflict` when
    another account has verified the address meanwhile.
    """
    user = links.opened(token, "verify_email")
    if user.id != owner.id:
        raise Invalid("link_of_another", field="token")
    before = user.email
    with accounts.unique_names():
        user.email, user.pending_email, user.email_verified_at = user.pending_email, None, func.now()
        db.session.flush()
    if before:
        security_notices.tell(user, "account.email", visitor=visitor, old_email=before)
    else:
        security_notices.tell(user, "email.verified", visitor=visitor)


def _locked(login: LoginSession) -> User:
    return db.session.scalars(
        select(User)
        .where(User.id == login.user_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
