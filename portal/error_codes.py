"""Every code of an error with what it means: the `code` of a problem, and the `error_code` of a task that failed.

python -m portal.error_codes FILE    write docs/errors.md; `make messages` does it
"""

import re
import sys
from pathlib import Path

from flask import Flask
from flask_babel import Babel, force_locale

from portal.data_words import DATA_SENTENCES
from portal.errors import status_code
from portal.wording import SENTENCES, status_sentence

# What a task is doing, what an answer that is no error says, and what only pages say.
NO_ERRORS = {
    *("connecting", "downloading", "stalled", "unpacking", "converting", "decoding", "profiling", "exporting"),
    *("packing", "storing", "retrying"),
    *("logged_out", "link_sent", "verification_sent", "password_set", "email_verified", "confirmed"),
    *("json_expected", "outbox_closed", "csrf_failed", "origin_foreign", "file_missing_in_form"),
}
# What Flask refuses; the sentence is that of the status.
STATUSES = (405, 412, 413, 415, 416)
# What the front refuses before the portal is asked (`front.refusals` says it in both languages).
OF_THE_FRONT = {
    "request_timeout": "The request did not arrive in time.",
    "uri_too_long": "The address is longer than 8 KiB.",
    "expectation_failed": "The only expectation that is met is 100-continue.",
    "too_many_waiting": "Too many requests from your network wait for an answer.",
    "headers_too_large": "The headers are more than 100, or larger than 64 KiB in all.",
    "internal_server_error": "Something went wrong on our side.",
    "too_busy": "The portal is very busy. Try again in a few seconds.",
    "http_version_not_supported": "Only HTTP/1.1 is spoken here.",
}
_PAGE = """# Error codes

What `code` of a problem (`application/problem+json`) and `error_code` of a task may be. They are stable; more may be
added, so treat one that you do not know by its HTTP status. {name} stands for a value. Made from the code by
`make messages`; also in `/openapi.json`, under the tag `errors`.

"""


def meanings() -> dict[str, dict[str, str]]:
    """By what they are about: code and meaning, in English; {name} stands for a value."""
    with force_locale("en"):
        said = {code: _plain(str(text)) for code, text in SENTENCES.items() if code not in NO_ERRORS}
        of_statuses = {status_code(status): _plain(status_sentence(status)) for status in STATUSES}
    known = {code: text for code, text in said.items() if code.isidentifier()}  # no closer wording of another
    data = {code: text for code, text in known.items() if code in DATA_SENTENCES}
    return {
        "Requests, accounts and tasks": {code: text for code, text in known.items() if code not in data},
        "Data: of requests and of tasks that failed": data,
        "HTTP": of_statuses | OF_THE_FRONT,
    }


def as_markdown() -> str:
    """A table for each subject."""
    tables = []
    for subject, codes in meanings().items():
        rows = [f"| `{code}` | {text.replace('|', chr(92) + '|')} |" for code, text in sorted(codes.items())]
        tables.append("\n".join([f"**{subject}**", "", "| code | meaning |", "|---|---|", *rows]))
    return "\n\n".join(tables)


def page() -> str:
    """docs/errors.md."""
    return _PAGE + as_markdown() + "\n"


def _plain(sentence: str) -> str:
    return re.sub(r"%\((\w+)\)s", r"{\1}", sentence).replace("%%", "%")


if __name__ == "__main__":
    app = Flask("errors")
    Babel(app)
    with app.app_context():
        Path(sys.argv[1]).write_text(page(), encoding="utf-8")
