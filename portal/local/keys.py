"""The secrets of local mode: made once, kept beside the data they belong to, readable by their owner alone."""

import os
import secrets
from pathlib import Path

from portal.local.refusals import Refused

FILE = "secrets.env"
NAMES = (
    "SECRET_KEY",
    "JWT_SECRET_KEY",
    "PASSWORD_KEY",
    "POSTGRES_PASSWORD",
    "VALKEY_PASSWORD",
)


def kept(instance: Path) -> dict[str, str]:
    """All of NAMES with values; missing ones are made. Raises Refused when there is data and its secrets are gone."""
    file = instance / FILE
    found: dict[str, str] = {}
    if file.exists():
        file.chmod(0o600)
        found = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    missing = [name for name in NAMES if not found.get(name)]
    if missing and (instance / "pg").exists():
        # New keys would lock everybody out of the data that is there.
        raise Refused(f"{file} has no {missing[0]}. Put it back, or move {instance} away to begin anew.")
    values = {name: found.get(name) or secrets.token_urlsafe(48) for name in NAMES}
    if missing:
        _write(
            file,
            "".join(f"{name}={value}\n" for name, value in {**found, **values}.items()),
        )
    return values


def _write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
        out.flush()
        # Without its keys the data is worth nothing: they reach the disk before the data does.
        os.fsync(out.fileno())
    new.replace(file)
