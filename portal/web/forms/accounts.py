"""Sign up and log in."""

from flask_babel import lazy_gettext as _
from wtforms import PasswordField, StringField
from wtforms.widgets import PasswordInput

from portal.errors import PortalError
from portal.web.forms import Form, required
from portal.web.forms.captcha import CaptchaField


class PhoneForm(Form):
    """Where to send a code."""

    phone_number = StringField(_("Phone number"), [required()])
    captcha = CaptchaField()


class CodeForm(Form):
    sms_code = StringField(_("Code from the SMS"), [required()])


class RegisterForm(CodeForm):
    username = StringField(_("Username"), [required()])
    email = StringField(_("E-mail address"), [required()])
    password = PasswordField(_("Password"), [required()])


class LoginForm(Form):
    """The captcha is asked for after some failures only, and then as long as they last."""

    account = StringField(_("Username, e-mail address or phone number"), [required()])
    password = PasswordField(_("Password"), [required()])
    captcha = CaptchaField(needed=False)

    def explain(self, error: PortalError) -> int:
        if error.code == "captcha_required":
            # Nothing was compared yet: the person adds the captcha and need not type again.
            self.password.widget = PasswordInput(hide_value=False)
        return super().explain(error)

    @property
    def wants_captcha(self) -> bool:
        return bool(self.captcha.errors or self.captcha.ticket)
