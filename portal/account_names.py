"""The names of an account, each in one form: look-up, uniqueness and limits use what is made here, and nothing else.

What somebody types is read once: with an `@` as an e-mail address, without a letter as a phone number, else as a
username; never as two of them.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

import phonenumbers
from email_validator import EmailNotValidError, validate_email

TYPED_MAX = 320  # characters; nothing longer is a name, and it is not worth anybody's time
EMAIL_MAX = 254
# Code points that show nothing (Unicode's Default_Ignorable_Code_Point, a stable property).
_INVISIBLE = (
    *(0xAD, 0x34F, 0x61C, 0x3164, 0xFEFF, 0xFFA0),
    *range(0x115F, 0x1161),
    *range(0x17B4, 0x17B6),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xFFF0, 0xFFF9),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE1000),
)
INVISIBLE = dict.fromkeys(_INVISIBLE)
_BRACKETS = "()[]."
_COMPACT = re.compile(r"\+?[0-9]+")


@dataclass(frozen=True)
class AccountName:
    """What somebody typed, read as one kind of name; `key` is its only form. There need be nobody who has it."""

    kind: Literal["username", "email", "phone_number"]
    key: str


def read(typed: str) -> AccountName:
    """Whose name it would be. Every spelling of a name answers the same `AccountName`."""
    text = unicodedata.normalize("NFKC", typed[:TYPED_MAX]).strip()
    if len(typed) > TYPED_MAX or "\x00" in typed:
        return AccountName("username", "")
    if "@" in text:
        return AccountName("email", email_form(text) or fold(text))
    if (compact := _compact(text)) is not None:
        return AccountName("phone_number", phone_form(text) or compact)
    return AccountName("username", fold(text))


def fold(text: str) -> str:
    """Unicode's toNFKC_Casefold: what differs by case, width, composition or invisible signs only is one text."""
    folded = text
    while True:  # a few rounds: a case folded can be composed anew
        before = folded
        plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", before)).casefold()
        folded = unicodedata.normalize("NFKC", plain).translate(INVISIBLE).strip()
        if folded == before:
            return folded


def email_form(text: str) -> str | None:
    """The one form of an e-mail address, in which it is written to: domain in Unicode, local part folded. Else None."""
    plain = unicodedata.normalize("NFKC", text[:TYPED_MAX]).strip()
    plain = plain[:-1] if plain.endswith((".", "。")) else plain  # the root of all domains
    try:
        read = validate_email(plain, check_deliverability=False, test_environment=True, allow_quoted_local=True)
    except EmailNotValidError:
        return None
    local = fold(read.local_part)
    form = f"{local}@{read.domain}"
    # Quotation marks that were not needed are gone by now; an address that needs them has no place in mail programs.
    return form if local and not local.startswith('"') and len(form.encode()) <= EMAIL_MAX else None


def phone_form(text: str) -> str | None:
    """E.164 of a text that is a phone number and nothing else; without a country code mainland Chinese. Else None."""
    compact = _compact(unicodedata.normalize("NFKC", text[:TYPED_MAX]).strip())
    number = _parsed(compact) if compact else None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if number else None


def is_mobile(number: str) -> bool:
    """Whether an E.164 number may be one that gets SMS."""
    kinds = {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
    parsed = _parsed(number)
    return parsed is not None and phonenumbers.number_type(parsed) in kinds


def _parsed(compact: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(compact, "CN")
    except phonenumbers.NumberParseException:
        return None


def _compact(text: str) -> str | None:
    """Digits of any script in ASCII, without what stands between them; None when there is anything else."""
    kept = "".join(_digit(char) for char in text)
    return kept if _COMPACT.fullmatch(kept) else None


def _digit(char: str) -> str:
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    category = unicodedata.category(char)
    between = char in _BRACKETS or char == "−" or category in ("Zs", "Pd") or ord(char) in INVISIBLE
    return "" if between else char
