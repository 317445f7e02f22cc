"""What has to be known of a workbook to read a sheet: its sheets, its calendar, which formats mean dates.

Only the parts that say so are opened; themes, drawings, comments, names, links and the like never are.
"""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import XMLParser
from zipfile import ZipFile

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH

from portal.engine.stop import Stop
from portal.engine.xml_guard import PIECE, Guarded
from portal.errors import Fault

BOOK, RELATIONS, STYLES = "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml"
FORMATS = 65_536  # as many as Excel has in one workbook
NAME_CHARS = 100  # of a sheet: Excel has 31
PART_BYTES = 64 * 1024**2  # of each of these parts
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATED = (f"{{{_OFFICE}}}id", "{http://purl.oclc.org/ooxml/officeDocument/relationships}id")


@dataclass(frozen=True)
class Book:
    """`sheets` are the parts by the sheets' names, in order; `hidden` those that nobody sees. Formats are numbers."""

    sheets: dict[str, str]
    hidden: frozenset[str]
    epoch: Any
    dates: set[int] = field(default_factory=set)
    durations: set[int] = field(default_factory=set)


def opened(archive: ZipFile, stop: Stop) -> Book:
    """Raises `Fault`: `xlsx_swollen`; what a broken part raises is left to the caller."""
    targets: dict[str, str] = {}

    def relation(_: str, attributes: dict[str, str]) -> None:
        if attributes.get("Type", "").endswith("/worksheet"):
            targets[attributes["Id"]] = _path(attributes["Target"])

    _each(archive, RELATIONS, {"Relationship": relation}, stop)
    sheets: dict[str, str] = {}
    hidden: set[str] = set()
    calendar = [WINDOWS_EPOCH]

    def sheet(_: str, attributes: dict[str, str]) -> None:
        name = attributes["name"][:NAME_CHARS]
        part = next((targets[attributes[key]] for key in _RELATED if attributes.get(key) in targets), None)
        if part in archive.NameToInfo:
            sheets.setdefault(name, part)
            if attributes.get("state", "visible") != "visible":
                hidden.add(name)

    def properties(_: str, attributes: dict[str, str]) -> None:
        if attributes.get("date1904", "").strip() in ("1", "true", "on"):
            calendar[0] = MAC_EPOCH

    _each(archive, BOOK, {"sheet": sheet, "workbookPr": properties}, stop)
    return Book(sheets, frozenset(hidden), calendar[0], *_formats(archive, stop))


def _path(target: str) -> str:
    return posixpath.normpath(target[1:] if target.startswith("/") else f"xl/{target}")


def _formats(archive: ZipFile, stop: Stop) -> tuple[set[int], set[int]]:
    """Which styles of cells mean dates, and which durations."""
    own: dict[int, str] = {}
    used: list[int] = []

    def number_format(parent: str, attributes: dict[str, str]) -> None:
        if parent == "numFmts":
            own[int(attributes["numFmtId"])] = attributes.get("formatCode", "")

    def cell_format(parent: str, attributes: dict[str, str]) -> None:
        if parent == "cellXfs":
            used.append(int(attributes.get("numFmtId", 0)))
        if max(len(own), len(used)) > FORMATS:
            raise Fault("xlsx_swollen", part="styles.xml")

    if STYLES in archive.NameToInfo:
        _each(archive, STYLES, {"numFmt": number_format, "xf": cell_format}, stop)
    codes = [own[number] if number in own else BUILTIN_FORMATS.get(number, "General") for number in used]
    dates = {n for n, code in enumerate(codes) if is_date_format(code)}
    return dates, {n for n in dates if is_timedelta_format(codes[n])}


def _each(archive: ZipFile, part: str, wanted: dict[str, Callable[[str, dict[str, str]], None]], stop: Stop) -> None:
    """Call `wanted` for each element of these names, with the name of the one it stands in; nothing is held."""
    with archive.open(part) as file:
        guarded = Guarded(file, part, most=PART_BYTES)
        parser = XMLParser(target=_Listener(wanted))  # noqa: S314  # expat itself refuses entities that grow
        while piece := guarded.read(PIECE):
            stop.check()
            parser.feed(piece)
        parser.close()


class _Listener:
    def __init__(self, wanted: dict[str, Callable[[str, dict[str, str]], None]]) -> None:
        self._wanted, self._within = wanted, list[str]()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if told := self._wanted.get(name):
            told(self._within[-1] if self._within else "", attributes)
        self._within.append(name)

    def end(self, _: str) -> None:
        self._within.pop()

    def close(self) -> None: ...
