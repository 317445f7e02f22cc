"""Twenty-five tokens and ways to bring one: only the good one comes in, and `bearer` may be written small."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import jwt
import pytest
from apiflask import APIFlask
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from portal import limits
from tests.cast import person, tokens

# HS512 wants a longer key than ours; that is a reason more to refuse it.
pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")


@dataclass(frozen=True)
class Mint:
    """A good pair, and the means to make others by the portal's own key."""

    key: str
    access: str
    refresh: str

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of the good access token; a change to None removes one."""
        good: dict[str, Any] = jwt.decode(self.access, options={"verify_signature": False})
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def made(self, *, key: Any = None, algorithm: str = "HS256", headers: Any = None, **changes: Any) -> str:
        return jwt.encode(self.claims(**changes), self.key if key is None else key, algorithm, headers=headers)

    def unsigned(self, algorithm: str) -> str:
        return f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{_part(self.claims())}."

    def changed_payload(self) -> str:
        head, _, signature = self.access.split(".")
        return f"{head}.{_part(self.claims(sid=str(uuid4())))}.{signature}"

    def with_own_key(self) -> str:
        """Signed by a key that the token brings along."""
        own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key()))
        private = own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self.made(key=private, algorithm="RS256", headers={"jwk": public})

    def endless(self) -> str:
        body = json.dumps(self.claims(exp=0)).replace('"exp": 0', '"exp": 1e400').encode()
        return jwt.api_jws.encode(body, self.key, "HS256")


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


GOOD: dict[str, Callable[[Mint], str]] = {
    "the good one": lambda mint: f"Bearer {mint.access}",
    "bearer in lower case": lambda mint: f"bearer {mint.access}",
    "made anew": lambda mint: f"Bearer {mint.made()}",
}
BAD: dict[str, Callable[[Mint], str | None]] = {
    "none at all": lambda mint: None,
    "an empty header": lambda mint: "",
    "no scheme": lambda mint: mint.access,
    "another scheme": lambda mint: f"Basic {mint.access}",
    "two tokens": lambda mint: f"Bearer {mint.access} {mint.access}",
    "no token": lambda mint: "Bearer ",
    "not a token": lambda mint: "Bearer x.y.z",
    "alg none": lambda mint: f"Bearer {mint.unsigned('none')}",
    "alg None": lambda mint: f"Bearer {mint.unsigned('None')}",
    "signature cut off": lambda mint: f"Bearer {mint.access.rpartition('.')[0]}.",
    "signature changed": lambda mint: f"Bearer {mint.access[:-8]}{mint.access[-8:][::-1].swapcase()}",
    "payload changed": lambda mint: f"Bearer {mint.changed_payload()}",
    "HS512": lambda mint: f"Bearer {mint.made(algorithm='HS512')}",
    "another key": lambda mint: f"Bearer {mint.made(key='another key that is also quite long ' * 2)}",
    "a key of its own": lambda mint: f"Bearer {mint.with_own_key()}",
    "a refresh token": lambda mint: f"Bearer {mint.refresh}",
    "another type": lambda mint: f"Bearer {mint.made(type='other')}",
    "no type": lambda mint: f"Bearer {mint.made(type=None)}",
    "expired": lambda mint: f"Bearer {mint.made(exp=int(time.time()) - 1)}",
    "no exp": lambda mint: f"Bearer {mint.made(exp=None)}",
    "an endless exp": lambda mint: f"Bearer {mint.endless()}",
    "a huge exp": lambda mint: f"Bearer {mint.made(exp=10**400)}",
    "not yet good": lambda mint: f"Bearer {mint.made(nbf=int(time.time()) + 600)}",
    "from the future": lambda mint: f"Bearer {mint.made(iat=int(time.time()) + 600)}",
    "no iat": lambda mint: f"Bearer {mint.made(iat=None)}",
    "for others": lambda mint: f"Bearer {mint.made(aud='other')}",
    "for no one": lambda mint: f"Bearer {mint.made(aud=None)}",
    "by others": lambda mint: f"Bearer {mint.made(iss='other')}",
    "by no one": lambda mint: f"Bearer {mint.made(iss=None)}",
    "no jti": lambda mint: f"Bearer {mint.made(jti=None)}",
    "no sub": lambda mint: f"Bearer {mint.made(sub=None)}",
    "no sid": lambda mint: f"Bearer {mint.made(sid=None)}",
    "a sid that is none": lambda mint: f"Bearer {mint.made(sid='x')}",
    "a sid of nothing": lambda mint: f"Bearer {mint.made(sid=str(uuid4()))}",
    "a sid that is a list": lambda mint: f"Bearer {mint.made(sid=[mint.claims()['sid']])}",
}


@pytest.fixture
def mint(app: APIFlask) -> Mint:
    person(app, "alice")
    pair = tokens(app, "alice")
    return Mint(app.config["JWT_SECRET_KEY"], pair["access_token"], pair["refresh_token"])


def ask(app: APIFlask, authorization: str | None, path: str = "/api/v1/users/me") -> Any:
    headers = {} if authorization is None else {"Authorization": authorization}
    return app.test_client().get(path, headers=headers)


def test_the_good_one_comes_in(app: APIFlask, mint: Mint) -> None:
    for name, bring in GOOD.items():
        assert ask(app, bring(mint)).status_code == 200, name


@pytest.mark.parametrize("path", ["/api/v1/users/me", "/api/v1/tasks/00000000-0000-4000-8000-000000000000"])
def test_all_others_are_refused_alike(app: APIFlask, mint: Mint, path: str) -> None:
    """At a look-up, and at a poll, which does without the database."""
    assert len(GOOD) + len(BAD) >= 25
    for name, bring in BAD.items():
        answer = ask(app, bring(mint), path)
        assert answer.status_code == 401, name
        assert answer.content_type == "application/problem+json", name
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), name
        assert answer.get_json()["code"] in ("token_missing", "token_invalid", "session_ended"), name


def test_tokens_live_as_long_as_is_said(app: APIFlask, mint: Mint) -> None:
    for token, life in ((mint.access, limits.ACCESS_SECONDS), (mint.refresh, limits.REFRESH_SECONDS)):
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == life


def test_a_refresh_token_has_to_be_as_good(app: APIFlask, mint: Mint) -> None:
    turned = Mint(mint.key, access=mint.refresh, refresh=mint.access)
    for name, bring in BAD.items():
        if name == "no scheme":  # there is none here
            continue
        token = (bring(turned) or "").removeprefix("Bearer ")
        answer = app.test_client().post("/api/v1/auth/refresh", json={"refresh_token": token})
        assert (answer.status_code, answer.content_type) == (401, "application/problem+json"), name
    assert ask(app, f"Bearer {mint.access}").status_code == 200  # and none of them ended the log-in
