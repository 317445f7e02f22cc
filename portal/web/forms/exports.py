"""What an export takes."""

from typing import Any
from uuid import UUID

from flask_babel import lazy_gettext as _
from wtforms import HiddenField, SelectField, SelectMultipleField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs

from portal.web.forms import Form


class ExportForm(Form):
    """The nonce makes a second press of the button the same task. No columns: all of them."""

    format = SelectField(
        _("Format"),
        choices=[
            SelectChoice("csv", "CSV"),
            SelectChoice("xlsx", "Excel"),
            SelectChoice("tsv", "TSV"),
            SelectChoice("json", "JSON"),
            SelectChoice("ndjson", "NDJSON"),
            SelectChoice("parquet", "Parquet"),
        ],
    )
    encoding = SelectField(
        _("Encoding"),
        choices=[
            SelectChoice("", "UTF-8"),
            SelectChoice("utf-8-bom", _("UTF-8 for Excel")),
            SelectChoice("gb18030", "GB18030 (GBK)"),
        ],
        default="",
    )
    packing = SelectField(
        _("Packed"),
        choices=[SelectChoice("", _("Not packed")), SelectChoice("gzip", "gzip"), SelectChoice("zstd", "zstd")],
        default="",
    )
    columns = SelectMultipleField(_("Columns"), validate_choice=False)
    nonce = HiddenField()

    def params(self, dataset: UUID, where: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "dataset": str(dataset),
            "format": self.format.data,
            "encoding": self.encoding.data,
            "packing": self.packing.data,
            "columns": self.columns.data or [],
            "where": where,
        }
