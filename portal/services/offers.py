"""Another address that a failed fetch offers: that of the file, where the one of its page was given."""

from typing import Any
from urllib.parse import urlsplit

from portal.engine import share_pages
from portal.errors import Conflict
from portal.models import Task


def address_of(task: Task) -> str:
    """Made anew of the page's address: in what the error says, secrets are hidden. Raises `Conflict`."""
    is_offered = bool(task.error and task.error["params"].get("offered"))
    address = share_pages.file_address(task.params.get("url", "")) if is_offered else None
    if address is None:
        raise Conflict("nothing_offered")
    return address


def is_of_one_server(params: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether two fetches ask the same server, which may have the request headers that were meant for it."""
    one, other = (urlsplit(each.get("url", "")) for each in (params, others))
    return (one.scheme.lower(), one.netloc.lower()) == (other.scheme.lower(), other.netloc.lower())
