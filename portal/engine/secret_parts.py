"""What in an address is a secret: a signature, a token, a key. Whoever has it has the file."""

import re
from urllib.parse import unquote_plus

HIDDEN = "…"
_PARAM = re.compile(r"([?&;#])(?:([^=&;#?]*)=)?([^&;#]*)")
_INNER = re.compile(r"(?:^|[?&;#~|,!])([^=&;#?~|,!]*)=([^=&;#?~|,!]+)")  # within a value: another address, or a list
# Names of parameters, as words: X-Amz-Signature, sig, q-ak, OSSAccessKeyId, auth_key, access_token, rlkey, …
_SIGNED = re.compile(
    r"sig|hmac|hash|digest|.*auth|ticket|jwt|policy|verify|_upt|hdn[a-z]+|__gda__|(?:.*[-_.])?sign|.*signature|"
    r".*token_*|.*[-_.]sig|(?:auth|secure|verify)[-_.]?key|txsecret|wssecret"
)
_SECRET = re.compile(
    r"key|ak|sk|pass|pwd|sid|sess|otp|pin|.*[-_.](?:key|ak|sk|pwd)|"
    r".*(?:api|app|auth|access|secret|private|resource|rl|user|client|license|subscription|registration)key|"
    r".*access[-_.]?(?:key)?[-_.]?id|.*key[-_.]?(?:pair[-_.]?)?id|.*secret.*|.*credential.*|.*passw(?:or)?d|"
    r".*passphrase|.*session(?:[-_.]?id)?|.*authorization|.*bearer.*"
)
_NAMES_A_FILE = {"id"}  # and is no secret, long and random as it may be
_DEEPEST = 4  # times that a value may be percent-encoded
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_\-+/=.~:]{32,}")


def shown(address: str) -> str:
    """The address as people may see it: the values of secret parameters are hidden."""

    def hide(found: re.Match[str]) -> str:
        mark, name, value = found.groups("")
        if not value.strip("=") and _is_random(name):  # Base64 that stands alone
            return f"{mark}{HIDDEN}"
        is_named = found[2] is not None
        return f"{mark}{name}{'=' * is_named}{HIDDEN if value and _is_secret(name, value) else value}"

    return _PARAM.sub(hide, address)


def is_hidden(address: str) -> bool:
    """Whether it was copied from where its secrets are hidden, and leads nowhere."""
    return any(unquote_plus(value) == HIDDEN for _, _, value in _PARAM.findall(address))


def is_signed(address: str) -> bool:
    """Whether somebody was given the file by it for a while."""
    return any(_SIGNED.fullmatch(_plain(name)) for _, name, value in _PARAM.findall(address) if value)


def _is_secret(name: str, value: str) -> bool:
    is_random = _plain(name) not in _NAMES_A_FILE and _is_random(value)
    return is_random or _is_named_so(name) or _holds_secret(value)


def _is_random(value: str) -> bool:
    return bool(_RANDOM.fullmatch(unquote_plus(value)))


def _is_named_so(name: str) -> bool:
    plain = _plain(name)
    return bool(_SIGNED.fullmatch(plain) or _SECRET.fullmatch(plain))


def _holds_secret(value: str) -> bool:
    """Whether it is an address with a secret of its own, or a list with one; what is wrapped deeper may be."""
    for _ in range(_DEEPEST):
        if any(_is_named_so(name) or _is_random(inner) for name, inner in _INNER.findall(value)):
            return True
        plain = unquote_plus(value)
        if plain == value:
            return False
        value = plain
    return True


def _plain(name: str) -> str:
    return unquote_plus(name).strip().lower()
