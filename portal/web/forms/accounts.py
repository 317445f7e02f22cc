"""Sign up and log in."""

from flask_babel import lazy_gettext as _
from wtforms import PasswordField, StringField

from portal.web.forms import Form, required


class PhoneForm(Form):
    """The first step of signing up; the captcha's ticket comes in the field that the widget adds."""

    phone_number = StringField(_("Phone number"), [required()])


class RegisterForm(Form):
    sms_code = StringField(_("Code from the SMS"), [required()])
    username = StringField(_("Username"), [required()])
    email = StringField(_("E-mail address"), [required()])
    password = PasswordField(_("Password"), [required()])


class LoginForm(Form):
    account = StringField(_("Username, e-mail address or phone number"), [required()])
    password = PasswordField(_("Password"), [required()])
