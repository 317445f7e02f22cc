"""One request as it comes in, and what of it is refused before the portal sees it."""

import re
import sys
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from portal import incoming, limits
from portal.incoming import Incoming

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_NOT_PASSED = (b"connection", b"keep-alive", b"proxy", b"transfer-encoding", b"upgrade", b"http2-settings", b"te")
_SINGLE = (b"content-length", b"transfer-encoding", b"content-type", b"authorization", b"expect")


class Request:
    """Filled by the parser; `refused` is the status of what is wrong with it."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.method, self.version = "GET", "1.1"
        self.size: int | None = None  # None: chunked, or no body
        self.is_chunked = self.is_lasting = self.is_whole = False
        self.is_head_whole = self.is_begun = False
        self.head_bytes = self.refused = 0
        self.body = bytearray()
        self.incoming: Incoming | None = None
        self.network = ""  # of its client, once its head is there
        self.expects = False

    def head_read(self, method: str, version: str, *, is_lasting: bool) -> None:
        """Look at the whole head, once."""
        self.method, self.version, self.is_lasting, self.is_head_whole = method, version, is_lasting, True
        self.refused = self.refused or self._wrong()
        if not self.refused and self.size is not None and self.size > limits.BODY_BYTES:
            self.incoming = Incoming(self.size)

    def refuse(self, status: int) -> None:
        """Have it answered so, without reading on."""
        self.refused, self.is_lasting, self.is_whole = status, False, False
        self.body.clear()

    def _wrong(self) -> int:
        if self.version not in ("1.0", "1.1"):
            return 505
        if not self._is_target_fine() or not self._is_host_fine():
            return 400
        values = {name: value for name, value in self.headers if name in _SINGLE}
        if len(values) != sum(name in _SINGLE for name, _ in self.headers):
            return 400  # one of them twice: whoever stands before us may have read the other
        self.is_chunked = b"transfer-encoding" in values
        if self.is_chunked and (b"content-length" in values or values[b"transfer-encoding"].lower() != b"chunked"):
            return 400
        if self.is_chunked and self.version == "1.0":
            return 400
        if b"content-length" in values:
            if not re.fullmatch(rb"[0-9]{1,18}", values[b"content-length"]):
                return 400
            self.size = int(values[b"content-length"])
        if b"expect" in values:
            if values[b"expect"].lower() != b"100-continue":
                return 417
            self.expects = self.version == "1.1" and bool(self.is_chunked or self.size)
        return 0

    def _is_target_fine(self) -> bool:
        if absolute := _ABSOLUTE.fullmatch(self.target):
            hosts = [value for name, value in self.headers if name == b"host"]
            if [absolute[1].lower()] != [host.lower() for host in hosts]:
                return False
            self.target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
        return self.method != "CONNECT" and self.target.startswith(b"/") and b"#" not in self.target

    def _is_host_fine(self) -> bool:
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts:
            return self.version == "1.0"
        return len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None

    def client(self, peer: str, proxies: int) -> str:
        """The address that the nearest `proxies` vouch for."""
        if proxies:
            chain = [
                part.strip()
                for name, value in self.headers
                if name == b"x-forwarded-for"
                for part in value.decode("latin-1").split(",")
            ]
            if len(chain) >= proxies:
                return chain[-proxies]
        return peer

    def environ(self, peer: tuple[str, int], here: tuple[str, int]) -> dict[str, Any]:
        """For WSGI (PEP 3333). Headers with an underscore are left out: they would pass for those with a hyphen."""
        path, _, query = self.target.partition(b"?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "REQUEST_URI": self.target.decode("latin-1"),
            "SERVER_PROTOCOL": f"HTTP/{self.version}",
            "SERVER_NAME": here[0],
            "SERVER_PORT": str(here[1]),
            "REMOTE_ADDR": peer[0],
            "REMOTE_PORT": str(peer[1]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(self.body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for raw, value in self.headers:
            if b"_" in raw or raw in _NOT_PASSED:
                continue
            name = raw.decode("latin-1").upper().replace("-", "_")
            key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
            text = value.decode("latin-1")
            if key in environ:
                text = f"{environ[key]}{'; ' if name == 'COOKIE' else ','}{text}"
            environ[key] = text
        if self.is_chunked:
            environ["CONTENT_LENGTH"] = str(len(self.body))
        if self.incoming:
            environ[incoming.ENVIRON] = self.incoming
            if self.incoming.is_whole and not self.incoming.failure:
                environ["wsgi.input"] = self.incoming.file
        return environ

    def close(self) -> None:
        """Let go of what it holds."""
        if self.incoming:
            self.incoming.close()
