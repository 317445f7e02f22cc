"""What in an address is a secret: a signature, a token, a key. Whoever has it has the file."""

import re
from urllib.parse import unquote_plus

HIDDEN = "…"
_PARAM = re.compile(r"([?&;#])([^=&;#?]*)=([^&;#]*)")
# Names of parameters, as words: X-Amz-Signature, sig, q-ak, OSSAccessKeyId, auth_key, access_token, rlkey, …
_SIGNED = re.compile(
    r"sig|sign|signature|token|hmac|hash|digest|auth|ticket|jwt|policy|(?:auth|secure|verify|sec).?key|txsecret|wssecret|"
    r".*signature|.*token|.*sign|.*[-_.]sig"
)
_SECRET = re.compile(
    r"key|.*[-_.]key|.*apikey|.*authkey|.*(?:access|secret|private|resource|auth|rl|account).?key(?:id)?|.*accessid|"
    r".*keyid|.*key-pair-id|.*[-_.]ak|ak|sk|.*secret.*|.*credential.*|.*passw(?:or)?d|pass|pwd|.*[-_.]pwd|"
    r".*passphrase|code|.*session(?:id)?|sid|sess|cookie|nonce|otp|pin|.*authorization|.*bearer.*"
)
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
    return bool(_SIGNED.fullmatch(plain) or _SECRET.fullmatch(plain) or _RANDOM.fullmatch(unquote_plus(value)))


def _plain(name: str) -> str:
    return unquote_plus(name).strip().lower()
