"""Why local mode does not start, told to a person in a line or two; and how a line reaches them."""

from contextlib import suppress


class Refused(Exception):
    """What is wrong and what to do about it; printed as it is, the exit code is 1."""


class StopAsked(BaseException):
    """Ctrl-C or SIGTERM arrived: unwind and stop everything. No `Exception`, so that nothing swallows it."""


def say(line: str) -> None:
    """Print a line. A terminal that has gone away must not keep us from stopping what we started."""
    with suppress(OSError):
        print(line, flush=True)


def plainly(error: OSError) -> str:
    """One line for an error of the operating system, with the file it is about."""
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason
