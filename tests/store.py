"""The store of a test: whose it is, what lies in it, and how time passes there."""

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from apiflask import APIFlask
from sqlalchemy import func, select, text

from portal.extensions import db
from portal.gateways.store import Store
from portal.models import Dataset, Task, User
from portal.services import store_identity, tasks
from portal.worker.reaper import Reaper

URL = "http://example.com/a.csv"


def adopt(app: APIFlask) -> None:
    """Have the store be the database's, and its first hour over."""
    with app.app_context():
        mark = store_identity.adopt()
        db.session.commit()
        store_identity.write(mark)
        let_an_hour_pass()


def let_an_hour_pass() -> None:
    """Of that in which nothing is tidied; in an application's context."""
    db.session.execute(text("UPDATE store_identities SET quiet_until = quiet_until - interval '1 hour'"))
    db.session.commit()


def files(folder: Path) -> dict[str, bytes]:
    """All there are, with what they hold."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def age(path: Path, seconds: float) -> None:
    """As if it had been written so long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))


@dataclass
class House:
    """A portal with a store of its own, each file of which a row names; `clock` is how far time has been turned."""

    app: APIFlask
    store: Store
    folder: Path
    owner: User
    clock: timedelta = timedelta()

    def files(self) -> dict[str, bytes]:
        """All there are, but for the mark and the probe."""
        return {
            key: content
            for key, content in files(self.folder).items()
            if key not in ("data-station.json", "probes/free")
        }

    def put(self, key: str) -> None:
        source = self.folder.parent / f"source-{uuid4()}"
        source.parent.mkdir(exist_ok=True, parents=True)
        source.write_bytes(key.encode())
        self.store.put(source, key)

    def dataset(self) -> str:
        task = db.session.scalars(
            select(Task).where(Task.uuid == tasks.submit(self.owner, "health_check", {}).uuid)
        ).one()
        key = f"datasets/{task.uuid}/1.parquet"
        self.put(key)
        sizes: dict[str, Any] = {"source_bytes": 1, "stored_bytes": 1, "rows": 1, "columns": []}
        digests = {"source_sha256": "0" * 64, "stored_sha256": "0" * 64}
        kept = {"keep_until": func.now() + timedelta(days=90), "store_key": key, "name": "x", "source_url": URL}
        db.session.add(Dataset(owner_id=self.owner.id, task_id=task.id, **sizes, **digests, **kept))
        db.session.commit()
        return key

    def live_on(self, rounds: int = 3) -> Reaper:
        """A dispatcher that starts, and works for hours."""
        reaper = Reaper(self.app)
        for _ in range(rounds):
            reaper.round()
            self.turn(timedelta(hours=2))
            reaper._tidied = float("-inf")
            reaper.store._surveyed = float("-inf")
            let_an_hour_pass()
        reaper.round()
        return reaper

    def turn(self, forward: timedelta) -> None:
        self.clock += forward

    def say(self, *words: str) -> Any:
        return self.app.test_cli_runner().invoke(args=["store", *words])

    def problems(self) -> list[str]:
        self.app.extensions.pop("health", None)
        found = self.app.test_client().get("/health/ready").get_json()["problems"]
        return [problem for problem in found if problem.startswith("store_")]
