"""Migration 0006: everybody keeps an account of their own, and hears of a name that was lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from apiflask import APIFlask
from sqlalchemy import text

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.services import events
from portal.services.events import Visitor
from tests.conftest import Urls, own_database

PEOPLE = [  # username, e-mail address, verified in this year or not at all
    ("straße", "old@example.com", 2024),
    ("STRASSE", "ｏld@example.com", 2023),
    ("strasse-2", "old@xn--bcher-kva.de", 2025),
    ("ſtraſſe", "waits@example.com", None),
    ("x" * 30 + "ß", "ｗaits@example.com", None),
    ("x" * 30 + "ſs", "straße@example.com", 2024),
    ("Zoë", "zoe@example.com", 2024),
    ("long", "\ufdfa" * 20 + "@" + ".".join(["a" * 60] * 3) + ".com", None),  # one letter is eighteen in its form
]


@pytest.fixture
def before(settings: Settings, servers: Urls) -> Iterator[APIFlask]:
    """A portal whose database stands before the migration, with people who have one name twice."""
    with own_database(servers, 0) as own:
        app = create_app(Settings.model_validate(settings.model_dump() | {"database_url": own.database}))
        with app.app_context():
            flask_migrate.upgrade(_folder(app), revision="0005")
            for number, (username, email, year) in enumerate(PEOPLE):
                db.session.execute(
                    text(
                        "INSERT INTO users (uuid, username, email, phone_number, hashed_password, email_verified_at)"
                        " VALUES (gen_random_uuid(), :username, :email, :number, 'x', make_date(:year, 1, 1))"
                    ),
                    {"username": username, "email": email, "number": f"+861380013800{number}", "year": year},
                )
            events.record("prefix.stopped", Visitor(), prefix="+8617012345")
            db.session.commit()
            yield app
            db.session.remove()
            db.engine.dispose()


def _folder(app: APIFlask) -> str:
    return str(Path(app.root_path).parent / "migrations")


def _rows(columns: str) -> list[tuple[Any, ...]]:
    rows = [tuple(row) for row in db.session.execute(text(f"SELECT {columns} FROM users ORDER BY id"))]
    db.session.rollback()
    return rows


def test_everybody_keeps_an_account_and_nobody_two_of_one_name(before: APIFlask) -> None:
    flask_migrate.upgrade(_folder(before), revision="0006")
    assert _rows("username, username_key") == [
        ("straße", "strasse"),
        ("STRASSE-3", "strasse-3"),  # -2 is somebody's
        ("strasse-2", "strasse-2"),
        ("ſtraſſe-4", "strasse-4"),
        ("x" * 30 + "ß", "x" * 30 + "ss"),
        ("x" * 30 + "-2", "x" * 30 + "-2"),
        ("Zoë", "zoë"),
        ("long", "long"),
    ]
    assert _rows("email, pending_email, date_part('year', email_verified_at)") == [
        (None, "old@example.com", None),  # the other one verified it earlier
        ("old@example.com", None, 2023),
        ("old@bücher.de", None, 2025),
        (None, "waits@example.com", None),
        (None, "waits@example.com", None),  # it is nobody's yet
        ("strasse@example.com", None, 2024),
        ("zoe@example.com", None, 2024),
        (None, None, None),  # there is no such mailbox, and no room for its form
    ]
    told = "SELECT details->>'before' FROM events JOIN users ON users.id = events.user_id ORDER BY events.position"
    assert [row[0] for row in db.session.execute(text(told))] == ["STRASSE", "ſtraſſe", "x" * 30 + "ſs"]
    assert events.find_broken() == (4, None)


def test_the_way_back_keeps_everybody(before: APIFlask) -> None:
    flask_migrate.upgrade(_folder(before), revision="0006")
    flask_migrate.downgrade(_folder(before), revision="0005")
    addresses = [row[0] for row in _rows("email")]
    assert len(set(addresses)) == len(PEOPLE) and None not in addresses
    assert {"old@example.com", "waits@example.com", "zoe@example.com"} <= set(addresses)
