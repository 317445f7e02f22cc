"""Looks in processes of their own: they take neither the interpreter nor the memory of whoever asks.

What was weighed: docs/adr/0020-looks-in-processes-of-their-own.md.
"""

import os
import socket
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from portal.engine.look import Look, look
from portal.errors import Fault

GRACE_SECONDS = 2.0  # beyond what a look may take, until nobody waits for it any more
NICER = 5
BEAT_SECONDS = 1.0
NAME = b"looks"  # by which they are told from webs


class Desk:
    """Where looks are asked for and taken from: made once, before those who ask and those who answer are forked.

    Each asker sends one end of a socket pair of its own; the kernel hands it to whoever is free. So nobody else can
    ask, and whatever becomes of one side, the other one sees its socket closed.
    """

    def __init__(self) -> None:
        self._asking, self._answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._until: float | None = None

    def ask(self, *args: Any, seconds: float, **asked: Any) -> Look:
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._asking, [b"?"], [theirs.fileno()])
        with Connection(ours.detach()) as talk:
            try:
                talk.send((args, {**asked, "seconds": seconds}))
                if not talk.poll(seconds + GRACE_SECONDS):
                    raise Fault("look_too_slow")
                said = talk.recv()
            except (EOFError, OSError):
                raise Fault("look_too_large") from None
        if isinstance(said, Look):
            return said
        if isinstance(said, Fault):
            raise said
        raise RuntimeError(f"in a process for looks:\n{said}")

    def serve(self, beat: Callable[[], None]) -> None:
        """Answer one after the other, for ever. `beat` is called each second while none takes longer than it may."""
        os.nice(NICER)
        threading.Thread(target=self._beat, args=(beat,), name="beat", daemon=True).start()
        while True:
            _, sockets, _, _ = socket.recv_fds(self._answering, 1, 1)
            for each in sockets:
                with Connection(each) as talk:
                    self._answer(talk)
                self._until = None

    def _answer(self, talk: Connection) -> None:
        try:
            args, asked = talk.recv()
            self._until = time.monotonic() + asked["seconds"] + GRACE_SECONDS
            talk.send(_said(args, asked))
        except (EOFError, OSError):  # nobody waits for it any more
            pass

    def _beat(self, beat: Callable[[], None]) -> None:
        while True:
            until = self._until
            if until is None or time.monotonic() < until:
                beat()
            time.sleep(BEAT_SECONDS)


_desk: Desk | None = None


def open_desk() -> Desk:
    """From now on this process, and what it forks, has its looks made by those that serve."""
    global _desk  # inherited through fork, and by nothing else
    _desk = Desk()
    return _desk


def ask(*args: Any, seconds: float = 5.0, **asked: Any) -> Look:
    """As `look.look`, here if there is no desk. Raises what it raises; `Fault('look_too_large')`, too, where the
    process died of it.
    """
    return _desk.ask(*args, seconds=seconds, **asked) if _desk else look(*args, seconds=seconds, **asked)


def _said(args: Any, asked: Any) -> Look | Fault | str:
    try:
        return look(*args, **asked)
    except Fault as fault:
        return fault
    except MemoryError:
        return Fault("look_too_large")
    except Exception:  # noqa: BLE001  # whatever it is goes to the log of who asked
        return traceback.format_exc()
