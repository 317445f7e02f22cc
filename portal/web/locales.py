"""Which language to answer in: the one chosen, else the browser's, else the portal's."""

from flask import has_request_context, request, session
from flask_babel import get_locale

from portal.extensions import settings

LOCALES = ("zh", "en")
HEADER_CHARS = 1000


def chosen_locale() -> str:
    """`zh` or `en`; the JSON door has no cookie and goes by Accept-Language."""
    if not has_request_context():
        return settings().default_locale
    chosen = None if request.path.startswith("/api/") else session.get("locale")
    return chosen if chosen in LOCALES else _asked_for() or settings().default_locale


def _asked_for() -> str | None:
    """Of a list of thousands, which takes longer to read than a page to make, nothing."""
    header = request.headers.get("Accept-Language", "")
    return request.accept_languages.best_match(LOCALES) if len(header) <= HEADER_CHARS else None


def html_lang() -> str:
    return "en" if str(get_locale()) == "en" else "zh-CN"
