"""Which type the text in a column has. A type is taken only if nothing a value says is lost by it: leading zeros,
a plus sign, more digits than a number holds, ambiguous dates and the like keep a column text."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_DAY = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}"
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
_WHOLE = r"(?:0|[1-9][0-9]{0,14})"  # 15 digits are exact in a double
# What a double writes of itself near its greatest value.
_HUGE = r"-?(?:[1-9](?:\.[0-9]+)?[eE]\+?(?:29[0-9]|30[0-7])|1(?:\.(?:[0-6][0-9]*|7976931348623157))?[eE]\+?308)"
_EXPONENT = r"[eE](?:-(?:[0-9]{1,2}|[12][0-9]{2}|3[01][0-9]|32[0-4])|\+?[0-9]{1,2}|\+?[12][0-8][0-9])"


@dataclass(frozen=True)
class Type:
    """`name` is DuckDB's; `pattern` is what the whole text must look like (syntax common to RE2 and Python)."""

    name: str
    pattern: str


# In the order they are preferred.
TYPES = (
    Type("BOOLEAN", r"[tT]rue|[fF]alse|TRUE|FALSE"),
    Type("BIGINT", r"0|-?[1-9][0-9]{0,18}"),
    # Parquet has no HUGEINT: DuckDB would write a double and lose digits without a word.
    Type("DECIMAL(38,0)", r"0|-?[1-9][0-9]{0,37}"),
    Type(
        "DOUBLE",
        rf"-?{_WHOLE}|-?{_WHOLE}(?:{_EXPONENT})|-?{_WHOLE}?\.[0-9]+(?:{_EXPONENT})?|{_HUGE}|-?{_WHOLE}\.|[nN]a[nN]|-?[iI]nf",
    ),
    Type("DATE", _DAY),
    Type("TIMESTAMP", rf"(?:{_DAY})[T ]{_CLOCK}"),
    Type("TIMESTAMP WITH TIME ZONE", rf"(?:{_DAY})[T ]{_CLOCK} ?(?:Z|[-+](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)"),
)
_WHOLE_NUMBERS = TYPES[1:3]
TEXT = Type("VARCHAR", "(?s:.*)")
EMPTY = Type("VARCHAR", "")  # nothing seen yet: whatever comes later does not fit
MISFIT = "value does not fit its column"


def kind_of(cell: str) -> str | None:
    """The first type a single cell looks like, None for text and for an empty cell."""
    return next((kind.name for kind in TYPES if re.fullmatch(f" *(?:{kind.pattern}) *", cell)), None)


def narrowed(cells: Iterable[str]) -> tuple[Type, ...]:
    """The types that fit all of the cells; all types if the cells are blank."""
    left: tuple[Type, ...] = TYPES
    for cell in cells:
        if cell.strip():
            left = tuple(kind for kind in left if re.fullmatch(f" *(?:{kind.pattern}) *", cell))
        if not left:
            break
    return left


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def detection(columns: Sequence[str], candidates: Sequence[Sequence[Type]]) -> str:
    """Select list: for each column whether it holds anything, then whether each candidate fits all of it."""
    parts = []
    for name, kinds in zip(columns, candidates, strict=True):
        cell = identifier(name)
        if not kinds:  # settled, or no text at all
            parts.append("bool_or(false)")
            continue
        parts.append(f"coalesce(bool_or(trim({cell}) <> ''), false)")
        for kind in kinds:
            fits = f"{_fits(cell, kind)} AND try_cast({cell} AS {kind.name}) IS NOT NULL"
            parts.append(f"coalesce(bool_and(({fits}) OR trim({cell}) = ''), true)")
    return ", ".join(parts)


def surviving(answers: Sequence[bool], candidates: Sequence[Sequence[Type]]) -> list[list[Type]]:
    """What `detection` left of the candidates, nothing for text; a column that held no value keeps all, after EMPTY."""
    left, position = [], 0
    for kinds in candidates:
        filled, fits = answers[position], answers[position + 1 : position + 1 + len(kinds)]
        if kinds and not filled:
            left.append([EMPTY, *(kind for kind in kinds if kind != EMPTY)])
        else:
            left.append([kind for kind, fit in zip(kinds, fits, strict=True) if fit])
        position += 1 + len(kinds)
    return left


def chosen(candidates: Iterable[Sequence[Type]]) -> list[Type]:
    return [kinds[0] if kinds else TEXT for kinds in candidates]


def cast(name: str, kind: Type) -> str:
    """An expression that turns the text of a column into its type, and fails with MISFIT where that loses something."""
    cell = identifier(name)
    if kind == TEXT:
        return cell
    typed = f"TRY_CAST({cell} AS {kind.name})"
    return (
        f"CASE WHEN {_fits(cell, kind)} THEN {typed} "
        f"WHEN {cell} IS NULL OR trim({cell}) = '' THEN NULL ELSE error({literal(MISFIT)}) END"
    )


def _fits(cell: str, kind: Type) -> str:
    """Whether a text is a value of the kind. Most are written as DuckDB writes them, which is quickly seen; where one
    is not, its looks decide, and for whole numbers what blanks leave of it."""
    written = f"CAST(TRY_CAST({cell} AS {kind.name}) AS VARCHAR)"
    if kind in _WHOLE_NUMBERS:  # saves a compiled pattern, which is much in a table of a thousand columns
        return f"({written} = {cell} OR {written} = trim({cell}))"
    pattern = literal(f" *(?:{kind.pattern}) *")
    looks = f"(regexp_full_match({cell}, {pattern}) AND TRY_CAST({cell} AS {kind.name}) IS NOT NULL)"
    if kind.name == "BOOLEAN":
        return f"({cell} IN ('true', 'false') OR {looks})"
    if kind.name == "DOUBLE":  # up to 15 digits none is lost; beyond, what is written must be what was read
        return f"({looks} AND (length({cell}) <= 16 OR {written} = trim({cell})))"
    least, most = (10, 10) if kind.name == "DATE" else (19, 29)  # no infinity, no year before 1
    return (
        f"(({written} = {cell} AND length({cell}) BETWEEN {least} AND {most} AND NOT suffix({cell}, ')')) OR {looks})"
    )
