"""A store on any S3-compatible service, through Apache's object_store; what is read often is copied to this machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portal.errors import Fault
from portal.gateways import store_keys
from portal.gateways.endpoints import Endpoint
from portal.gateways.s3_parts import S3Parts
from portal.gateways.store import PIECE_BYTES, Stored, go_on
from portal.gateways.store_cache import StoreCache

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Store as Bucket

_PART = 8 * PIECE_BYTES  # of an upload; so much is held in memory


@dataclass(frozen=True)
class Account:
    """Where the bucket is, and who may use it. `virtual_hosted`: its name is part of the host's."""

    endpoint: Endpoint
    region: str
    bucket: str
    prefix: str
    key_id: str
    secret: str
    virtual_hosted: bool
    connect_seconds: float
    read_seconds: float


class _Missing(Fault):
    def __init__(self) -> None:
        super().__init__("file_missing")


class S3Store:
    """The SDK is loaded at the first use, and in each process of its own: its threads do not survive a fork."""

    def __init__(self, account: Account, cache: StoreCache) -> None:
        self._account, self._cache = account, cache
        self._opened: Bucket | None = None

    @property
    def _bucket(self) -> "Bucket":
        if self._opened is None:
            from obstore.store import S3Store as Bucket

            account = self._account
            scheme, address = account.endpoint
            host = f"{account.bucket}.{address}" if account.virtual_hosted else address
            self._opened = Bucket(
                account.bucket,
                prefix=account.prefix or None,
                endpoint=f"{scheme}://{host}",
                region=account.region or "us-east-1",
                access_key_id=account.key_id,
                secret_access_key=account.secret,
                virtual_hosted_style_request=account.virtual_hosted,
                client_options={
                    "allow_http": scheme == "http",
                    "connect_timeout": timedelta(seconds=account.connect_seconds),
                    "timeout": timedelta(seconds=account.read_seconds),
                },
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=2 * account.read_seconds)},
            )
        return self._opened

    def put(self, source: Path, key: str, check: Callable[[], None] = go_on) -> None:
        import obstore

        with _told():
            # An upload in parts appears when its end is told; whoever breaks off before tells none.
            writer = obstore.open_writer(self._bucket, key, buffer_size=_PART)
            with source.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    check()
                    writer.write(piece)
            check()
            writer.close()
        source.unlink()

    def delete(self, key: str) -> None:
        import obstore

        store_keys.may_touch(key)
        self._cache.forget(key)
        with suppress(_Missing), _told():
            obstore.delete(self._bucket, key)

    def remove(self, key: str) -> None:
        store_keys.may_touch(key)
        self._cache.forget(key)
        self._move(key, store_keys.in_trash(key))

    def put_back(self, key: str) -> bool:
        import obstore

        if (place := store_keys.before_trash(key)) is None:
            return False
        with suppress(_Missing), _told():
            obstore.head(self._bucket, place)
            return False
        return self._move(key, place)

    def _move(self, key: str, place: str) -> bool:
        """Copied there, then deleted here; whether there was such a file."""
        import obstore

        with suppress(_Missing), _told():
            obstore.copy(self._bucket, key, place)
            obstore.delete(self._bucket, key)
            return True
        return False

    @contextmanager
    def opened(self, key: str, sha256: str | None = None, *, whole: bool = False) -> Iterator[Path]:
        with self._cache.opened(key, sha256, lambda: self._all(key), whole=whole) as path:
            yield path

    def _all(self, key: str) -> Iterator[bytes]:
        import obstore

        with _told():
            for piece in obstore.get(self._bucket, key).stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)

    def stream(self, key: str, start: int, end: int) -> Iterator[bytes]:
        import obstore
        from obstore.exceptions import BaseError

        if start >= end:
            return iter(())
        with _told():
            try:
                options: GetOptions = {"range": (start, end)} if start else {}
                found = obstore.get(self._bucket, key, options=options).stream(min_chunk_size=PIECE_BYTES)
            except BaseError as error:
                if "non-partial" not in str(error):
                    raise
                # A service that knows no ranges sends all of it.
                found = obstore.get(self._bucket, key).stream(min_chunk_size=PIECE_BYTES)
                return _between(_pieces(found), start, end)
        return _between(_pieces(found), 0, end - start)

    def listed(self) -> Iterator[Stored]:
        for kind in store_keys.KINDS:
            yield from (stored for stored in self._files(f"{kind}/") if store_keys.is_own(stored.key))

    def trashed(self) -> Iterator[Stored]:
        for stored in self._files(f"{store_keys.TRASH}/"):
            if moment := store_keys.moment_of_trash(stored.key):
                # Some services let a copy be as old as what it was made of.
                yield Stored(stored.key, max(stored.modified, moment))

    def stranger(self) -> str | None:
        """In a bucket without a prefix, everybody's files lie beside each other."""
        if self._account.prefix:
            return None
        return next((stored.key for stored in self._files("") if store_keys.is_stranger(stored.key)), None)

    def _files(self, beginning: str) -> Iterator[Stored]:
        import obstore

        with _told():
            for page in obstore.list(self._bucket, beginning, chunk_size=500):
                yield from (Stored(str(item["path"]), item["last_modified"]) for item in page)

    def clear_parts(self, before: datetime) -> int:
        return S3Parts(self._account).clear(before)

    def mark(self) -> bytes | None:
        import obstore

        with suppress(_Missing), _told():
            return bytes(obstore.get(self._bucket, store_keys.MARK).bytes())
        return None

    def set_mark(self, content: bytes) -> None:
        import obstore

        with _told():
            obstore.put(self._bucket, store_keys.MARK, content)

    def free_bytes(self) -> int | None:
        import obstore

        with _told():
            obstore.put(self._bucket, store_keys.PROBE, b"x")
        return None


def _between(pieces: Iterator[bytes], start: int, end: int) -> Iterator[bytes]:
    """What of these pieces lies between two places."""
    at = 0
    for piece in pieces:
        if part := piece[max(0, start - at) : max(0, end - at)]:
            yield part
        at += len(piece)
        if at >= end:
            return


def _pieces(found: Any) -> Iterator[bytes]:
    with _told():
        for piece in found:
            yield bytes(piece)


@contextmanager
def _told() -> Iterator[None]:
    """What went wrong, in our words: the library's may hold addresses and headers."""
    from obstore.exceptions import BaseError, NotFoundError

    try:
        yield
    except (FileNotFoundError, NotFoundError):
        raise _Missing from None
    except BaseError as error:
        raise Fault("storage_failed", passing=True, reason=type(error).__name__) from None
    except OSError as error:
        if error.errno:  # of this machine's disk
            raise
        raise Fault("storage_failed", passing=True, reason=type(error).__name__) from None
