"""What has to be known of a workbook to read a sheet: its sheets, its calendar, which formats mean dates.

Only the parts that say so are opened; themes, drawings, comments, names, links and the like never are. Parts are found
by relationships, or else by their content types, or else where they usually are.
"""

import posixpath
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree.ElementTree import ParseError, XMLParser
from zipfile import BadZipFile, ZipFile, ZipInfo

from portal.engine.stop import Stop
from portal.engine.xlsx_formats import BUILT_IN, Format, format_of
from portal.engine.xml_guard import PIECE, Guarded
from portal.errors import Fault

FORMATS = 65_536  # as many as Excel has in one workbook
NAME_CHARS = 100  # of a sheet: Excel has 31
PART_BYTES = 64 * 1024**2  # of each of these parts
SHEETS_TOLD = 50
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATED = (f"{{{_OFFICE}}}id", "{http://purl.oclc.org/ooxml/officeDocument/relationships}id")
_BROKEN = (ParseError, LookupError, ValueError, BadZipFile, zlib.error, EOFError, NotImplementedError)

_Wanted = dict[str, Callable[[str, dict[str, str]], None]]


@dataclass(frozen=True)
class Book:
    """`sheets` are the parts by the sheets' names, in order, None where one is missing; `hidden` those that nobody
    sees. Cells name their format by its place in `formats`; `has_styles` unless those are damaged."""

    sheets: dict[str, ZipInfo | None]
    hidden: frozenset[str]
    strings: ZipInfo | None
    formats: list[Format]
    is_1904: bool
    has_styles: bool

    def visible(self) -> list[str]:
        """The names of those to look at, or of the hidden ones where there are no others; of several that are one
        part, the first."""
        return self._once([name for name in self.sheets if name not in self.hidden] or list(self.sheets))

    def covert(self) -> list[str]:
        """The names of the hidden ones, where others are visible."""
        return (
            self._once([name for name in self.sheets if name in self.hidden]) if self.hidden != set(self.sheets) else []
        )

    def _once(self, names: list[str]) -> list[str]:
        parts: set[str] = set()
        once = []
        for name in names:
            info = self.sheets[name]
            if info is None or info.filename not in parts:
                once.append(name)
            if info is not None:
                parts.add(info.filename)
        return once


def opened(archive: ZipFile, stop: Stop) -> Book:
    """Raises `Fault`: `xlsx_swollen`, `xlsx_corrupt`; what a broken part raises is left to the caller."""
    return _Opened(archive, stop).book()


def normal(name: str) -> str:
    """The name of a part as all spell it: forward slashes, none in front, lower case."""
    return posixpath.normpath(unquote(name.replace("\\", "/")).lstrip("/")).lower()


class _Opened:
    def __init__(self, archive: ZipFile, stop: Stop) -> None:
        self._archive, self._stop = archive, stop
        self._infos = {normal(info.filename): info for info in archive.infolist()}

    def book(self) -> Book:
        types = self._types()
        package = self._relations("")
        main = self._one(package, "officedocument") or types.get("main") or "xl/workbook.xml"
        if main not in self._infos:
            raise Fault("xlsx_corrupt")
        related = self._relations(main)
        worksheets = {name: target for name, (kind, target) in related.items() if kind == "worksheet"}
        others = {name for name, (kind, _) in related.items() if kind != "worksheet"}
        sheets: dict[str, ZipInfo | None] = {}
        hidden: set[str] = set()
        is_1904 = False

        def sheet(_: str, attributes: dict[str, str]) -> None:
            name = attributes.get("name", "")[:NAME_CHARS]
            key = next((attributes[key] for key in _RELATED if key in attributes), None)
            if key in others:  # a chart, or macros
                return
            sheets.setdefault(name, self._infos.get(worksheets.get(key or "", "")))
            if attributes.get("state", "visible") != "visible":
                hidden.add(name)

        def properties(_: str, attributes: dict[str, str]) -> None:
            nonlocal is_1904
            is_1904 = is_1904 or attributes.get("date1904", "").strip().lower() in ("1", "true", "on")

        self._each(main, {"sheet": sheet, "workbookPr": properties})
        if not worksheets and len(sheets) == 1 and (only := self._infos.get(types.get("worksheet", ""))):
            sheets = dict.fromkeys(sheets, only)
        home = posixpath.dirname(main)
        strings = self._one(related, "sharedstrings") or types.get("sharedstrings") or f"{home}/sharedstrings.xml"
        styles = self._one(related, "styles") or types.get("styles") or f"{home}/styles.xml"
        formats, has_styles = self._formats(styles)
        return Book(sheets, frozenset(hidden), self._infos.get(normal(strings)), formats, is_1904, has_styles)

    def _types(self) -> dict[str, str]:
        """A part of each content type that is asked for; nothing where that list is missing or damaged."""
        parts: dict[str, str] = {}

        def override(_: str, attributes: dict[str, str]) -> None:
            kind = attributes.get("ContentType", "").lower().removesuffix("+xml").rpartition(".")[2]
            parts.setdefault(kind, normal(attributes.get("PartName", "")))

        self._perhaps("[content_types].xml", {"Override": override})
        return parts

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """What a part is related to, by its ids: the kind and the name of each; of a package that of no name."""
        folder, name = posixpath.split(part)
        related: dict[str, tuple[str, str]] = {}

        def relation(_: str, attributes: dict[str, str]) -> None:
            kind, target = attributes.get("Type", "").lower().rpartition("/")[2], attributes.get("Target", "")
            if attributes.get("TargetMode", "").lower() != "external":
                target = target.replace("\\", "/")
                path = target if target.startswith("/") else f"{folder}/{target}"
                related[attributes.get("Id", "")] = kind, self._nearest(path, target)

        self._perhaps(normal(f"{folder}/_rels/{name}.rels"), {"Relationship": relation})
        return related

    def _nearest(self, path: str, target: str) -> str:
        """Some write from the root without saying so, or the other way round."""
        choices = (normal(path), normal(target), normal(f"xl/{target.lstrip('/')}"))
        return next((choice for choice in choices if choice in self._infos), choices[0])

    def _one(self, related: dict[str, tuple[str, str]], wanted: str) -> str | None:
        return next((target for kind, target in related.values() if kind == wanted and target in self._infos), None)

    def _formats(self, part: str) -> tuple[list[Format], bool]:
        """What the formats of cells mean, and whether that could be read to its end."""
        own: dict[int, str] = {}
        used: list[int] = []

        def number_format(parent: str, attributes: dict[str, str]) -> None:
            if parent == "numFmts" and (number := attributes.get("numFmtId", "")).isdecimal():
                own[int(number)] = attributes.get("formatCode", "")
            self._few(own)

        def cell_format(parent: str, attributes: dict[str, str]) -> None:
            if parent == "cellXfs":
                number = attributes.get("numFmtId", "0")
                used.append(int(number) if number.isdecimal() else 0)
            self._few(used)

        whole = self._perhaps(normal(part), {"numFmt": number_format, "xf": cell_format})
        codes = {number: format_of(code) for number, code in own.items()}
        return [codes.get(number, BUILT_IN.get(number, Format.NUMBER)) for number in used], whole

    def _few(self, formats: dict[int, str] | list[int]) -> None:
        if len(formats) > FORMATS:
            raise Fault("xlsx_swollen", part="styles.xml")

    def _perhaps(self, part: str, wanted: _Wanted) -> bool:
        """Whether a part that can be done without is sound, or is not there at all; what stands before a damage is
        taken."""
        try:
            if part in self._infos:
                self._each(part, wanted)
        except _BROKEN:
            return False
        return True

    def _each(self, part: str, wanted: _Wanted) -> None:
        """Call `wanted` for each element of these names, with the name of the one it stands in; nothing is held."""
        with self._archive.open(self._infos[part]) as file:
            guarded = Guarded(file, part, most=PART_BYTES)
            parser = XMLParser(target=_Listener(wanted))  # noqa: S314  # expat itself refuses entities that grow
            while piece := guarded.read(PIECE):
                self._stop.check()
                parser.feed(piece)
            parser.close()


class _Listener:
    def __init__(self, wanted: _Wanted) -> None:
        self._wanted, self._within = wanted, list[str]()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if told := self._wanted.get(name):
            told(self._within[-1] if self._within else "", attributes)
        self._within.append(name)

    def end(self, _: str) -> None:
        self._within.pop()

    def close(self) -> None: ...
