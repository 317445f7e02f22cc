"""Which files of a store are ours: no other is ever changed, moved or removed."""

import re
from datetime import UTC, datetime

MARK = "data-station.json"  # says which database the store belongs to
PROBE = "probes/free"  # written over again and again, to find out whether it can be written
KINDS = ("datasets", "exports", "uploads", "probes")
TRASH = "trash"

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OWN = re.compile(rf"(?:{'|'.join(KINDS)})/{_UUID}(?:-[0-9]+)?(?:/(?!\.\.?(?:/|$))[^/]+)*")
_MOMENT = "%Y%m%dT%H%M%S%fZ"
_TRASHED = re.compile(rf"{TRASH}/([0-9]{{8}}T[0-9]{{12}}Z)/({_OWN.pattern})")


def is_own(key: str) -> bool:
    """Whether it is a key as we make them: `<kind>/<uuid>…`."""
    return bool(_OWN.fullmatch(key))


def in_trash(key: str) -> str:
    """Where a file goes that is removed now: no two removals share a place."""
    return f"{TRASH}/{datetime.now(UTC):{_MOMENT}}/{key}"


def before_trash(key: str) -> str | None:
    """Where a file of the trash lay; None if it is no such file."""
    found = _TRASHED.fullmatch(key)
    return found[2] if found else None


def moment_of_trash(key: str) -> datetime | None:
    """When it was put there, as the key says; None if it is no such file."""
    found = _TRASHED.fullmatch(key)
    return datetime.strptime(found[1], _MOMENT).replace(tzinfo=UTC) if found else None


def may_touch(key: str) -> None:
    """Raises `ValueError` unless the file is ours, in its place or in the trash."""
    if not is_own(key) and before_trash(key) is None:
        raise ValueError("no file of ours")


def is_stranger(key: str) -> bool:
    """Whether somebody else put it there."""
    return not is_own(key) and before_trash(key) is None and key not in (MARK, PROBE)
