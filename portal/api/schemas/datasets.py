"""Datasets, and the files they are made of."""

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from flask import request
from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, BeforeValidator, Field

from portal import limits
from portal.api.schemas import Answer, Body
from portal.engine import secret_parts
from portal.errors import Invalid

_WHERE = (
    'conditions that all must hold, as JSON: [{"column": "year", "op": "ge", "value": 2020}]; those of an '
    "export's where"
)
_SORT = "a column to sort by, with - before it for falling order; may be repeated"


def _every_sort(_: object) -> list[str]:
    return list(filter(None, request.args.getlist("sort")))  # APIFlask hands on but the first one of a name


class ColumnAnswer(Answer):
    name: str
    type: str


class DatasetAnswer(Answer):
    """`bytes` and `sha256` are of the source as it was fetched; an upload has a `source_name` and no `source_url`.

    `found` says how the file was read. Where its encoding was guessed (`encoding_guessed`), `encodings` are all that
    fit, likeliest first; fetch again with another one if it is wrong. `named` is the ending of a name that promised
    another format, `replaced` counts bytes that could not be decoded. `converted` tells which columns of a Parquet
    file are kept otherwise: `text` (bytes that are UTF-8), `base64`, `nanoseconds` (as text), `pairs` (maps, as lists),
    `geometry` (WKT), `interval` (as text). `skipped` rows could not be read and were left out, as was asked for.
    """

    uuid: UUID
    name: str
    description: str
    source_url: Annotated[str, AfterValidator(secret_parts.shown)]  # those of 0.1 are whole
    source_name: str
    rows: int
    bytes: Annotated[int, Field(validation_alias=AliasChoices("bytes", "source_bytes"))]
    sha256: Annotated[str, Field(validation_alias=AliasChoices("sha256", "source_sha256"))]
    stored_bytes: int
    found: dict[str, Any]
    skipped: int
    first_skipped: dict[str, Any] | None
    columns: list[ColumnAnswer]
    created_at: datetime
    keep_until: datetime


class DatasetsAnswer(Answer):
    items: list[DatasetAnswer]
    next_cursor: int | None


class DatasetBody(Body):
    """What is sent is changed."""

    name: Annotated[str, Field(max_length=200)] | None = None
    description: Annotated[str, Field(max_length=limits.DESCRIPTION_MAX)] | None = None


class AgainQuery(BaseModel):
    encoding: Annotated[str | None, Field(description="in which the text is read this time")] = None


class RowsQuery(BaseModel):
    offset: Annotated[int, Field(ge=0, le=2**62)] = 0
    limit: Annotated[int, Field(ge=1, le=limits.ROWS_MAX)] = limits.PREVIEW_ROWS
    sort: Annotated[list[str], BeforeValidator(_every_sort), Field(max_length=3, description=_SORT)] = []
    where: Annotated[str, Field(max_length=20_000, description=_WHERE)] = ""

    def conditions(self) -> Any:
        """As they were written; raises `Invalid`."""
        try:
            return json.loads(self.where) if self.where else []
        except (ValueError, RecursionError):
            raise Invalid("condition_invalid", field="where", column=None) from None


class RowsAnswer(Answer):
    """Rows, each a list in the order of `columns`. In the file's order unless sorted, empty cells last.

    Dates and times are ISO 8601. Strings, too, are decimals, whole numbers of more than 64 bits, bytes (base64), and
    numbers that are not finite: NaN, Infinity, -Infinity. Whole numbers above 2^53 are JSON numbers all the same: read
    them with a parser that keeps their digits. `matching` rows fit the conditions, of `rows` in all.

    An answer has a bound. Texts of more than 20,000 characters (of wide or large rows fewer) are cut and end in "…",
    bytes are cut, nested values that long are a cut text; `truncated_columns` are the columns with such values. Of rows
    too large for one answer the last are left out. Either way it is `truncated`. Go on at `next_offset`, which is null
    at the end; all of a value is in an export.
    """

    columns: list[ColumnAnswer]
    items: list[list[Any]]
    offset: int
    next_offset: int | None
    truncated: bool
    truncated_columns: list[str]
    matching: int
    rows: int


class ProfileQuery(BaseModel):
    offset: Annotated[int, Field(ge=0, le=2**31, description="columns before the first one answered")] = 0


class ProfileAnswer(Answer):
    """What is in each column; null for datasets made before profiles were.

    An answer has a bound: it holds at least one column, and of wide tables not all. Go on at `next_offset`, which is
    null at the end.

    Of a `histogram` each bin holds its upper edge, and the first one its lower edge, too. `top` are [value, rows].
    """

    columns: list[dict[str, Any]] | None
    next_offset: int | None


class UploadQuery(BaseModel):
    name: Annotated[str, Field(max_length=200, description="what the file is called")] = ""


class UploadAnswer(Answer):
    """Submit a fetch with `{"upload": uuid}` to read it. It is kept for a day."""

    uuid: UUID
    name: str
    bytes: int
    sha256: str
    created_at: datetime


class QuotaAnswer(Answer):
    """Tasks and bytes now, and how many may be; `bytes_fetched` are those of the last 24 hours."""

    tasks_running: Annotated[int, Field(validation_alias=AliasPath("tasks", "running"))]
    tasks_running_limit: Annotated[int, Field(validation_alias=AliasPath("tasks", "running_limit"))]
    tasks_waiting: Annotated[int, Field(validation_alias=AliasPath("tasks", "waiting"))]
    tasks_waiting_limit: Annotated[int, Field(validation_alias=AliasPath("tasks", "waiting_limit"))]
    bytes_kept: Annotated[int, Field(validation_alias=AliasPath("bytes", "kept"))]
    bytes_kept_limit: Annotated[int, Field(validation_alias=AliasPath("bytes", "kept_limit"))]
    bytes_fetched: Annotated[int, Field(validation_alias=AliasPath("bytes", "fetched"))]
    bytes_fetched_limit: Annotated[int, Field(validation_alias=AliasPath("bytes", "fetched_limit"))]
