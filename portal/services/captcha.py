"""A captcha ticket counts once; how many pass and fail is counted per day."""

from datetime import UTC, datetime, timedelta

from portal.errors import BadRequest, Fault, Unavailable
from portal.extensions import RedisError, gateways, redis
from portal.limits import DAY

REMEMBERED_SECONDS = 660
COUNTED_DAYS = 8


def spend(ticket: str, *, randstr: str = "", address: str) -> None:
    """Accept a solved captcha, once. Raises `BadRequest`, or `Unavailable` when it cannot be known."""
    try:
        identity = gateways().captcha.verify(ticket, randstr, address)
    except Fault as fault:
        if fault.passing:
            raise Unavailable(fault.code, retry_after=30) from None
        _count("failed")
        raise BadRequest(fault.code, field="captcha", **fault.params) from None
    try:
        fresh = redis().set(f"captcha:{identity}", "1", nx=True, ex=REMEMBERED_SECONDS)
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None
    _count("passed" if fresh else "failed")
    if not fresh:
        raise BadRequest("captcha_failed", field="captcha")


def outcomes() -> dict[str, int] | None:
    """How many `passed` and `failed` today and in the seven days before; None while Redis is away."""
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=back) for back in range(COUNTED_DAYS)]
    try:
        return {
            outcome: sum(int(count or 0) for count in redis().mget([_counter(outcome, str(day)) for day in days]))
            for outcome in ("passed", "failed")
        }
    except RedisError:
        return None


def _count(outcome: str) -> None:
    key = _counter(outcome, str(datetime.now(UTC).date()))
    try:
        with redis().pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, COUNTED_DAYS * DAY)
            pipe.execute()
    except RedisError:
        return  # a figure for admins, no reason to refuse anybody


def _counter(outcome: str, day: str) -> str:
    return f"captcha:{outcome}:{day}"
