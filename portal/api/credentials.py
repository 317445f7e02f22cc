"""Passwords, links from mails, and proving once more who one is."""

from typing import Any

from apiflask import APIBlueprint

from portal import validation
from portal.api import guards
from portal.api.schemas import Message
from portal.api.schemas.accounts import ConfirmBody, ForgotBody, PasswordBody, ResetBody, TokenBody
from portal.extensions import db
from portal.services import credentials
from portal.wording import sentence

bp = APIBlueprint("api_credentials", __name__, url_prefix="/api/v1", tag="credentials")


def _said(code: str) -> dict[str, str]:
    return {"message": sentence({"code": code, "params": {}})}


@bp.post("/auth/password/forgot")
@guards.public
@bp.doc(operation_id="requestPasswordReset")
@bp.input(ForgotBody, arg_name="body")
@bp.output(Message, status_code=202)
def forgot(body: ForgotBody) -> Any:
    """Have a link mailed to the account's verified address; the answer is the same for everybody.

    Nothing is mailed to an address that was never verified: its account resets the password by an SMS code.
    """
    ticket, randstr = (body.captcha.ticket, body.captcha.randstr) if body.captcha else ("", "")
    credentials.request_reset(body.account, ticket=ticket, randstr=randstr, visitor=guards.visitor())
    db.session.commit()
    return _said("link_sent")


@bp.post("/auth/password/reset")
@guards.public
@bp.doc(operation_id="resetPassword")
@bp.input(ResetBody, arg_name="body")
@bp.output(Message)
def reset(body: ResetBody) -> Any:
    """Set a new password by the mailed token or an SMS code for `reset_password`; every log-in ends."""
    visitor, new = guards.visitor(), body.new_password
    if body.token is not None:
        credentials.reset_by_mail(body.token, new, visitor=visitor)
    else:
        number = validation.normalise_phone(body.phone_number or "")
        credentials.reset_by_code(number, body.sms_code or "", new, visitor=visitor, flow=body.flow)
    db.session.commit()
    return _said("password_set")


@bp.post("/auth/email/verify")
@guards.bearer_required
@bp.doc(operation_id="verifyEmail", security="bearer")
@bp.input(TokenBody, arg_name="body")
@bp.output(Message)
def verify(body: TokenBody) -> Any:
    """Prove by the mailed token that the address is yours; 409 when another account has verified it meanwhile."""
    credentials.verify_email(guards.user(), body.token, visitor=guards.visitor())
    db.session.commit()
    return _said("email_verified")


@bp.post("/auth/confirm")
@guards.bearer_required
@bp.doc(operation_id="confirmIdentity", security="bearer")
@bp.input(ConfirmBody, arg_name="body")
@bp.output(Message)
def confirm(body: ConfirmBody) -> Any:
    """Prove once more who you are: for ten minutes what protects accounts may be changed, others' by admins, too."""
    credentials.confirm(guards.login(), body.password, body.otp, visitor=guards.visitor())
    db.session.commit()
    return _said("confirmed")


@bp.put("/users/me/password")
@guards.bearer_required
@bp.doc(operation_id="changePassword", security="bearer")
@bp.input(PasswordBody, arg_name="body")
@bp.output({}, status_code=204)
def password(body: PasswordBody) -> Any:
    """Set another password; every other log-in ends."""
    if body.current_password is not None:
        credentials.confirm(guards.login(), body.current_password, body.otp, visitor=guards.visitor())
    credentials.change_password(guards.login(), body.new_password, visitor=guards.visitor())
    db.session.commit()
    return ""


@bp.post("/users/me/email/verify")
@guards.bearer_required
@bp.doc(operation_id="resendEmailVerification", security="bearer")
@bp.output(Message, status_code=202)
def request_verification() -> Any:
    """Have the link mailed again."""
    credentials.request_verification(guards.user(), visitor=guards.visitor())
    db.session.commit()
    return _said("verification_sent")
