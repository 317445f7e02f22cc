"""What can go wrong, as types: `PortalError` is answered to a caller, `Fault` ends or delays background work."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

# By RFC 9110: Python calls them so from 3.13 on, and a code must not change with the Python beneath.
_TITLES = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


def status_title(status: int) -> str:
    """What RFC 9110 calls an HTTP status."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def status_code(status: int) -> str:
    """The `code` of an error that has no other than its HTTP status: `not_found`."""
    return status_title(status).lower().replace(" ", "_").replace("-", "_")


class PortalError(Exception):
    """A refusal with an HTTP status. `code` names a sentence in `wording`; `field` names the input it is about."""

    status = 500
    code = "internal"

    def __init__(
        self,
        code: str | None = None,
        *,
        field: str | None = None,
        retry_after: int | None = None,
        **params: Any,
    ) -> None:
        self.code = code or type(self).code
        self.field = field
        self.retry_after = retry_after
        self.params = params
        super().__init__(self.code)


class BadRequest(PortalError):
    status, code = 400, "bad_request"


class Unauthorized(PortalError):
    status, code = 401, "unauthorized"


class Forbidden(PortalError):
    """Known, allowed in principle, but something is asked for first."""

    status, code = 403, "forbidden"


class NotFound(PortalError):
    status, code = 404, "not_found"


class Denied(NotFound):
    """Somebody else's, or for admins: answered as if it were not there. `by` is the id of who asked, if known."""

    def __init__(self, by: int | None) -> None:
        self.by = by
        super().__init__()


class Conflict(PortalError):
    status, code = 409, "conflict"


class Invalid(PortalError):
    """A field whose value cannot be accepted."""

    status, code = 422, "invalid"


class TooMany(PortalError):
    """A limit was met; `retry_after` is in seconds."""

    status, code = 429, "too_many"


class Unavailable(PortalError):
    """Something we depend on is down; `retry_after` is in seconds."""

    status, code = 503, "unavailable"


class Fault(Exception):
    """Why an engine or a gateway could not do its work.

    `code` names a sentence in `wording`, `params` fill it (JSON values, nothing secret);
    `passing` faults are worth another attempt later.
    """

    def __init__(self, code: str, /, *, passing: bool = False, **params: Any) -> None:
        self.code = code
        self.passing = passing
        self.params: Mapping[str, Any] = params
        super().__init__(code)

    def __reduce__(self) -> tuple[Any, ...]:
        """It travels between processes whole, whatever its class is made with."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class Blocked(Fault):
    """An address that must not be fetched from, or a name that is nowhere, which is told in the same words.

    `reason` ("literal", "inward", "absent", "peer"), `host` and `ip` are for the operator's log alone: the owner must
    not learn whether a server of the inside exists.
    """

    # With defaults, for it is pickled: it comes out of a cage.
    def __init__(self, code: str, /, reason: str = "", host: str = "", ip: str = "", **params: Any) -> None:
        self.reason, self.host, self.ip = reason, host, ip
        super().__init__(code, **params)


class Stopped(Exception):
    """The work was asked to stop (cancelled, or another attempt owns it): leave quietly, write nothing."""
