"""A network of its own, in which every address of the world is this machine: fetches that reach a closed one are seen.

`python -m proofs.ssrf_lab` enters it, fetches each address of the corpus, and prints what became of each as JSON.
"""

import ctypes
import ipaddress
import json
import os
import socket
import socketserver
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from dnslib import AAAA, CNAME, QTYPE, RR, A, DNSRecord
from pyroute2 import IPRoute

from portal.engine.download import Limits, download
from portal.engine.guard import Policy
from portal.engine.stop import Stop
from portal.errors import Fault
from proofs.ssrf_corpus import ADDRESSES, OPENED, PUBLIC, SECRET, answers_of

CSV = b"a,b\n1,2\n"
PORTS = (80, 443, 8080, 6379, 22)
_NEWNS, _NEWUSER, _NEWNET = 0x20000, 0x10000000, 0x40000000
_BIND, _PRIVATE = 4096, 0x44000
_libc = ctypes.CDLL(None, use_errno=True)


def enter(folder: Path) -> None:
    """Leave the network, the users and the mounts of everybody else. Raises OSError where that is not allowed."""
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_NEWUSER | _NEWNET | _NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path(f"/proc/self/{name}").write_text(text)
    _mount("none", "/", _PRIVATE)
    for name, text in (
        ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n"),
        ("hosts", "127.0.0.1 localhost\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
    ):
        own, theirs = folder / name, Path("/etc", name)
        own.write_text(text)
        if theirs.exists():
            _mount(str(own), os.path.realpath(theirs), _BIND)
    with IPRoute() as route:
        lo = route.link_lookup(ifname="lo")[0]
        route.link("set", index=lo, state="up")
        for family, world in ((socket.AF_INET, "0.0.0.0/0"), (socket.AF_INET6, "::/0")):
            route.route("add", family=family, dst=world, oif=lo, type="local", scope="host", table=255)


def _mount(source: str, target: str, flags: int) -> None:
    if _libc.mount(source.encode(), target.encode(), None, flags, None):
        raise OSError(ctypes.get_errno(), f"mount {target}")


class World:
    """Web servers at all addresses and a name server. `hits`: connections to addresses that are nobody's business."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.leaks: list[str] = []
        self.asked: Counter[tuple[str, int]] = Counter()
        world = self

        class Web(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                world.answer(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True
            request_queue_size = 64

        class Server6(Server):
            address_family = socket.AF_INET6

        for port in PORTS:
            for server in (Server(("0.0.0.0", port), Web), Server6(("::", port), Web, bind_and_activate=False)):  # noqa: S104
                if isinstance(server, Server6):
                    server.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    server.server_bind()
                    server.server_activate()
                threading.Thread(target=server.serve_forever, daemon=True).start()
        names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        names.bind(("127.0.0.1", 53))
        threading.Thread(target=self._name_server, args=(names,), daemon=True).start()

    def answer(self, sock: socket.socket) -> None:
        host, port = sock.getsockname()[:2]
        if host not in PUBLIC and (host, port) not in OPENED:
            self.hits.append(f"{host}:{port}")
        sock.settimeout(5)
        try:
            head = b""
            while b"\r\n\r\n" not in head and (piece := sock.recv(65536)):
                head += piece
            text = head.decode("latin-1")
            target = urlsplit(text.partition(" ")[2].partition(" ")[0])
            query = parse_qs(target.query)
            if SECRET in text and "secret.test" not in text:
                self.leaks.append(f"{host}:{port} {target.path}")
            if "to" in query:
                status = query.get("code", ["302"])[0]
                sock.sendall(f"HTTP/1.1 {status} X\r\nLocation: {query['to'][0]}\r\nContent-Length: 0\r\n\r\n".encode())
            else:
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CSV) + CSV)
        except OSError:
            return

    def _name_server(self, sock: socket.socket) -> None:
        while True:
            data, client = sock.recvfrom(4096)
            asked = DNSRecord.parse(data)
            name, kind = str(asked.q.qname).rstrip(".").lower(), asked.q.qtype
            self.asked[name, kind] += 1
            reply = asked.reply()
            for rname, rtype, value in answers_of(name, QTYPE[kind], self.asked[name, kind]):
                made = {"A": A, "AAAA": _six, "CNAME": CNAME}[rtype](value)
                reply.add_answer(RR(rname, getattr(QTYPE, rtype), ttl=0, rdata=made))
            sock.sendto(reply.pack(), client)


def _six(value: str) -> AAAA:
    return AAAA(tuple(ipaddress.IPv6Address(value).packed))  # the library knows no mixed notation


def fetched(world: World, url: str, folder: Path) -> dict[str, object]:
    """What became of a fetch: `ok` or the fault's code, and which closed addresses it reached."""
    before, leaks = len(world.hits), len(world.leaks)
    limits = Limits(max_bytes=1 << 20, max_seconds=8, stall_seconds=2, connect_seconds=1)
    policy = Policy(allow_hosts=frozenset({(host, port) for host, port in OPENED}))
    path = folder / "file"
    try:
        download(
            url,
            path,
            headers={"Authorization": SECRET},
            policy=policy,
            limits=limits,
            stop=Stop(),
            report=lambda *_: None,
        )
        outcome = "ok"
    except Fault as fault:
        outcome = fault.code
    path.unlink(missing_ok=True)
    return {"outcome": outcome, "hits": world.hits[before:], "leaks": world.leaks[leaks:]}


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        try:
            enter(folder)
        except OSError as error:
            print(json.dumps({"refused": str(error)}))  # whoever runs this must be allowed to
            sys.exit(0)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
            os.environ[name] = "http://127.0.0.1:8080"  # nobody may go that way
        world = World()
        found = {name: fetched(world, url, folder) for name, url in ADDRESSES.items()}
        print(json.dumps({"found": found}))
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
