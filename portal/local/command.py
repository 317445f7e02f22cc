"""`python -m portal.local.command ARGS`: a flask command, with the settings of the portal that runs here."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from portal.local import place as places

FILE = "environment"


def keep(instance: Path, env: dict[str, str], names: Iterable[str]) -> None:
    """Note these settings of a running instance, for its owner alone; they hold passwords."""
    file = instance / FILE
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.writelines(f"{name}={env[name]}\n" for name in names)


def forget(instance: Path) -> None:
    (instance / FILE).unlink(missing_ok=True)


def main() -> None:
    env = dict(os.environ)
    file = places.read(env, Path.cwd()).instance / FILE
    if "DATABASE_URL" not in env and file.exists():
        env |= dict(line.split("=", 1) for line in file.read_text().splitlines())
    if "DATABASE_URL" not in env:
        sys.exit("No portal runs here. Start it with `make run`, or set DATABASE_URL and the other settings.")
    flask = [sys.executable, "-m", "flask", "--app", "wsgi", *sys.argv[1:]]
    os.execve(sys.executable, flask, env)  # noqa: S606  # no shell, and nothing a stranger wrote


if __name__ == "__main__":
    main()
