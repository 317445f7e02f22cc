"""How a file is read: what the user says of it, and what was found."""

from dataclasses import dataclass

FORMATS = ("csv", "tsv", "json", "ndjson", "parquet", "xlsx")
ENCODINGS = ("utf-8", "utf-16", "gb18030", "big5", "windows-1252")


@dataclass(frozen=True)
class Reading:
    """What is None is found out by the content. `quote` may be "" (none); `member` is a file in a zip archive,
    `sheet` one of a workbook; with `skip_broken` rows that cannot be read are left out and counted."""

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    header: bool | None = None
    member: str | None = None
    sheet: str | None = None
    skip_broken: bool = False
