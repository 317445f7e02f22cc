"""Sentences for the codes that errors, faults and progress carry, in the reader's language."""

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext, lazy_gettext

_ = lazy_gettext

STATUSES = {
    "pending": _("waiting"),
    "queued": _("queued"),
    "processing": _("running"),
    "cancelling": _("cancelling"),
    "completed": _("done"),
    "failed": _("failed"),
    "cancelled": _("cancelled"),
    "expired": _("expired"),
}

KINDS = {"fetch": _("Fetch"), "health_check": _("Health check")}

SENTENCES = {
    # doors
    "bad_request": _("The request cannot be understood."),
    "unauthorized": _("Log in first."),
    "not_found": _("There is nothing here."),
    "conflict": _("That is not possible as things stand."),
    "invalid": _("Some fields need another look."),
    "too_many": _("Too many requests. Wait a little, then try again."),
    "unavailable": _("A service we depend on is away. Try again in a moment."),
    "internal": _("Something went wrong on our side. Try again; if it stays, tell your administrator."),
    "database_unavailable": _("The database is away for a moment. Nothing is lost; try again in a few seconds."),
    "csrf_failed": _("This page is out of date. Load it again, then repeat what you did."),
    # accounts
    "credentials_wrong": _("Account or password is wrong."),
    "session_ended": _("Your log-in has ended. Log in again."),
    "token_missing": _("Send an access token: Authorization: Bearer …"),
    "token_invalid": _("The token is not valid any more. Log in again."),
    "token_reuse": _("This refresh token was used before; the log-in has been ended. Log in again."),
    "logged_out": _("Logged out."),
    "required": _("Fill this in."),
    "username_invalid": _("Use 3 to 32 letters, digits, dots, hyphens or underscores, not digits alone."),
    "username_taken": _("This username is taken. Choose another."),
    "email_invalid": _("This is not an e-mail address."),
    "email_taken": _("This e-mail address has an account already. Log in, or use another."),
    "phone_invalid": _("This is not a phone number we can send to."),
    "phone_number_taken": _("This phone number has an account already. Log in instead."),
    "password_short": _("Use at least %(least)s characters."),
    "password_long": _("Use at most %(most)s characters."),
    "password_guessable": _("This password is easy to guess. Use a longer or less common one."),
    "code_wrong": _("This code is wrong or too old. Check it, or ask for a new one."),
    "captcha_failed": _("The captcha was not solved, or was used before. Solve it again."),
    "captcha_unavailable": _("The captcha service is away. Try again in a moment."),
    "codes_unavailable": _("Codes cannot be sent or checked right now. Try again in half a minute."),
    "sms_too_many": _("Too many codes were asked for. Wait a little before the next one."),
    "sms_throttled": _("The SMS service is busy. Try again in a minute."),
    "sms_unavailable": _("The SMS could not be sent. Try again in a minute."),
    "locale_unknown": _("We do not speak this language yet."),
    # tasks
    "kind_unknown": _("There is no such kind of task."),
    "params_unknown": _("There is no such parameter."),
    "name_invalid": _("Use one line of at most 200 characters."),
    "format_unknown": _("Choose csv or ndjson, or leave it empty."),
    "idempotency_key_invalid": _("Use 1 to 60 printable characters."),
    "task_ended": _("This task has ended; there is nothing to cancel."),
    "try_again": _("The task was changing at that very moment. Try again."),
    "worker_lost": _(
        "The worker stopped three times while it ran this task. Run it again; if it stays, the file may be too heavy."
    ),
    "started_too_late": _("No worker was free before the task's deadline. Submit it again."),
    "retrying": _("Trying again soon. Last time: %(reason)s"),
    # storage
    "storage_failed": _("The file could not be kept (%(reason)s). Tell your administrator if it stays."),
    "file_missing": _("The file of this dataset cannot be read right now."),
}


def sentence(said: Mapping[str, Any]) -> str:
    """The sentence for `{code, params}`."""
    params = dict(said.get("params") or {})
    if inner := params.pop("error", None):
        params["reason"] = sentence(inner)
    text = SENTENCES.get(said["code"], SENTENCES["internal"])
    return gettext(text._args[0], **params) if params else str(text)


def status_sentence(status: int) -> str:
    """What an HTTP status that Flask answered by itself means to a reader."""
    codes = {
        400: "bad_request",
        401: "unauthorized",
        404: "not_found",
        429: "too_many",
        503: "unavailable",
    }
    others = {
        403: _("You may not do this."),
        405: _("This address does not take that method."),
        413: _("What was sent is too large."),
        415: _("Send JSON."),
    }
    return str(others[status]) if status in others else sentence({"code": codes.get(status, "internal")})
