"""Text messages."""

from typing import Protocol


class SmsGateway(Protocol):
    def send(self, to: str, purpose: str, code: str | None) -> None:
        """Send the template of a purpose to an E.164 number; `code` fills it.

        Raises `Fault` when it was surely not sent: `sms_throttled` (passing), `sms_unavailable` (passing) or
        `sms_number_refused`. Returns when it was sent or may have been.
        """
