"""One form of each name of an account, made in Python; an address that was not verified protects nothing.

Whoever loses a name to an older account keeps everything else: of two usernames that are one, the newer gets a
number at its end, and its history tells; of two verified addresses that are one, the later waits to be verified anew.
"""

import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

import sqlalchemy as sa
from alembic import op
from flask import current_app

from portal import account_names

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("username_key", sa.String(128)))
    op.add_column("users", sa.Column("pending_email", sa.String(254)))
    op.alter_column("users", "email", nullable=True)
    op.drop_constraint(op.f("ck_users_email_lower"), "users")
    op.drop_index("uq_users_username", "users")
    op.drop_index("uq_users_email", "users")
    _usernames()
    _addresses()
    op.alter_column("users", "username_key", nullable=False)
    op.create_index("uq_users_username_key", "users", ["username_key"], unique=True)
    op.create_index("uq_users_email", "users", ["email"], unique=True)
    op.create_check_constraint(
        op.f("ck_users_email_verified"), "users", "(email IS NULL) = (email_verified_at IS NULL)"
    )


def _usernames() -> None:
    people = _all("SELECT id, username FROM users ORDER BY id")
    keys = {person.id: account_names.fold(person.username) for person in people}
    taken, renamed = set(keys.values()), []
    seen: set[str] = set()
    for person in people:
        username, key = person.username, keys[person.id]
        if key in seen:
            username, key = _numbered(person.username, taken)
            renamed.append((person.id, person.username))
        seen.add(key)
        taken.add(key)
        _set(person.id, username=username, username_key=key)
    _tell(renamed)


def _numbered(username: str, taken: set[str]) -> tuple[str, str]:
    """The username with the first number that makes it nobody's, and its key."""
    number = 2
    while True:
        end = f"-{number}"
        candidate = username[: 32 - len(end)] + end
        if (key := account_names.fold(candidate)) not in taken:
            return candidate, key
        number += 1


def _addresses() -> None:
    # Whoever verified first keeps an address.
    people = _all("SELECT id, email, email_verified_at FROM users ORDER BY email_verified_at NULLS LAST, id")
    verified: set[str] = set()
    for person in people:
        email = account_names.email_form(person.email) or account_names.fold(person.email)
        if len(email) > account_names.EMAIL_MAX:  # a letter can stand for eighteen: nobody reads mail there
            _set(person.id, email=None, email_verified_at=None)
        elif person.email_verified_at is None or email in verified:
            _set(person.id, email=None, email_verified_at=None, pending_email=email)
        else:
            verified.add(email)
            _set(person.id, email=email)


def _all(query: str) -> Iterable[sa.Row]:
    return op.get_bind().execute(sa.text(query)).all()


def _set(user_id: int, **values: object) -> None:
    users = sa.table("users", *(sa.column(name) for name in ("id", *values)))
    op.get_bind().execute(sa.update(users).where(users.c.id == user_id).values(**values))


def _tell(renamed: list[tuple[int, str]]) -> None:
    """Add to each history that the name was changed, and which it was: the chain as it is made in this version."""
    if not renamed:
        return
    settings, bind = current_app.extensions["settings"], op.get_bind()

    def mac(purpose: str, text: str) -> str:
        return hmac.new(settings.derived(purpose, lasting=True), text.encode(), sha256).hexdigest()

    head = bind.execute(sa.text("SELECT position, hash FROM events_head FOR UPDATE")).one_or_none()
    position, last = head or (0, "0" * 64)
    columns = ("position", "hash", "at", "kind", "user_id", "actor_id", "address", "user_agent", "details")
    events = sa.table("events", *(sa.column(name, sa.JSON() if name == "details" else None) for name in columns))
    for user_id, before in renamed:
        position += 1
        at = datetime.now(UTC)
        row = {"at": at.isoformat(timespec="microseconds"), "kind": "account.username", "user_id": user_id}
        row |= {"actor_id": user_id, "address": "", "user_agent": "", "details": {"before": before, "by": "upgrade"}}
        told = json.dumps(row | {"position": position}, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        last = mac("events", last + told)
        bind.execute(sa.insert(events).values(**(row | {"at": at, "position": position, "hash": last})))
    text = "INSERT INTO events_head (one, position, hash, mac) VALUES (true, :position, :hash, :mac)"
    text += " ON CONFLICT (one) DO UPDATE SET position = :position, hash = :hash, mac = :mac"
    bind.execute(sa.text(text), {"position": position, "hash": last, "mac": mac("events-head", f"{position}:{last}")})


def downgrade() -> None:
    """Addresses that wait go back to where they were; of several that are equal, all but the oldest get a number."""
    op.drop_constraint(op.f("ck_users_email_verified"), "users")
    op.drop_index("uq_users_username_key", "users")
    op.execute(
        """
        UPDATE users SET email = CASE WHEN numbered.place = 1 AND NOT numbered.taken THEN numbered.waits
                                      ELSE left(numbered.id || '.' || numbered.waits, 254) END
        FROM (SELECT id, waits, row_number() OVER (PARTITION BY waits ORDER BY id) AS place,
                     EXISTS (SELECT FROM users AS other WHERE other.email = waits) AS taken
              FROM (SELECT id, coalesce(lower(pending_email), 'nobody@example.invalid') AS waits
                    FROM users WHERE email IS NULL) AS waiting) AS numbered
        WHERE users.id = numbered.id
        """
    )
    op.execute("UPDATE users SET email = lower(email)")
    op.create_check_constraint(op.f("ck_users_email_lower"), "users", "email = lower(email)")
    op.create_index("uq_users_username", "users", [sa.text("lower(username)")], unique=True)
    op.alter_column("users", "email", nullable=False)
    op.drop_column("users", "pending_email")
    op.drop_column("users", "username_key")
