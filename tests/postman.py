"""The postman's rounds in this process: what he hands over, instead of handing it over."""

from dataclasses import dataclass

import pytest

from portal.errors import Fault
from portal.extensions import db, gateways
from portal.gateways.delivery import Delivery
from portal.gateways.mail import Mail
from portal.services import parcels


@dataclass(frozen=True)
class Handed:
    """A mail with its subject and text, or an SMS."""

    channel: str
    to: str
    purpose: str
    subject: str = ""
    text: str = ""
    html: str = ""


class Postman:
    """Use it inside an application's context. While `fault` is set, providers refuse everything with it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.fault: Fault | None = None
        self._handed: list[Handed] = []
        patch.setattr(gateways().mail, "send", self._mail)
        patch.setattr(gateways().sms, "send", self._sms)

    def rounds(self) -> list[Handed]:
        """All that is due now."""
        self._handed = []
        while parcel := parcels.claim():
            db.session.commit()
            parcels.deliver(parcel)
            db.session.commit()
        db.session.rollback()
        return self._handed

    def _mail(self, mail: Mail) -> Delivery:
        return self._hand(Handed("mail", mail.to, mail.purpose, mail.subject, mail.text, mail.html))

    def _sms(self, to: str, purpose: str, code: str | None) -> Delivery:
        assert code is None
        return self._hand(Handed("sms", to, purpose))

    def _hand(self, what: Handed) -> Delivery:
        if self.fault:
            raise self.fault
        self._handed.append(what)
        return Delivery()
