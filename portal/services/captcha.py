"""A captcha ticket counts once."""

from portal.errors import BadRequest, Fault, Unavailable
from portal.extensions import RedisError, gateways, redis

REMEMBERED_SECONDS = 660


def spend(ticket: str, *, randstr: str = "", address: str) -> None:
    """Accept a solved captcha, once. Raises `BadRequest`, or `Unavailable` when it cannot be known."""
    try:
        identity = gateways().captcha.verify(ticket, randstr, address)
    except Fault as fault:
        if fault.passing:
            raise Unavailable(fault.code, retry_after=30) from None
        raise BadRequest(fault.code, field="captcha") from None
    try:
        fresh = redis().set(f"captcha:{identity}", "1", nx=True, ex=REMEMBERED_SECONDS)
    except RedisError:
        raise Unavailable("codes_unavailable", retry_after=30) from None
    if not fresh:
        raise BadRequest("captcha_failed", field="captcha")
