"""A browser without JavaScript: cookies, forms, no redirects followed."""

import re
import urllib.request
from copy import copy
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return


class Browser:
    """One visit from one address."""

    def __init__(self, port: int, address: str) -> None:
        self._base, self._address = f"http://127.0.0.1:{port}", address
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar()), _Stay()
        )

    def at(self, port: int) -> "Browser":
        """The same visit, to another web: cookies are the host's, whatever the port."""
        other = copy(self)
        other._base = f"http://127.0.0.1:{port}"
        return other

    def get(self, path: str) -> tuple[int, str]:
        return self._open(path, None)

    def post(self, path: str, *, page: str = "", **fields: str) -> int:
        """Send a form that stands on `page`, or on the page of the same path; the status of the answer."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page or path)[1])
        if not found:
            raise AssertionError(f"{page or path} has no form")
        return self._open(path, urlencode({"csrf_token": found[1], **fields}).encode())[0]

    def _open(self, path: str, data: bytes | None) -> tuple[int, str]:
        headers = {"X-Forwarded-For": self._address, "Accept-Language": "en"}
        request = urllib.request.Request(self._base + path, data, headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
