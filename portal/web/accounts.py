"""Sign up, log in, log out."""

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from portal import validation
from portal.errors import PortalError
from portal.extensions import db
from portal.models import LoginSession
from portal.services import accounts, codes, sessions
from portal.web import guards
from portal.web.forms.accounts import LoginForm, PhoneForm, RegisterForm
from portal.web.locales import chosen_locale

bp = Blueprint("accounts", __name__)


@bp.get("/register")
@guards.public
def register() -> ResponseReturnValue:
    """First step: a phone number and a captcha."""
    form = PhoneForm(phone_number=session.get("register_phone"))
    return render_template("accounts/register.html", form=form)


@bp.post("/register")
@guards.public
def send_code() -> ResponseReturnValue:
    """Send the code and go on, or say what is wrong with the number, the captcha or the pace."""
    form, status = PhoneForm(), 422
    if form.validate_on_submit():
        try:
            _send_code(form.phone_number.data or "")
            return redirect(url_for(".finish"), 303)
        except PortalError as error:
            status = form.explain(error)
    return render_template("accounts/register.html", form=form), status


def _send_code(typed: str) -> None:
    number = validation.normalise_phone(typed)
    ticket = request.form.get("altcha", "")
    letter = codes.request(number, "register", ticket=ticket, address=request.remote_addr or "")
    db.session.commit()
    codes.deliver(letter)
    session["register_phone"] = number


@bp.get("/register/account")
@guards.public
def finish() -> ResponseReturnValue:
    """Second step: the code and the account."""
    if "register_phone" not in session:
        return redirect(url_for(".register"))
    return render_template(
        "accounts/finish.html",
        form=RegisterForm(),
        phone_number=session["register_phone"],
    )


@bp.post("/register/account")
@guards.public
def create() -> ResponseReturnValue:
    """Make the account and log in, or show the form again with what is wrong."""
    form, status, number = RegisterForm(), 422, session.get("register_phone", "")
    if form.validate_on_submit():
        typed = {name: getattr(form, name).data for name in ("username", "email", "password", "sms_code")}
        try:
            user = accounts.register(
                accounts.Registration(phone_number=number, **typed),
                locale=chosen_locale(),
            )
            return _enter(sessions.start(user, **_browser()))
        except PortalError as error:
            status = form.explain(error)
    return render_template("accounts/finish.html", form=form, phone_number=number), status


@bp.get("/login")
@guards.public
def login() -> ResponseReturnValue:
    """The log-in form; someone logged in goes on."""
    if current_user.is_authenticated:
        return redirect(guards.safe_next(request.args.get("next")) or url_for("tasks.index"))
    return render_template("accounts/login.html", form=LoginForm())


@bp.post("/login")
@guards.public
def enter() -> ResponseReturnValue:
    """Log in with any of the three names and the password."""
    form, status = LoginForm(), 422
    if form.validate_on_submit():
        try:
            user = accounts.authenticate(form.account.data or "", form.password.data or "")
            return _enter(sessions.start(user, **_browser()))
        except PortalError as error:
            status = form.explain(error)
    return render_template("accounts/login.html", form=form), status


@bp.post("/logout")
@guards.member_required
def logout() -> ResponseReturnValue:
    """End this log-in."""
    sessions.end(guards.user(), guards.login_session().id, "logout")
    db.session.commit()
    guards.forget()
    flash(_("You are logged out."), "success")
    return redirect(url_for("home.index"), 303)


def _browser() -> dict[str, str]:
    return {
        "kind": "browser",
        "user_agent": request.user_agent.string,
        "address": request.remote_addr or "",
    }


def _enter(login: LoginSession) -> ResponseReturnValue:
    if current_user.is_authenticated:  # this browser's log-in before this one
        sessions.end(guards.user(), guards.login_session().id, "logout")
    db.session.commit()
    guards.log_in(login)
    return redirect(guards.safe_next(request.args.get("next")) or url_for("tasks.index"), 303)
