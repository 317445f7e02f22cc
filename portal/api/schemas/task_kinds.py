"""What each kind of task takes and gives, for the description: `services.params` decides, in words that name the field.

A task is read from where it was kept, perhaps by an older release, so nothing here is held against an answer.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from portal import limits
from portal.api.schemas import Answer, Body
from portal.api.schemas.tasks import Countdown, TaskFields
from portal.engine.query import CONDITIONS_MAX, LIST_MAX, TEXT_MAX
from portal.engine.reading import ENCODINGS, MOST_FOOTER, MOST_SKIPPED

DataFormat = Literal["csv", "tsv", "json", "ndjson", "parquet", "xlsx"]
Left = SkipJsonSchema[None]  # it may be left out, and is not described as null
Name = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=500)]
Value = Annotated[str, Field(max_length=TEXT_MAX)] | bool | float


class Comparison(Body):
    """`contains` and `starts_with` ignore case; `ne` holds for empty cells, too.

    `value` is a number, true or false for columns that hold such; dates and moments are texts in ISO 8601.
    """

    column: str
    op: Literal["eq", "ne", "lt", "le", "gt", "ge", "contains", "starts_with"]
    value: Value


class OneOf(Body):
    """The cell holds one of the values."""

    column: str
    op: Literal["in"]
    value: Annotated[list[Value], Field(min_length=1, max_length=LIST_MAX)]


class Emptiness(Body):
    """The cell is empty, or is not."""

    column: str
    op: Literal["is_null", "not_null"]
    value: Annotated[Any, Field(description="Not looked at")] = None


Condition = Annotated[Comparison | OneOf | Emptiness, Field(discriminator="op")]
Conditions = Annotated[list[Condition], Field(max_length=CONDITIONS_MAX, description="All of them must hold")]


class FetchParams(Body):
    """Either `url` or `upload`.

    All else is found out where it is not said; what a file has no use for is not looked at.
    """

    url: Annotated[str, Field(description="http or https")] = ""
    upload: Annotated[UUID | Left, Field(description="A file that was sent before, in place of `url`")] = None
    name: Annotated[Name, Field(description="Of the dataset; else the file's")] = ""
    headers: Annotated[
        dict[str, str],
        Field(
            max_length=limits.REQUEST_HEADERS_MAX,
            description="Sent with the request, such as a token for the source; kept encrypted, never answered",
        ),
    ] = {}
    format: Annotated[DataFormat | Left, Field(description="Else found out by the content")] = None
    encoding: Annotated[str | Left, Field(json_schema_extra={"enum": [*ENCODINGS]})] = None
    delimiter: Annotated[str | Left, Field(description="One character, of CSV and TSV")] = None
    quote: Annotated[Literal["", '"', "'"] | Left, Field(description='Of CSV and TSV; "" is none at all')] = None
    header: Annotated[bool | Left, Field(description="Whether the first row of CSV or TSV holds names")] = None
    skip_rows: Annotated[
        Annotated[int, Field(ge=0, le=MOST_SKIPPED)] | Left,
        Field(description="Leave out so many lines at the top of CSV or TSV; 0: none"),
    ] = None
    header_row: Annotated[
        Annotated[int, Field(ge=1, le=MOST_SKIPPED)] | Left,
        Field(description="The line with the names, from 1; those above it are left out"),
    ] = None
    footer_rows: Annotated[int, Field(ge=0, le=MOST_FOOTER, description="Leave out so many lines at the end")] = 0
    member: Annotated[Text, Field(description="The file to take of a zip archive")] = ""
    sheet: Annotated[Text, Field(description="The sheet to take of a workbook")] = ""
    skip_broken: Annotated[bool, Field(description="Leave out rows that cannot be read, and count them")] = False
    replace_undecodable: Annotated[
        bool, Field(description="Make bytes that are no text in the encoding U+FFFD, and count them")
    ] = False


class ExportParams(Body):
    """In JSON and NDJSON decimals of more than 15 digits are strings, numbers that are not finite null; in XLSX what no
    cell can hold exactly is text.
    """

    dataset: UUID
    format: DataFormat
    name: Annotated[Name, Field(description="Of the file, without its ending; else the dataset's")] = ""
    columns: Annotated[list[str], Field(description="Which, in this order; none: all")] = []
    where: Conditions = []
    encoding: Literal["utf-8", "utf-8-bom", "gb18030"] = "utf-8"
    packing: Annotated[Literal["gzip", "zstd"] | Left, Field(description="Of text formats")] = None


class HealthCheckParams(Body):
    """It takes none."""


class FetchTaskBody(Body):
    """Turn an address, or a file that was sent, into a dataset."""

    kind: Literal["fetch"]
    params: FetchParams
    countdown: Countdown = 0


class ExportTaskBody(Body):
    """Turn a dataset, or some of its rows and columns, into a file."""

    kind: Literal["export"]
    params: ExportParams
    countdown: Countdown = 0


class HealthCheckTaskBody(Body):
    """Try whether a task goes all the way."""

    kind: Literal["health_check"]
    params: HealthCheckParams = HealthCheckParams()
    countdown: Countdown = 0


class Given(Answer):
    """What was sent, in its normal form; what was left open is missing, and a later release may say more."""

    model_config = ConfigDict(extra="allow", json_schema_serialization_defaults_required=False)


class GivenFetch(Given):
    """`headers` are the names of those that were sent."""

    url: str = ""
    upload: UUID | Left = None
    name: str = ""
    headers: list[str] = []
    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    quote: str = ""
    header: bool | Left = None
    skip_rows: int | Left = None
    header_row: int | Left = None
    footer_rows: int = 0
    member: str = ""
    sheet: str = ""
    skip_broken: bool = False
    replace_undecodable: bool = False


class GivenExport(Given):
    dataset: UUID
    format: DataFormat
    name: str = ""
    columns: list[str] = []
    where: list[Condition] = []
    encoding: str = ""
    packing: str = ""


class GivenHealthCheck(Given):
    """Nothing."""


class FetchResult(Given):
    """`rows` and `columns` are the dataset's, `bytes` and `sha256` those of the source as it came."""

    dataset: UUID
    rows: int
    columns: int
    bytes: int
    sha256: str
    skipped: Annotated[int, Field(description="Rows that could not be read and were left out, as was asked for")] = 0
    first_skipped: Annotated[dict[str, Any] | Left, Field(description="Where the first is, and why")] = None


class ExportResult(Given):
    """`bytes` and `sha256` are the file's; `name` is the dataset's, as it was called."""

    dataset: UUID
    name: str
    rows: int
    bytes: int
    sha256: str
    filename: str


class HealthCheckResult(Given):
    """Who did it, and milliseconds that parts took to answer; null for one that is away."""

    worker: str
    database_ms: float | None
    redis_ms: float | None
    store_ms: float | None


class FetchTask(TaskFields):
    """`result` is there once it is completed."""

    kind: Literal["fetch"]
    params: GivenFetch
    result: FetchResult | None


class ExportTask(TaskFields):
    """`result` is there once it is completed; the file is at `/tasks/{uuid}/download`."""

    kind: Literal["export"]
    params: GivenExport
    result: ExportResult | None


class HealthCheckTask(TaskFields):
    kind: Literal["health_check"]
    params: GivenHealthCheck
    result: HealthCheckResult | None
