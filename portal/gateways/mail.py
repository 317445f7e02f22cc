"""E-mail."""

from dataclasses import dataclass
from typing import Protocol

from portal.gateways.delivery import Delivery


@dataclass(frozen=True)
class Mail:
    """One mail to one address, in both forms. `link` is the address that it is about."""

    to: str
    purpose: str
    subject: str
    html: str
    text: str
    link: str


class MailGateway(Protocol):
    def send(self, mail: Mail) -> Delivery:
        """Send it.

        Raises `Fault` when it was surely not sent: `mail_throttled` (passing), `mail_unavailable` (passing),
        `mail_address_refused` or `mail_misconfigured` (ours to repair: keys, rights, sender).
        Its param `vendor` is the provider's code, if there is one.
        """
