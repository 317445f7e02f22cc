"""The watch over the suite sees a leak, wherever it is said."""

import json
import logging
from pathlib import Path

from apiflask import APIFlask
from loguru import logger

from portal.extensions import db, gateways
from portal.services import events
from portal.services.events import Visitor
from tests.watch import Watch, leaks, leaks_of_instance

# By no other test: what is said here is heard by the watch over the whole suite, too.
NUMBER, CODE = "+8613300133001", "314159"


def test_a_leak_in_a_log_or_in_the_history_is_seen(app: APIFlask, watch: Watch, tmp_path: Path) -> None:
    with app.app_context():
        box = gateways().outbox
        assert box is not None
        before = set(watch.secrets)
        box.add("sms", to=NUMBER, purpose="login", code=CODE)
        planted = watch.secrets - before
        assert planted == {NUMBER, NUMBER.removeprefix("+86"), CODE}
        watch.secrets -= planted
        seen = Watch(tmp_path / "said")
        seen.secrets = planted
        sink = logger.add(seen.say, level="DEBUG", format="{message}")
        logger.debug("a line with 3141592 and x314159 in it")
        assert seen.found() == []
        logger.debug("sent {}", CODE)
        logging.getLogger("vendor").warning("to %s", NUMBER.removeprefix("+86"))
        events.record("code.sent", Visitor(), note=NUMBER)
        db.session.flush()
        events._write(db.session())
        seen.rows()
        logger.remove(sink)
        assert {line.partition(":")[0] for line in seen.found()} == planted
        seen.close()


def test_a_leak_of_a_running_portal_is_seen(tmp_path: Path) -> None:
    message = {"channel": "mail", "to": "a@example.com", "link": "https://x/?token=abc.def"}
    (tmp_path / "outbox.jsonl").write_text(json.dumps(message) + "\n")
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "web.log").write_text("GET /email/verify 200\n")
    assert leaks_of_instance(tmp_path) == []
    (tmp_path / "log" / "worker.log").write_text("opened abc.def\n")
    assert leaks_of_instance(tmp_path) == ["abc.def: opened abc.def"]
    assert leaks(["no more"], {"more"}) == ["more: no more"]
