"""What owners are told of changes to what protects their accounts, by the kind of event."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from flask_babel import format_datetime, lazy_gettext

from portal.devices import device
from portal.wording import ROLES

_ = lazy_gettext

CHANGES = {
    "account.username": _("Your username was changed"),
    "account.email": _("Your account has another e-mail address now; mails no longer go to the one before"),
    "account.phone": _("Your account has another phone number now"),
    "account.role": _("Your role was changed from %(before)s to %(after)s"),
    "account.deactivated": _("Your account was switched off"),
    "account.activated": _("Your account was switched on again"),
    "code.blocked": _("Too many wrong codes were entered for your phone number; it gets no codes for a day"),
    "email.change_asked": _("Another e-mail address was entered for your account; it counts once it is verified"),
    "email.verified": _("An e-mail address was verified: links to reset your password go to it from now on"),
    "factor.disabled": _("Two-factor log-in was switched off"),
    "factor.enabled": _("Two-factor log-in was switched on"),
    "factor.recovery_renewed": _("New recovery codes were made; the ones before are void"),
    "factor.recovery_used": _("A recovery code was used; %(left)s are left"),
    "login.new_device": _("Somebody logged in to your account on a new device"),
    "password.changed": _("Your password was changed, and every other session was ended"),
    "password.reset": _("Your password was reset, and every session was ended"),
    "token.reused": _("A program used an old token; somebody may have copied it, so its session was ended"),
}
# By SMS in any case: the address is new to us, and whoever opened the link need not be the owner.
SMS_ONLY = frozenset({"email.verified"})
# No SMS is sent of these, whoever has a verified e-mail address or not: they change nothing yet, or come too often.
MAIL_ONLY = frozenset({"email.change_asked", "login.new_device"})
_BY_ADMINISTRATORS = frozenset({"account.role", "account.deactivated", "account.activated"})


def change(kind: str, about: Mapping[str, Any]) -> dict[str, str]:
    """`what` happened, `when` (how often, and the last time), and from `where`; `about` is what is kept of it."""
    details = {name: ROLES.get(value, value) for name, value in about["details"].items()}
    what = str(CHANGES[kind]) % defaultdict(lambda: "–", details)
    at = datetime.fromisoformat(about["at"])
    when = f"{format_datetime(at, 'medium')} {format_datetime(at, 'ZZZZ')}"
    if about["count"] > 1:
        when = str(_("%(count)s times, the last: %(when)s")) % {"count": about["count"], "when": when}
    return {"what": what, "when": when, "where": _where(about)}


def _where(about: Mapping[str, Any]) -> str:
    if about.get("by_admin"):
        return str(_("by an administrator"))
    device_word = device(about["user_agent"]) if about.get("user_agent") else ""
    return " · ".join(part for part in (device_word, about.get("address")) if part)


def advice(kinds: Iterable[str], public_url: str) -> str:
    """What to do about these changes if they were not the owner's."""
    changed, forgot = set(kinds), f"{public_url.rstrip('/')}/password/forgot"
    if changed <= _BY_ADMINISTRATORS:
        return str(_("If you do not know why, ask your administrator."))
    if changed == {"code.blocked"}:
        return str(_("None of them was right. Your password still works; if you forgot it: %(link)s")) % {
            "link": forgot
        }
    if "account.email" in changed:
        said = _("If this was not you, reset your password by SMS at once and tell your administrator: %(link)s")
        return str(said) % {"link": f"{forgot}/sms"}
    said = _("If this was not you, reset your password at once and tell your administrator: %(link)s")
    return str(said) % {"link": forgot}
