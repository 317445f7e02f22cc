"""Where to go on in a list, from a page's address."""

from flask import request

LAST = 2**63 - 1  # of PostgreSQL's bigint


def wanted() -> int | None:
    """The number after `cursor=`; None without one, or with what cannot be one: the first page."""
    cursor = request.args.get("cursor", type=int)
    return cursor if cursor is not None and 0 < cursor <= LAST else None
