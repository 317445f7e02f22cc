"""Passwords that were forgotten, links from mails, and proof that the person is still there."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import PortalError
from portal.extensions import db
from portal.services import credentials
from portal.web import codes, guards
from portal.web.forms.accounts import PhoneForm
from portal.web.forms.credentials import ConfirmForm, ForgotForm, LinkForm, ResetByCodeForm, ResetByMailForm

bp = Blueprint("credentials", __name__)


@bp.get("/password/forgot")
@guards.public
def forgot() -> ResponseReturnValue:
    """Ask for a link by mail; a code by SMS is a link away."""
    return render_template("credentials/forgot.html", form=ForgotForm())


@bp.post("/password/forgot")
@guards.public
def send_link() -> ResponseReturnValue:
    """Send the link, if there is such a person; the answer is the same for everyone."""
    form, status = ForgotForm(), 422
    if form.validate_on_submit():
        account, solved = form.account.data or "", form.captcha
        try:
            credentials.request_reset(account, ticket=solved.ticket, randstr=solved.randstr, visitor=guards.visitor())
            db.session.commit()
            return redirect(url_for(".link_sent"), 303)
        except PortalError as error:
            status = form.explain(error)
    return render_template("credentials/forgot.html", form=form), status


@bp.get("/password/forgot/sent")
@guards.public
def link_sent() -> ResponseReturnValue:
    """What everyone is told who asked for a link."""
    return render_template("credentials/link_sent.html")


@bp.get("/password/forgot/sms")
@guards.public
def forgot_by_sms() -> ResponseReturnValue:
    """First step: a phone number and a captcha."""
    form = PhoneForm(phone_number=codes.number_for("reset_password"))
    return render_template("credentials/forgot_by_sms.html", form=form)


@bp.post("/password/forgot/sms")
@guards.public
def send_code() -> ResponseReturnValue:
    """Send the code and go on; the same for a number that nobody has."""
    form, status = PhoneForm(), 422
    if form.validate_on_submit():
        try:
            codes.send(form, "reset_password")
            return redirect(url_for(".reset_by_code"), 303)
        except PortalError as error:
            status = form.explain(error)
    return render_template("credentials/forgot_by_sms.html", form=form), status


@bp.get("/password/reset/code")
@guards.public
def reset_by_code() -> ResponseReturnValue:
    """Second step: the code and the new password."""
    if not (number := codes.number_for("reset_password")):
        return redirect(url_for(".forgot_by_sms"), 303)
    return render_template("credentials/reset_by_code.html", form=ResetByCodeForm(), phone_number=number)


@bp.post("/password/reset/code")
@guards.public
def set_by_code() -> ResponseReturnValue:
    """Set the new password; every log-in ends."""
    form, status, number = ResetByCodeForm(), 422, codes.number_for("reset_password") or ""
    if form.validate_on_submit():
        code, new = form.sms_code.data or "", form.new_password.data or ""
        try:
            credentials.reset_by_code(number, code, new, visitor=guards.visitor(), flow=codes.flow())
            db.session.commit()
            return _log_in_again()
        except PortalError as error:
            status = form.explain(error)
    return render_template("credentials/reset_by_code.html", form=form, phone_number=number), status


@bp.get("/password/reset")
@guards.public
def reset() -> ResponseReturnValue:
    """Where the link in the mail leads; it is looked at only when the new password is sent."""
    form = ResetByMailForm(token=request.args.get("token"))
    return render_template("credentials/reset.html", form=form)


@bp.post("/password/reset")
@guards.public
def set_by_mail() -> ResponseReturnValue:
    """Set the new password; every log-in ends."""
    form, status = ResetByMailForm(), 422
    if form.validate_on_submit():
        try:
            credentials.reset_by_mail(form.token.data or "", form.new_password.data or "", visitor=guards.visitor())
            db.session.commit()
            return _log_in_again()
        except PortalError as error:
            status = form.explain(error)
    return render_template("credentials/reset.html", form=form), status


def _log_in_again() -> ResponseReturnValue:
    guards.forget()
    flash(_("Your password is changed. Log in with the new one."), "success")
    return redirect(url_for("accounts.login"), 303)


@bp.get("/email/verify")
@guards.member_required
def ask_to_verify() -> ResponseReturnValue:
    """Where the link in the mail leads: a button, because mail scanners open links too."""
    return render_template("credentials/verify.html", form=LinkForm(token=request.args.get("token")))


@bp.post("/email/verify")
@guards.member_required
def verify() -> ResponseReturnValue:
    """The address is the account's whose owner is logged in."""
    form, status = LinkForm(), 422
    if form.validate_on_submit():
        try:
            credentials.verify_email(guards.user(), form.token.data or "", visitor=guards.visitor())
            db.session.commit()
            flash(_("Your e-mail address is verified."), "success")
            return redirect(url_for("profile.show"), 303)
        except PortalError as error:
            status = form.explain(error)
    return render_template("credentials/verify.html", form=form), status


def _confirm_form() -> ConfirmForm:
    form = ConfirmForm()
    if not guards.user().has_second_factor:
        del form.otp
    return form


@bp.get("/confirm")
@guards.member_required
def confirm() -> ResponseReturnValue:
    """Who is there? Asked before what matters, if the last proof is too old."""
    return render_template("credentials/confirm.html", form=_confirm_form())


@bp.post("/confirm")
@guards.member_required
def confirmed() -> ResponseReturnValue:
    """The log-in is fresh again; on to what was wanted."""
    form, status = _confirm_form(), 422
    if form.validate_on_submit():
        try:
            otp = form.data.get("otp") or ""  # there only for those who have a second factor
            credentials.confirm(guards.login_session(), form.password.data or "", otp, visitor=guards.visitor())
            db.session.commit()
            return redirect(guards.safe_next(request.args.get("next")) or url_for("profile.show"), 303)
        except PortalError as error:
            status = form.explain(error)
    return render_template("credentials/confirm.html", form=form), status
