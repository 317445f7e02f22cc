"""Keys of their own for each purpose, made from one secret; also for programs that load no settings."""

import base64
import hashlib
import hmac


def derived(secret: str, purpose: str) -> bytes:
    """32 bytes; they tell nothing of the secret, nor of the keys for other purposes."""
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)


def outbox_key(secret: str) -> str:
    """What opens the local outbox of the instance with this SECRET_KEY, as it stands in an address: 32 letters."""
    return base64.urlsafe_b64encode(derived(secret, "outbox")[:24]).decode()
