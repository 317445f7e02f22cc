"""Sentences for the codes that errors, faults and progress carry, in the reader's language."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext

from portal.data_words import DATA_SENTENCES
from portal.formats import duration, filesize, wait

_ = lazy_gettext

KINDS = {"fetch": _("Fetch"), "export": _("Export"), "health_check": _("Health check")}
ROLES = {"user": _("User"), "admin": _("Admin"), "super_admin": _("Super admin")}

# What the history tells, by the kind of event.
EVENTS = {
    "account.registered": _("Account created"),
    "account.deactivated": _("Account deactivated"),
    "account.activated": _("Account activated"),
    "account.role": _("Role changed from %(before)s to %(after)s"),
    "account.username": _("Username changed"),
    "account.email": _("E-mail address changed"),
    "account.phone": _("Phone number changed"),
    "email.change_asked": _("Another e-mail address entered, not verified yet"),
    "email.verified": _("E-mail address verified"),
    "email.link": _("Verification link sent"),
    "login.succeeded": _("Logged in"),
    "login.new_device": _("Logged in on a new device"),
    "login.failed": _("Log-in failed"),
    "login.limited": _("Log-in refused: too many tries"),
    "session.confirmed": _("Password confirmed"),
    "session.ended": _("Session ended"),
    "session.ended_all": _("All sessions ended"),
    "code.sent": _("Code sent by SMS"),
    "code.not_sent": _("Code could not be sent"),
    "code.wrong": _("Wrong code"),
    "code.blocked": _("Too many wrong codes: no more for a day"),
    "password.changed": _("Password changed"),
    "password.link": _("Link to reset the password asked for"),
    "password.reset": _("Password reset"),
    "token.refreshed": _("Token refreshed"),
    "token.reused": _("An old token was used; the session was ended"),
    "factor.enabled": _("Two-factor log-in switched on"),
    "factor.disabled": _("Two-factor log-in switched off"),
    "factor.failed": _("Wrong two-factor code"),
    "factor.recovery_used": _("Recovery code used"),
    "factor.recovery_renewed": _("New recovery codes made"),
    "ssrf.blocked": _("An address that must not be fetched was refused"),
    "ssrf.limited": _("Fetches refused: too many addresses that cannot be fetched"),
    "authz.denied": _("Asked for what is not theirs"),
    "auth.spray": _("Many accounts were tried with wrong passwords"),
    "prefix.stopped": _("SMS to numbers that begin with %(prefix)s stopped"),
    "prefix.lifted": _("SMS to numbers that begin with %(prefix)s allowed again"),
}

# What a task's timeline tells, by the kind of event.
TIMELINE = {
    "accepted": _("Accepted"),
    "accepted.later": _("Accepted, to start later"),
    "queued": _("Handed to the workers"),
    "requeued": _("Waiting again: no worker answered"),
    "started": _("Started"),
    "started.again": _("Started again, attempt %(attempt)s"),
    "retrying": _("Did not work, will be tried again: %(reason)s"),
    "lost": _("Its worker stopped; it will run again"),
    "cancel_asked": _("Asked to stop"),
    "completed": _("Completed"),
    "failed": _("Failed: %(reason)s"),
    "cancelled": _("Cancelled"),
    "expired": _("Expired: %(reason)s"),
}

SENTENCES = {
    # doors
    "bad_request": _("The request cannot be understood."),
    "json_expected": _("The body cannot be understood. Send a JSON object, with Content-Type: application/json."),
    "unauthorized": _("Log in first."),
    "forbidden": _("You may not do this."),
    "not_found": _("There is nothing here."),
    "outbox_closed": _(
        "The outbox opens with the address that “make run” printed when it started: it has a key in it."
    ),
    "conflict": _("That is not possible as things stand."),
    "invalid": _("Some fields need another look."),
    "too_many": _("Too many requests. Wait a little, then try again."),
    "unavailable": _("A service we depend on is away. Try again in a moment."),
    "internal": _("Something went wrong on our side. Try again; if it stays, tell your administrator."),
    "database_unavailable": _("The database is away for a moment. Nothing is lost; try again in a few seconds."),
    "storage_full": _("The disk is full: nothing can be saved now, looking works. Try again later."),
    "csrf_failed": _("This page is out of date. Load it again, then repeat what you did."),
    "origin_foreign": _("This came from another site, so nothing was done. Open the page here and try again."),
    # accounts
    "credentials_wrong": _(
        "Account or password is wrong. After many tries even the right password is refused for five minutes;"
        " an SMS code still logs you in."
    ),
    "session_ended": _("Your log-in has ended. Log in again."),
    "token_missing": _("Send an access token: Authorization: Bearer …"),
    "token_invalid": _("The token is not valid any more. Log in again."),
    "token_reuse": _("This refresh token was used before; the log-in has been ended. Log in again."),
    "logged_out": _("Logged out."),
    "required": _("Fill this in."),
    "username_invalid": _("Use 3 to 32 letters, digits, dots, hyphens or underscores, not digits alone."),
    "username_kept": _("This name is kept for those who run Data Station, or looks like one that is. Choose another."),
    "username_mixed": _("Use letters of one script only; Chinese and Latin may stand together."),
    "username_taken": _("This username is taken. Choose another."),
    "email_invalid": _("This is not an e-mail address."),
    "email_taken": _("Another account has verified this address. Log in with that one, or enter another address here."),
    "phone_invalid": _("This is not a phone number we can send to."),
    "phone_number_taken": _("This phone number has an account already. Log in instead."),
    "password_short": _("Use at least %(least)s characters."),
    "password_long": _("Use at most %(most)s characters."),
    "password_guessable": _("This password is easy to guess. Use a longer or less common one."),
    "code_wrong": _("This code is wrong or too old. Check it, or ask for a new one."),
    "captcha_failed": _("The captcha was not solved, or was used before. Solve it again."),
    "captcha_unavailable": _("The captcha service is away. Try again in a moment."),
    "codes_unavailable": _("Codes cannot be sent or checked right now. Try again in half a minute."),
    "sms_too_many": _("Too many codes were asked for. Wait %(wait)s before the next one."),
    "guesses_too_many": _(
        "Too many wrong codes were entered for this number: none is sent or checked for %(wait)s. "
        "Log in with your password, or have a link mailed to you."
    ),
    "sms_budget_spent": _("No more codes can be sent at the moment. Log in with your password, or try again later."),
    "sms_prefix_stopped": _("Codes to numbers like this one are stopped. Log in with your password, or ask us."),
    "mail_too_many": _("Too many mails were asked for. Wait %(wait)s before the next one."),
    "mail_budget_spent": _("No more mails can be sent at the moment. Try again later."),
    "login_too_many": _("Too many tries. Wait %(wait)s, then try again."),
    "passwords_busy": _("Many people are logging in at this moment. Try again in a few seconds."),
    "passwords_busy.own": _("Several log-ins from your network are being checked already. Try again in a few seconds."),
    "captcha_required": _("Solve the captcha, then try again."),
    "otp_required": _("Enter the code of your authenticator app, too."),
    "two_factor_required": _("Switch on two-factor log-in in your account, then log in with it."),
    "fresh_login_required": _(
        "Prove first that it is you: POST /api/v1/auth/confirm with your password, and otp if you have a second "
        "factor. Then repeat this."
    ),
    "password_wrong": _("The password is wrong."),
    "link_wrong": _("This link is too old or was used before. Ask for a new one."),
    "link_of_another": _("This link is another account's. Log in to the one in which the address was entered."),
    "link_sent": _(
        "If there is an account with a verified e-mail address, a mail is on its way; else use an SMS code."
    ),
    "verification_sent": _("A link is on its way to the address that waits to be verified."),
    "password_set": _("The password is set. Log in with it."),
    "email_verified": _("The e-mail address is verified."),
    "email_verified_already": _("No address waits to be verified."),
    "confirmed": _("Confirmed."),
    "sms_throttled": _("The SMS service is busy. Try again in a minute."),
    "sms_unavailable": _("The SMS could not be sent. Try again in a minute."),
    "sms_number_refused": _("No SMS can be sent to this number."),
    "sms_misconfigured": _("The SMS service is not set up correctly. Tell your administrator."),
    "mail_throttled": _("The mail service is busy. Try again in a minute."),
    "mail_unavailable": _("The mail could not be sent. Try again in a minute."),
    "mail_address_refused": _("No mail can be sent to this address."),
    "mail_misconfigured": _("The mail service is not set up correctly. Tell your administrator."),
    "locale_unknown": _("We do not speak this language yet."),
    # second factors
    "otp_wrong": _("This code is wrong or was used before. Enter the one your authenticator shows now."),
    "otp_too_many": _("Too many tries. Wait %(wait)s, then enter a new code."),
    "otp_on": _("Two-factor log-in is on already."),
    "otp_off": _("Switch two-factor log-in on first."),
    "otp_needed": _("Administrators need two-factor log-in; it stays on."),
    # administration
    "role_unknown": _("There is no such role."),
    "admin_oneself": _("You cannot change your own role, nor lock yourself out. Ask another super admin."),
    "super_admin_needed": _("Only a super admin may do this."),
    # tasks
    "kind_unknown": _("There is no such kind of task."),
    "params_unknown": _("There is no such parameter."),
    "name_invalid": _("Use one line of at most 200 characters."),
    "format_unknown": _("Choose one of %(choices)s, or leave it empty."),
    "idempotency_key_invalid": _("Use 1 to 60 printable characters."),
    "idempotency_key_reused": _("This key was used for something else before. Use a new one."),
    "task_not_retryable": _("Only a task that failed, expired or was cancelled can be run again."),
    "tasks_too_many": _("You have %(limit)s tasks waiting, which is the most. Wait until some have run."),
    "tasks_too_many_today": _("You have submitted %(limit)s tasks in a day, which is the most. Wait %(wait)s."),
    "queue_full": _("Too many tasks are waiting. Try again in a while."),
    "polls_too_many": _("This is asked too often. Ask again in a few seconds."),
    "result_deleted": _("The data was deleted. Run it again to have it anew."),
    "result_expired": _("The data was kept as long as promised and is gone. Run it again to have it anew."),
    "nothing_offered": _("No other address is offered for this task."),
    "task_ended": _("This task has ended; there is nothing to cancel."),
    "worker_lost": _(
        "The worker stopped three times while it ran this task. Run it again; if it stays, the file may be too heavy."
    ),
    "started_too_late": _("No worker was free before the task's deadline. Submit it again."),
    "retrying": _("Trying again soon. Last time: %(reason)s"),
    **DATA_SENTENCES,
}

_SIZES = {"bytes", "total", "rate", "received"}
_SIZE_LIMITS = {"too_large", "too_much_memory", "quota_kept", "quota_fetched"}


def sentence(said: Mapping[str, Any]) -> str:
    """The sentence for `{code, params}`; a `reason`, or a param that is missing, may choose a closer one."""
    params = dict(said.get("params") or {})
    if inner := params.pop("error", None):
        params["reason"] = sentence(inner)
    code = said["code"]
    if None in params.values():
        code = f"{code}?"
    for closer in (params.get("reason"), params.get("found")):
        if f"{code}.{closer}" in SENTENCES:
            code = f"{code}.{closer}"
    text = SENTENCES.get(code, SENTENCES["internal"])
    values = {name: _readable(code, name, value) for name, value in params.items()}
    return str(text) % defaultdict(lambda: "–", values) if params else str(text)


def _readable(code: str, name: str, value: Any) -> Any:
    if name == "wait" and value is not None:
        return wait(value)
    if name == "left" and value is not None:
        return duration(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    is_size = name in _SIZES or (name == "limit" and code in _SIZE_LIMITS)
    return filesize(value) if is_size and value is not None else value


def event_sentence(event: Any) -> str:
    """What an event of the history tells."""
    words = {
        name: ROLES.get(value, value) if isinstance(value, str) else value for name, value in event.details.items()
    }
    return str(EVENTS[event.kind]) % defaultdict(lambda: "–", words)


def task_name(task: Any) -> str:
    """A task's name, else the last part of its address (what follows a `?` or `;` may be secret), else its kind."""
    if task.kind == "export" and task.result:
        return str(task.result["filename"])
    if task.kind == "export" and task.params.get("name"):
        return f"{task.params['name']}.{task.params['format']}"
    path = re.split("[?#;]", str(task.params.get("url") or ""), maxsplit=1)[0]
    return str(task.params.get("name") or "") or path.rstrip("/").rpartition("/")[2] or str(KINDS[task.kind])


def timeline_sentence(event: Any) -> str:
    """What a step of a task's timeline tells."""
    kind, details = event.kind, event.details
    if kind == "started" and event.attempt > 1:
        kind = "started.again"
    elif kind == "accepted" and details:
        kind = "accepted.later"
    error = details.get("error")
    reason = sentence(error) if error else "–"
    return str(TIMELINE[kind]) % {"attempt": event.attempt, "reason": reason}


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
        405: _("This address does not take that method. The Allow header names those it takes."),
        412: _("The file is not the one you know."),
        413: _(
            "What was sent is too large: at most 256 KiB, files excepted. Send less at once, or a file as an upload."
        ),
        415: _("Send JSON, with Content-Type: application/json."),
        416: _("The file is not so long."),
    }
    return str(others[status]) if status in others else sentence({"code": codes.get(status, "internal")})
