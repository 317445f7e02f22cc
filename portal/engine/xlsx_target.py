"""Rows become an XLSX workbook, piece by piece; more rows than a sheet holds go on in the next."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from portal.engine import shown
from portal.engine.columns import Column
from portal.engine.stop import Stop
from portal.engine.values import identifier
from portal.engine.xlsx_formats import ROW_FORMAT
from portal.errors import Fault

BATCH = 2000
SHEET_ROWS = 1_048_576
CELL_CHARS = 32_767
EXACT = 2**53  # a cell's number is a double
_FIRST_DAY = "1900-03-01"  # before it Excel's calendar has a day that never was, or none at all
_EPOCH = 25_569  # 1970-01-01 in that calendar

_FORMATS = {"date": "yyyy-mm-dd", "timestamp": "yyyy-mm-dd hh:mm:ss.000"}


def expression(column: Column) -> str:
    """How a column is read for a sheet, as a value and a text: what a cell cannot hold exactly is text."""
    cell, kind = identifier(column.name), column.type
    if column.is_nested:
        return f"NULL, {shown.json_text(cell)}"
    if kind == "integer":
        return _either(f"{cell} BETWEEN -{EXACT} AND {EXACT}", f"CAST({cell} AS DOUBLE)", f"CAST({cell} AS VARCHAR)")
    if kind == "number":
        return _either(f"isfinite({cell})", cell, f"CAST({cell} AS VARCHAR)")
    if kind.startswith("decimal"):
        exact = f"CAST(CAST(CAST({cell} AS DOUBLE) AS VARCHAR) AS {kind.upper()}) = {cell}"
        return _either(f"abs({cell}) <= {EXACT} AND {exact}", f"CAST({cell} AS DOUBLE)", f"CAST({cell} AS VARCHAR)")
    if kind in ("date", "timestamp"):
        exact = "" if kind == "date" else f" AND {cell} = date_trunc('millisecond', {cell})"
        day = f"epoch({cell}) / 86400.0 + {_EPOCH}"
        known = f"{cell} >= '{_FIRST_DAY}' AND {cell} < '10000-01-01'{exact}"
        return _either(known, day, shown.iso(cell, kind))
    if kind == "timestamp with time zone":  # cells have no zone
        return f"NULL, {shown.iso(cell, kind)}"
    if kind == "boolean":
        return f"{cell}, NULL"
    if kind == "text":
        return f"NULL, {cell}"
    if kind == "blob":
        return f"NULL, base64({cell})"
    return f"NULL, CAST({cell} AS VARCHAR)"


def _either(fits: str, value: str, text: str) -> str:
    return f"CASE WHEN {fits} THEN {value} END, CASE WHEN NOT ({fits}) THEN {text} END"


class _Exact(Worksheet):  # type: ignore[misc]  # the library has no types
    """Writes numbers with all their digits; the library itself rounds to 16, and a double may have 17."""

    def _xml_number_element(self, number: float, attributes: Sequence[tuple[str, Any]] = ()) -> None:
        said = "".join(f' {name}="{self._escape_attributes(value)}"' for name, value in attributes or ())
        self.fh.write(f"<c{said}><v>{number!r}</v></c>")


def write(
    batches: Iterable[Sequence[tuple[Any, ...]]],
    columns: Sequence[Column],
    target: Path,
    folder: Path,
    *,
    stop: Stop,
    report: Callable[[int], object],
    sheet_rows: int = SHEET_ROWS,
) -> int:
    """Rows as `expression` reads them: for each column a value of the cell's kind, else a text. Answers how many.

    Raises `Stopped`, `Fault('xlsx_cell_too_long')` with the column and the row.
    """
    options = {
        "constant_memory": True,
        "tmpdir": str(folder),
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "use_zip64": True,
    }
    book = xlsxwriter.Workbook(str(target), options)
    formats = {kind: book.add_format({"num_format": pattern}) for kind, pattern in _FORMATS.items()}
    bold, row_mark = book.add_format({"bold": True}), book.add_format({"num_format": ROW_FORMAT})
    styles = [formats.get(column.type) for column in columns]
    rows, line = 0, 1
    sheet = _sheet(book, columns, bold)
    try:
        for batch in batches:
            stop.check()
            for row in batch:
                if line == sheet_rows:
                    sheet, line = _sheet(book, columns, bold), 1
                if all(cell is None for cell in row):  # a row of nothing is none, to whoever reads it
                    sheet.write_blank(line, 0, None, row_mark)
                for position, style in enumerate(styles):
                    value, text = row[2 * position], row[2 * position + 1]
                    if value is True or value is False:
                        sheet.write_boolean(line, position, value)
                    elif value is not None:
                        sheet.write_number(line, position, value, style)
                    elif text is not None:
                        if len(text) > CELL_CHARS:
                            raise Fault("xlsx_cell_too_long", column=columns[position].name[:100], row=rows + 1)
                        sheet.write_string(line, position, text)
                line += 1
                rows += 1
            report(rows)
        book.close()
        stop.check()
    except BaseException:
        _forget(book)
        raise
    return rows


def _sheet(book: xlsxwriter.Workbook, columns: Sequence[Column], bold: Any) -> Worksheet:
    sheet = book.add_worksheet(worksheet_class=_Exact)
    sheet.freeze_panes(1, 0)
    for position, column in enumerate(columns):
        sheet.write_string(0, position, column.name, bold)
    return sheet


def _forget(book: xlsxwriter.Workbook) -> None:
    """Close what it has open, without making the file."""
    for sheet in book.worksheets():
        if sheet.row_data_fh and not sheet.row_data_fh.closed:
            sheet.row_data_fh.close()
    book.fileclosed = 1
