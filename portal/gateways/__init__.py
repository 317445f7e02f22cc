"""The outside world: one protocol each, a class per provider, chosen by name in the settings."""

from dataclasses import dataclass

from portal.config import Settings
from portal.gateways import aliyun, smtp, tencent
from portal.gateways.captcha import AltchaCaptcha, Captcha
from portal.gateways.endpoints import Endpoint
from portal.gateways.mail import MailGateway
from portal.gateways.outbox import Outbox, OutboxMail, OutboxSms
from portal.gateways.s3_store import Account, S3Store
from portal.gateways.sms import SmsGateway
from portal.gateways.store import FolderStore, Store
from portal.gateways.store_cache import StoreCache


@dataclass(frozen=True)
class Gateways:
    sms: SmsGateway
    mail: MailGateway
    captcha: Captcha
    store: Store
    outbox: Outbox | None


def build(settings: Settings) -> Gateways:
    """The providers that the settings name. Their SDKs are imported at the first use, which takes a second."""
    outbox = Outbox(settings.instance_path / "outbox.jsonl")
    return Gateways(
        sms=_sms(settings, outbox),
        mail=_mail(settings, outbox),
        captcha=_captcha(settings),
        store=_store(settings),
        outbox=outbox if settings.is_local else None,
    )


def _sms(settings: Settings, outbox: Outbox) -> SmsGateway:
    if settings.sms_gateway == "aliyun":
        endpoint = Endpoint.of(settings.aliyun_sms_endpoint)
        return aliyun.AliyunSms(_aliyun(settings), endpoint, settings.sms_sign_name, settings.sms_templates)
    return OutboxSms(outbox)


def _mail(settings: Settings, outbox: Outbox) -> MailGateway:
    sender = settings.mail_from, settings.mail_from_name
    if settings.mail_gateway == "directmail":
        return aliyun.DirectMail(_aliyun(settings), Endpoint.of(settings.aliyun_mail_endpoint), *sender)
    if settings.mail_gateway == "smtp":
        server = smtp.Server(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value(),
            connect_seconds=settings.gateway_connect_seconds,
            read_seconds=settings.gateway_read_seconds,
        )
        return smtp.SmtpMail(server, *sender)
    return OutboxMail(outbox)


def _captcha(settings: Settings) -> Captcha:
    if settings.captcha_gateway == "tencent":
        return tencent.TencentCaptcha(
            tencent.Account(
                secret_id=settings.tencent_secret_id,
                secret_key=settings.tencent_secret_key.get_secret_value(),
                app_id=settings.tencent_captcha_app_id,
                app_secret=settings.tencent_captcha_app_secret.get_secret_value(),
            ),
            Endpoint.of(settings.tencent_endpoint),
            settings.tencent_script_url,
            settings.gateway_connect_seconds,
            settings.captcha_read_seconds,
        )
    return AltchaCaptcha(settings.derived("altcha"), settings.derived("altcha-key"), settings.captcha_cost)


def _store(settings: Settings) -> Store:
    if settings.store_gateway == "s3":
        account = Account(
            endpoint=Endpoint.of(settings.s3_endpoint),
            region=settings.s3_region,
            bucket=settings.s3_bucket,
            prefix=settings.s3_prefix,
            key_id=settings.s3_access_key_id,
            secret=settings.s3_secret_access_key.get_secret_value(),
            virtual_hosted=settings.s3_virtual_hosted,
            connect_seconds=settings.gateway_connect_seconds,
            read_seconds=settings.s3_read_seconds,
        )
        return S3Store(account, StoreCache(settings.instance_path / "cache", settings.store_cache_bytes))
    return FolderStore(settings.store_folder)


def _aliyun(settings: Settings) -> aliyun.Account:
    return aliyun.Account(
        key_id=settings.aliyun_access_key_id,
        key_secret=settings.aliyun_access_key_secret.get_secret_value(),
        connect_ms=round(settings.gateway_connect_seconds * 1000),
        read_ms=round(settings.gateway_read_seconds * 1000),
    )
