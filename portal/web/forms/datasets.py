"""What a dataset is called."""

from flask_babel import lazy_gettext as _
from wtforms import StringField, TextAreaField

from portal.web.forms import Form, required


class DatasetForm(Form):
    name = StringField(_("Name"), [required()])
    description = TextAreaField(_("Description"))
