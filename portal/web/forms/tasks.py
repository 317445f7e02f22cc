"""What a task takes, and which tasks to show."""

import secrets
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _
from wtforms import DateField, FileField, HiddenField, SearchField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import Optional

from portal.errors import PortalError
from portal.extensions import settings
from portal.services.tasks import Wanted
from portal.web.forms import Form, required
from portal.web.forms.reading import ReadingForm
from portal.wording import KINDS

_TEXT_MAX = 200
UPLOAD = "upload-"  # before the names of its fields: two forms stand on one page
_LAST_DAY = date(9999, 12, 30)


class SourceForm(ReadingForm):
    """What becomes a dataset. The nonce makes a second press of the button the same task."""

    name = StringField(_("Name"))
    nonce = HiddenField()

    def explain(self, error: PortalError) -> int:
        if error.code != "idempotency_key_reused":
            return super().explain(error)
        self.nonce.data = fresh_nonce()
        self.form_errors.append(_("This form was sent before with other data. Send it again for another task."))
        return error.status


class FetchForm(SourceForm):
    """An address to fetch."""

    url = StringField(_("Address of the data"), [required()])

    def params(self) -> dict[str, Any]:
        return {"url": self.url.data, "name": self.name.data or "", "headers": self.request_headers(), **self.reading()}


class UploadForm(SourceForm):
    """A file from one's device."""

    file = FileField(_("File"), [required()])

    def params(self, upload: UUID) -> dict[str, Any]:
        return {"upload": str(upload), "name": self.name.data or "", **self.reading()}


def fresh_nonce() -> str:
    return secrets.token_hex(16)


def key_of(nonce: str | None) -> str | None:
    """The key under which a form's task is kept; forms without a nonce have none."""
    return f"form:{nonce}"[:64] if nonce else None


class FilterForm(Form):
    """Which of one's tasks to show. It stands in the page's address; what is wrong in it is said and left out."""

    class Meta:
        csrf = False

    q = SearchField(_("Name or address"))
    status = SelectField(
        _("Status"),
        choices=[
            SelectChoice("", _("Any")),
            SelectChoice("live", _("Waiting or running")),
            SelectChoice("ended", _("Has ended")),
            SelectChoice("pending", _("Pending")),
            SelectChoice("queued", _("Queued")),
            SelectChoice("processing", _("Processing")),
            SelectChoice("completed", _("Completed")),
            SelectChoice("failed", _("Failed")),
            SelectChoice("cancelled", _("Cancelled")),
            SelectChoice("expired", _("Expired")),
        ],
        default="",
    )
    kind = SelectField(
        _("Kind"),
        choices=[SelectChoice("", _("Any")), *(SelectChoice(kind, word) for kind, word in KINDS.items())],
        default="",
    )
    since = DateField(_("Submitted from"), [Optional()])
    until = DateField(_("Submitted to"), [Optional()])
    zone = HiddenField()  # the reader's, from portal.js: the days are as the times on the page

    def wanted(self) -> Wanted:
        self.validate()
        good = {name: field.data for name, field in self._fields.items() if not field.errors and field.data}
        until = good.get("until")
        return Wanted(
            status=good.get("status"),
            kind=good.get("kind"),
            since=self._midnight(good.get("since")),
            until=self._midnight(until and min(until, _LAST_DAY) + timedelta(days=1)),
            text="".join(filter(str.isprintable, good.get("q", "")))[:_TEXT_MAX],
        )

    def kept(self) -> dict[str, str]:
        """What was chosen, for the addresses of the list's other pages; empty when nothing was."""
        said = {name: field.raw_data[0] for name, field in self._fields.items() if field.raw_data and field.raw_data[0]}
        return said if said.keys() - {"zone"} else {}

    def _midnight(self, day: date | None) -> datetime | None:
        return datetime.combine(day, time(), self._zone()) if day else None

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.zone.data or settings().time_zone)
        except (KeyError, ValueError, OSError):  # no such zone, no name at all, a folder of zones
            return ZoneInfo(settings().time_zone)
