"""A portal with a store of its own: a folder, and S3."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from apiflask import APIFlask

from portal.extensions import db
from portal.gateways.s3_store import S3Store
from portal.gateways.store import FolderStore, Store
from portal.gateways.store_cache import StoreCache
from portal.models import User
from portal.services import health, tidying
from tests.cast import person
from tests.gateways.s3_server import S3Server, running
from tests.store import House


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture(params=["folder", "s3"])
def house(
    request: pytest.FixtureRequest, app: APIFlask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    store: Store
    if request.param == "folder":
        store, folder = FolderStore(tmp_path / "store"), tmp_path / "store"
    else:
        server, prefix = request.getfixturevalue("server"), str(uuid4())
        store = S3Store(server.account(prefix=prefix), StoreCache(tmp_path / "cache", 2**30))
        folder = server.folder / prefix
    monkeypatch.setitem(app.extensions, "gateways", replace(app.extensions["gateways"], store=store))
    monkeypatch.setattr(health, "ANSWER_SECONDS", 60)  # whatever else the machine is at
    alice = person(app, "alice")
    with app.app_context():
        made = House(app, store, folder, db.session.get_one(User, alice.id))
        now = tidying.now
        monkeypatch.setattr(tidying, "now", lambda: now() + made.clock)
        yield made
