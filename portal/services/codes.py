"""One-time codes by SMS: kept in Redis as keyed hashes only; counted in PostgreSQL before they are sent; used once."""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import ColumnElement, select, true

from portal import limits
from portal.errors import Fault, Invalid, Unavailable
from portal.extensions import RedisError, db, gateways, redis, settings
from portal.models import User
from portal.services import captcha, events, messages, windows
from portal.services.events import Visitor

# What somebody is told who asked for a code that makes no sense for the number: by SMS, so that the page, the time and
# the cost are the same, and a stranger cannot find out who has an account.
EXISTS, NOBODY = "account_exists", "no_account"
FOR_STRANGERS = ("register", "change_phone")

# Compare and consume in one step. 1 right (and gone), 0 wrong, -1 none there, -2 tries used up (and gone).
# Answers the remaining life too, so that a code can be put back.
_USE = """
local kept = redis.call('HGET', KEYS[1], 'digest')
if not kept then return {-1, 0, 0} end
local life, message = redis.call('PTTL', KEYS[1]), redis.call('HGET', KEYS[1], 'message')
if kept == ARGV[1] then redis.call('DEL', KEYS[1]) return {1, life, message} end
if redis.call('HINCRBY', KEYS[1], 'wrong', 1) >= tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) return {-2, 0, 0} end
return {0, life, 0}
"""


@dataclass(frozen=True)
class Letter:
    """A code that is counted and kept, but not yet sent."""

    message_id: int
    phone_number: str
    purpose: str
    template: str
    code: str | None
    key: str
    user_id: int | None
    visitor: Visitor


@dataclass(frozen=True)
class Used:
    """A code that was right, so that `put_back` can undo its use."""

    key: str
    digest: str
    life_ms: int
    message_id: int


def request(
    phone_number: str,
    purpose: str,
    *,
    ticket: str,
    randstr: str = "",
    visitor: Visitor,
    flow: str = "",
    asked_by: int | None = None,
) -> Letter:
    """Spend a captcha, take a share of every limit, keep a new code. Commit, then `deliver` what is returned.

    `asked_by` is the member who does, if one is logged in. `flow` names the browser's visit: the code is good in it
    alone, and nobody else's guesses use it up.
    Raises `BadRequest` (captcha), `TooMany` with `retry_after`, `Unavailable` when Redis is away or a budget is spent.
    """
    if not phone_number.startswith(tuple(f"+{country}" for country in settings().sms_countries)):
        raise Invalid("phone_invalid", field="phone_number")
    captcha.spend(ticket, randstr=randstr, address=visitor.address)
    known = db.session.execute(
        select(User.id).where(User.phone_number == phone_number, _can_log_in(purpose))
    ).scalar_one_or_none()
    about = asked_by if asked_by is not None else known
    message_id = messages.take("sms", purpose, phone_number, visitor=visitor, user_id=about)
    meant = (known is None) == (purpose in FOR_STRANGERS)
    code = f"{secrets.randbelow(10**limits.CODE_DIGITS):0{limits.CODE_DIGITS}}" if meant else None
    template = purpose if meant else NOBODY if known is None else EXISTS
    key = _key(purpose, phone_number, flow)
    try:
        # For somebody it is not meant for, something nobody can guess is kept: both ways cost the same.
        kept = _digest(purpose, phone_number, code or secrets.token_hex())
        _keep(key, kept, limits.CODE_SECONDS * 1000, message_id)
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None
    return Letter(message_id, phone_number, purpose, template, code, key, about, visitor)


def _can_log_in(purpose: str) -> ColumnElement[bool]:
    # An account that is switched off still holds its number; to its owner it is as if it were not there.
    return true() if purpose in FOR_STRANGERS else User.is_active.is_(True)


def deliver(letter: Letter) -> None:
    """Send it, with no database connection held; commit afterwards, also when this raises.

    What was surely not sent gives its share back, and raises `Unavailable` or `Invalid`.
    """
    try:
        delivery = gateways().sms.send(letter.phone_number, letter.template, letter.code)
    except Fault as fault:
        messages.give_back(letter.message_id, str(fault.params.get("vendor", fault.code)))
        events.record(
            "code.not_sent", letter.visitor, user_id=letter.user_id, purpose=letter.purpose, reason=fault.code
        )
        _drop(letter.key)
        if fault.code == "sms_number_refused":
            raise Invalid("phone_invalid", field="phone_number") from None
        raise Unavailable(fault.code, retry_after=limits.SMS_RESEND_SECONDS) from None
    messages.settle(letter.message_id, delivery)
    messages.watch_prefix(letter.message_id)
    events.record("code.sent", letter.visitor, user_id=letter.user_id, purpose=letter.purpose)


def use(phone_number: str, purpose: str, code: str, *, visitor: Visitor, flow: str = "") -> Used:
    """Consume the code; raises `Invalid` when it is wrong, late, used or another's, `Unavailable` without Redis."""
    key, digest = _key(purpose, phone_number, flow), _digest(purpose, phone_number, code)
    guesses, share = f"guesses:{messages.network(visitor.address)}", secrets.token_hex(8)
    windows.take({guesses: limits.GUESSES_PER_NETWORK}, share=share)
    try:
        outcome, life, message_id = redis().eval(_USE, 1, key, digest, limits.CODE_TRIES)
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None
    if outcome != 1:
        user_id = db.session.scalar(select(User.id).where(User.phone_number == phone_number))
        db.session.rollback()
        events.record_now("code.wrong", visitor, user_id=user_id, purpose=purpose)
        raise Invalid("code_wrong", field="sms_code")
    windows.give_back([guesses], share)
    messages.verified(int(message_id))
    return Used(key, digest, life, int(message_id))


def put_back(used: Used) -> None:
    """Undo a use: the person has something else to correct, and need not ask for another code."""
    try:
        _keep(used.key, used.digest, max(used.life_ms, 1), used.message_id)
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None


def _keep(key: str, digest: str, life_ms: int, message_id: int) -> None:
    with redis().pipeline(transaction=True) as pipe:
        pipe.delete(key)
        pipe.hset(key, mapping={"digest": digest, "wrong": 0, "message": message_id})
        pipe.pexpire(key, life_ms)
        pipe.execute()


def _drop(key: str) -> None:
    try:
        redis().delete(key)
    except RedisError:
        return  # it was never sent, and nobody can guess it


def _mac(*parts: str) -> str:
    return hmac.new(settings().derived("codes"), "|".join(parts).encode(), sha256).hexdigest()


def _digest(purpose: str, phone_number: str, code: str) -> str:
    return _mac("code", purpose, phone_number, code.strip())


def _key(purpose: str, phone_number: str, flow: str) -> str:
    return f"code:{purpose}:{_mac('number', phone_number, flow)[:32]}"
