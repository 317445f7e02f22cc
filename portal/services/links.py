"""Links in mails: signed, good for a while and for one state of the account, so that nothing need be stored."""

import hmac
from hashlib import sha256

from itsdangerous import BadData, URLSafeTimedSerializer

from portal import limits
from portal.errors import Invalid
from portal.extensions import db, settings
from portal.models import User

PATHS = {"verify_email": "/email/verify", "reset_password": "/password/reset"}


def make(user: User, purpose: str) -> str:
    """The token; it dies when it was used, after its time, or when the account's e-mail or password changes."""
    return _serializer(purpose).dumps({"user": user.id, "state": _state(user, purpose)})


def address(user: User, purpose: str) -> str:
    """The whole link, as a mail carries it."""
    return f"{settings().public_url.rstrip('/')}{PATHS[purpose]}?token={make(user, purpose)}"


def opened(token: str, purpose: str) -> User:
    """The user that a token was made for; `Invalid("link_wrong")` when it is not good any more."""
    try:
        said = _serializer(purpose).loads(token, max_age=limits.LINK_SECONDS[purpose])
        user = db.session.get(User, said["user"], with_for_update={"key_share": True}, populate_existing=True)
    except (BadData, KeyError, TypeError, ValueError):
        raise Invalid("link_wrong", field="token") from None
    gone = user is None or not user.is_active or (purpose == "verify_email" and not user.pending_email)
    if user is None or gone or not hmac.compare_digest(said["state"], _state(user, purpose)):
        raise Invalid("link_wrong", field="token")
    return user


def _serializer(purpose: str) -> URLSafeTimedSerializer:
    key = settings().derived(f"link-{purpose}")
    return URLSafeTimedSerializer(key, signer_kwargs={"digest_method": sha256})


def _state(user: User, purpose: str) -> str:
    """What the link's use changes."""
    changing = user.hashed_password if purpose == "reset_password" else f"{user.pending_email}|{user.email_verified_at}"
    return sha256(f"{user.uuid}|{user.email}|{changing}".encode()).hexdigest()
