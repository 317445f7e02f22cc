"""A real S3 server for tests: `rclone serve s3`, which speaks the protocol and checks signatures."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.gateways.endpoints import Endpoint
from portal.gateways.s3_store import Account
from portal.local.ports import free_port

KEY_ID, SECRET, BUCKET = "station", "a-secret-that-nobody-else-knows", "data"


class S3Server:
    """`folder` is where what it holds lies, to be looked at and damaged."""

    def __init__(self, folder: Path, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.folder, self.port, self.process = folder / BUCKET, port, process

    def account(self, **changed: object) -> Account:
        values: dict[str, object] = {
            "endpoint": Endpoint("http", f"127.0.0.1:{self.port}"),
            "region": "",
            "bucket": BUCKET,
            "prefix": "",
            "key_id": KEY_ID,
            "secret": SECRET,
            "virtual_hosted": False,
            "connect_seconds": 2.0,
            "read_seconds": 5.0,
        }
        return Account(**{**values, **changed})  # type: ignore[arg-type]


@contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    (folder / BUCKET).mkdir(parents=True)
    port = free_port()
    rclone = Path(sys.executable).with_name("rclone")
    options = [
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        f"{KEY_ID},{SECRET}",
        "--vfs-cache-mode",
        "off",
        "--config",
        "",
    ]
    process = subprocess.Popen([rclone, "serve", "s3", *options, str(folder)], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < until, "the S3 server does not start"
                time.sleep(0.05)
        yield S3Server(folder, port, process)
    finally:
        process.kill()
        process.wait()
