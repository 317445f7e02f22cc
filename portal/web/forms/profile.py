"""What a person changes of their own."""

from flask_babel import lazy_gettext as _
from wtforms import StringField

from portal.web.forms import Form, required


class UsernameForm(Form):
    username = StringField(_("Username"), [required()])


class EmailForm(Form):
    email = StringField(_("New e-mail address"), [required()])
