"""Rules for what people type, for forms and API bodies alike: each answers the normal form or raises `Invalid`."""

import re
import unicodedata

from portal import account_names, limits, look_alikes
from portal.errors import Invalid

_USERNAME = re.compile(r"[\w.-]{3,32}")


def normalise_phone(text: str, *, field: str = "phone_number") -> str:
    """E.164 of a mobile number; one without a country code is read as mainland Chinese."""
    number = account_names.phone_form(text)
    if number is None or len(text) > 32 or not account_names.is_mobile(number):
        raise Invalid("phone_invalid", field=field)
    return number


def normalise_email(text: str) -> str:
    """The one form of an address: people who differ by case or width only are one person."""
    form = account_names.email_form(text)
    if form is None:
        raise Invalid("email_invalid", field="email")
    return form


def normalise_username(text: str, *, kept_too: bool = False) -> str:
    """3 to 32 letters of one script in use, digits, `.`, `-`, `_`; nothing that reads as an address or a number.

    Names that are kept for those who run the portal only with `kept_too`.
    """
    name = unicodedata.normalize("NFKC", text.strip()[:200])  # composing endless texts takes minutes
    if not _USERNAME.fullmatch(name) or not any(char.isalpha() for char in name):
        raise Invalid("username_invalid", field="username")
    if not kept_too and look_alikes.is_kept(name):
        raise Invalid("username_kept", field="username")
    if look_alikes.is_mixed(name):
        raise Invalid("username_mixed", field="username")
    return name


def normalise_password(password: str, *, field: str = "password") -> str:
    """NFC, 8 to 128 characters. Whether it is guessable is seen later: that costs more than strangers may ask for."""
    # A character takes up four at the most before it is composed; of endless texts, composing takes minutes.
    normal = unicodedata.normalize("NFC", password) if len(password) <= 4 * limits.PASSWORD_MAX else password
    if len(normal) < limits.PASSWORD_MIN:
        raise Invalid("password_short", field=field, least=limits.PASSWORD_MIN)
    if len(normal) > limits.PASSWORD_MAX:
        raise Invalid("password_long", field=field, most=limits.PASSWORD_MAX)
    return normal


def check_name(text: str, *, field: str = "name") -> str:
    """A title of one line and at most 200 characters."""
    name = " ".join(text.split())
    if len(name) > 200 or any(unicodedata.category(char) == "Cc" for char in name):
        raise Invalid("name_invalid", field=field)
    return name


def check_description(text: str, *, field: str) -> str:
    """Some lines of text."""
    said = "\n".join(line.rstrip() for line in text.strip().splitlines())
    if len(said) > limits.DESCRIPTION_MAX or any(unicodedata.category(char) == "Cc" for char in said.replace("\n", "")):
        raise Invalid("description_invalid", field=field, most=limits.DESCRIPTION_MAX)
    return said
