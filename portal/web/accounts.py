"""Sign up, log in, log out."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from portal.errors import PortalError
from portal.extensions import db
from portal.models import User
from portal.services import accounts, sessions
from portal.web import codes, entry, guards
from portal.web.forms.accounts import CodeForm, LoginForm, PhoneForm, RegisterForm
from portal.web.locales import chosen_locale

bp = Blueprint("accounts", __name__)


@bp.get("/register")
@guards.public
def register() -> ResponseReturnValue:
    """First step: a phone number and a captcha."""
    return render_template("accounts/register.html", form=PhoneForm(phone_number=codes.number_for("register")))


@bp.post("/register")
@guards.public
def send_code() -> ResponseReturnValue:
    """Send the code and go on, or say what is wrong with the number, the captcha or the pace."""
    form, status = PhoneForm(), 422
    if form.validate_on_submit():
        try:
            codes.send(form, "register")
            return redirect(url_for(".finish"), 303)
        except PortalError as error:
            status = form.explain(error)
    return render_template("accounts/register.html", form=form), status


@bp.get("/register/account")
@guards.public
def finish() -> ResponseReturnValue:
    """Second step: the code and the account."""
    if not (number := codes.number_for("register")):
        return redirect(url_for(".register"), 303)
    return render_template("accounts/finish.html", form=RegisterForm(), phone_number=number)


@bp.post("/register/account")
@guards.public
def create() -> ResponseReturnValue:
    """Make the account and log in, or show the form again with what is wrong."""
    form, status, number = RegisterForm(), 422, codes.number_for("register") or ""
    if form.validate_on_submit():
        typed = {name: getattr(form, name).data for name in ("username", "email", "password", "sms_code")}
        given = accounts.Registration(phone_number=number, **typed)
        try:
            user = accounts.register(given, locale=chosen_locale(), visitor=guards.visitor(), flow=codes.flow())
            answer = entry.enter(user)
            flash(
                _("Your account is ready. To verify your e-mail address, open the link that we mailed to you."),
                "success",
            )
            return answer
        except PortalError as error:
            status = form.explain(error)
    return render_template("accounts/finish.html", form=form, phone_number=number), status


@bp.get("/login")
@guards.public
def login() -> ResponseReturnValue:
    """The log-in form; someone logged in goes on."""
    if current_user.is_authenticated:
        return redirect(guards.safe_next(request.args.get("next")) or url_for("tasks.index"), 303)
    return render_template("accounts/login.html", form=LoginForm())


@bp.post("/login")
@guards.public
def enter() -> ResponseReturnValue:
    """Log in with any of the three names and the password."""
    form, status = LoginForm(), 422
    if form.validate_on_submit():
        try:
            return entry.enter(_authenticated(form))
        except PortalError as error:
            status = form.explain(error)
    return render_template("accounts/login.html", form=form), status


def _authenticated(form: LoginForm) -> User:
    return accounts.authenticate(
        form.account.data or "",
        form.password.data or "",
        visitor=guards.visitor(),
        device=entry.known_device(),
        ticket=form.captcha.ticket,
        randstr=form.captcha.randstr,
    )


@bp.get("/login/sms")
@guards.public
def login_by_sms() -> ResponseReturnValue:
    """Log in without the password, first step: a phone number and a captcha."""
    return render_template("accounts/login_by_sms.html", form=PhoneForm(phone_number=codes.number_for("login")))


@bp.post("/login/sms")
@guards.public
def send_login_code() -> ResponseReturnValue:
    """Send the code and go on; the same for a number that nobody has."""
    form, status = PhoneForm(), 422
    if form.validate_on_submit():
        try:
            codes.send(form, "login")
            return redirect(url_for(".login_code", next=request.args.get("next")), 303)
        except PortalError as error:
            status = form.explain(error)
    return render_template("accounts/login_by_sms.html", form=form), status


@bp.get("/login/sms/code")
@guards.public
def login_code() -> ResponseReturnValue:
    """Second step: the code."""
    if not (number := codes.number_for("login")):
        return redirect(url_for(".login_by_sms"), 303)
    return render_template("accounts/login_code.html", form=CodeForm(), phone_number=number)


@bp.post("/login/sms/code")
@guards.public
def enter_by_code() -> ResponseReturnValue:
    """Log in with the code."""
    form, status, number = CodeForm(), 422, codes.number_for("login") or ""
    if form.validate_on_submit():
        try:
            typed, flow = form.sms_code.data or "", codes.flow()
            return entry.enter(accounts.authenticate_by_code(number, typed, visitor=guards.visitor(), flow=flow))
        except PortalError as error:
            status = form.explain(error)
    return render_template("accounts/login_code.html", form=form, phone_number=number), status


@bp.post("/logout")
@guards.member_required
def logout() -> ResponseReturnValue:
    """End this log-in."""
    sessions.end(guards.user(), guards.login_session().id, "logout", visitor=guards.visitor())
    db.session.commit()
    guards.forget()
    flash(_("You are logged out."), "success")
    return redirect(url_for("home.index"), 303)
