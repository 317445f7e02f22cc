"""The outside world: one protocol each, a class per provider, chosen by name in the settings."""

from dataclasses import dataclass

from portal.config import Settings
from portal.gateways.captcha import AltchaCaptcha, Captcha
from portal.gateways.outbox import Outbox, OutboxSms
from portal.gateways.sms import SmsGateway
from portal.gateways.store import FolderStore, Store


@dataclass(frozen=True)
class Gateways:
    sms: SmsGateway
    captcha: Captcha
    store: Store
    outbox: Outbox | None


def build(settings: Settings) -> Gateways:
    """The providers that the settings name."""
    outbox = Outbox(settings.instance_path / "outbox.jsonl")
    return Gateways(
        sms=OutboxSms(outbox),
        captcha=AltchaCaptcha(settings.derived("altcha"), settings.derived("altcha-key"), settings.captcha_cost),
        store=FolderStore(settings.store_folder),
        outbox=outbox if settings.is_local else None,
    )
