"""`python -m portal.front`: starts the web processes, and replaces each that ends or hangs."""

import argparse
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass

from loguru import logger

from portal.beat import Beat
from portal.config import load
from portal.front import terms
from portal.front.answer import Application
from portal.incoming import remove_leftovers


@dataclass
class _Process:
    pid: int
    pipe: int  # its beats
    heard: float  # when it was last heard of
    started: float


class Processes:
    """As many as wished, of one application; all listen on one socket."""

    def __init__(self, application: Application, listening: socket.socket, count: int) -> None:
        self._application, self._listening, self._count = application, listening, count
        self._running: list[_Process] = []
        self._is_stopping = False
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> int:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        beat = Beat.of_environment()
        while not self._is_stopping:
            while len(self._running) < self._count:
                self._running.append(self._start())
            self._listen()
            self._replace()
            beat.touch()
        self._end()
        return 0

    def _stop(self, *_: object) -> None:
        self._is_stopping = True
        os.write(self._wake_write, b"x")

    def _start(self) -> _Process:
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            self._become_web(theirs)
        os.close(theirs)
        now = time.monotonic()
        return _Process(pid, ours, now, now)

    def _become_web(self, beat: int) -> None:
        from portal.front.web import Web

        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.set_blocking(beat, False)
            for process in self._running:
                os.close(process.pipe)
            Web(self._application, load()).run(self._listening, beat)
            code = 0
        except Exception as error:  # noqa: BLE001  # the parent must not be left running here twice
            logger.opt(exception=error).error("front")
        finally:
            sys.stderr.flush()
            os._exit(code)

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

    def _end(self) -> None:
        """Ask all to stop; who has not ended then is killed."""
        for process in self._running:
            os.kill(process.pid, signal.SIGTERM)
        until = time.monotonic() + terms.STOP_SECONDS + 1
        for process in self._running:
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
