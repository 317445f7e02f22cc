"""Local mode: messages go to a file that /dev/outbox shows, instead of to a cloud."""

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from portal.errors import Fault
from portal.gateways.delivery import Delivery
from portal.gateways.mail import Mail

KEPT = 200


class Outbox:
    """The last 200 messages, in a file only its owner can read; safe for several processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, channel: str, **message: Any) -> Delivery:
        """Append one message; `sent_at` is added. Raises `Fault`, passing, when the file cannot be written."""
        line = json.dumps({"channel": channel, **message, "sent_at": datetime.now(UTC).isoformat()}, ensure_ascii=False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                lines = [*file.read().splitlines()[-(KEPT - 1) :], line]
                file.seek(0)
                file.truncate()
                file.write("\n".join(lines) + "\n")
        except OSError:
            raise Fault(f"{channel}_unavailable", passing=True) from None
        return Delivery()

    def messages(self) -> list[dict[str, Any]]:
        """All kept messages, newest first."""
        try:
            with self._path.open(encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                return [json.loads(line) for line in reversed(file.read().splitlines())]
        except FileNotFoundError:
            return []


class OutboxSms:
    """An `SmsGateway` that sends to the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def send(self, to: str, purpose: str, code: str | None) -> Delivery:
        return self._outbox.add("sms", to=to, purpose=purpose, code=code)


class OutboxMail:
    """A `MailGateway` that sends to the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def send(self, mail: Mail) -> Delivery:
        return self._outbox.add(
            "mail", to=mail.to, purpose=mail.purpose, code=None, link=mail.link, subject=mail.subject
        )
