"""Keeps children alive and stops them in order."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portal.local.child import Child, stop
from portal.local.refusals import Refused, plainly
from portal.local.signals import Signals

STOP_WITHIN = 9.0  # seconds for all of them; who has not ended then is killed
_HURRY = 2.0
_STEADY = 30.0  # seconds after which an end is a new story, not the next of a row
_TRIES = 3  # at the start; later a child is started again for ever
_SLOWEST = 10.0
_LOOK = 1.0


class _Insisted(Exception): ...


@dataclass
class _Trouble:
    ends: int = 0
    again_at: float | None = None


class Supervisor:
    """`stages` are the children in the order in which they stop; those of one stage stop together."""

    def __init__(
        self,
        stages: Sequence[Sequence[Child]],
        signals: Signals,
        tell: Callable[[str], None],
        note: Callable[[Child], None],
    ) -> None:
        self._stages = stages
        self._signals = signals
        self._tell = tell
        self._note = note
        self._watched: dict[Child, _Trouble] = {}
        self._started = False

    def start(self, *children: Child) -> None:
        """Start these and watch them from now on."""
        for child in children:
            child.start()
            self._note(child)
            self._watched[child] = _Trouble()

    def await_ready(self, child: Child, seconds: float) -> None:
        """Wait for it, starting it again twice; raises Refused when it does not come, StopAsked when that was asked."""
        until = time.monotonic() + seconds
        while not child.is_ready():
            if time.monotonic() > until:
                raise Refused(f"{child.name} runs but did not answer within {seconds:.0f} s.\n{child.log_excerpt()}")
            self._look()
            self._signals.pause(0.02)

    def watch(self) -> None:
        """Start again what ends, until StopAsked is raised."""
        self._started = True
        while True:
            self._look()
            for child in self._watched:
                child.trim_log()
            due = [trouble.again_at for trouble in self._watched.values() if trouble.again_at is not None]
            self._signals.pause(min(due, default=time.monotonic() + _LOOK) - time.monotonic())

    def stop(self) -> None:
        """Stop everything, stage by stage; a second Ctrl-C leaves less time."""
        deadline = time.monotonic() + STOP_WITHIN
        for stage in self._stages:
            try:
                stop(stage, deadline, self._rest)
            except _Insisted:
                deadline = min(deadline, time.monotonic() + _HURRY)
                stop(stage, deadline, self._signals.rest)

    def _rest(self, seconds: float) -> None:
        self._signals.rest(seconds)
        if self._signals.insisted:
            raise _Insisted

    def _look(self) -> None:
        now = time.monotonic()
        for child, trouble in self._watched.items():
            if trouble.again_at is None and child.kill_if_silent():
                self._tell(f"{child.name} gave no sign of life.")
            if trouble.again_at is None and not child.runs():
                self._ended(child, trouble)
            if trouble.again_at is not None and trouble.again_at <= now:
                self._restart(child, trouble)

    def _ended(self, child: Child, trouble: _Trouble) -> None:
        now = time.monotonic()
        trouble.ends = 1 if now - child.started_at > _STEADY else trouble.ends + 1
        if trouble.ends >= _TRIES and not self._started:
            raise Refused(f"{child.name} {child.ending()}, {trouble.ends} times in a row. Log: {child.log}")
        wait = 0.0 if trouble.ends == 1 else min(0.25 * 2**trouble.ends, _SLOWEST)
        trouble.again_at = now + wait
        self._tell(child.report() if trouble.ends == 1 else f"{child.name} {child.ending()} again. Log: {child.log}")
        self._tell(f"    Starting it again{f' in {wait:.0f} s' if wait >= 1 else ''}.")

    def _restart(self, child: Child, trouble: _Trouble) -> None:
        try:
            child.start()
            self._note(child)
        except (OSError, Refused) as error:
            reason = plainly(error) if isinstance(error, OSError) else str(error)
            self._tell(f"{child.name} could not be started again: {reason}")
            trouble.ends += 1
            trouble.again_at = time.monotonic() + _SLOWEST
        else:
            trouble.again_at = None
