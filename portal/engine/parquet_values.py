"""How a value of any type that Parquet knows becomes one of ours, as SQL."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from duckdb.sqltypes import DuckDBPyType

from portal.engine import shown
from portal.engine.columns import children
from portal.engine.values import identifier, literal

# How a value is kept that is not as it stands in the file: bytes as text or in base64, moments that microseconds cannot
# tell, maps whose keys repeat or are no texts as lists of pairs, shapes as WKT, intervals as text.
How: TypeAlias = Literal["text", "base64", "nanoseconds", "pairs", "geometry", "interval"]
Place: TypeAlias = tuple[int, ...]  # in a nested type: at each level which child

_WHOLE = {"tinyint", "smallint", "integer", "utinyint", "usmallint", "uinteger"}
_WIDE = {"hugeint", "uhugeint", "ubigint"}
_NANOS = {"timestamp_ns": "TIMESTAMP", "timestamptz_ns": "TIMESTAMP WITH TIME ZONE"}
_AS_THEY_ARE = {
    "boolean",
    "bigint",
    "double",
    "decimal",
    "date",
    "time",
    "timestamp",
    "timestamp with time zone",
    "varchar",
}
_KEYS = _WHOLE | _WIDE | {"boolean", "bigint", "date", "varchar", "blob", "uuid", "enum"}  # are texts without ambiguity
_ONLY_JSON = {"map", "variant", "union", "array"}
# Text is what a person could have written: other control characters than these mean bytes.
_CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
# A text, or what DuckDB writes of numbers that JSON has no word for; those are put between marks, which become quotes.
_NOT_JSON = r'("(?:[^"\\]|\\.)*")|(-?(?i:nan|inf(?:inity)?))'
_MARK = "chr(1)"


class Doubt(NamedTuple):
    """Something about a place in a column that only its values tell; `sql` is true in a row where it is so.

    finer: moments that microseconds cannot tell; beyond: moments outside of what nanoseconds reach; bytes: no text;
    filled: bytes at all; keys: a map's keys repeat or are missing.
    """

    place: Place
    name: Literal["finer", "beyond", "bytes", "filled", "keys"]
    sql: str


def doubts(cell: str, kind: DuckDBPyType, place: Place = ()) -> Iterator[Doubt]:
    """What has to be asked of a column's values before it can be read."""
    name, inner = str(kind.id), f"x{len(place)}"
    match name:
        case "timestamp_ns" | "timestamptz_ns":
            yield Doubt(place, "beyond", f"isinf(CAST({cell} AS TIMESTAMP_NS))")
            yield Doubt(place, "finer", f"(NOT isinf(CAST({cell} AS TIMESTAMP_NS)) AND epoch_ns({cell}) % 1000 <> 0)")
        case "blob":
            read = f"TRY(decode({cell}))"
            yield Doubt(place, "filled", f"octet_length({cell}) > 0")
            yield Doubt(
                place,
                "bytes",
                f"({cell} IS NOT NULL AND ({read} IS NULL OR regexp_matches({read}, {literal(_CONTROLS)})))",
            )
        case "struct":
            for at, (field, child) in enumerate(children(kind)):
                yield from doubts(f"struct_extract({cell}, {literal(field)})", child, (*place, at))
        case "list":
            for doubt in doubts(inner, children(kind)[0][1], (*place, 0)):
                yield doubt._replace(sql=_any(cell, inner, doubt.sql))
        case "map":
            keys = f"map_keys({cell})"
            yield Doubt(place, "keys", f"len({keys}) <> len(list_distinct({keys}))")
            for at, (part, (_, child)) in enumerate(zip((keys, f"map_values({cell})"), children(kind), strict=True)):
                for doubt in doubts(inner, child, (*place, at)):
                    yield doubt._replace(sql=_any(part, inner, doubt.sql))


def _any(cells: str, name: str, sql: str) -> str:
    return f"coalesce(list_bool_or(list_transform({cells}, lambda {name}: {sql})), false)"


@dataclass(frozen=True)
class Values:
    """Reads a column's values; `known` are the doubts about it that came true."""

    known: frozenset[tuple[Place, str]]

    def read(self, cell: str, kind: DuckDBPyType) -> str:
        """A cell with a type that the whole portal knows: nested ones stay, with maps and variants in them are JSON."""
        if _is_only_json(kind):
            return self._json(cell, kind, ())
        return self._native(cell, kind, ())

    def hows(self, kind: DuckDBPyType, place: Place = ()) -> Iterator[How]:
        """What is not as it stands in the file."""
        match str(kind.id):
            case "blob" if (place, "filled") in self.known:
                yield "base64" if (place, "bytes") in self.known else "text"
            case "timestamp_ns" | "timestamptz_ns" if (place, "finer") in self.known:
                yield "nanoseconds"
            case "geometry":
                yield "geometry"
            case "interval":
                yield "interval"
            case "map" if not self._is_object(kind, place):
                yield "pairs"
        if kind.id in ("struct", "list", "map"):
            for at, (_, child) in enumerate(children(kind)):
                yield from self.hows(child, (*place, at))

    def _is_object(self, kind: DuckDBPyType, place: Place) -> bool:
        """Whether a map can be an object of JSON, whose names are texts and stand once."""
        return str(children(kind)[0][1].id) in _KEYS and (place, "keys") not in self.known

    def _native(self, cell: str, kind: DuckDBPyType, place: Place) -> str:
        inner = f"x{len(place)}"
        if (target := _cast_target(kind)) is not None:
            return cell if target == str(kind) else f"CAST({cell} AS {target})"
        match str(kind.id):
            case "struct":
                return f"CASE WHEN {cell} IS NOT NULL THEN {_packed(self._native, cell, kind, place)} END"
            case "list":
                return (
                    f"list_transform({cell}, lambda {inner}: {self._native(inner, children(kind)[0][1], (*place, 0))})"
                )
        return self._leaf(cell, kind, place)

    def _leaf(self, cell: str, kind: DuckDBPyType, place: Place) -> str:
        match str(kind.id):
            case "float":  # as it is written: 0.1 and not 0.10000000149
                return f"CAST(CAST({cell} AS VARCHAR) AS DOUBLE)"
            case "timestamp_ns" | "timestamptz_ns" as name:
                if (place, "finer") not in self.known:
                    return f"CAST({cell} AS {_NANOS[name]})"
                return _iso(cell, name) if place else f"CAST({cell} AS VARCHAR)"
            case "blob":
                return f"base64({cell})" if (place, "bytes") in self.known else f"decode({cell})"
        return f"CAST({cell} AS VARCHAR)"

    def _json(self, cell: str, kind: DuckDBPyType, place: Place) -> str:
        if str(kind) == "JSON":
            return cell
        inner = f"x{len(place)}"
        match str(kind.id):
            case "struct":
                return f"CASE WHEN {cell} IS NOT NULL THEN to_json({_packed(self._json, cell, kind, place)}) END"
            case "list":
                read = self._json(inner, children(kind)[0][1], (*place, 0))
                return f"to_json(list_transform({cell}, lambda {inner}: {read}))"
            case "map":
                return self._json_map(cell, kind, place)
            case "variant":
                return _mended(f"CAST({cell} AS JSON)")
            case "boolean" | "varchar" | "date" | "time" | "bigint" | "union" | "array":
                return f"to_json({cell})"
            case name if name in _WHOLE | _WIDE:
                return f"to_json({cell})"
            case "float" | "double":
                number = self._leaf(cell, kind, place) if kind.id == "float" else cell
                word = f"CASE WHEN isnan({cell}) THEN 'NaN' WHEN {cell} > 0 THEN 'Infinity' ELSE '-Infinity' END"
                return f"CASE WHEN {cell} IS NULL OR isfinite({cell}) THEN to_json({number}) ELSE to_json({word}) END"
            case name if name.startswith("timestamp"):
                return f"to_json({_iso(cell, name)})"
        # Decimals, too: what reads JSON makes doubles of its numbers.
        return f"to_json({self._leaf(cell, kind, place)})"

    def _json_map(self, cell: str, kind: DuckDBPyType, place: Place) -> str:
        (_, key), (_, value) = children(kind)
        inner = f"x{len(place)}"
        read = self._json(f"struct_extract({inner}, 'value')", value, (*place, 1))
        key_cell = f"struct_extract({inner}, 'key')"
        if not self._is_object(kind, place):
            pair = f'struct_pack("key" := {self._json(key_cell, key, (*place, 0))}, "value" := {read})'
            return f"to_json(list_transform(map_entries({cell}), lambda {inner}: {pair}))"
        text = self._leaf(key_cell, key, (*place, 0))
        return f"to_json(map_from_entries(list_transform(map_entries({cell}), lambda {inner}: row({text}, {read}))))"


def _iso(moment: str, name: str) -> str:
    """As `shown.iso` writes it, to the nanosecond."""
    if name not in _NANOS:
        return shown.iso(moment, name)
    text = f"regexp_replace(CAST({moment} AS VARCHAR), '([0-9]) ([0-9])', '\\1T\\2')"
    return f"replace({text}, '+00', 'Z')" if name == "timestamptz_ns" else text


def _packed(read: Callable[[str, DuckDBPyType, Place], str], cell: str, kind: DuckDBPyType, place: Place) -> str:
    """A struct anew, each of its fields as `read` has it."""
    fields = [
        f"{identifier(name)} := {read(_field(cell, name), child, (*place, at))}"
        for at, (name, child) in enumerate(children(kind))
    ]
    return f"struct_pack({', '.join(fields)})"


def _field(cell: str, name: str) -> str:
    return f"struct_extract({cell}, {literal(name)})"


def _is_only_json(kind: DuckDBPyType) -> bool:
    if kind.id in ("struct", "list"):
        return any(_is_only_json(child) for _, child in children(kind))
    return kind.id in _ONLY_JSON


def _cast_target(kind: DuckDBPyType) -> str | None:
    """The type that a plain cast makes of this one; None where a cast would say something else."""
    name = str(kind.id)
    if str(kind) == "JSON":
        return "JSON"
    if name in _WHOLE:
        return "BIGINT"
    if name in _WIDE:
        return "DECIMAL(38,0)"
    if name in ("timestamp_s", "timestamp_ms"):
        return "TIMESTAMP"
    if name in ("list", "struct"):
        parts = [(field, _cast_target(child)) for field, child in children(kind)]
        if any(part is None for _, part in parts):
            return None
        if all(part == str(child) for (_, part), (_, child) in zip(parts, children(kind), strict=True)):
            return str(kind)
        if name == "list":
            return f"{parts[0][1]}[]"
        return f"STRUCT({', '.join(f'{identifier(field)} {part}' for field, part in parts)})"
    return str(kind) if name in _AS_THEY_ARE else None


def _mended(json: str) -> str:
    """JSON in which numbers that are not finite are texts."""
    said = f"CAST({json} AS VARCHAR)"
    marked = f"regexp_replace({said}, {literal(_NOT_JSON)}, '\\1' || {_MARK} || '\\2' || {_MARK}, 'g')"
    mended = f"replace(replace({marked}, {_MARK} || {_MARK}, ''), {_MARK}, '\"')"
    return f"CASE WHEN regexp_matches({said}, '(?i)nan|inf') THEN CAST({mended} AS JSON) ELSE {json} END"
