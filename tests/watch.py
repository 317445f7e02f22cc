"""Over the whole suite: what was secret in any test stands in no log line and in no row of history or ledger."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loguru import logger
from sqlalchemy import text

from portal import logs
from portal.api import guards
from portal.extensions import db
from portal.gateways.outbox import Outbox
from portal.models import LoginSession
from portal.services import passwords

LEAST_PASSWORD = 12  # shorter ones are words such as "wrong", which mean nothing


def leaks(lines: list[str], secrets: set[str]) -> list[str]:
    """Lines that hold a secret; digits that are part of a longer number or hash are not it."""
    whole = "\n".join(lines)
    found = []
    for secret in sorted(each for each in secrets if each in whole):
        alone = re.compile(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])")
        found += [f"{secret}: {line[:200]}" for line in lines if alone.search(line)]
    return found


def secrets_of(message: dict[str, Any]) -> set[str]:
    """The code, the link's token and the phone number, in both forms, of a message of the outbox."""
    token = str(message.get("link") or "").partition("?token=")[2]
    number = message["to"] if message["channel"] == "sms" else ""
    return {each for each in (message.get("code"), token, number, number.removeprefix("+86")) if each}


def leaks_of_instance(folder: Path, *more: str) -> list[str]:
    """The same for a portal that ran in a folder, by its outbox and its logs."""
    outbox = folder / "outbox.jsonl"
    messages = [json.loads(line) for line in outbox.read_text().splitlines()] if outbox.exists() else []
    secrets = set(more).union(*(secrets_of(message) for message in messages))
    lines = [line for log in (folder / "log").glob("*.log") for line in log.read_text(errors="replace").splitlines()]
    return leaks(lines, secrets)


class Watch:
    """What was secret, and where everything that was said is kept."""

    def __init__(self, file: Path) -> None:
        self.secrets: set[str] = set()
        self._file = file.open("a+", encoding="utf-8")

    def say(self, line: Any) -> None:
        self._file.write(f"{line}\n")

    def rows(self) -> None:
        """Note history and ledger, but for moments and hashes; needs an application's context."""
        left_out = "{at,hash,created_at,send_after,verified_at,recipient}"
        for table in ("events", "messages"):
            query = text(f"SELECT to_jsonb(t) - '{left_out}'::text[] FROM {table} t")  # both are ours
            for row in db.session.scalars(query):
                self.say(json.dumps(row, ensure_ascii=False))
        db.session.rollback()

    def close(self) -> None:
        self._file.close()

    def found(self) -> list[str]:
        self._file.seek(0)
        return leaks(self._file.read().splitlines(), self.secrets)


@contextmanager
def watching(file: Path) -> Iterator[Watch]:
    """Note every code, link, number, password and token from now on, and every log line at DEBUG."""
    watch = Watch(file)
    add, hashed, matches = Outbox.add, passwords.hashed, passwords.matches
    pair, configure = guards.token_pair, logs.configure

    def noted_add(self: Outbox, channel: str, **message: Any) -> Any:
        watch.secrets |= secrets_of({"channel": channel, **message})
        return add(self, channel, **message)

    def noted_hashed(password: str) -> str:
        watch.secrets |= {password} if len(password) >= LEAST_PASSWORD else set()
        return hashed(password)

    def noted_matches(password: str, stored: str | None) -> bool:
        watch.secrets |= {password} if len(password) >= LEAST_PASSWORD else set()
        return matches(password, stored)

    def noted_pair(found: LoginSession) -> dict[str, Any]:
        made = pair(found)
        watch.secrets |= {made["access_token"], made["refresh_token"]}
        return made

    def watched_configure(*, local: bool) -> None:
        configure(local=local)  # takes every sink away, ours too
        logger.add(watch.say, level="DEBUG", format="{message} {extra} {exception}", diagnose=False, backtrace=False)

    Outbox.add = noted_add  # type: ignore[method-assign]
    passwords.hashed, passwords.matches = noted_hashed, noted_matches
    guards.token_pair, logs.configure = noted_pair, watched_configure
    try:
        yield watch
    finally:
        logger.remove()
        Outbox.add = add  # type: ignore[method-assign]
        passwords.hashed, passwords.matches = hashed, matches
        guards.token_pair, logs.configure = pair, configure
        watch.close()
