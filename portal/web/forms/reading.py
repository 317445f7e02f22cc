"""How a file is to be read, for those who know better than we find out."""

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import NumberRange, Optional, ValidationError

from portal.data_words import encoding_name
from portal.engine.reading import ENCODINGS, MOST_FOOTER, MOST_SKIPPED
from portal.web.forms import Form

_FIND_OUT = SelectChoice("", _("Find out"))
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "colon": ":", "space": " "}
_QUOTES = {"double": '"', "single": "'", "none": ""}


class ReadingForm(Form):
    """The options that an address and a file on one's device share."""

    format = SelectField(
        _("Format"),
        choices=[
            _FIND_OUT,
            *(SelectChoice(name, name.upper()) for name in ("csv", "tsv", "json", "ndjson")),
            SelectChoice("parquet", "Parquet"),
            SelectChoice("xlsx", "Excel"),
        ],
        default="",
    )
    encoding = SelectField(
        _("Encoding"),
        choices=[
            _FIND_OUT,
            *(SelectChoice(name, encoding_name(name)) for name in ENCODINGS),
        ],
        default="",
    )
    delimiter = SelectField(
        _("Delimiter"),
        choices=[
            _FIND_OUT,
            SelectChoice("comma", _("Comma")),
            SelectChoice("semicolon", _("Semicolon")),
            SelectChoice("tab", _("Tab")),
            SelectChoice("pipe", _("Pipe |")),
            SelectChoice("colon", _("Colon")),
            SelectChoice("space", _("Space")),
        ],
        default="",
    )
    quote = SelectField(
        _("Quotation mark"),
        choices=[
            _FIND_OUT,
            SelectChoice("double", _("Double")),
            SelectChoice("single", _("Single")),
            SelectChoice("none", _("None")),
        ],
        default="",
    )
    header = SelectField(
        _("First row"),
        choices=[_FIND_OUT, SelectChoice("yes", _("Names of the columns")), SelectChoice("no", _("Data"))],
        default="",
    )
    skip_rows = IntegerField(_("Lines to leave out at the top"), [Optional(), NumberRange(0, MOST_SKIPPED)])
    header_row = IntegerField(_("Line with the names of the columns"), [Optional(), NumberRange(1, MOST_SKIPPED)])
    footer_rows = IntegerField(_("Lines to leave out at the end"), [Optional(), NumberRange(0, MOST_FOOTER)])
    sheet = StringField(_("Sheet of a workbook"))
    member = StringField(_("File in a zip archive"))
    skip_broken = BooleanField(_("Leave out rows that cannot be read, and count them"))
    replace_undecodable = BooleanField(_("Replace bytes that cannot be decoded by �, and count them"))
    headers = TextAreaField(_("Request headers"))

    def validate_headers(self, field: TextAreaField) -> None:
        if any(line.strip() and ":" not in line for line in (field.data or "").splitlines()):
            raise ValidationError(_("Write one header a line, Name: value."))

    def reading(self) -> dict[str, Any]:
        """As params of a fetch."""
        said: dict[str, Any] = {
            "format": self.format.data,
            "encoding": self.encoding.data,
            "delimiter": _DELIMITERS.get(self.delimiter.data or ""),
            "quote": _QUOTES.get(self.quote.data or ""),
            "header": {"yes": True, "no": False}.get(self.header.data or ""),
            "skip_rows": self.skip_rows.data,
            "header_row": self.header_row.data,
            "footer_rows": self.footer_rows.data,
            "sheet": self.sheet.data,
            "member": self.member.data,
            "skip_broken": self.skip_broken.data or None,
            "replace_undecodable": self.replace_undecodable.data or None,
        }
        return {name: value for name, value in said.items() if value is not None}

    def request_headers(self) -> dict[str, str]:
        pairs = (line.partition(":") for line in (self.headers.data or "").splitlines() if line.strip())
        return {name.strip(): value.strip() for name, _, value in pairs}

    def forget_secrets(self) -> bool:
        """Before the form is shown again: what is in its headers is not; whether anything was."""
        was, self.headers.data = bool(self.headers.data), ""
        self.headers.raw_data = []
        return was

    @property
    def is_used(self) -> bool:
        """Whether any option was chosen, so that they are shown."""
        options = (self.format, self.encoding, self.delimiter, self.quote, self.header, self.sheet, self.member)
        lines = (self.skip_rows, self.header_row, self.footer_rows)
        forgiven = (self.skip_broken, self.replace_undecodable)
        chosen = any(option.data or option.errors for option in (*options, *lines, *forgiven, self.headers))
        return chosen or self.skip_rows.data == 0
