"""People: sign up, prove who you are."""

import unicodedata
from dataclasses import dataclass

import phonenumbers
from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from portal import validation
from portal.errors import Conflict, Invalid, Unauthorized
from portal.extensions import db
from portal.models import User
from portal.services import codes, passwords

_TAKEN = {
    "uq_users_username": "username",
    "uq_users_email": "email",
    "uq_users_phone_number": "phone_number",
}


@dataclass(frozen=True)
class Registration:
    """What a person typed to sign up; `checked()` gives its normal form."""

    username: str
    email: str
    phone_number: str
    password: str
    sms_code: str

    def checked(self) -> "Registration":
        """Raises `Invalid` with the first field that cannot be accepted."""
        username = validation.normalise_username(self.username)
        email = validation.normalise_email(self.email)
        phone_number = validation.normalise_phone(self.phone_number)
        about = (username, email, phone_number.removeprefix("+86"))
        password = validation.check_password(self.password, about=about)
        return Registration(username, email, phone_number, password, self.sms_code.strip())


def register(registration: Registration, *, locale: str) -> User:
    """A new account, against the SMS code. Raises `Invalid` or, for a name that is taken, `Conflict` with its field.

    A taken name leaves the code good: the person corrects the name and sends the same code again.
    """
    given = registration.checked()
    hashed_password = passwords.hashed(given.password)
    used = codes.use(given.phone_number, "register", given.sms_code)
    user = User(
        username=given.username,
        email=given.email,
        phone_number=given.phone_number,
        hashed_password=hashed_password,
        locale=locale,
    )
    try:
        with db.session.begin_nested():
            db.session.add(user)
            db.session.flush()
    except SQLAlchemyError as error:
        codes.put_back(used)
        if not isinstance(error, IntegrityError):
            raise
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        field = _TAKEN.get(constraint or "")
        if field is None:
            raise
        raise Conflict(f"{field}_taken", field=field) from None
    return user


def authenticate(account: str, password: str) -> User:
    """The person behind a username, e-mail address or phone number and the password; else `Unauthorized`.

    Takes as long for an account that does not exist.
    """
    user = _find(account.strip())
    stored, user_id = (user.hashed_password, user.id) if user else (None, None)
    db.session.rollback()  # hold no connection while bcrypt works
    right = passwords.matches(password, stored)
    found = db.session.scalar(select(User).where(User.id == user_id)) if right else None
    if found is None or not found.is_active or found.hashed_password != stored:
        raise Unauthorized("credentials_wrong")
    return found


def set_locale(user_id: int, locale: str) -> None:
    """Remember the language a person reads."""
    if locale not in ("zh", "en"):
        raise Invalid("locale_unknown", field="locale")
    db.session.execute(update(User).where(User.id == user_id).values(locale=locale))


def _find(account: str) -> User | None:
    if "\x00" in account or len(account) > 254:
        return None
    account = unicodedata.normalize("NFKC", account)
    names = [
        func.lower(User.username) == func.lower(account),
        User.email == account.lower(),
    ]
    try:
        number = phonenumbers.parse(account, "CN")
    except phonenumbers.NumberParseException:
        pass
    else:
        names.append(User.phone_number == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return db.session.scalar(select(User).where(or_(*names)))
