"""Proof that a person, or at least some work, stands behind a request."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from altcha import create_challenge, verify_solution

from portal.errors import Fault

LIFE = timedelta(minutes=10)


class Captcha(Protocol):
    provider: str
    sources: Mapping[str, str]
    """What to add to each directive of the content security policy of a page that shows it."""

    def offer(self) -> dict[str, Any]:
        """What the browser or program needs to solve it, as `GET /auth/captcha` answers it."""

    def verify(self, ticket: str, randstr: str, address: str) -> str:
        """The ticket's identity, by which it is remembered as used.

        `address` is the visitor's. Raises `Fault`: `captcha_failed` (with the param `disaster` for a ticket that the
        browser made up because it could not reach the service), or `captcha_unavailable` (passing).
        """


class AltchaCaptcha:
    """Self-hosted proof of work; https://altcha.org. `cost` is the number of PBKDF2 rounds a try takes."""

    provider = "altcha"
    sources: Mapping[str, str] = {}

    def __init__(self, secret: bytes, key_secret: bytes, cost: int) -> None:
        self._secret, self._key_secret, self._cost = secret.hex(), key_secret.hex(), cost

    def offer(self) -> dict[str, Any]:
        return {"provider": self.provider, "challenge": self.challenge()}

    def challenge(self) -> dict[str, Any]:
        # A chosen counter bounds the work: between 100 and 500 tries, never a visitor's bad luck.
        return create_challenge(
            algorithm="PBKDF2/SHA-256",
            cost=self._cost,
            counter=secrets.randbelow(400) + 100,
            hmac_secret=self._secret,
            hmac_key_secret=self._key_secret,
            expires_at=datetime.now(UTC) + LIFE,
        ).to_dict()

    def verify(self, ticket: str, randstr: str, address: str) -> str:
        del randstr, address
        try:
            result = verify_solution(ticket, self._secret, hmac_key_secret=self._key_secret)
            signature = json.loads(base64.b64decode(ticket))["challenge"]["signature"]
        except Exception:  # noqa: BLE001  # whatever a stranger puts into a ticket, it is a wrong ticket
            raise Fault("captcha_failed") from None
        if not result.verified or result.expired:
            raise Fault("captcha_failed")
        return hashlib.sha256(str(signature).encode()).hexdigest()
