"""Uploads in parts that nobody will finish: a service keeps such parts, unseen and paid for, until they are given up.

The library that reads and writes has no call for them; these two are signed here (AWS Signature Version 4).
"""

import hmac
import http.client
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from defusedxml import ElementTree
from loguru import logger

from portal.errors import Fault
from portal.gateways import store_keys

if TYPE_CHECKING:
    from portal.gateways.s3_store import Account

_NOTHING = sha256(b"").hexdigest()


class _Begun(NamedTuple):
    key: str
    upload_id: str
    at: datetime


class S3Parts:
    """Of one bucket, below the account's prefix."""

    def __init__(self, account: "Account") -> None:
        self._account = account
        address = account.endpoint.address
        self._host = f"{account.bucket}.{address}" if account.virtual_hosted else address
        self._root = "/" if account.virtual_hosted else f"/{account.bucket}/"

    def clear(self, before: datetime) -> int:
        """Give up those of ours that were begun before then; how many. Raises `Fault`."""
        prefix = f"{self._account.prefix.strip('/')}/".lstrip("/")
        cleared = 0
        for begun in self._begun(prefix):
            if begun.at < before and store_keys.is_own(begun.key.removeprefix(prefix)):
                cleared += self._ask("DELETE", begun.key, {"uploadId": begun.upload_id}) is not None
        return cleared

    def _begun(self, prefix: str) -> Iterator[_Begun]:
        place: dict[str, str] = {}
        while (answer := self._ask("GET", "", {"uploads": "", "prefix": prefix, **place})) is not None:
            page = ElementTree.fromstring(answer)
            told = {element.tag.rpartition("}")[2]: element.text or "" for element in page}
            for element in page:
                if element.tag.endswith("Upload"):
                    facts = {part.tag.rpartition("}")[2]: part.text or "" for part in element}
                    yield _Begun(facts["Key"], facts["UploadId"], datetime.fromisoformat(facts["Initiated"]))
            if told.get("IsTruncated") != "true":
                return
            place = {"key-marker": told["NextKeyMarker"], "upload-id-marker": told.get("NextUploadIdMarker", "")}

    def _ask(self, method: str, key: str, query: dict[str, str]) -> bytes | None:
        """The answer's body; None where the service does not know this call, or does not allow it."""
        path = quote(self._root + key, safe="/~")
        asked = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query.items()))
        kind = http.client.HTTPSConnection if self._account.endpoint.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._host, timeout=self._account.read_seconds)
        try:
            connection.request(method, f"{path}?{asked}", headers=self._signed(method, path, asked))
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Fault("storage_failed", passing=True, reason=type(error).__name__) from None
        finally:
            connection.close()
        if answer.status not in (200, 204):
            logger.warning("store: unfinished uploads cannot be given up: {}", answer.status)
            return None
        return body

    def _signed(self, method: str, path: str, query: str) -> dict[str, str]:
        now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        headers = {"host": self._host, "x-amz-content-sha256": _NOTHING, "x-amz-date": now}
        names = ";".join(headers)
        lines = [f"{name}:{value}" for name, value in headers.items()]
        request = "\n".join([method, path, query, *lines, "", names, _NOTHING])
        scope = f"{now[:8]}/{self._account.region or 'us-east-1'}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, sha256(request.encode()).hexdigest()])
        key = f"AWS4{self._account.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        credential = f"AWS4-HMAC-SHA256 Credential={self._account.key_id}/{scope}"
        return {**headers, "Authorization": f"{credential}, SignedHeaders={names}, Signature={signature}"}
