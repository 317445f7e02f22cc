"""People: sign up, prove who you are."""

import hmac
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, literal, select, update
from sqlalchemy.exc import IntegrityError

from portal import account_names, limits, validation
from portal.account_names import AccountName
from portal.errors import BadRequest, Conflict, Invalid, PortalError, TooMany, Unauthorized, Unavailable
from portal.extensions import db, settings
from portal.models import User
from portal.services import captcha, codes, events, messages, passwords, spraying, windows
from portal.services.events import Visitor

_TAKEN = {
    "uq_users_username_key": "username",
    "uq_users_email": "email",
    "uq_users_phone_number": "phone_number",
}


@dataclass(frozen=True)
class Registration:
    """What a person typed to sign up; `checked()` gives its normal form."""

    username: str
    email: str
    phone_number: str
    password: str
    sms_code: str

    @property
    def names(self) -> tuple[str, ...]:
        """What its owner is known by, as it may be part of a password."""
        return (self.username, self.email, self.phone_number.removeprefix("+86"))

    def checked(self, *, kept_names_too: bool = False) -> "Registration":
        """Raises `Invalid` with the first field that cannot be accepted."""
        username = validation.normalise_username(self.username, kept_too=kept_names_too)
        email = validation.normalise_email(self.email)
        phone_number = validation.normalise_phone(self.phone_number)
        password = validation.normalise_password(self.password)
        return Registration(username, email, phone_number, password, self.sms_code.strip())


def register(registration: Registration, *, locale: str, visitor: Visitor, flow: str | None = None) -> User:
    """A new account, against the SMS code. Raises `Invalid` or, for a name that is taken, `Conflict` with its field.

    A taken name or a guessable password leaves the code good: the person corrects it and sends the same code again.
    Whether somebody has verified the e-mail address is not told: it waits, and is this account's once it is verified.
    """
    given = registration.checked()
    with codes.spent(given.phone_number, "register", given.sms_code, visitor=visitor, flow=flow):
        # After the code, so that strangers cannot keep the process busy.
        with passwords.place(visitor):
            passwords.judged(given.password, about=given.names, visitor=visitor)
            hashed_password = passwords.hashed(given.password)
        user = User(
            username=given.username,
            pending_email=given.email,
            phone_number=given.phone_number,
            hashed_password=hashed_password,
            locale=locale,
        )
        with unique_names():
            db.session.add(user)
            db.session.flush()
    events.record("account.registered", visitor, user_id=user.id)
    with suppress(TooMany, Unavailable):  # a link can be asked for later
        mail_verification(user, visitor=visitor)
    return user


def mail_verification(user: User, *, visitor: Visitor) -> None:
    """Mail a link to the address that waits. `TooMany` or `Unavailable` when a limit is met.

    Counted for this account alone: whoever else enters the address keeps nobody's link back.
    """
    messages.queue_mail("verify_email", f"{user.id}|{user.pending_email}", user_id=user.id, visitor=visitor)


@contextmanager
def unique_names() -> Iterator[None]:
    """A savepoint in which a name that is taken becomes a `Conflict` with its field."""
    try:
        with db.session.begin_nested():
            yield
    except IntegrityError as error:
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        field = _TAKEN.get(constraint or "")
        if field is None:
            raise
        raise Conflict(f"{field}_taken", field=field) from None


def authenticate(
    account: str, password: str, *, visitor: Visitor, device: str | None = None, ticket: str = "", randstr: str = ""
) -> User:
    """The person behind a username, e-mail address or phone number and the password; else `Unauthorized`.

    Takes as long, and counts the same, for an account that does not exist. Beyond an account's own limit, which its
    three names share, the right password is as wrong as any. `device` is what a browser this person logged in from
    before carries (`device_of`): strangers' tries do not count against it.
    Raises `TooMany`, and after failures `BadRequest("captcha_required")`; hold no other work in the transaction.
    """
    name = account_names.read(account)
    owner = owner_of(name)
    stored, user_id = owner.hashed_password, owner.id
    known = device if device and device.startswith(_devices_of(owner.uuid, stored)) else ""
    db.session.rollback()  # hold no connection while the captcha and bcrypt work
    keys, share = _Tries.of(name, user_id, known, visitor), secrets.token_hex(8)
    sprayed = [] if keys.known else spraying.keys_of(password, visitor)
    try:
        unproven = _prove_human(keys, sprayed, share, ticket, randstr, visitor)
        windows.take(keys.shares, share=share, code="login_too_many")
    except TooMany as refusal:
        if windows.first(f"limited:{keys.name}", 60):  # one event a minute, however many are refused
            events.record_refusal("login.limited", visitor, user_id=user_id)
        raise refusal from None
    try:
        with passwords.place(visitor):
            counted = keys.known or windows.note(keys.account, limits.LOGIN_PER_ACCOUNT, share=share)
            right = passwords.matches(password, stored if counted else None)
    except PortalError:  # not compared, so not counted
        windows.give_back([*keys.shares, keys.account, *unproven], share)
        raise
    found = db.session.scalar(select(User).where(User.id == user_id)) if right else None
    if found is None or not found.is_active or found.hashed_password != stored:
        db.session.rollback()
        for key, window in keys.failures.items():
            windows.note(key, window, share=share)
        spraying.note(sprayed, keys.name, visitor)
        events.record_now("login.failed" if counted else "login.limited", visitor, user_id=user_id, at="password")
        raise Unauthorized("credentials_wrong")
    windows.give_back([*keys.shares, keys.account, *keys.failures, *unproven], share)
    return found


def device_of(user: User, device_id: str) -> str:
    """What makes a browser known in which this person logged in, as long as the password is the one of now.

    Whoever had the account once could otherwise keep any number of them, each with tries of its own.
    """
    return f"{_devices_of(str(user.uuid), user.hashed_password)}{device_id}"


def is_device_of(user: User, device: str) -> bool:
    """Whether it was made by `device_of` for this person and the password of now."""
    return device.startswith(device_of(user, ""))


def _devices_of(uuid: str | None, hashed_password: str | None) -> str:
    return f"{uuid}:{_hidden(hashed_password or '')}:"


def authenticate_by_code(
    phone_number: str, sms_code: str, *, visitor: Visitor, flow: str | None = None, otp: str | None = None
) -> User:
    """The person behind a phone number, against an SMS code; `Invalid` when it is wrong, or there is nobody.

    An empty `otp` where a second factor is needed is told before the code is used up: `Unauthorized("otp_required")`.
    """
    used = codes.use(phone_number, "login", sms_code, visitor=visitor, flow=flow)
    user = db.session.scalar(select(User).where(User.phone_number == phone_number, User.is_active))
    if user is None:  # switched off, or the number changed, since the code was sent
        raise Invalid("code_wrong", field="sms_code")
    if otp == "" and user.has_second_factor:
        codes.put_back(used)
        raise Unauthorized("otp_required", field="otp")
    return user


@dataclass(frozen=True)
class _Tries:
    """Where tries to log in are counted.

    By what was typed, and who is refused is told so; by whom it means in silence, for that would tell which names
    belong together.
    """

    name: str
    account: str
    network: str
    known: bool

    @classmethod
    def of(cls, name: AccountName, user_id: int | None, device: str, visitor: Visitor) -> "_Tries":
        typed = f"{name.kind}:{name.key}"
        account = f"login:account:{_hidden(str(user_id) if user_id else typed)}"
        return cls(_hidden(device or typed), account, messages.network(visitor.address), bool(device))

    @property
    def shares(self) -> windows.Shares:
        own = {f"login:name:{self.name}": limits.LOGIN_PER_NAME}
        if self.known:  # whatever storm strangers make, it does not keep the owner out
            return own
        return {
            **own,
            f"login:network:{self.network}": limits.LOGIN_PER_NETWORK,
            "login:all": limits.LOGIN_OVERALL,
        }

    @property
    def failures(self) -> windows.Shares:
        own = {f"login:failures:{self.name}": limits.CAPTCHA_AFTER}
        return (
            own
            if self.known
            else {
                **own,
                f"login:failures:{self.network}": limits.CAPTCHA_AFTER_IN_NETWORK,
            }
        )


def _hidden(name: str) -> str:
    """A keyed hash, so that Redis holds no names."""
    return hmac.new(settings().derived("accounts"), name.encode(errors="replace"), sha256).hexdigest()[:32]


def _prove_human(
    keys: _Tries, sprayed: Sequence[str], share: str, ticket: str, randstr: str, visitor: Visitor
) -> Sequence[str]:
    """After three failures, or many accounts, only with a captcha; while its service is away, three tries must do.

    So many of each name, network and password that a captcha is wanted of: answers where this one was counted.
    """
    wanted_of = [key for key, counted in keys.failures.items() if windows.is_full(key, counted)]
    wanted_of += [key for key in sprayed if spraying.is_on(key)]
    if not wanted_of:
        return ()
    if not ticket:
        raise BadRequest("captcha_required", field="captcha")
    try:
        captcha.spend(ticket, randstr=randstr, address=visitor.address)
    except (Unavailable, BadRequest) as refusal:
        # The browser may know before us that the service is away, and say so by a ticket of its own making.
        if isinstance(refusal, BadRequest) and not refusal.params.get("disaster"):
            raise
        away = {f"away:{key}": limits.LOGIN_WITHOUT_CAPTCHA for key in wanted_of}
        windows.take(away, share=share, code="login_too_many")
        return tuple(away)
    return ()


def set_locale(user_id: int, locale: str) -> None:
    """Remember the language a person reads."""
    if locale not in ("zh", "en"):
        raise Invalid("locale_unknown", field="locale")
    db.session.execute(update(User).where(User.id == user_id).values(locale=locale))


def find_active(uuid: UUID) -> User | None:
    return db.session.scalar(select(User).where(User.uuid == uuid, User.is_active))


@dataclass(frozen=True)
class Owner:
    """What must be known of whoever has a name before they proved to be it; nothing of nobody."""

    id: int | None
    uuid: str | None
    hashed_password: str | None
    is_active: bool | None
    email: str | None


def owner_of(name: AccountName) -> Owner:
    """Whose name it is, switched off or not; costs as much when it is nobody's.

    One row comes in any case, and no object of the session is made of it: making and expiring one takes 50 µs.
    """
    one = select(literal(1)).subquery()
    columns = User.id, cast(User.uuid, String), User.hashed_password, User.is_active, User.email
    return Owner(*db.session.execute(select(*columns).select_from(one).outerjoin(User, _has(name))).one())


def find_anyone(name: AccountName) -> User | None:
    """Whoever has this name, switched off or not."""
    return db.session.scalar(select(User).where(_has(name)))


def _has(name: AccountName) -> ColumnElement[bool]:
    columns = {"username": User.username_key, "email": User.email, "phone_number": User.phone_number}
    return columns[name.kind] == name.key


def change_notice(user: User, wanted: bool) -> None:
    """Whether a mail is sent when one of the user's tasks has ended; it goes to a verified address only."""
    db.session.execute(update(User).where(User.id == user.id).values(mail_when_done=wanted))
