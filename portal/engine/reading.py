"""How a file is read: what the user says of it, and what was found."""

from dataclasses import dataclass

from portal.engine.charsets import CODECS, UTF8

FORMATS = ("csv", "tsv", "json", "ndjson", "parquet", "xlsx")
ENCODINGS = (UTF8, "utf-16", *CODECS)
MOST_SKIPPED = 10_000  # lines above the data
MOST_FOOTER = 1_000  # lines below it


@dataclass(frozen=True)
class Reading:
    """What is None is found out by the content. `quote` may be "" (none); `member` is a file in a zip archive,
    `sheet` one of a workbook; with `skip_broken` rows that cannot be read are left out and counted, with
    `replace_undecodable` bytes that stand for nothing become U+FFFD and are counted. `language` is the reader's.

    Of the lines of CSV or TSV the first `skip_rows` are left out, whatever they hold (0: none), the names
    stand in `header_row` (the first is 1) and what is above it is left out, and so are the last `footer_rows`.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    header: bool | None = None
    member: str | None = None
    sheet: str | None = None
    skip_broken: bool = False
    replace_undecodable: bool = False
    skip_rows: int | None = None
    header_row: int | None = None
    footer_rows: int = 0
    language: str = "en"

    @property
    def forgives(self) -> bool:
        """Whether some of a file may be in no encoding."""
        return self.skip_broken or self.replace_undecodable
