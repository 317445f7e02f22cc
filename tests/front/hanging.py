"""A WSGI application that hangs when asked to."""

import os
import time
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """`/hang` never answers; any other path names the process that answers."""
    if environ["PATH_INFO"] == "/hang":
        time.sleep(3600)
    start("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
