"""What a file's name says: whether it is so, and what to call the data."""

import re

_ENDINGS = re.compile(
    r"(\.(gz|gzip|zst|zstd|zip|csv|tsv|txt|tab|ndjson|jsonl|json|parquet|xlsx))+\Z",
    re.IGNORECASE,
)

_FORMATS = {
    "csv": ("csv", "tsv"),
    "tsv": ("csv", "tsv"),
    "tab": ("csv", "tsv"),
    "json": ("json", "ndjson"),
    "geojson": ("json", "ndjson"),
    "ndjson": ("json", "ndjson"),
    "jsonl": ("json", "ndjson"),
    "parquet": ("parquet",),
    "xlsx": ("xlsx",),
    "xlsm": ("xlsx",),
    "xls": ("xls",),
    "xml": ("xml",),
    "html": ("html",),
    "pdf": ("pdf",),
}
_PACKINGS = {"gz": "gzip", "gzip": "gzip", "zst": "zstd", "zstd": "zstd", "zip": "zip", "bz2": "bzip2", "xz": "xz"}


def stem(file: str) -> str:
    """A file's name without the endings of formats and packings, "" if it is nothing else."""
    return _ENDINGS.sub("", file)


def suggested(file: str) -> str:
    """What to call the data of a file of this name."""
    return stem(file) or "data"


def otherwise(name: str, format_: str, peeled: list[str]) -> str | None:
    """The ending of a file's name that promises something else than its content was; None if there is none.

    `peeled` are the packings that were found, the outermost first, as `unpack` says them.
    """
    packings = [packing.partition(":")[0] for packing in peeled]
    inner = next((packing.partition(":")[2] for packing in peeled if packing.startswith("zip:")), "")
    for each in (name, inner):
        endings = each.lower().split(".")[1:]
        for ending in reversed(endings[-3:]):
            if ending in _PACKINGS and _PACKINGS[ending] not in packings:
                return ending
            if ending in _FORMATS:
                if format_ not in _FORMATS[ending]:
                    return ending
                break
    return None
