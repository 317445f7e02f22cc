"""One-time codes by SMS: kept in Redis as keyed hashes only; counted in PostgreSQL before they are sent; used once."""

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import ColumnElement, Select, select, true
from sqlalchemy.exc import SQLAlchemyError

from portal import limits
from portal.errors import Fault, Invalid, PortalError, Unavailable
from portal.extensions import RedisError, db, gateways, redis, settings
from portal.models import User
from portal.services import captcha, events, guesses, messages, security_notices, windows
from portal.services.events import Visitor

# What somebody is told who asked for a code that makes no sense for the number: by SMS, so that the page, the time and
# the cost are the same, and a stranger cannot find out who has an account.
EXISTS, NOBODY = "account_exists", "no_account"
FOR_STRANGERS = ("register", "change_phone")

# Compare and consume in one step; answers the remaining life too, so that a code can be put back. A code that is right
# is gone, and one whose tries are used up. Nothing is compared when there is none, or one of another message.
_RIGHT, _WRONG, _GONE = 1, 0, -1
_USE = """
local digest, message = unpack(redis.call('HMGET', KEYS[1], 'digest', 'message'))
if message ~= ARGV[3] then return {-1, 0} end
local life = redis.call('PTTL', KEYS[1])
if digest == ARGV[1] then redis.call('DEL', KEYS[1]) return {1, life} end
if redis.call('HINCRBY', KEYS[1], 'wrong', 1) >= tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) end
return {0, life}
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
    flow: str
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
    flow: str | None = None,
    asked_by: int | None = None,
) -> Letter:
    """Spend a captcha, take a share of every limit, keep a new code. Commit, then `deliver` what is returned.

    `asked_by` is the member who does, if one is logged in. The code is good in one flow alone, and nobody else's
    guesses use it up: a browser's own; without one a new one is made, which whoever is in the same network may do
    without. Raises `BadRequest` (captcha), `TooMany` with `retry_after`, `Unavailable` when Redis is away or a budget
    is spent.
    """
    if not phone_number.startswith(tuple(f"+{country}" for country in settings().sms_countries)):
        raise Invalid("phone_invalid", field="phone_number")
    captcha.spend(ticket, randstr=randstr, address=visitor.address)
    guesses.require_room(phone_number)
    known = db.session.scalar(_id_of(User.phone_number == phone_number, _can_log_in(purpose)))
    about = asked_by if asked_by is not None else known
    message_id = messages.take("sms", purpose, phone_number, visitor=visitor, user_id=about)
    meant = (known is None) == (purpose in FOR_STRANGERS)
    code = f"{secrets.randbelow(10**limits.CODE_DIGITS):0{limits.CODE_DIGITS}}" if meant else None
    template = purpose if meant else NOBODY if known is None else EXISTS
    own = flow or secrets.token_urlsafe(16)
    key = _key(purpose, phone_number, own)
    try:
        # For somebody it is not meant for, something nobody can guess is kept: both ways cost the same.
        kept = _digest(purpose, phone_number, code or secrets.token_hex())
        _keep(key, kept, limits.CODE_SECONDS * 1000, message_id)
        if flow is None:
            redis().set(_pointer(purpose, phone_number, visitor), key, ex=limits.CODE_SECONDS)
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None
    return Letter(message_id, phone_number, purpose, template, code, key, own, about, visitor)


def _id_of(*whom: ColumnElement[bool]) -> Select[int | None]:
    """One row in any case, so that somebody costs what nobody does."""
    return select(select(User.id).where(*whom).scalar_subquery())


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


def use(phone_number: str, purpose: str, code: str, *, visitor: Visitor, flow: str | None = None) -> Used:
    """Consume the code; `flow` as at the request, or None for whoever asked from the same network.

    Raises `Invalid` when it is wrong, late, used or another's, `TooMany` after a day's wrong guesses from this network
    or for this number, `Unavailable` without Redis. Counts are written at once: hold no connection when calling this.
    """
    network, share = f"guesses:{messages.network(visitor.address)}", secrets.token_hex(8)
    windows.take({network: limits.GUESSES_PER_NETWORK}, share=share)
    try:
        used, guess = _compared(phone_number, purpose, code, visitor, flow)
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None
    if used is None:
        user_id = db.session.scalar(_id_of(User.phone_number == phone_number))
        db.session.rollback()
        record = events.record_now if guess else events.record_refusal
        record("code.wrong", visitor, user_id=user_id, purpose=purpose)
        if guess == limits.WRONG_CODES_PER_NUMBER.count:
            security_notices.tell_of_number(phone_number, "code.blocked", visitor=visitor)
        raise Invalid("code_wrong", field="sms_code")
    windows.give_back([network], share)
    messages.verified(used.message_id)
    return used


def _compared(
    phone_number: str, purpose: str, code: str, visitor: Visitor, flow: str | None
) -> tuple[Used | None, int]:
    """The use of the code, or None; and the how manieth wrong guess of its number it was: 0 if nothing was compared."""
    key = _key(purpose, phone_number, flow) if flow else _key_here(purpose, phone_number, visitor)
    message_id = int(redis().hget(key, "message") or 0)
    # What meets no code is not compared and does not count: strangers could use up the owner's guesses by it.
    if not message_id or not (guess := guesses.count(message_id)):
        return None, 0
    digest = _digest(purpose, phone_number, code)
    outcome, life = redis().eval(_USE, 1, key, digest, limits.CODE_TRIES, message_id)
    if outcome in (_RIGHT, _GONE):
        guesses.uncount(message_id)
    if outcome == _RIGHT:
        return Used(key, digest, life, message_id), 0
    return None, guess if outcome == _WRONG else 0


def put_back(used: Used) -> None:
    """Undo a use: the person has something else to correct, and need not ask for another code."""
    try:
        _keep(used.key, used.digest, max(used.life_ms, 1), used.message_id)
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None


@contextmanager
def spent(phone_number: str, purpose: str, code: str, *, visitor: Visitor, flow: str | None = None) -> Iterator[None]:
    """`use` for what the block does; put back when the block fails."""
    used = use(phone_number, purpose, code, visitor=visitor, flow=flow)
    try:
        yield
    except (PortalError, SQLAlchemyError):
        put_back(used)
        raise


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


def _key_here(purpose: str, phone_number: str, visitor: Visitor) -> str:
    return str(redis().get(_pointer(purpose, phone_number, visitor)) or "")


def _pointer(purpose: str, phone_number: str, visitor: Visitor) -> str:
    """Where the key of a code stands for a program that does not send its flow."""
    return f"code-of:{purpose}:{_mac('network', phone_number, messages.network(visitor.address))[:32]}"
