"""`python -m portal.front`: starts the web processes, and those for looks, and replaces each that ends or hangs."""

import argparse
import ctypes
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from loguru import logger

from portal.beat import Beat, tell
from portal.config import load
from portal.engine import look_process
from portal.front import terms
from portal.front.answer import Application
from portal.incoming import remove_leftovers
from portal.limits import LOOKS_SHARE

_PR_SET_NAME = 15


@dataclass
class _Process:
    become: Callable[[int], None]
    pid: int
    pipe: int  # its beats
    heard: float  # when it was last heard of
    started: float


class Processes:
    """As many as wished, of one application; all listen on one socket. Beside them as many for looks as they may have
    at work at once."""

    def __init__(self, application: Application, listening: socket.socket, count: int) -> None:
        self._application, self._listening = application, listening
        self._desk = look_process.open_desk()
        webs: list[Callable[[int], None]] = [self._become_web] * count
        looks: list[Callable[[int], None]] = [self._serve_looks] * (count * LOOKS_SHARE.places)
        self._missing = webs + looks
        self._running: list[_Process] = []
        self._is_stopping = False
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> int:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        beat = Beat.of_environment()
        while not self._is_stopping:
            while self._missing:
                self._running.append(self._start(self._missing.pop()))
            self._listen()
            self._replace()
            beat.touch()
        self._end()
        return 0

    def _stop(self, *_: object) -> None:
        self._is_stopping = True
        os.write(self._wake_write, b"x")

    def _start(self, become: Callable[[int], None]) -> _Process:
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            self._become(become, theirs)
        os.close(theirs)
        now = time.monotonic()
        return _Process(become, pid, ours, now, now)

    def _become(self, become: Callable[[int], None], beat: int) -> None:
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.set_blocking(beat, False)
            for process in self._running:
                os.close(process.pipe)
            become(beat)
            code = 0
        except Exception as error:  # noqa: BLE001  # the parent must not be left running here twice
            logger.opt(exception=error).error("front")
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _become_web(self, beat: int) -> None:
        from portal.front.web import Web

        Web(self._application, load()).run(self._listening, beat)

    def _serve_looks(self, beat: int) -> None:
        if name := getattr(ctypes.CDLL(None), "prctl", None):
            name(_PR_SET_NAME, look_process.NAME)
        self._listening.close()
        self._desk.serve(partial(tell, beat))

    def _listen(self) -> None:
        """Hear the beats, for up to a second."""
        pipes = {process.pipe: process for process in self._running}
        ready, _, _ = select.select([*pipes, self._wake_read], [], [], terms.BEAT_SECONDS)
        for pipe in ready:
            if pipe in pipes and os.read(pipe, 4096):
                pipes[pipe].heard = time.monotonic()

    def _replace(self) -> None:
        for process in list(self._running):
            if time.monotonic() - process.heard > terms.LATE_SECONDS:
                logger.error("front: process {} hangs and is replaced", process.pid)
                os.kill(process.pid, signal.SIGKILL)
                os.waitpid(process.pid, 0)
            elif os.waitpid(process.pid, os.WNOHANG) == (0, 0):
                continue
            else:
                logger.error("front: process {} ended and is replaced", process.pid)
                if time.monotonic() - process.started < 1:
                    time.sleep(1)  # it cannot even start
            os.close(process.pipe)
            self._running.remove(process)
            self._missing.append(process.become)

    def _end(self) -> None:
        """Ask all to stop, first the webs, which may still look; who has not ended then is killed."""
        webs = [process for process in self._running if process.become == self._become_web]
        until = time.monotonic() + terms.STOP_SECONDS + 1
        for some in (webs, [process for process in self._running if process not in webs]):
            for process in some:
                os.kill(process.pid, signal.SIGTERM)
            self._wait(some, until)

    @staticmethod
    def _wait(processes: list[_Process], until: float) -> None:
        for process in processes:
            while os.waitpid(process.pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > until:
                    os.kill(process.pid, signal.SIGKILL)
                time.sleep(0.02)


def listening(host: str, port: int) -> socket.socket:
    """The socket that all processes accept from."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind((host, port))
    made.listen(2048)
    made.setblocking(False)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m portal.front", description="The portal's web server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--app", default="wsgi:app", help="module:name of a WSGI application")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536) if most > 0 else 65_536, most))
    os.environ.setdefault("WEB_PROCESSES", str(options.processes))  # for the application, loaded below
    bound = listening(options.host, options.port)
    module, _, name = options.app.partition(":")
    sys.path.insert(0, os.getcwd())
    application = getattr(importlib.import_module(module), name)
    gc.collect()
    gc.freeze()  # what is loaded stays: to look through all of it again would stop every request for 0.1 s now and then
    if leftovers := remove_leftovers(load().instance_path / "incoming"):
        logger.info("front: {} files of earlier requests removed", leftovers)
    logger.info("front: {}:{}, {} processes", options.host, options.port, options.processes)
    return Processes(application, bound, options.processes).run()


if __name__ == "__main__":
    sys.exit(main())
