"""What was asked for: the folder, the address, and what the environment and `.env` say."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from portal.local.refusals import Refused

_ROOM, _NEW_ROOM = 20 << 20, 100 << 20  # bytes; a new PostgreSQL folder takes about 50 MB
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """Where an instance lives and answers. `environ` is the real environment over `.env`."""

    instance: Path
    host: str
    port: int
    environ: Mapping[str, str]

    @property
    def logs(self) -> Path:
        return self.instance / "log"

    @property
    def notes(self) -> Path:
        """Where the processes that run are noted."""
        return self.instance / "run"

    @property
    def reachable(self) -> tuple[str, int]:
        """Host and port to connect to from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port  # noqa: S104

    @property
    def url(self) -> str:
        host, port = self.reachable
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read(environ: Mapping[str, str], folder: Path) -> Place:
    """The place named by `environ` and `folder`/.env; raises Refused for a PORT that is none."""
    file = {
        name: value for name, value in dotenv_values(folder / ".env", interpolate=False).items() if value is not None
    }
    merged = {**file, **environ}
    port = merged.get("PORT") or "8000"
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise Refused(f"PORT={port} is no port; choose one from 1024 to 65535: PORT=8001 make run")
    instance = folder / (merged.get("INSTANCE_PATH") or "instance")
    return Place(instance.resolve(), merged.get("HOST") or "127.0.0.1", int(port), merged)


def prepare(place: Place) -> None:
    """Make the folders; raises Refused when they cannot be written or the disk is full."""
    try:
        place.instance.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (place.logs, place.notes):
            folder.mkdir(exist_ok=True)
        probe = place.notes / "probe"
        probe.write_bytes(b"x" * 65_536)
        probe.unlink()
        free = shutil.disk_usage(place.instance).free
    except OSError as error:
        raise Refused(
            f"Cannot write to {place.instance} ({error.strerror}); choose another folder: INSTANCE_PATH=… make run"
        ) from error
    room = _ROOM if (place.instance / "pg").exists() else _NEW_ROOM
    if free < room:
        raise Refused(f"Only {free >> 20} MB are free in {place.instance}; {room >> 20} MB are needed to start.")


def environment(place: Place, keys: Mapping[str, str], database: str, redis: str, sample_port: int) -> dict[str, str]:
    """What every child gets; what the user has set stays, except the mode."""
    given = dict(place.environ)
    # With it every start compiles everything again, which takes three times as long.
    given.pop("PYTHONDONTWRITEBYTECODE", None)
    sample = f"127.0.0.1:{sample_port}"
    hosts = [host for host in (given.get("FETCH_ALLOW_HOSTS", ""), sample) if host]
    ours = {name: keys[name] for name in ("SECRET_KEY", "JWT_SECRET_KEY", "PASSWORD_KEY")}
    ours |= {
        "PUBLIC_URL": place.url,
        "SAMPLE_URL": f"http://{sample}/cities.csv",
        "PYTHONUNBUFFERED": "1",
        "C_FORCE_ROOT": "1",
        # Celery shouts at root; whoever is root here chose it.
        "PYTHONWARNINGS": "ignore:::celery.platforms",
    }
    fixed = {
        "PORTAL_MODE": "local",
        "INSTANCE_PATH": str(place.instance),
        "HOST": place.host,
        "PORT": str(place.port),
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "FETCH_ALLOW_HOSTS": ",".join(hosts),
    }
    chosen = {name: value for name, value in given.items() if value or name not in ours}
    return {**ours, **chosen, **fixed}


# What a command beside the running portal needs to know of it.
SHARED = (
    "PORTAL_MODE",
    "SECRET_KEY",
    "JWT_SECRET_KEY",
    "PASSWORD_KEY",
    "DATABASE_URL",
    "REDIS_URL",
    "INSTANCE_PATH",
    "PUBLIC_URL",
)
