"""Addresses of static files for templates: vendored ones with their checksum, our own with a hash in the query."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, url_for

STATIC = Path(__file__).resolve().parent.parent / "static"


class Vendored(NamedTuple):
    """A library's file: its address and the value for its `integrity` attribute."""

    url: str
    integrity: str


@cache
def _lock() -> dict[str, Any]:
    lock: dict[str, Any] = json.loads((STATIC / "vendor" / "vendor.lock.json").read_text())
    return lock


@cache
def _hash(path: str, _changed_ns: int) -> str:
    return hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]


def vendor(package: str, file: str) -> Vendored:
    """A file of a package as named in tools/vendor.py; KeyError when it is not vendored."""
    entry = _lock()[package]
    return Vendored(
        url_for("static", filename=f"vendor/{entry['folder']}/{file}"),
        entry["files"][file],
    )


def asset(path: str) -> str:
    """The address of one of our own static files; it changes with the content, so it may be cached for ever."""
    return url_for("static", filename=path, v=_hash(path, (STATIC / path).stat().st_mtime_ns))


def register(app: Flask) -> None:
    """Give templates `vendor()` and `asset()`."""
    app.jinja_env.globals.update(vendor=vendor, asset=asset)
