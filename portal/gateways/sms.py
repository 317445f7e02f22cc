"""Text messages."""

from typing import Protocol

from portal.gateways.delivery import Delivery


class SmsGateway(Protocol):
    def send(self, to: str, purpose: str, code: str | None) -> Delivery:
        """Send the template of a purpose to an E.164 number; `code` fills it.

        Raises `Fault` when it was surely not sent: `sms_throttled` (passing), `sms_unavailable` (passing),
        `sms_number_refused` or `sms_misconfigured` (ours to repair: money, rights, keys, templates).
        Its param `vendor` is the provider's code, if there is one.
        """
