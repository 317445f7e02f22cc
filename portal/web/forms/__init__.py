"""Forms of the HTML door."""

from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import Field
from wtforms.validators import InputRequired

from portal.errors import PortalError
from portal.wording import sentence


class Form(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A form that can be told what a service found wrong with it."""

    def explain(self, error: PortalError) -> int:
        """Put the error beside its field, or above the form; answers the status to send."""
        text = sentence({"code": error.code, "params": error.params})
        field: Field | None = self._fields.get((error.field or "").removeprefix("params."))
        if field is None:
            self.form_errors.append(text)
        else:
            field.errors = [*field.errors, text]
        return error.status


def required() -> Any:
    return InputRequired(_("Fill this in."))
