"""Passwords and links."""

from flask_babel import lazy_gettext as _
from wtforms import HiddenField, PasswordField, StringField

from portal.web.forms import Form, required
from portal.web.forms.accounts import CodeForm
from portal.web.forms.captcha import CaptchaField


class ForgotForm(Form):
    account = StringField(_("Username, e-mail address or phone number"), [required()])
    captcha = CaptchaField()


class LinkForm(Form):
    """What a link in a mail carries."""

    token = HiddenField()


class NewPasswordForm(Form):
    new_password = PasswordField(_("New password"), [required()])


class ResetByMailForm(NewPasswordForm, LinkForm):
    pass


class ResetByCodeForm(CodeForm):
    new_password = PasswordField(_("New password"), [required()])


class ConfirmForm(Form):
    """Proof that the person is still the one who logged in; `otp` goes when there is no second factor."""

    password = PasswordField(_("Password"), [required()])
    otp = StringField(_("Code from your app, or a recovery code"), [required()])
