"""Where a provider listens."""

from typing import NamedTuple


class Endpoint(NamedTuple):
    """`address` is host, or host:port."""

    scheme: str
    address: str

    @classmethod
    def of(cls, written: str) -> "Endpoint":
        """From a setting: `host`, `host:port` or either with `http://` or `https://` before it; https if unsaid."""
        scheme, found, address = written.rpartition("://")
        return cls(scheme.lower() if found else "https", address.rstrip("/"))
