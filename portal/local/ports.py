"""TCP ports: free ones for our servers, and whether the portal's own is free."""

import errno
import random
import socket

from portal.local.refusals import Refused

# Below the range the kernel gives to outgoing connections: a client that redials a dead server on such a port can
# connect to itself and keep the server from coming back.
_OURS = range(15_000, 32_000)


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on."""
    for port in random.sample(_OURS, 200):
        if _bind_error("127.0.0.1", port) is None:
            return port
    raise Refused("No free port on 127.0.0.1 was found.")


def claim(host: str, port: int) -> None:
    """Raise Refused with a way out unless the portal can listen there."""
    error = _bind_error(host, port)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        reason = f"Port {port} is in use"
    elif error.errno == errno.EACCES:
        reason = f"Port {port} is for root only"
    else:
        raise Refused(f"Cannot listen on HOST={host}: {error.strerror or error}")
    start = port + 1 if port >= 1024 else 8000
    other = next(
        (n for n in range(start, min(start + 100, 65_536)) if _bind_error(host, n) is None),
        start,
    )
    raise Refused(f"{reason}; choose another: PORT={other} make run")


def _bind_error(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Connections that are still closing do not keep a server from listening; a listener does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None
