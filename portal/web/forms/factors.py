"""The second factor."""

from flask_babel import lazy_gettext as _
from wtforms import StringField

from portal.web.forms import Form, required


class FactorForm(Form):
    """At the log-in."""

    otp = StringField(_("Code from your app, or a recovery code"), [required()])


class EnableForm(Form):
    otp = StringField(_("Code from your app"), [required()])
