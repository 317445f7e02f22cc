"""What in an address is a secret: a signature, a token, a key. Whoever has it has the file."""

import re
from urllib.parse import unquote_plus

HIDDEN = "…"
_PARAM = re.compile(r"([?&;#])([^=&;#?]*)=([^&;#]*)")
# Names of parameters, as words: X-Amz-Signature, sig, q-ak, OSSAccessKeyId, auth_key, access_token, rlkey, …
_SIGNED = re.compile(
    r"sig|hmac|hash|digest|auth|ticket|jwt|policy|(?:.*[-_.])?sign|.*signature|.*token|.*[-_.]sig|"
    r"(?:auth|secure|verify)[-_.]?key|txsecret|wssecret"
)
_SECRET = re.compile(
    r"key|ak|sk|pass|pwd|sid|sess|otp|pin|.*[-_.](?:key|ak|sk|pwd)|.*(?:api|auth|access|secret|private|resource|rl)key|"
    r".*access[-_.]?(?:key)?[-_.]?id|.*key[-_.]?(?:pair[-_.]?)?id|.*secret.*|.*credential.*|.*passw(?:or)?d|"
    r".*passphrase|.*session(?:[-_.]?id)?|.*authorization|.*bearer.*"
)
_NAMES_A_FILE = {"id"}  # and is no secret, long and random as it may be
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_\-+/=.~:]{32,}")


def shown(address: str) -> str:
    """The address as people may see it: the values of secret parameters are hidden."""

    def hide(found: re.Match[str]) -> str:
        mark, name, value = found.groups()
        return f"{mark}{name}={HIDDEN if value and _is_secret(name, value) else value}"

    return _PARAM.sub(hide, address)


def is_hidden(address: str) -> bool:
    """Whether it was copied from where its secrets are hidden, and leads nowhere."""
    return any(value == HIDDEN for _, _, value in _PARAM.findall(address))


def is_signed(address: str) -> bool:
    """Whether somebody was given the file by it for a while."""
    return any(_SIGNED.fullmatch(_plain(name)) for _, name, value in _PARAM.findall(address) if value)


def _is_secret(name: str, value: str) -> bool:
    plain = _plain(name)
    is_random = plain not in _NAMES_A_FILE and _RANDOM.fullmatch(unquote_plus(value))
    return bool(_SIGNED.fullmatch(plain) or _SECRET.fullmatch(plain) or is_random)


def _plain(name: str) -> str:
    return unquote_plus(name).strip().lower()
