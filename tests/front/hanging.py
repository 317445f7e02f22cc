"""A WSGI application that hangs when asked to, or tells what it was given."""

import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """`…/hang` never answers, `/environ` tells what came; any other path names the process that answers."""
    if environ["PATH_INFO"].endswith("/hang"):
        time.sleep(3600)
    if environ["PATH_INFO"] == "/split":
        start("200 OK", [("X-A", "b\r\nX-B: c")])
        return [b"split"]
    if environ["PATH_INFO"] == "/environ":
        told = {name: value for name, value in environ.items() if isinstance(value, str)}
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({**told, "body": len(environ["wsgi.input"].read())}).encode()]
    start("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
