"""What each kind of task takes."""

from typing import Any

from portal import jobs
from portal.engine import guard
from portal.errors import Fault, Invalid
from portal.extensions import settings
from portal.validation import check_name

FORMATS = ("csv", "ndjson")


def fetch_policy() -> guard.Policy:
    """Which addresses may be fetched, from the settings."""
    return guard.Policy(
        settings().allowed_targets,
        frozenset(int(port) for port in settings().fetch_ports),
    )


def checked_params(kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The params of a kind in their normal form. Raises `Invalid` with the field."""
    if kind not in jobs.BY_KIND:
        raise Invalid("kind_unknown", field="kind")
    if kind == "health_check":
        if params:
            raise Invalid("params_unknown", field="params")
        return {}
    if unknown := params.keys() - {"url", "name", "format"}:
        raise Invalid("params_unknown", field=f"params.{min(unknown)}")
    url, name, data_format = (
        params.get("url"),
        params.get("name") or "",
        params.get("format") or None,
    )
    if not isinstance(url, str) or not url.strip():
        raise Invalid("required", field="params.url")
    try:
        guard.check_url(url.strip(), fetch_policy())
    except Fault as fault:
        raise Invalid(fault.code, field="params.url") from None
    if not isinstance(name, str):
        raise Invalid("name_invalid", field="params.name")
    if data_format not in (None, *FORMATS):
        raise Invalid("format_unknown", field="params.format")
    checked = {"url": url.strip(), "name": check_name(name, field="params.name"), "format": data_format}
    return {key: value for key, value in checked.items() if value}
