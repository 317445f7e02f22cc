"""`make run`, from the first check to the last process gone."""

import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from portal.derived_keys import outbox_key
from portal.local import command, keys, leftovers, ports
from portal.local import place as places
from portal.local.child import Child, run_to_end
from portal.local.guard import guarded
from portal.local.identity import die_with_parent
from portal.local.lock import only_one
from portal.local.place import REPOSITORY, Place
from portal.local.programs import Programs, answers, of_the_portal
from portal.local.refusals import Refused, StopAsked, plainly, say
from portal.local.servers import Postgres, Valkey
from portal.local.signals import Signals
from portal.local.supervisor import Supervisor

_READY_WITHIN = 120.0  # seconds
Choose = Callable[[Place, int], Programs]


def run(environ: Mapping[str, str], folder: Path, choose: Choose = of_the_portal) -> int:
    """Run an instance until asked to stop; answers the exit code. `choose` names the programs for a sample port."""
    os.umask(0o077)
    if "MAKELEVEL" in environ:
        # A kill of make reaches only make itself.
        die_with_parent(signal.SIGTERM)
    try:
        with Signals() as signals:
            place = places.read(environ, folder)
            places.prepare(place)
            with only_one(place.instance):
                leftovers.end(leftovers.noted(place.notes), signals.pause)
                leftovers.forget(place.notes)
                ports.claim(place.host, place.port)
                instance = _Instance(place, signals, choose)
                with guarded(place.notes):
                    instance.run()
    except StopAsked:
        return 0
    except Refused as refusal:
        say(str(refusal))
    except OSError as error:
        say(f"Cannot go on. {plainly(error)}")
    return 1


class _Instance:
    def __init__(self, place: Place, signals: Signals, choose: Choose) -> None:
        self._place, self._signals = place, signals
        self._keys = keys.kept(place.instance)
        # A server of the user's own is used, not started.
        self._database, self._redis = (
            place.environ.get("DATABASE_URL", ""),
            place.environ.get("REDIS_URL", ""),
        )
        self._valkey = None if self._redis else Valkey(place.instance, self._keys["VALKEY_PASSWORD"], logs=place.logs)
        self._postgres = (
            None if self._database else Postgres(place.instance, self._keys["POSTGRES_PASSWORD"], logs=place.logs)
        )
        if self._valkey:
            self._redis = self._valkey.url
        if self._postgres:
            self._database = self._postgres.url
        sample_port = ports.free_port()
        self._env = places.environment(place, self._keys, self._database, self._redis, sample_port)
        programs = choose(place, sample_port)
        self._migrate = Child(
            "migrations",
            programs.migrate,
            place.logs / "migrations.log",
            env=self._env,
            cwd=REPOSITORY,
        )
        self._web = programs.web.child(place, self._env)
        self._web.ready = lambda _: answers(place)
        self._others = [program.child(place, self._env) for program in programs.others]
        stages: dict[int, list[Child]] = {}
        for program, child in zip((*programs.others, programs.web), (*self._others, self._web), strict=True):
            stages.setdefault(program.stage, []).append(child)
        ordered = [stages[number] for number in sorted(stages)]
        ordered += [[server.child] for server in (self._valkey, self._postgres) if server]
        self._supervisor = Supervisor(ordered, signals, say, partial(leftovers.remember, place.notes))

    def run(self) -> None:
        """Raises StopAsked at the end of a good run, Refused when something does not start. Everything is gone then."""
        say(f"Starting Data Station in {self._place.instance}")
        try:
            self._start_servers()
            run_to_end(self._migrate, self._signals.pause)
            say("  Database is up to date")
            self._supervisor.start(self._web, *self._others)
            command.keep(self._place.instance, self._env, places.SHARED)
            self._supervisor.await_ready(self._web, _READY_WITHIN)
            say(f"Data Station is ready: {self._place.url}  (Ctrl-C stops it)")
            say(f"  SMS and mail arrive at {self._place.url}/dev/outbox?key={outbox_key(self._env['SECRET_KEY'])}")
            self._supervisor.watch()
        except StopAsked:
            say("Stopping …")
            raise
        finally:
            self._supervisor.stop()
            leftovers.forget(self._place.notes)
            command.forget(self._place.instance)
            say("Stopped.")

    def _start_servers(self) -> None:
        # Valkey starts while PostgreSQL makes its folder.
        if self._valkey:
            self._valkey.prepare()
            self._supervisor.start(self._valkey.child)
        if self._postgres:
            self._postgres.prepare(self._signals.pause)
            self._supervisor.start(self._postgres.child)
            self._supervisor.await_ready(self._postgres.child, _READY_WITHIN)
        say("  PostgreSQL is ready" if self._postgres else "  PostgreSQL: the one of DATABASE_URL")
        if self._valkey:
            self._supervisor.await_ready(self._valkey.child, _READY_WITHIN)
        say("  Valkey is ready" if self._valkey else "  Redis: the one of REDIS_URL")
