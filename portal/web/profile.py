"""One's own account: read it, change it."""

from flask import Blueprint, flash, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import Invalid, PortalError
from portal.extensions import db
from portal.services import accounts, credentials
from portal.web import codes, entry, guards
from portal.web.forms.accounts import CodeForm, PhoneForm
from portal.web.forms.credentials import NewPasswordForm
from portal.web.forms.profile import EmailForm, UsernameForm
from portal.wording import sentence

bp = Blueprint("profile", __name__, url_prefix="/account")


@bp.get("/")
@guards.member_required
def show() -> ResponseReturnValue:
    """What is known of one, and where to change it."""
    return render_template("profile/show.html", user=guards.user())


@bp.get("/username")
@guards.member_required
@guards.fresh_required
def username() -> ResponseReturnValue:
    """Another name."""
    return render_template("profile/username.html", form=UsernameForm(obj=guards.user()))


@bp.post("/username")
@guards.member_required
@guards.fresh_required
def change_username() -> ResponseReturnValue:
    """Take the name, unless somebody has it."""
    form, status = UsernameForm(), 422
    if form.validate_on_submit():
        try:
            credentials.change_username(guards.login_session(), form.username.data or "", visitor=guards.visitor())
            db.session.commit()
            session["username"] = guards.user().username
            return _done(_("Your username is changed."))
        except PortalError as error:
            status = form.explain(error)
    return render_template("profile/username.html", form=form), status


@bp.get("/email")
@guards.member_required
@guards.fresh_required
def email() -> ResponseReturnValue:
    """Another e-mail address."""
    return render_template("profile/email.html", form=EmailForm())


@bp.post("/email")
@guards.member_required
@guards.fresh_required
def change_email() -> ResponseReturnValue:
    """Keep the address until it is verified; a link goes to it, and word to the one that is in force."""
    form, status = EmailForm(), 422
    if form.validate_on_submit():
        try:
            credentials.change_email(guards.login_session(), form.email.data or "", visitor=guards.visitor())
            db.session.commit()
            waits = guards.user().pending_email is not None
            told = _("Open the link that we sent to the new address; then it is yours.")
            return _done(told if waits else _("Your e-mail address stays as it is."))
        except PortalError as error:
            status = form.explain(error)
    return render_template("profile/email.html", form=form), status


@bp.post("/email/link")
@guards.member_required
def send_link() -> ResponseReturnValue:
    """Send the verification link again."""
    try:
        credentials.request_verification(guards.user(), visitor=guards.visitor())
        db.session.commit()
    except PortalError as error:
        return _failed(error)
    return _done(_("A link is on its way to your e-mail address."))


@bp.get("/phone")
@guards.member_required
@guards.fresh_required
def phone() -> ResponseReturnValue:
    """Another phone number, first step."""
    return render_template("profile/phone.html", form=PhoneForm())


@bp.post("/phone")
@guards.member_required
@guards.fresh_required
def send_code() -> ResponseReturnValue:
    """Send a code to the new number."""
    form, status = PhoneForm(), 422
    if form.validate_on_submit():
        try:
            codes.send(form, "change_phone")
            return redirect(url_for(".phone_code"), 303)
        except PortalError as error:
            status = form.explain(error)
    return render_template("profile/phone.html", form=form), status


@bp.get("/phone/code")
@guards.member_required
@guards.fresh_required
def phone_code() -> ResponseReturnValue:
    """Second step: the code."""
    if not (number := codes.number_for("change_phone")):
        return redirect(url_for(".phone"), 303)
    return render_template("profile/phone_code.html", form=CodeForm(), phone_number=number)


@bp.post("/phone/code")
@guards.member_required
@guards.fresh_required
def change_phone() -> ResponseReturnValue:
    """Take the number."""
    form, status, number = CodeForm(), 422, codes.number_for("change_phone") or ""
    if form.validate_on_submit():
        login, code, flow = guards.login_session(), form.sms_code.data or "", codes.flow()
        try:
            credentials.change_phone(login, number, code, visitor=guards.visitor(), flow=flow)
            db.session.commit()
            return _done(_("Your phone number is changed."))
        except PortalError as error:
            status = form.explain(error)
    return render_template("profile/phone_code.html", form=form, phone_number=number), status


@bp.get("/password")
@guards.member_required
@guards.fresh_required
def password() -> ResponseReturnValue:
    """Another password."""
    return render_template("profile/password.html", form=NewPasswordForm())


@bp.post("/password")
@guards.member_required
@guards.fresh_required
def change_password() -> ResponseReturnValue:
    """Take the password; every other log-in ends."""
    form, status = NewPasswordForm(), 422
    if form.validate_on_submit():
        new = form.new_password.data or ""
        try:
            credentials.change_password(guards.login_session(), new, visitor=guards.visitor())
            db.session.commit()
            answer = make_response(_done(_("Your password is changed. Every other session has been ended.")))
            entry.remember(answer, guards.user())
            return answer
        except PortalError as error:
            status = form.explain(error)
    return render_template("profile/password.html", form=form), status


@bp.post("/notices")
@guards.member_required
def notices() -> ResponseReturnValue:
    """Whether a mail is sent when a task has ended."""
    wanted = request.form.get("wanted")
    if wanted not in ("yes", "no"):
        raise Invalid("invalid", field="wanted")
    accounts.change_notice(guards.user(), wanted == "yes")
    db.session.commit()
    return _done(_("You get a mail when a task ends.") if wanted == "yes" else _("You get no more mails about tasks."))


def _done(message: str) -> ResponseReturnValue:
    flash(message, "success")
    return redirect(url_for("profile.show"), 303)


def _failed(error: PortalError) -> ResponseReturnValue:
    flash(sentence({"code": error.code, "params": error.params}), "error")
    return redirect(url_for("profile.show"), 303)
