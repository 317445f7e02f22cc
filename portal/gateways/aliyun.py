"""Aliyun: text messages (Dysmsapi) and mail (DirectMail), through Aliyun's own SDKs."""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from portal.errors import Fault
from portal.gateways.delivery import Delivery
from portal.gateways.endpoints import Endpoint
from portal.gateways.mail import Mail
from portal.gateways.outcomes import Outcome, hush, refused, unknown

SUBJECT_LENGTH = 100

# https://help.aliyun.com/zh/sms/developer-reference/api-error-codes
_BOTH = {
    "InvalidAccessKeyId.NotFound": Outcome.MISCONFIGURED,
    "InvalidAccessKeyId.Inactive": Outcome.MISCONFIGURED,
    "SignatureDoesNotMatch": Outcome.MISCONFIGURED,
    "InvalidTimeStamp.Expired": Outcome.MISCONFIGURED,
    "Forbidden": Outcome.MISCONFIGURED,
    "Forbidden.RAM": Outcome.MISCONFIGURED,
    "NoPermission": Outcome.MISCONFIGURED,
    "SignatureNonceUsed": Outcome.UNAVAILABLE,
    "ServiceUnavailable": Outcome.UNAVAILABLE,
    "InternalError": Outcome.UNAVAILABLE,
}
SMS_OUTCOMES: Mapping[str, Outcome] = {
    **_BOTH,
    "isv.BUSINESS_LIMIT_CONTROL": Outcome.THROTTLED,
    "isv.MOBILE_NUMBER_ILLEGAL": Outcome.NUMBER_REFUSED,
    "isv.CUSTOMER_REFUSED": Outcome.NUMBER_REFUSED,
    "isv.DAY_LIMIT_CONTROL": Outcome.MISCONFIGURED,  # the account's own limits, set in its console
    "isv.MONTH_LIMIT_CONTROL": Outcome.MISCONFIGURED,
    "isv.AMOUNT_NOT_ENOUGH": Outcome.MISCONFIGURED,
    "isv.OUT_OF_SERVICE": Outcome.MISCONFIGURED,
    "isv.ACCOUNT_ABNORMAL": Outcome.MISCONFIGURED,
    "isv.ACCOUNT_NOT_EXISTS": Outcome.MISCONFIGURED,
    "isv.PRODUCT_UN_SUBSCRIPT": Outcome.MISCONFIGURED,
    "isv.SMS_TEMPLATE_ILLEGAL": Outcome.MISCONFIGURED,
    "isv.SMS_SIGNATURE_ILLEGAL": Outcome.MISCONFIGURED,
    "isv.TEMPLATE_MISSING_PARAMETERS": Outcome.MISCONFIGURED,
    "isv.INVALID_PARAMETERS": Outcome.MISCONFIGURED,
    "isv.INVALID_JSON_PARAM": Outcome.MISCONFIGURED,
    "isv.PARAM_LENGTH_LIMIT": Outcome.MISCONFIGURED,
    "isv.PARAM_NOT_SUPPORT_URL": Outcome.MISCONFIGURED,
    "isv.BLACK_KEY_CONTROL_LIMIT": Outcome.MISCONFIGURED,
    "isp.RAM_PERMISSION_DENY": Outcome.MISCONFIGURED,
    "isp.SYSTEM_ERROR": Outcome.UNAVAILABLE,
}
# https://help.aliyun.com/zh/direct-mail/api-dm-2015-11-23-errorcodes; a "MailAddress" is the sender's.
MAIL_OUTCOMES: Mapping[str, Outcome] = {
    **_BOTH,
    "InvalidToAddress": Outcome.ADDRESS_REFUSED,
    "InvalidToAddress.Spam": Outcome.ADDRESS_REFUSED,
    "InvalidReceiver.NotFound": Outcome.ADDRESS_REFUSED,
    "InvalidReceiverName.Malformed": Outcome.ADDRESS_REFUSED,
    "EmailFormatError": Outcome.ADDRESS_REFUSED,
    "EmailLengthError": Outcome.ADDRESS_REFUSED,
    "InvalidMailAddress.NotFound": Outcome.MISCONFIGURED,
    "InvalidMailAddressStatus.Malformed": Outcome.MISCONFIGURED,
    "InvalidMailAddressDomain.Malformed": Outcome.MISCONFIGURED,
    "InvalidMailAddressSendType.Malformed": Outcome.MISCONFIGURED,
    "InvalidSubject.Malformed": Outcome.MISCONFIGURED,
    "InvalidFromAlias.Malformed": Outcome.MISCONFIGURED,
    "InvalidBody": Outcome.MISCONFIGURED,
    "InvalidSendMail.Spam": Outcome.MISCONFIGURED,
    "InternalServiceError": Outcome.UNAVAILABLE,
}


@dataclass(frozen=True)
class Account:
    """Keys and patience: time-outs in milliseconds."""

    key_id: str
    key_secret: str = field(repr=False)
    connect_ms: int
    read_ms: int


@dataclass(frozen=True)
class _Answer:
    """What came back: a `body`, or an error's `code` and `status`; neither when there was no readable answer."""

    body: Any = None
    code: str = ""
    status: int = 0
    request: str = ""
    was_reached: bool = True


class _Service:
    """One service of Aliyun behind one client for the whole process, made at the first call."""

    def __init__(self, account: Account, endpoint: Endpoint) -> None:
        self._account, self._endpoint = account, endpoint
        self._lock = Lock()
        self._client: Any = None

    def call(self, make: Callable[[Any], Any], act: Callable[[Any], Any]) -> _Answer:
        """Make the client from its `Config` if there is none yet, and call it once; nothing of the SDK is raised."""
        from Tea.exceptions import TeaException  # the SDKs cost a second to import

        client = self._ready(make)
        try:
            return _Answer(body=act(client).body)
        except TeaException as error:
            if error.code:
                status = getattr(error, "status_code", None) or 0
                request = getattr(error, "request_id", None) or ""
                # The SDK writes a missing code as "None", and refuses some requests by itself, without a status.
                code = "" if error.code == "None" else str(error.code)
                return _Answer(code=code, status=status, request=request, was_reached=bool(status))
            return _Answer(was_reached=not _never_reached(getattr(error, "inner_exception", None)))
        except Exception:  # noqa: BLE001  # an answer that the SDK cannot read
            return _Answer()

    def _ready(self, make: Callable[[Any], Any]) -> Any:
        from alibabacloud_tea_openapi.utils_models import Config

        with self._lock:
            if self._client is None:
                hush()
                self._client = make(
                    Config(
                        access_key_id=self._account.key_id,
                        access_key_secret=self._account.key_secret,
                        endpoint=self._endpoint.address,
                        protocol=self._endpoint.scheme,
                        connect_timeout=self._account.connect_ms,
                        read_timeout=self._account.read_ms,
                    )
                )
            return self._client


class AliyunSms:
    """An `SmsGateway`: `templates` are the codes of approved templates by purpose; theirs is a variable `code`."""

    def __init__(self, account: Account, endpoint: Endpoint, sign_name: str, templates: Mapping[str, str]) -> None:
        self._service, self._sign_name, self._templates = _Service(account, endpoint), sign_name, templates

    def send(self, to: str, purpose: str, code: str | None) -> Delivery:
        from alibabacloud_dysmsapi20170525.client import Client
        from alibabacloud_dysmsapi20170525.models import SendSmsRequest
        from darabonba.runtime import RuntimeOptions

        request = SendSmsRequest(
            # The plain eleven digits inside China; country and number elsewhere.
            phone_numbers=to.removeprefix("+86").removeprefix("+"),
            sign_name=self._sign_name,
            template_code=self._templates[purpose],
            template_param=json.dumps({"code": str(code)}) if code is not None else None,
        )
        answer = self._service.call(Client, lambda client: client.send_sms_with_options(request, RuntimeOptions()))
        body = answer.body
        if body is None:
            return _unsent("sms", SMS_OUTCOMES, answer)
        if body.code == "OK":
            return Delivery(id=str(body.biz_id or ""))
        if not body.code:
            return unknown("sms", request=body.request_id)
        # What the service itself refuses comes with status 200.
        raise _refusal("sms", SMS_OUTCOMES, _Answer(code=str(body.code), request=body.request_id))


class DirectMail:
    """A `MailGateway`."""

    def __init__(self, account: Account, endpoint: Endpoint, sender: str, sender_name: str) -> None:
        self._service, self._sender, self._sender_name = _Service(account, endpoint), sender, sender_name

    def send(self, mail: Mail) -> Delivery:
        from alibabacloud_dm20151123.client import Client
        from alibabacloud_dm20151123.models import SingleSendMailRequest
        from darabonba.runtime import RuntimeOptions

        request = SingleSendMailRequest(
            account_name=self._sender,
            from_alias=self._sender_name,
            address_type=1,
            reply_to_address="false",  # a text: the SDK would send a boolean as "False", which the service refuses
            to_address=mail.to,
            subject=mail.subject[:SUBJECT_LENGTH],
            html_body=mail.html,
            text_body=mail.text,
            click_trace="0",  # links lead to us, not through a counter that would learn their secrets
        )
        answer = self._service.call(
            Client, lambda client: client.single_send_mail_with_options(request, RuntimeOptions())
        )
        if answer.body is None:
            return _unsent("mail", MAIL_OUTCOMES, answer)
        if not answer.body.env_id:
            return unknown("mail", request=answer.body.request_id)
        return Delivery(id=str(answer.body.env_id))


def _unsent(channel: str, outcomes: Mapping[str, Outcome], answer: _Answer) -> Delivery:
    """For a call that brought no body: raise what was surely not sent, return what may have been."""
    if answer.status >= 400 or (answer.code and not answer.was_reached):
        raise _refusal(channel, outcomes, answer)
    if not answer.was_reached:
        raise refused(channel, Outcome.UNAVAILABLE)
    return unknown(channel, answer.code, answer.request)


def _refusal(channel: str, outcomes: Mapping[str, Outcome], answer: _Answer) -> Fault:
    return refused(channel, outcome_of(outcomes, answer.code, answer.status), answer.code, answer.request)


def outcome_of(outcomes: Mapping[str, Outcome], code: str, status: int = 200) -> Outcome:
    """What a code means to us; of one that is new, its family or its HTTP status decides."""
    if code in outcomes:
        return outcomes[code]
    if status == 429 or code.startswith("Throttling"):
        return Outcome.THROTTLED
    if status >= 500 or code.startswith("isp."):
        return Outcome.UNAVAILABLE
    return Outcome.MISCONFIGURED


def _never_reached(error: BaseException | None) -> bool:
    """Whether the connection failed, so that the request cannot have arrived."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

    for cause in _causes(error):
        if isinstance(cause, ConnectTimeoutError | NewConnectionError | ProxyError):
            return True
        # A line cut in the middle looks the same during the handshake and after the request.
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return True
    return False


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
