"""What each kind of task takes."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from portal import access, jobs
from portal.engine import csv_dialect, export, guard, named, query, secret_parts
from portal.engine.columns import Column
from portal.engine.export import Wanted
from portal.engine.reading import ENCODINGS, FORMATS, MOST_FOOTER, MOST_SKIPPED, Reading
from portal.errors import Denied, Fault, Invalid, NotFound
from portal.extensions import db, settings
from portal.models import Dataset, User
from portal.services import request_headers, uploads
from portal.validation import check_name

_TEXT_MAX = 500
_QUOTES = ("", '"', "'")
_FETCH = {
    *("url", "upload", "name", "headers"),
    *("format", "encoding", "delimiter", "quote", "header", "member", "sheet", "skip_broken"),
    *("replace_undecodable", "skip_rows", "header_row", "footer_rows"),
}
_SAID = ("header", "skip_rows")  # which say something when they are false or 0, too
_EXPORT = {"dataset", "name", "format", "columns", "where", "encoding", "packing"}

Headers = dict[str, str]


def fetch_policy() -> guard.Policy:
    """Which addresses may be fetched, from the settings."""
    return guard.Policy(
        settings().allowed_targets,
        frozenset(int(port) for port in settings().fetch_ports),
        band_seconds=1,
    )


def reading_of(params: dict[str, Any], owner_id: int) -> Reading:
    """How a fetch's params say that the file is to be read, for a reader of its owner's language."""
    said = {name: params[name] for name in Reading.__dataclass_fields__ if name in params}
    language = db.session.scalar(select(User.locale).where(User.id == owner_id))
    return Reading(**said, language=language or "en")


def wanted_of(params: dict[str, Any]) -> Wanted:
    """What an export's params ask for. Raises `Fault('condition_invalid')`."""
    return Wanted(
        format=params["format"],
        columns=tuple(params.get("columns") or ()),
        where=query.conditions_from(params.get("where") or []),
        encoding=params.get("encoding") or "utf-8",
        packing=params.get("packing") or "",
    )


def checked_params(user: User, kind: str, params: dict[str, Any]) -> tuple[dict[str, Any], Headers]:
    """The params of a kind in their normal form, and the request headers, which are not kept among them.

    Raises `Invalid` with the field.
    """
    if kind not in jobs.BY_KIND:
        raise Invalid("kind_unknown", field="kind")
    known = {"fetch": _FETCH, "export": _EXPORT, "health_check": set[str]()}[kind]
    if unknown := params.keys() - known:
        raise Invalid("params_unknown", field=f"params.{min(unknown)}" if known else "params")
    if kind == "export":
        return _export(user, params), {}
    return _fetch(user, params) if kind == "fetch" else ({}, {})


def _fetch(user: User, params: dict[str, Any]) -> tuple[dict[str, Any], Headers]:
    headers = request_headers.checked(params.get("headers") or {})
    source, name = _source(user, params)
    checked = {
        **source,
        "name": check_name(_text(params, "name"), field="params.name") or name,
        "headers": sorted(headers),
        "format": _choice(params, "format", FORMATS, "format_unknown"),
        "encoding": _choice(params, "encoding", ENCODINGS, "encoding_unknown"),
        "delimiter": _delimiter(params),
        "header": _flag(params, "header"),
        "member": _text(params, "member"),
        "sheet": _text(params, "sheet"),
        "skip_broken": _flag(params, "skip_broken"),
        "skip_rows": _count(params, "skip_rows", 0, MOST_SKIPPED),
        "header_row": _count(params, "header_row", 1, MOST_SKIPPED),
        "footer_rows": _count(params, "footer_rows", 0, MOST_FOOTER),
        "replace_undecodable": _flag(params, "replace_undecodable"),
    }
    _check_header_row(checked)
    kept = {name: value for name, value in checked.items() if value or (name in _SAID and value is not None)}
    if params.get("quote") is not None:  # none at all is a choice, too
        kept["quote"] = _choice(params, "quote", _QUOTES, "quote_unknown") or ""
    return kept, headers


def _source(user: User, params: dict[str, Any]) -> tuple[dict[str, str], str]:
    """An address, or a file that was sent before; and its name, if it has one."""
    url, upload = _text(params, "url").strip(), _text(params, "upload")
    if upload and url:
        raise Invalid("source_twice", field="params.upload")
    if upload:
        sent = uploads.get_for(user, _uuid(upload, "upload"))
        return {"upload": str(sent.uuid)}, named.suggested(sent.name)
    if not url:
        raise Invalid("required", field="params.url")
    if secret_parts.is_hidden(url):
        raise Invalid("url_hidden", field="params.url")
    try:
        guard.check_url(url, fetch_policy())
    except Fault as fault:
        raise Invalid(fault.code, field="params.url", **fault.params) from fault
    return {"url": url}, ""


def _export(user: User, params: dict[str, Any]) -> dict[str, Any]:
    columns, where = params.get("columns") or [], params.get("where") or []
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise Invalid("columns_invalid", field="params.columns")
    checked: dict[str, Any] = {
        "dataset": _text(params, "dataset"),
        "format": _choice(params, "format", export.FORMATS, "export_format_unknown"),
        "columns": columns,
        "where": where,
        "encoding": _choice(params, "encoding", export.ENCODINGS, "encoding_unknown"),
        "packing": _choice(params, "packing", export.PACKINGS, "packing_unknown"),
    }
    if not checked["format"]:
        raise Invalid("required", field="params.format")
    dataset = _own_dataset(user, _uuid(checked["dataset"], "dataset"))
    known = [Column(**column) for column in dataset.columns]
    try:
        wanted = wanted_of(checked)
        query.where_sql(wanted.where, known)
    except Fault as fault:
        raise Invalid(fault.code, field="params.where", **fault.params) from None
    try:
        export.checked(wanted, known)
    except Fault as fault:
        raise Invalid(fault.code, field=f"params.{fault.params.get('choice', 'columns')}", **fault.params) from None
    checked["name"] = check_name(_text(params, "name"), field="params.name") or dataset.name
    return {name: value for name, value in checked.items() if value}


def _own_dataset(user: User, uuid: UUID) -> Dataset:
    dataset = db.session.scalar(select(Dataset).where(Dataset.uuid == uuid))
    if dataset is None:
        raise NotFound
    if not access.may_see_dataset(user, dataset):
        raise Denied(user.id)
    return dataset


def _uuid(text: str, name: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("uuid_invalid" if text else "required", field=f"params.{name}") from None


def _text(params: dict[str, Any], name: str) -> str:
    value = params.get(name)
    if value is None:
        return ""
    most = guard.LONGEST_URL if name == "url" else _TEXT_MAX
    if not isinstance(value, str) or len(value) > most or "\x00" in value:
        wrong = "url_malformed" if isinstance(value, str) else "required"
        code = {"url": wrong, "name": "name_invalid"}.get(name, "text_invalid")
        raise Invalid(code, field=f"params.{name}")
    return value


def _choice(params: dict[str, Any], name: str, choices: tuple[str, ...], code: str) -> str | None:
    value = params.get(name)
    if value is None or value == "":
        return None
    if value not in choices:
        raise Invalid(code, field=f"params.{name}", choices=", ".join(filter(None, choices)))
    return str(value)


def _flag(params: dict[str, Any], name: str) -> bool | None:
    value = params.get(name)
    if value is not None and not isinstance(value, bool):
        raise Invalid("flag_invalid", field=f"params.{name}")
    return value


def _count(params: dict[str, Any], name: str, least: int, most: int) -> int | None:
    value = params.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid("count_invalid", field=f"params.{name}", least=least, most=most)
    return value


def _check_header_row(checked: dict[str, Any]) -> None:
    if checked["header_row"] and checked["header"] is False:
        raise Invalid("header_row_denied", field="params.header_row")
    if checked["header_row"] and checked["header_row"] <= (checked["skip_rows"] or 0):
        raise Invalid("header_row_skipped", field="params.header_row")


def _delimiter(params: dict[str, Any]) -> str | None:
    value = params.get("delimiter")
    if value is None or value == "":
        return None
    try:
        return csv_dialect.checked_delimiter(value)
    except Fault as fault:
        raise Invalid(fault.code, field="params.delimiter", **fault.params) from None
