"""The rows of a sheet, one after another, as what its cells hold; XML is read by expat, as it comes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from xml.parsers import expat

from portal.engine import xlsx_serials
from portal.engine.pace import Pace
from portal.engine.stop import Stop
from portal.engine.xlsx_formats import Format
from portal.engine.xlsx_serials import Kind
from portal.engine.xlsx_target import EXACT, SHEET_ROWS
from portal.engine.xml_guard import PIECE, Guarded
from portal.errors import Fault

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

SHEET_COLUMNS = 16_384
_REFERENCE = re.compile(r"\$?([A-Za-z]{1,7})\$?\d*")
_WHOLE = re.compile(r"[-+]?\d{1,400}")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_SHARED, _PLAIN, _ERROR, _BOOLEAN, _ISO = "s", ("str", "inlineStr"), "e", "b", "d"

Cell = tuple[Kind, Any]


class Texts(Protocol):
    """Those that cells share, by their numbers."""

    def __getitem__(self, number: int) -> str: ...


@dataclass
class Row:
    """`number` is its place in the sheet, from 1; cells by their places in it, from 0. A row is_meant that says so
    itself, though it may be empty."""

    number: int
    cells: dict[int, Cell] = field(default_factory=dict)
    is_meant: bool = False


@dataclass
class Seen:
    """What there was in a sheet besides values: cells with an error, with a formula that was never worked out, with a
    day that never was, and rows without any value between others."""

    errors: int = 0
    uncalculated: int = 0
    no_days: int = 0
    empty_rows: int = 0


class Cells:
    """Rows of a sheet's part that hold something; `seen` is what else there was, once they are read."""

    def __init__(self, part: Guarded, name: str, texts: Texts, formats: Sequence[Format], *, is_1904: bool) -> None:
        self.seen = Seen()
        self._part, self._name, self._texts, self._formats, self._is_1904 = part, name, texts, formats, is_1904
        self._rows: list[Row] = []
        self._row, self._count, self._place, self._width = Row(0), 0, -1, 0
        self._type, self._style, self._formula = "", "", False
        self._is_text = False  # though it may be an empty one
        self._text: list[str] | None = None  # where characters go
        self._parts: list[str] = []
        self._phonetic, self._root = 0, ""
        self._columns: dict[str, int] = {}

    def rows(self, pace: Pace, stop: Stop) -> Iterator[Row]:
        """In the order of the file.

        Raises `ExpatError`, or `Fault`: `xlsx_corrupt`, `xlsx_swollen`, `too_many_columns`.
        """
        parser = self._parser()
        last = 0
        while piece := self._part.read(PIECE):
            stop.check()
            parser.Parse(piece)
            pace.check(self._name)
            for row in self._rows:
                pace.found += 1 + len(row.cells)
                self.seen.empty_rows += max(0, row.number - last - 1) if last else 0
                last = row.number
                yield row
            self._rows.clear()
        parser.Parse(b"", True)

    def _parser(self) -> "XMLParserType":
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        return parser

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        match tag if ":" not in tag else tag.rpartition(":")[2]:
            case "c":
                self._place = self._place_of(attributes["r"]) if "r" in attributes else self._place + 1
                self._type, self._style = attributes.get("t", ""), attributes.get("s", "")
                self._formula, self._is_text, self._parts = False, False, []
            case "v" if not self._is_text:
                self._text = self._parts = []
            case "t" if not self._phonetic:
                if not self._is_text:  # some write the text as a value, too
                    self._parts, self._is_text = [], True
                self._text = self._parts
            case "f":
                self._formula = True
            case "rPh":
                self._phonetic += 1
            case "row":
                number = int(attributes["r"]) if "r" in attributes else self._row.number + 1
                self._row, self._place = Row(number), -1
                self._count += 1
                if max(number, self._count) > SHEET_ROWS:
                    raise Fault("xlsx_corrupt")
            case "worksheet" | "dialogsheet" | "macrosheet":
                self._root = tag
            case _ if not self._root:
                raise Fault("xlsx_corrupt")

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        match tag if ":" not in tag else tag.rpartition(":")[2]:
            case "v" | "t":
                self._text = None
            case "c" if self._parts or self._style or self._formula or self._is_text:
                self._take("".join(self._parts))
            case "rPh":
                self._phonetic -= 1
            case "row" if self._width > SHEET_COLUMNS:
                raise Fault("too_many_columns", columns=self._width, limit=SHEET_COLUMNS)
            case "row" if self._row.cells or self._row.is_meant:
                self._rows.append(self._row)
                self._row = Row(self._row.number)

    def _place_of(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        if (place := self._columns.get(letters)) is None:
            if not (found := _REFERENCE.fullmatch(reference)):
                raise Fault("xlsx_corrupt")
            place = 0
            for letter in found[1].upper():
                place = 26 * place + ord(letter) - 64
            place -= 1
            self._columns[letters] = place
        return place

    def _take(self, text: str) -> None:
        cell = self._cell(text)
        if cell is not None:
            self._width = max(self._width, self._place + 1)
            if self._place < SHEET_COLUMNS:
                self._row.cells[self._place] = cell
        elif self._has_something(text) or self._format() == Format.ROW:
            self._row.is_meant = True

    def _has_something(self, text: str) -> bool:
        """Whether there is something in a cell that has no value: an error, a formula, a day that never was."""
        return self._type not in (_SHARED, *_PLAIN) and (self._formula or bool(text.strip()))

    def _cell(self, text: str) -> Cell | None:
        kind = self._type
        if kind == _SHARED:
            return (Kind.TEXT, self._texts[int(text)]) if text.strip() else None
        if kind in _PLAIN:
            return (Kind.TEXT, unescaped(text)) if text or self._is_text else None
        if not text.strip():
            self.seen.uncalculated += self._formula
            return None
        if kind == _ERROR:
            self.seen.errors += 1
            return None
        text = text.strip()
        if kind == _BOOLEAN:
            return Kind.BOOLEAN, text in ("1", "true")
        if kind == _ISO:
            return xlsx_serials.from_iso(text, self._format())
        return self._number(text)

    def _number(self, text: str) -> Cell | None:
        number: float
        if _WHOLE.fullmatch(text):
            number = int(text)
        elif _NUMBER.fullmatch(text) and abs(float(text)) != float("inf"):
            number = float(text)
            if number.is_integer() and abs(number) < EXACT:
                number = int(number)
        else:
            return Kind.TEXT, unescaped(text)
        format_ = self._format()
        if format_ not in (Format.NUMBER, Format.ROW):
            dated = xlsx_serials.written(number, format_, is_1904=self._is_1904) if abs(number) < EXACT else None
            if dated is not None:
                self.seen.no_days += not dated[0]
                return dated if dated[0] else None
        if isinstance(number, float):
            return Kind.FRACTION, number
        return (Kind.WHOLE, number) if abs(number) <= EXACT else (Kind.LARGE, str(number))

    def _format(self) -> Format:
        style = int(self._style) if self._style.isdecimal() else 0
        return self._formats[style] if style < len(self._formats) else Format.NUMBER


def unescaped(text: str) -> str:
    """What XML cannot hold is written as `_x001F_`."""
    if "_x" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
