"""`make run`: starts, keeps alive, stops, refuses."""

import os
import signal
import socket
import stat
import time
import urllib.request
from pathlib import Path

import psycopg2
import pytest

from tests.local.instances import Instance, until


def test_ctrl_c_stops_everything_and_the_data_stays(anybodys: Instance) -> None:
    anybodys.up()
    _execute(anybodys, "CREATE TABLE kept AS SELECT 42 AS answer")
    secrets = anybodys.secrets()
    anybodys.signal(signal.SIGINT)
    code, said = anybodys.ends()
    assert (code, said.splitlines()[-2:]) == (0, ["Stopping …", "Stopped."])

    anybodys.up()
    assert _execute(anybodys, "SELECT answer FROM kept") == [(42,)]
    assert anybodys.secrets() == secrets
    anybodys.signal(signal.SIGTERM)
    assert anybodys.ends()[0] == 0


def test_killing_the_supervisor_leaves_no_process(anybodys: Instance) -> None:
    anybodys.up()
    assert len(anybodys.pids()) > 8
    anybodys.signal(signal.SIGKILL)
    until(lambda: not anybodys.pids())
    anybodys.up()
    anybodys.signal(signal.SIGINT)
    assert anybodys.ends()[0] == 0


def test_a_killed_child_is_started_again(instance: Instance) -> None:
    instance.up()
    before = {name: instance.pid(name) for name in ("postgres", "valkey", "web", "worker", "dispatcher", "sample")}
    old = set(instance.pids()) - {instance.process.pid}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(instance.pid(name) != pid for name, pid in before.items()))
    until(lambda: _alive(instance))
    assert until(lambda: _execute(instance, "SELECT 1")) == [(1,)]
    # What a killed worker had started itself goes with it; the guard is what remains.
    assert len(old & set(instance.pids())) <= 1
    said = instance.reads("Starting it again.")
    assert "was ended by SIGKILL." in said
    assert f"Log: {instance.folder}/instance/log/" in said


def test_a_child_that_hangs_is_started_again(instance: Instance) -> None:
    instance.up()
    before, worker = instance.pid("dispatcher"), instance.pid("worker")
    until((instance.folder / "instance/run/dispatcher.beat").exists)  # it has begun to beat
    os.kill(before, signal.SIGSTOP)
    stopped_at = time.monotonic()
    until(lambda: instance.pid("dispatcher") != before)
    assert time.monotonic() - stopped_at <= 15
    assert "dispatcher gave no sign of life." in instance.reads("Starting it again.")
    assert instance.pid("worker") == worker  # which gives none at all, and need not


def test_a_second_start_is_refused(running: Instance) -> None:
    second = Instance(running.folder, as_nobody=False).start()
    assert second.process.wait(10) == 1
    assert second.reads("").startswith(f"Already running on this folder (pid {running.process.pid})")
    assert _alive(running)


def test_a_taken_port_is_refused_before_anything_starts(instance: Instance) -> None:
    with socket.create_server(("127.0.0.1", instance.port)):
        code, said = instance.start().ends()
    assert (code, said) == (1, f"Port {instance.port} is in use; choose another: PORT={instance.port + 1} make run\n")
    assert not (instance.folder / "instance/pg").exists()


def test_secrets_are_made_once_and_private(running: Instance) -> None:
    file = running.folder / "instance/secrets.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secrets = running.secrets()
    assert len(set(secrets.values())) == len(secrets) == 5
    assert not [command for command in running.pids().values() for secret in secrets.values() if secret in command]


def test_children_get_the_settings_and_a_sample(running: Instance) -> None:
    raw = Path(f"/proc/{running.pid('worker')}/environ").read_bytes().decode()
    env = dict(item.split("=", 1) for item in raw.split("\0") if item)
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert (env["PORTAL_MODE"], env["SMS_PER_DAY"], env["PORT"]) == ("local", "7", str(running.port))
    assert env["INSTANCE_PATH"] == f"{running.folder}/instance"
    sample = env["SAMPLE_URL"].removeprefix("http://").removesuffix("/cities.csv")
    assert env["FETCH_ALLOW_HOSTS"] == f"data.test:8080,{sample}"
    with urllib.request.urlopen(env["SAMPLE_URL"]) as answer:  # noqa: S310
        assert answer.readline().decode().startswith("name_zh,name_en,province,")


def test_ctrl_c_during_the_start_stops_it(instance: Instance) -> None:
    instance.start().reads("Starting Data Station")
    instance.signal(signal.SIGINT)
    started = time.monotonic()
    assert instance.ends()[0] == 0
    assert time.monotonic() - started < 10
    assert not (instance.folder / "instance/pg").exists()


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"PORT": "web"}, "PORT=web is no port"),
        ({"HOST": "192.0.2.1"}, "Cannot listen on HOST=192.0.2.1"),
        ({"PORTAL_PG_BINDIR": "/nowhere"}, "PORTAL_PG_BINDIR=/nowhere holds no initdb and postgres."),
        ({"PORTAL_VALKEY": "/nowhere"}, "PORTAL_VALKEY=/nowhere is not a program."),
        ({"INSTANCE_PATH": "/proc/1/data"}, "Cannot write to /proc/1/data"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(instance: Instance, env: dict[str, str], said: str) -> None:
    code, answer = instance.start(**env).ends()
    assert code == 1
    assert answer.startswith(said)
    assert answer.count("\n") == 1


def test_data_that_is_not_whole_is_left_alone(instance: Instance) -> None:
    pg = instance.folder / "instance/pg"
    pg.mkdir(parents=True)
    code, said = instance.start().ends()
    assert (code, "secrets.env has no SECRET_KEY" in said) == (1, True)
    pg.rmdir()
    (instance.folder / "instance/pg.new").mkdir()
    (instance.folder / "instance/pg.new/half").touch()
    instance.up()
    (pg / "global/pg_control").unlink()
    instance.signal(signal.SIGKILL)
    until(lambda: not instance.pids())
    code, said = instance.start().ends()
    assert (code, "is not a whole PostgreSQL folder" in said) == (1, True)


def _execute(instance: Instance, sql: str) -> list[tuple[object, ...]]:
    try:
        connection = psycopg2.connect(instance.database())
    except (psycopg2.OperationalError, OSError):
        return []
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def _alive(instance: Instance) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{instance.port}/health/live", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
