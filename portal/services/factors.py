"""The second factor: one-time codes of an authenticator (TOTP), and recovery codes for when it is lost."""

import base64
import hmac
import secrets
import time
import unicodedata
from dataclasses import dataclass
from hashlib import sha256

import pyotp
import segno
from cryptography.fernet import Fernet, InvalidToken
from loguru import logger
from sqlalchemy import delete, func, select, update

from portal import limits
from portal.errors import Conflict, Invalid
from portal.extensions import db, settings
from portal.models import LoginSession, RecoveryCode, User
from portal.services import events, security_notices, sessions, windows
from portal.services.events import Visitor

ISSUER = "Data Station"
STEP_SECONDS = 30
RECOVERY_CODES = 10
# Crockford's base32, 5 bits a letter: nothing in it is read as something else.
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_LOOK_ALIKES = str.maketrans("oil", "011", " -")


@dataclass(frozen=True)
class Enrollment:
    """What an authenticator has to be told: by hand, as a link, or as a QR code (a data URI)."""

    secret: str
    uri: str
    svg: str


def begin(user: User) -> Enrollment:
    """A secret for the authenticator, kept but not yet counting; asked again within minutes, the same one."""
    _lock(user)
    if user.has_second_factor:
        raise Conflict("otp_on")
    secret = _secret(user, limits.FRESH_SECONDS) if user.totp_secret else None
    if secret is None:
        secret = pyotp.random_base32()
        user.totp_secret = _fernet().encrypt(secret.encode()).decode()
        db.session.flush()
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=ISSUER)
    svg = segno.make_qr(uri, error="m").svg_data_uri(scale=5, light="#fff")
    return Enrollment(secret, uri, svg)


def enable(login: LoginSession, otp: str, *, visitor: Visitor) -> list[str]:
    """Let the secret count from now on, against a first code of it; answers recovery codes, shown once.

    The log-in must be fresh.
    """
    sessions.require_fresh(login)
    user = login.user
    _lock(user)
    if user.has_second_factor:
        raise Conflict("otp_on")
    steps = _steps(_secret(user), _typed(otp))
    if not steps:
        raise Invalid("otp_wrong", field="otp")
    user.totp_since, user.totp_step = func.now(), steps[-1]
    login.two_factor_at = func.now()
    codes = _renew_codes(user)
    security_notices.tell(user, "factor.enabled", visitor=visitor)
    return codes


def check(user: User, otp: str, *, visitor: Visitor) -> None:
    """Use up a code of the authenticator or a recovery code. Raises `Invalid`, or `TooMany` with nothing compared.

    Each of them counts once, however many requests bring it at the same moment.
    """
    user_id, key, share = user.id, f"otp:{user.id}", secrets.token_hex(8)
    windows.take({key: limits.OTP_PER_USER}, share=share, code="otp_too_many")
    typed = _typed(otp)
    if not user.has_second_factor or not (_use_step(user, typed) or _use_recovery(user, typed, visitor)):
        db.session.rollback()  # the event is written at once, on a connection of its own
        events.record_now("factor.failed", visitor, user_id=user_id)
        raise Invalid("otp_wrong", field="otp")
    windows.give_back([key], share)


def confirm(login: LoginSession, otp: str, *, visitor: Visitor) -> None:
    """`check` for somebody who is logged in already: from now on the log-in has the second factor."""
    check(login.user, otp, visitor=visitor)
    login.two_factor_at = func.now()
    db.session.flush()


def disable(login: LoginSession, *, visitor: Visitor) -> None:
    """Log in by one factor again. An admin has to keep both. Must be fresh."""
    sessions.require_fresh(login)
    user = login.user
    _lock(user)
    if user.is_admin:
        raise Conflict("otp_needed")
    if not user.has_second_factor:
        raise Conflict("otp_off")
    user.totp_secret = user.totp_since = None
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    db.session.execute(update(LoginSession).where(LoginSession.user_id == user.id).values(two_factor_at=None))
    security_notices.tell(user, "factor.disabled", visitor=visitor)


def new_recovery_codes(login: LoginSession, *, visitor: Visitor) -> list[str]:
    """New recovery codes in place of all that were left. Must be fresh."""
    sessions.require_fresh(login)
    user = login.user
    _lock(user)
    if not user.has_second_factor:
        raise Conflict("otp_off")
    codes = _renew_codes(user)
    security_notices.tell(user, "factor.recovery_renewed", visitor=visitor)
    return codes


def codes_left(user: User) -> int:
    """How many recovery codes have not been used."""
    unused = select(func.count()).where(RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))
    return db.session.scalar(unused) or 0


def _lock(user: User) -> None:
    db.session.refresh(user, with_for_update={"of": User})


def _use_step(user: User, typed: str) -> bool:
    """Whether it is a code of now; its time step, and each before it, is then used up."""
    for step in _steps(_secret(user), typed):
        query = update(User).where(User.id == user.id, User.totp_secret == user.totp_secret, User.totp_step < step)
        if db.session.scalar(query.values(totp_step=step).returning(User.id)):
            return True
    return False


def _use_recovery(user: User, typed: str, visitor: Visitor) -> bool:
    code = typed.lower().translate(_LOOK_ALIKES)
    unused = (RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))
    query = update(RecoveryCode).where(*unused, RecoveryCode.digest == _digest(user, code))
    if db.session.scalar(query.values(used_at=func.now()).returning(RecoveryCode.id)) is None:
        return False
    security_notices.tell(user, "factor.recovery_used", visitor=visitor, left=codes_left(user))
    return True


def _steps(secret: str | None, typed: str) -> list[int]:
    """The time steps whose code this is, of now, the one before and the one after: clocks differ."""
    if secret is None:
        return []
    totp, now = pyotp.TOTP(secret), int(time.time()) // STEP_SECONDS
    steps = (now - 1, now, now + 1)
    return [step for step in steps if hmac.compare_digest(totp.generate_otp(step).encode(), typed.encode())]


def _typed(otp: str) -> str:
    """What was meant: full-width digits of an input method, and spaces between groups, are welcome."""
    return "".join(unicodedata.normalize("NFKC", otp[:40]).split())


def _renew_codes(user: User) -> list[str]:
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(RECOVERY_CODES)]
    db.session.add_all(RecoveryCode(user_id=user.id, digest=_digest(user, code)) for code in codes)
    db.session.flush()
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _digest(user: User, code: str) -> str:
    return hmac.new(settings().derived("recovery", lasting=True), f"{user.id}:{code}".encode(), sha256).hexdigest()


def _secret(user: User, youngest: int | None = None) -> str | None:
    """The authenticator's secret; None without one, or with one older than so many seconds."""
    try:
        return _fernet().decrypt((user.totp_secret or "").encode(), ttl=youngest).decode()
    except InvalidToken:
        if user.has_second_factor:
            logger.error("second factor: a secret cannot be read with this SECRET_KEY")
        return None


def _fernet() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(settings().derived("totp", lasting=True)))
