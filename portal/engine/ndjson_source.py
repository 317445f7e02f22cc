"""An NDJSON file as a DuckDB relation, and what is wrong with one that DuckDB cannot read.

The whole file is looked at before types are settled: with a type from a sample DuckDB would round 1.5 to 2
in a column of whole numbers, and drop what it first meets after the sample, without a word.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from duckdb.sqltypes import DuckDBPyType

from portal.engine import database
from portal.engine.columns import children
from portal.engine.csv_dialect import MAX_COLUMNS, NAME_CHARS
from portal.engine.stop import Stop
from portal.engine.values import MISFIT, TYPES, Type, identifier, literal
from portal.errors import Fault

LONGEST_LINE = 32_000_000  # bytes; DuckDB reads in buffers of 32 MiB
_PIECE = 4 * 1024**2  # bytes copied between two looks at whether to stop
EXACT = 2**53  # from here on a double skips whole numbers
DATES = tuple(kind for kind in TYPES if kind.name.startswith(("DATE", "TIMESTAMP")))
NUMBERS = tuple(kind for kind in TYPES if kind.name in ("BIGINT", "DECIMAL(38,0)", "DOUBLE"))

_TEXTS = {"varchar", "date", "time", "timestamp", "timestamp with time zone", "uuid", "null"}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LINE = re.compile(r"in line (\d+)")
_RENAMED = re.compile(r"(.+)_\d+")


@dataclass(frozen=True)
class Field:
    """How the values of a `key` are read (`sql_type`) and what they become, in the column `name`: one of `candidates`
    if they are text, else `expression`."""

    key: str
    name: str
    sql_type: str
    candidates: tuple[Type, ...]
    expression: str


def row_bytes(lines: Path) -> int:
    """The mean length of the first ones."""
    with lines.open("rb") as file:
        head = file.read(1024 * 1024)
    return max(1, len(head) // max(1, head.count(b"\n")))


def blank_mark(path: Path) -> None:
    """Overwrite a byte order mark with spaces: DuckDB skips it in one of its two passes only."""
    with path.open("r+b") as file:
        if file.read(len(BOM_UTF8)) == BOM_UTF8:
            file.seek(0)
            file.write(b" " * len(BOM_UTF8))


def own_copy(path: Path, copy: Path, stop: Stop) -> Path:
    """The file itself, unless it has a mark that must not stay."""
    with path.open("rb") as file:
        if file.read(len(BOM_UTF8)) != BOM_UTF8:
            return path
        with copy.open("wb") as out:
            while piece := file.read(_PIECE):
                stop.check()
                out.write(piece)
    return copy


def columns_of(
    connection: duckdb.DuckDBPyConnection, files: str, stop: Stop, tick: database.Tick, *, exact: bool
) -> list[Field] | None:
    """The columns of all `files` (as SQL); None if a line is broken, or no table can hold them (keys differ in case
    alone, or repeat).

    With `exact`, numbers are read as text where a double might lose digits. Raises `Fault('too_many_columns')`.
    """
    detect = "sample_size = -1, maximum_sample_files = 1000000, dateformat = 'iso', timestampformat = 'iso'"
    try:
        database.run(connection, f"FROM {_read(files, detect)} LIMIT 0", stop, tick)
    except (duckdb.InvalidInputException, duckdb.BinderException, duckdb.NotImplementedException):
        return None
    found = [(entry[0], entry[1]) for entry in connection.description or []]
    if len(found) > MAX_COLUMNS:
        raise Fault("too_many_columns", columns=len(found), limit=MAX_COLUMNS)
    if _keys_clash(connection, files, [name for name, _ in found], stop):
        return None
    names = _names([key for key, _ in found])
    return [_column(key, name, kind, exact) for name, (key, kind) in zip(names, found, strict=True)]


def _names(keys: Sequence[str]) -> list[str]:
    """The keys, those too long for a column's name cut; unique also when case is ignored."""
    taken = {key.lower() for key in keys if len(key) <= NAME_CHARS}
    names: list[str] = []
    for key in keys:
        name, count = key[:NAME_CHARS], 1
        while len(key) > NAME_CHARS and name.lower() in taken:
            count += 1
            name = f"{key[:NAME_CHARS]}_{count}"
        taken.add(name.lower())
        names.append(name)
    return names


def relation(files: str, columns: Sequence[Field]) -> str:
    """With the columns' names where those are not the keys."""
    read = _read(files, f"columns = {{{', '.join(f'{literal(c.key)}: {literal(c.sql_type)}' for c in columns)}}}")
    if all(column.key == column.name for column in columns):
        return read
    return f"(FROM {read} SELECT {', '.join(f'{identifier(c.key)} AS {identifier(c.name)}' for c in columns)})"


def lines_relation(files: str) -> str:
    """Each line as one JSON value in the column `json`: for files whose objects no table can hold."""
    return f"read_json({files}, format = 'newline_delimited', records = false, columns = {{json: 'JSON'}})"


def unreadable(message: str) -> Fault:
    """For a file in which nothing wrong can be found, and that DuckDB cannot read all the same."""
    line = _LINE.search(message)
    return Fault("ndjson_broken_line", line=int(line[1]) if line else 0, reason="syntax")


def wrong_with(line: bytes) -> str | None:
    """Why a line is no JSON object: `syntax`, `not_object`, `too_deep`, `too_long` or `encoding`."""
    if len(line) > LONGEST_LINE:
        return "too_long"
    if not line.strip(b" \t\r\n\xef\xbb\xbf"):
        return None
    try:
        value = json.loads(line.decode("utf-8-sig"))
        if _SURROGATE.search(line):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        return "encoding"
    except ValueError:
        return "syntax"
    except RecursionError:
        return "too_deep"
    return None if isinstance(value, dict) else "not_object"


def _read(files: str, options: str) -> str:
    return (
        f"read_json({files}, format = 'newline_delimited', records = true, maximum_depth = -1, "
        f"map_inference_threshold = -1, {options})"
    )


def _column(key: str, name: str, kind: DuckDBPyType, exact: bool) -> Field:
    cell = identifier(name)
    if kind.id in _TEXTS and str(kind) != "JSON":
        return Field(key, name, "VARCHAR", DATES, cell)
    if kind.id == "hugeint" or (exact and kind.id == "double"):
        return Field(key, name, "VARCHAR", NUMBERS, cell)
    if inexact := _inexact(cell, kind):
        if exact:
            return Field(key, name, "JSON", (), cell)
        checked = f"CASE WHEN {inexact} THEN error({literal(MISFIT)}) ELSE {cell} END"
        return Field(key, name, _plain(kind), (), checked)
    return Field(key, name, _plain(kind), (), cell)


def _inexact(cell: str, kind: DuckDBPyType, depth: int = 0) -> str:
    """Whether a double in it may have lost digits, as SQL; "" where there is none."""
    if kind.id == "double":
        return f"(abs({cell}) >= {EXACT} AND {cell} = floor({cell}))"
    if kind.id == "list":
        inner = _inexact(f"x{depth}", children(kind)[0][1], depth + 1)
        return f"len(list_filter({cell}, lambda x{depth}: coalesce({inner}, false))) > 0" if inner else ""
    if kind.id == "struct":
        inside = (_inexact(f"({cell}).{identifier(name)}", child, depth) for name, child in children(kind))
        return " OR ".join(f"coalesce({part}, false)" for part in inside if part)
    return ""


def _plain(kind: DuckDBPyType) -> str:
    """A type with the texts in it kept as they are: nested dates and ids are not interpreted."""
    if kind.id == "struct":
        return "STRUCT(" + ", ".join(f"{identifier(name)} {_plain(child)}" for name, child in children(kind)) + ")"
    if kind.id == "list":
        return _plain(children(kind)[0][1]) + "[]"
    if kind.id in _TEXTS and str(kind) != "JSON":
        return "VARCHAR"
    return "DECIMAL(38,0)" if kind.id == "hugeint" else str(kind)


def _keys_clash(connection: duckdb.DuckDBPyConnection, files: str, names: Sequence[str], stop: Stop) -> bool:
    """Whether DuckDB made up names: of "a" and "A" it calls the second "A_1", a key the file does not have."""
    lower = {name.lower() for name in names}
    made_up = [name for name in names if (match := _RENAMED.fullmatch(name)) and match[1].lower() in lower]
    if not made_up:
        return False
    present = ", ".join(f"bool_or({identifier(name)} IS NOT NULL)" for name in made_up)
    columns = [Field(name, name, "JSON", (), name) for name in made_up]
    return not all(database.run(connection, f"FROM {relation(files, columns)} SELECT {present}", stop)[0])
