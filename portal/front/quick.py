"""What is answered in the event loop, without a thread: it must never wait for anything."""

from typing import TYPE_CHECKING

from portal.front.answer import Answer
from portal.front.request import Request

if TYPE_CHECKING:
    from portal.front.web import Web

_HEADERS = [
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]


def answered(request: Request, web: "Web") -> Answer | None:
    """The answer, if this is one of those."""
    if request.target == b"/health/live" and request.method in ("GET", "HEAD") and request.is_whole:
        return _live(is_hung=web.pool.is_hung())
    return None


def _live(*, is_hung: bool) -> Answer:
    """The loop answers, so the process lives, unless all its threads hang."""
    body = b'{"status":"hung"}\n' if is_hung else b'{"status":"ok"}\n'
    answer = Answer(503 if is_hung else 200, _HEADERS, [body])
    answer.pull()
    return answer
