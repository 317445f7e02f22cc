"""Tencent Cloud's captcha, through Tencent's own SDK."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from loguru import logger

from portal.errors import Fault
from portal.gateways.endpoints import Endpoint
from portal.gateways.outcomes import hush, name

TICKET_LENGTH, RANDSTR_LENGTH = 8000, 100
PASSED, THEIR_ERROR, KEY_MISMATCH = 1, 26, 100
MALICIOUS = 100

_OUR_KEYS = ("AuthFailure", "UnauthorizedOperation")
# Their script makes such tickets by itself when it cannot reach its service: they prove nothing.
_DISASTER = ("trerror_", "terror_")
_HOSTS = ("https://turing.captcha.qcloud.com", "https://turing.captcha.gtimg.com")
_PICTURES = "https://*.captcha.gtimg.com"


@dataclass(frozen=True)
class Account:
    """Two pairs: of the cloud account, and of the captcha made in its console."""

    secret_id: str
    secret_key: str = field(repr=False)
    app_id: int
    app_secret: str = field(repr=False)


class TencentCaptcha:
    """A `Captcha` whose tickets Tencent makes in the browser and checks for us; never twice, as each counts once."""

    provider = "tencent"

    def __init__(
        self, account: Account, endpoint: Endpoint, script_url: str, connect_seconds: float, read_seconds: float
    ) -> None:
        self._account, self._endpoint = account, endpoint
        self._timeout = (connect_seconds, read_seconds)
        self._lock = Lock()
        self._client: Any = None
        parts = urlsplit(script_url)
        hosts = " ".join(dict.fromkeys((f"{parts.scheme}://{parts.netloc}", *_HOSTS)))
        self.sources: Mapping[str, str] = {
            "script-src": hosts,
            "frame-src": hosts,
            "connect-src": hosts,
            "img-src": f"{hosts} {_PICTURES} data:",
            "worker-src": "blob:",
        }

    def offer(self) -> dict[str, Any]:
        return {"provider": self.provider, "app_id": str(self._account.app_id)}

    def verify(self, ticket: str, randstr: str, address: str) -> str:
        ticket = ticket.strip()
        if ticket.lower().startswith(_DISASTER):
            raise Fault("captcha_failed", disaster=True)
        if not _could_be_real(ticket, randstr):
            raise Fault("captcha_failed")
        passed, code, request = self._ask(ticket, randstr, address)
        if passed:
            return hashlib.sha256(ticket.encode()).hexdigest()
        if isinstance(code, int) and code not in (PASSED, THEIR_ERROR, KEY_MISMATCH):
            raise Fault("captcha_failed", vendor=name(code))
        if code == PASSED:
            raise Fault("captcha_failed", vendor="EvilLevel")
        # No answer, an answer that says nothing, or one about our keys: the visitor did nothing wrong.
        is_ours = code == KEY_MISMATCH or str(code).startswith(_OUR_KEYS)
        level = "ERROR" if is_ours else "WARNING"
        logger.log(level, "captcha not checked", vendor=name(code), vendor_request=name(request))
        raise Fault("captcha_unavailable", passing=True, vendor=name(code))

    def _ask(self, ticket: str, randstr: str, address: str) -> tuple[bool, int | str, str]:
        """Whether it passed; else their result or error code, and the request's id. Nothing of the SDK is raised."""
        from tencentcloud.captcha.v20190722.models import DescribeCaptchaResultRequest
        from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

        question = DescribeCaptchaResultRequest()
        question.CaptchaType = 9
        question.Ticket, question.Randstr, question.UserIp = ticket, randstr, address
        question.CaptchaAppId, question.AppSecretKey = self._account.app_id, self._account.app_secret
        try:
            answer = self._ready().DescribeCaptchaResult(question)
        except TencentCloudSDKException as error:
            return False, str(error.code or ""), str(error.requestId or "")
        # An answer of a wrong content type reads as one without fields, and True equals 1.
        code, evil = answer.CaptchaCode, answer.EvilLevel or 0
        if type(code) is not int or type(evil) is not int:
            return False, "unreadable", str(answer.RequestId or "")
        return code == PASSED and evil < MALICIOUS, code, str(answer.RequestId or "")

    def _ready(self) -> Any:
        from tencentcloud.captcha.v20190722.captcha_client import CaptchaClient
        from tencentcloud.common.credential import Credential
        from tencentcloud.common.profile.client_profile import ClientProfile
        from tencentcloud.common.profile.http_profile import HttpProfile

        with self._lock:
            if self._client is None:
                hush()
                http = HttpProfile(
                    protocol=self._endpoint.scheme, endpoint=self._endpoint.address, reqTimeout=self._timeout
                )
                key = Credential(self._account.secret_id, self._account.secret_key)
                self._client = CaptchaClient(key, "", ClientProfile(httpProfile=http))
            return self._client


def _could_be_real(ticket: str, randstr: str) -> bool:
    return all(
        text.isascii() and text.isprintable() and 0 < len(text) <= longest
        for text, longest in ((ticket, TICKET_LENGTH), (randstr, RANDSTR_LENGTH))
    )
