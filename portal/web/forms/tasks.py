"""What a task takes."""

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import HiddenField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs

from portal.web.forms import Form, required


class FetchForm(Form):
    """An address to fetch. The nonce makes a second press of the button the same task."""

    url = StringField(_("Address of the data"), [required()])
    name = StringField(_("Name"))
    format = SelectField(
        _("Format"),
        choices=[SelectChoice("", _("Find out")), SelectChoice("csv", "CSV, TSV"), SelectChoice("ndjson", "NDJSON")],
        default="",
    )
    nonce = HiddenField()

    def params(self) -> dict[str, Any]:
        return {
            "url": self.url.data,
            "name": self.name.data or "",
            "format": self.format.data or None,
        }
