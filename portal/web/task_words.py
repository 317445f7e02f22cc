"""Words about tasks that take more than a template: what one is called, how long it waits, that it has ended."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from babel.dates import format_timedelta
from flask_babel import get_locale, gettext, lazy_gettext

from portal.services.copies import TaskCopy
from portal.wording import task_name

_ = lazy_gettext

ENDINGS = {
    "completed": ("success", _("%(name)s has completed.")),
    "failed": ("error", _("%(name)s has failed.")),
    "cancelled": ("info", _("%(name)s has been cancelled.")),
    "expired": ("info", _("%(name)s has expired.")),
}
_SEVERAL = 3
_NAME_MAX = 60  # characters of a name in a notice: notices travel in a header


def ordinal(number: int) -> str:
    """A place in a row: 3rd in English, the plain number elsewhere."""
    if str(get_locale()) != "en":
        return str(number)
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def wait_until(moment: datetime) -> str:
    """How long it still is until then, roughly and never less than ten seconds: 2 min."""
    left = (moment - datetime.now(UTC)).total_seconds()
    rough = max(10, round(left / 10) * 10) if left < 100 else left
    return str(format_timedelta(timedelta(seconds=rough), threshold=1.5, format="short", locale=get_locale()))


def notices(copies: Sequence[TaskCopy]) -> list[dict[str, str]]:
    """What to tell of those that have ended; of many only how many, and nothing of those that somebody cancelled."""
    ended = [copy for copy in copies if not copy.is_live]
    if len(ended) > _SEVERAL:
        ended = [copy for copy in ended if copy.status != "cancelled"]
    if len(ended) > _SEVERAL:
        return [{"message": gettext("%(count)s tasks have ended.", count=len(ended)), "level": "info"}]
    return [_notice(copy) for copy in ended]


def _notice(copy: TaskCopy) -> dict[str, str]:
    level, text = ENDINGS[copy.status]
    name = task_name(copy)
    short = name if len(name) <= _NAME_MAX else f"{name[: _NAME_MAX - 1]}…"
    return {"task": str(copy.uuid), "status": copy.status, "level": level, "message": str(text) % {"name": short}}


def of_many(action: str, done: int, chosen: int) -> str:
    """What `cancel` or `retry` did to so many of the chosen tasks."""
    if not chosen:
        return str(gettext("Choose some tasks first."))
    if action == "cancel":
        said, rest = gettext("Cancelled: %(done)s of %(chosen)s."), gettext("The others had ended before.")
    else:
        said, rest = gettext("Run again: %(done)s of %(chosen)s."), gettext("The others cannot be run again now.")
    return str(said % {"done": done, "chosen": chosen} + ("" if done == chosen else f" {rest}"))
