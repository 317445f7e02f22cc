"""Codes by SMS, as pages ask for them: the browser remembers the number and which codes are its own."""

import secrets

from flask import session
from flask_login import current_user

from portal import validation
from portal.extensions import db
from portal.services import codes
from portal.web import guards
from portal.web.forms.accounts import PhoneForm


def send(form: PhoneForm, purpose: str) -> None:
    """Send a code to the number in the form; the next step finds the number with `number_for`."""
    number = validation.normalise_phone(form.phone_number.data or "")
    solved = form.captcha
    asked_by = guards.user().id if current_user.is_authenticated else None
    letter = codes.request(
        number,
        purpose,
        ticket=solved.ticket,
        randstr=solved.randstr,
        visitor=guards.visitor(),
        flow=flow(),
        asked_by=asked_by,
    )
    db.session.commit()
    try:
        codes.deliver(letter)
    finally:
        db.session.commit()  # what became of it
    session[f"{purpose}_phone"] = number


def number_for(purpose: str) -> str | None:
    """Where this browser's code of this purpose went."""
    number: str | None = session.get(f"{purpose}_phone")
    return number


def flow() -> str:
    """This browser's own: what strangers guess elsewhere does not use up the code that it asked for."""
    made: str = session.setdefault("flow", secrets.token_urlsafe(16))
    return made
