"""One-time codes by SMS: kept in Redis as keyed hashes only; counted before they are sent; used once."""

import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import exists, select

from portal import limits
from portal.errors import Fault, Invalid, TooMany, Unavailable
from portal.extensions import RedisError, db, gateways, redis, settings
from portal.models import User
from portal.services import captcha

EXISTS = "account_exists"

# For each key its windows (how many, then "count, milliseconds" pairs): take a share of all of them, or of none.
# Answers 0, or which key was full and in how many seconds there is room again.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local at, longest = 2, {}
for k = 1, #KEYS do
  longest[k] = 0
  for _ = 1, tonumber(table.remove(ARGV, at)) do
    local count, span = tonumber(table.remove(ARGV, at)), tonumber(table.remove(ARGV, at))
    if redis.call('ZCOUNT', KEYS[k], now - span + 1, '+inf') >= count then
      local first = redis.call('ZRANGE', KEYS[k], -count, -count, 'WITHSCORES')
      return {k, math.ceil((tonumber(first[2]) + span - now) / 1000)}
    end
    longest[k] = math.max(longest[k], span)
  end
end
for k = 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[k], '-inf', now - longest[k])
  redis.call('ZADD', KEYS[k], now, ARGV[1])
  redis.call('PEXPIRE', KEYS[k], longest[k])
end
return {0, 0}
"""

# Compare and consume in one step. 1 right (and gone), 0 wrong, -1 none there, -2 tries used up (and gone).
# Answers the remaining life too, so that a code can be put back.
_USE = """
local kept = redis.call('HGET', KEYS[1], 'digest')
if not kept then return {-1, 0} end
local life = redis.call('PTTL', KEYS[1])
if kept == ARGV[1] then redis.call('DEL', KEYS[1]) return {1, life} end
if redis.call('HINCRBY', KEYS[1], 'wrong', 1) >= tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) return {-2, 0} end
return {0, life}
"""


@dataclass(frozen=True)
class Letter:
    """A code that is counted and kept, but not yet sent."""

    phone_number: str
    purpose: str
    template: str
    code: str | None
    share: str
    address: str


@dataclass(frozen=True)
class Used:
    """A code that was right, so that `put_back` can undo its use."""

    key: str
    digest: str
    life_ms: int


def request(phone_number: str, purpose: str, *, ticket: str, randstr: str = "", address: str) -> Letter:
    """Spend a captcha, take a share of every limit, keep a new code. Commit, then `deliver` what is returned.

    Raises `BadRequest` (captcha), `TooMany` with `retry_after`, `Unavailable` when Redis is away.
    """
    if not phone_number.startswith(tuple(f"+{country}" for country in settings().sms_countries)):
        raise Invalid("phone_invalid", field="phone_number")
    captcha.spend(ticket, randstr=randstr, address=address)
    share = secrets.token_hex(8)
    # Someone who has an account is told so by SMS, not by the page: a stranger cannot find out who has one.
    known = db.session.scalar(select(exists().where(User.phone_number == phone_number)))
    code = None if known else f"{secrets.randbelow(10**limits.CODE_DIGITS):0{limits.CODE_DIGITS}}"
    try:
        _take(phone_number, address, share)
        # For someone known, something nobody can guess is kept: both ways cost the same.
        kept = code or secrets.token_hex()
        _keep(
            _key(purpose, phone_number),
            _digest(purpose, phone_number, kept),
            limits.CODE_SECONDS * 1000,
        )
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None
    return Letter(phone_number, purpose, EXISTS if known else purpose, code, share, address)


def deliver(letter: Letter) -> None:
    """Send it, with no database connection held. What was surely not sent gives its share back, and raises."""
    try:
        gateways().sms.send(letter.phone_number, letter.template, letter.code)
    except Fault as fault:
        _give_back(letter)
        if fault.code == "sms_number_refused":
            raise Invalid("phone_invalid", field="phone_number") from None
        raise Unavailable(fault.code, retry_after=limits.SMS_RESEND_SECONDS) from None


def use(phone_number: str, purpose: str, code: str) -> Used:
    """Consume the code; raises `Invalid` when it is wrong, late, used or another's, `Unavailable` without Redis."""
    key, digest = _key(purpose, phone_number), _digest(purpose, phone_number, code)
    try:
        outcome, life = redis().eval(_USE, 1, key, digest, limits.CODE_TRIES)
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None
    if outcome != 1:
        raise Invalid("code_wrong", field="sms_code")
    return Used(key, digest, life)


def put_back(used: Used) -> None:
    """Undo a use: the person has something else to correct, and need not ask for another code."""
    try:
        _keep(used.key, used.digest, max(used.life_ms, 1))
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None


def _take(phone_number: str, address: str, share: str) -> None:
    shares = {
        _number_key(phone_number): limits.SMS_PER_NUMBER,
        _address_key(address): (limits.Window(settings().sms_per_address_day, limits.DAY),),
        "sms:all": (limits.Window(settings().sms_per_day, limits.DAY),),
    }
    args: list[str | int] = [share]
    for windows in shares.values():
        args.append(len(windows))
        for window in windows:
            args += [window.count, window.seconds * 1000]
    full, wait = redis().eval(_TAKE, len(shares), *shares, *args)
    if full:
        raise TooMany("sms_too_many", retry_after=max(1, int(wait)), wait=max(1, int(wait)))


def _give_back(letter: Letter) -> None:
    try:
        with redis().pipeline(transaction=True) as pipe:
            for key in (
                _number_key(letter.phone_number),
                _address_key(letter.address),
                "sms:all",
            ):
                pipe.zrem(key, letter.share)
            pipe.delete(_key(letter.purpose, letter.phone_number))
            pipe.execute()
    except RedisError:
        return  # the share expires by itself


def _keep(key: str, digest: str, life_ms: int) -> None:
    with redis().pipeline(transaction=True) as pipe:
        pipe.delete(key)
        pipe.hset(key, mapping={"digest": digest, "wrong": 0})
        pipe.pexpire(key, life_ms)
        pipe.execute()


def _mac(*parts: str) -> str:
    return hmac.new(settings().derived("codes"), "|".join(parts).encode(), sha256).hexdigest()


def _digest(purpose: str, phone_number: str, code: str) -> str:
    return _mac("code", purpose, phone_number, code)


def _key(purpose: str, phone_number: str) -> str:
    return f"code:{purpose}:{_mac('number', phone_number)[:32]}"


def _number_key(phone_number: str) -> str:
    return f"sms:number:{_mac('number', phone_number)[:32]}"


def _address_key(address: str) -> str:
    """One key for an IPv4 address, and one for the whole /64 that an IPv6 client can choose from."""
    network = ipaddress.ip_network((address, 64 if ":" in address else 32), strict=False) if address else "unknown"
    return f"sms:address:{network}"
