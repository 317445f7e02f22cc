"""Cases that come out otherwise than the manifest expects, on purpose: how, and why."""

from typing import Any, NamedTuple


class Decision(NamedTuple):
    """`outcome` is in the manifest's words."""

    outcome: dict[str, Any]
    reason: str


DECIDED_OTHERWISE: dict[str, Decision] = {
    "decimal256": Decision(
        {"status": "failed", "code": "parquet_not_supported"},
        "DuckDB makes doubles of decimals of more than 38 digits: refused, with the column and its digits, not rounded",
    ),
    "byte-stream-split": Decision(
        {"status": "failed", "code": "parquet_not_supported"},
        "DuckDB reads streams of bytes of plain numbers alone; the encoding and the column are named, not 'damaged'",
    ),
}
