"""Spraying: one password tried on many accounts, or many accounts from one network. Noticed, told, slowed down."""

import hmac
from collections.abc import Sequence
from hashlib import sha256

from portal import limits
from portal.extensions import settings
from portal.services import events, messages, windows
from portal.services.events import Visitor


def keys_of(password: str, visitor: Visitor) -> Sequence[str]:
    """Where the accounts are counted that this network, and this password from any network, failed for.

    Of the password a keyed hash stands in Redis for ten minutes: most that fail are wrong for everybody.
    """
    sprayed = hmac.new(settings().derived("spray"), password.encode(errors="replace"), sha256).hexdigest()[:32]
    return f"spray:network:{messages.network(visitor.address)}", f"spray:password:{sprayed}"


def is_on(key: str) -> bool:
    """Whether so many accounts failed there lately that a captcha is wanted."""
    return windows.is_full(key, limits.SPRAYED_ACCOUNTS)


def note(keys: Sequence[str], account: str, visitor: Visitor) -> None:
    """A log-in to this account failed: one event in ten minutes for each storm. No transaction may be open."""
    for key in keys:
        windows.note(key, limits.SPRAYED_ACCOUNTS, share=account)  # an account counts once
        full = windows.is_full(key, limits.SPRAYED_ACCOUNTS)
        if full and windows.first(f"{key}:told", limits.SPRAYED_ACCOUNTS[0].seconds):
            events.record_now("auth.spray", visitor, by=key.split(":")[1])
