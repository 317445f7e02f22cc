"""Aliyun (SMS, DirectMail) and Tencent (captcha) on the loopback: checks real signatures, answers as the clouds do."""

import calendar
import hashlib
import hmac
import json
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, quote, urlsplit

from portal.config.gateways import SMS_PURPOSES

CLOCK_SECONDS = {"ACS3-HMAC-SHA256": 900, "TC3-HMAC-SHA256": 300}
REQUEST = "C0FFEE00-0000-4000-8000-00000000CAFE"
_SIGNED = {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}


class Sms(NamedTuple):
    number: str
    template: str
    params: dict[str, str]


class Post(NamedTuple):
    to: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Answer:
    """What to answer instead; `takes` says whether the message is taken nevertheless, as a late or lost answer's is."""

    status: int = 200
    body: Mapping[str, Any] | bytes = b""
    content_type: str = "application/json"
    delay: float = 0.0
    close: bool = False
    takes: bool = False

    @classmethod
    def error(cls, code: str, status: int = 400) -> Self:
        """As Aliyun refuses."""
        return cls(status, {"Code": code, "Message": "specified by a test", "RequestId": REQUEST})

    @classmethod
    def sms(cls, code: str) -> Self:
        """As the SMS service refuses: with status 200."""
        return cls(200, {"Code": code, "Message": "specified by a test", "RequestId": REQUEST})

    @classmethod
    def captcha(cls, code: Any, evil: Any = 0) -> Self:
        """As the captcha service judges."""
        return cls(200, {"Response": {"CaptchaCode": code, "EvilLevel": evil, "CaptchaMsg": "", "RequestId": REQUEST}})

    @classmethod
    def tencent(cls, code: str) -> Self:
        """As Tencent refuses: with status 200."""
        return cls(200, {"Response": {"Error": {"Code": code, "Message": "specified by a test"}, "RequestId": REQUEST}})


@dataclass
class Keys:
    aliyun_id: str = "LTAItestkeyid"
    aliyun_secret: str = "aliyun-secret-of-a-test"
    tencent_id: str = "AKIDtestkeyid"
    tencent_secret: str = "tencent-secret-of-a-test"
    app_id: int = 199999
    app_secret: str = "captcha-secret-of-a-test"
    sign_name: str = "数据站"
    sender: str = "no-reply@ds.example"
    templates: dict[str, str] = field(default_factory=dict)
    """Approved templates by purpose; empty: any."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024  # a longer queue than there are callers, or some wait a second to connect


class Cloud:
    """`with Cloud() as cloud`; everything it was given stands in its lists, newest last, and may be read at any time.

    Answers appended to `script` are given one by one, to requests whose signature is right; then `always`, if set.
    """

    def __init__(self, keys: Keys | None = None) -> None:
        self.keys = keys or Keys()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.sent_sms: list[Sms] = []
        self.sent_mail: list[Post] = []
        self.used_tickets: list[str] = []
        self.script: deque[Answer] = deque()
        self.always: Answer | None = None
        self._nonces: set[str] = set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forget(self) -> None:
        """Empty every list and the script; answer as the clouds do again."""
        with self._lock:
            for kept in (self.calls, self.sent_sms, self.sent_mail, self.used_tickets, self.script):
                kept.clear()
            self.always = None

    def settings(self) -> dict[str, Any]:
        """What `Settings` needs to send everything here."""
        keys = self.keys
        return {
            "sms_gateway": "aliyun",
            "mail_gateway": "directmail",
            "captcha_gateway": "tencent",
            "aliyun_access_key_id": keys.aliyun_id,
            "aliyun_access_key_secret": keys.aliyun_secret,
            "aliyun_sms_endpoint": self.url,
            "aliyun_mail_endpoint": self.url,
            "sms_sign_name": keys.sign_name,
            "sms_templates": keys.templates or {purpose: f"SMS_{purpose}" for purpose in SMS_PURPOSES},
            "mail_from": keys.sender,
            "tencent_secret_id": keys.tencent_id,
            "tencent_secret_key": keys.tencent_secret,
            "tencent_captcha_app_id": keys.app_id,
            "tencent_captcha_app_secret": keys.app_secret,
            "tencent_endpoint": self.url,
        }

    def answer(self, request: "Request") -> Answer:
        """Check, count and answer one request."""
        refusal = self._refusal(request)
        if refusal:
            return refusal
        action, said = request.action(), request.said()
        with self._lock:
            self.calls.append((action, said))
            scripted = self.script.popleft() if self.script else self.always
            if scripted is None or scripted.takes:
                usual = _ACTIONS.get(action, _unknown_action)(self, said)
                return scripted or usual
            return scripted

    def _refusal(self, request: "Request") -> Answer | None:
        """What is wrong with the signature, the time or the nonce."""
        if request.algorithm == "ACS3-HMAC-SHA256":
            return self._aliyun_refusal(request)
        if request.algorithm == "TC3-HMAC-SHA256":
            return self._tencent_refusal(request)
        return Answer.error("MissingSignature")

    def _aliyun_refusal(self, request: "Request") -> Answer | None:
        headers, parts = request.headers, request.authorization
        if parts.get("Credential") != self.keys.aliyun_id:
            return Answer.error("InvalidAccessKeyId.NotFound", 404)
        to_sign = f"{request.algorithm}\n{_sha(request.canonical().encode())}"
        expected = _mac(self.keys.aliyun_secret.encode(), to_sign).hex()
        is_signed = set(parts.get("SignedHeaders", "").split(";")) >= _SIGNED
        same_body = headers.get("x-acs-content-sha256") == _sha(request.body)
        if not (is_signed and same_body and hmac.compare_digest(expected, parts.get("Signature", ""))):
            return Answer.error("SignatureDoesNotMatch")
        if not _is_now(request.algorithm, calendar.timegm(time.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ"))):
            return Answer.error("InvalidTimeStamp.Expired")
        with self._lock:
            is_used = headers["x-acs-signature-nonce"] in self._nonces
            self._nonces.add(headers["x-acs-signature-nonce"])
        return Answer.error("SignatureNonceUsed") if is_used else None

    def _tencent_refusal(self, request: "Request") -> Answer | None:
        parts, stamp = request.authorization, request.headers.get("x-tc-timestamp", "0")
        who, date, service, _ = (parts.get("Credential", "") + "///").split("/")[:4]
        if who != self.keys.tencent_id:
            return Answer.tencent("AuthFailure.SecretIdNotFound")
        key = f"TC3{self.keys.tencent_secret}".encode()
        for part in (date, service, "tc3_request"):
            key = _mac(key, part)
        to_sign = "\n".join(
            (request.algorithm, stamp, f"{date}/{service}/tc3_request", _sha(request.canonical().encode()))
        )
        if not hmac.compare_digest(_mac(key, to_sign).hex(), parts.get("Signature", "")):
            return Answer.tencent("AuthFailure.SignatureFailure")
        if not _is_now(request.algorithm, int(stamp)):
            return Answer.tencent("AuthFailure.SignatureExpire")
        return None

    def send_sms(self, said: dict[str, Any]) -> Answer:
        number, template = said.get("PhoneNumbers", ""), said.get("TemplateCode", "")
        try:
            params = json.loads(said.get("TemplateParam") or "{}")
        except ValueError:
            params = None
        if not re.fullmatch(r"1[3-9]\d{9}|[2-9]\d{5,14}|1[2-9]\d{9}", number):
            return Answer.sms("isv.MOBILE_NUMBER_ILLEGAL")
        if said.get("SignName") != self.keys.sign_name:
            return Answer.sms("isv.SMS_SIGNATURE_ILLEGAL")
        if self.keys.templates and template not in self.keys.templates.values():
            return Answer.sms("isv.SMS_TEMPLATE_ILLEGAL")
        if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
            return Answer.sms("isv.INVALID_JSON_PARAM")
        self.sent_sms.append(Sms(number, template, params))
        body = {"Code": "OK", "Message": "OK", "BizId": f"{len(self.sent_sms)}^0", "RequestId": REQUEST}
        return Answer(200, body)

    def send_mail(self, said: dict[str, Any]) -> Answer:
        if said.get("AccountName") != self.keys.sender:
            return Answer.error("InvalidMailAddress.NotFound", 404)
        if said.get("ReplyToAddress") not in ("true", "false") or said.get("AddressType") not in ("0", "1"):
            return Answer.error("InvalidParameter")
        if not re.fullmatch(r"[\w.+-]+@[\w.-]+", said.get("ToAddress", ""), re.ASCII):
            return Answer.error("InvalidToAddress")
        if not 0 < len(said.get("Subject", "")) <= 100:
            return Answer.error("InvalidSubject.Malformed")
        if len(said.get("FromAlias", "")) >= 15:
            return Answer.error("InvalidFromAlias.Malformed")
        if not (said.get("TextBody") or said.get("HtmlBody")):
            return Answer.error("InvalidBody")
        texts = (said.get(name, "") for name in ("Subject", "TextBody", "HtmlBody"))
        self.sent_mail.append(Post(said["ToAddress"], *texts))
        return Answer(200, {"EnvId": str(600_000 + len(self.sent_mail)), "RequestId": REQUEST})

    def judge(self, said: dict[str, Any]) -> Answer:
        """Tickets whose name begins with `good` pass, once."""
        needed = {"CaptchaType", "Ticket", "UserIp", "Randstr", "CaptchaAppId", "AppSecretKey"}
        if not all(said.get(name) for name in needed):
            return Answer.tencent("MissingParameter")
        if said["CaptchaType"] != 9:
            return Answer.tencent("InvalidParameter")
        if (said["CaptchaAppId"], said["AppSecretKey"]) != (self.keys.app_id, self.keys.app_secret):
            return Answer.captcha(100)
        if not said["Ticket"].startswith("good"):
            return Answer.captcha(15)
        if said["Ticket"] in self.used_tickets:
            return Answer.captcha(9)
        self.used_tickets.append(said["Ticket"])
        return Answer.captcha(1)


def _unknown_action(cloud: Cloud, said: dict[str, Any]) -> Answer:
    return Answer.error("InvalidAction.NotFound", 404)


_ACTIONS = {"SendSms": Cloud.send_sms, "SingleSendMail": Cloud.send_mail, "DescribeCaptchaResult": Cloud.judge}


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def algorithm(self) -> str:
        return self.headers.get("authorization", "").partition(" ")[0]

    @property
    def authorization(self) -> dict[str, str]:
        """Credential, SignedHeaders and Signature."""
        rest = self.headers.get("authorization", "").partition(" ")[2]
        return {
            name.strip(): value for name, found, value in (part.partition("=") for part in rest.split(",")) if found
        }

    def canonical(self) -> str:
        """The text that both clouds hash and sign."""
        url, signed = urlsplit(self.target), self.authorization.get("SignedHeaders", "")
        pairs = sorted(parse_qsl(url.query, keep_blank_values=True))
        query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
        headers = "".join(f"{name}:{self.headers.get(name, '').strip()}\n" for name in signed.split(";"))
        return f"{self.method}\n{url.path}\n{query}\n{headers}\n{signed}\n{_sha(self.body)}"

    def action(self) -> str:
        return self.headers.get("x-acs-action") or self.headers.get("x-tc-action") or ""

    def said(self) -> dict[str, Any]:
        """The parameters, wherever they stand."""
        if self.algorithm.startswith("TC3"):
            return dict(json.loads(self.body))
        return dict(parse_qsl(urlsplit(self.target).query)) | dict(parse_qsl(self.body.decode()))


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)


def _is_now(algorithm: str, seconds: int) -> bool:
    return abs(time.time() - seconds) < CLOCK_SECONDS[algorithm]


def _handler(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one packet: a delayed acknowledgement would cost 40 ms a call
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            return

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = cloud.answer(Request(self.command, self.path, headers, body))
            time.sleep(answer.delay)
            if answer.close:
                self.close_connection = True
                return
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # the other side has hung up
                self.close_connection = True

    return Handler
