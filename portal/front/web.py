"""One web process: the event loop, its threads, and its sign of life."""

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop
from loguru import logger

from portal.beat import tell
from portal.config import Settings
from portal.front import terms
from portal.front.answer import Application
from portal.front.connection import Connection
from portal.front.crowd import Crowd
from portal.front.pool import Pool
from portal.front.waiting import Waiting

DISK_THREADS = 4
_ARENAS = 2  # of glibc's malloc: with one for each thread, each keeps what its largest answer took
_M_ARENA_MAX = -8  # <malloc.h>
_SWITCH_SECONDS = 0.0003  # how long a thread keeps the interpreter from the loop


class Web:
    """What all connections of a process share."""

    def __init__(self, application: Application, settings: Settings) -> None:
        self.application = application
        self.proxies = settings.trusted_proxies
        self.folder: Path = settings.instance_path / "incoming"
        self.stall_seconds, self.body_seconds = settings.fetch_stall_seconds, settings.fetch_max_seconds
        self.loop = uvloop.new_event_loop()
        self.crowd = Crowd()
        self.pool = Pool(Waiting(self.crowd.unfinished))
        self.is_stopping = False
        self._disk = ThreadPoolExecutor(DISK_THREADS, "disk")

    def run(self, listening: socket.socket, beat: int) -> None:
        """Serve until SIGTERM, or until all threads hang. Writes a byte to the pipe `beat` each second."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        _bound_arenas()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self.stop)
        serving = self.loop.create_server(lambda: Connection(self), sock=listening, backlog=2048)
        self._server = self.loop.run_until_complete(serving)
        self._look(beat)
        self.loop.run_forever()

    def stop(self) -> None:
        """Take nothing new, and end when what is at hand is answered, or time is up."""
        if not self.is_stopping:
            self.is_stopping = True
            self._server.close()
            self.loop.call_later(terms.STOP_SECONDS, self.loop.stop)
            self._end_if_idle()

    def on_disk(self, step: Callable[[], None], done: Callable[[], None]) -> None:
        """Have a thread of its own kind do it: a slow disk takes none from those who only ask."""
        future = self._disk.submit(step)
        future.add_done_callback(lambda _: self.loop.call_soon_threadsafe(done))

    def _end_if_idle(self) -> None:
        self.crowd.look(time.monotonic())
        if not self.crowd.connections:
            self.loop.stop()
        self.loop.call_later(0.05, self._end_if_idle)

    def _look(self, beat: int) -> None:
        self.crowd.look(time.monotonic())
        self.pool.replace_stuck()
        if self.pool.is_hung() or self.pool.given_up > terms.THREADS:
            logger.error("front: the threads hang, so this process ends\n{}", self.pool.where())
            os._exit(1)
        tell(beat)
        self.loop.call_later(terms.BEAT_SECONDS, self._look, beat)


def _bound_arenas() -> None:
    """Where malloc is glibc's; others have no such call."""
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(_M_ARENA_MAX, _ARENAS)
