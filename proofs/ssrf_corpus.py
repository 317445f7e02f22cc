"""Addresses that must not be fetched, in every spelling; and a few that must be. What names resolve to stands here, too."""

from urllib.parse import quote

V4, V6 = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
PUBLIC = {V4, V6, "1.1.1.1"}
OPENED = {("10.20.30.40", 8080)}  # by name in the settings, this port alone
SECRET = "Bearer only-for-one-server"

CLOSED_V4 = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "10.20.30.40", "172.16.0.1", "172.31.255.254", "192.168.1.1",  # noqa: S104
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
)  # fmt: skip
CLOSED_V6 = (
    "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:93.184.215.14", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fec0::1", "ff02::1", "5f00::1", "100::1", "2001:db8::1", "3fff::1", "2001:10::1", "2620:4f:8000::1",
    "2606:4700::5efe:7f00:1",
)  # fmt: skip
SPELLED = (
    "2130706433", "0x7f000001", "017700000001", "0x7f.1", "0177.1", "127.1", "127.0.1", "127.0.0.1.", "0x7f.0x0.0x0.0x1",
    "0177.0.0.01", "127.0.0.0x1", "①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1", "127%2e0%2e0%2e1", "169.254.43518", "0xa9fea9fe",
    "2852039166", "0251.0376.0251.0376", "169.254.169.254.", "localhost", "LOCALHOST.", "a.localhost", "0", "0x0",
)  # fmt: skip
PARSERS = (
    "http://93.184.215.14\\@127.0.0.1/", "http://127.0.0.1\\@93.184.215.14/", "http://93.184.215.14@127.0.0.1/",
    "http://u:p@127.0.0.1/", "http://127.0.0.1#@93.184.215.14/", "http://127.0.0.1?@93.184.215.14/",
    "http://93.184.215.14%00.127.0.0.1/", "http://127.0.0.1%09.a.test/", "http://127.0.0.1\t/", "http://127.0.0.1\n/",
    "http://[::1%25lo]/", "http://[fe80::1%25lo]/", "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://127.0.0.1:80:80/", "http:///127.0.0.1/", "http:127.0.0.1", "http:/127.0.0.1/", "//127.0.0.1/", "http://0/",
    "http://127.0.0.1,93.184.215.14/",
)  # fmt: skip
SCHEMES = tuple(f"{scheme}://127.0.0.1/etc/passwd" for scheme in "file ftp gopher dict ldap tftp jar unix ws".split())
PORTS = tuple(f"http://{V4}:{port}/" for port in (22, 6379, 8080, 0, 65536))

Answers = list[tuple[str, str, str]]


def _redirect(to: str, code: int = 302) -> str:
    return f"http://{V4}/go?code={code}&to={quote(to, safe='')}"


def _addresses() -> dict[str, str]:
    found = {f"plain {ip}": f"http://{ip}/x" for ip in CLOSED_V4}
    found |= {f"plain [{ip}]": f"http://[{ip}]/x" for ip in CLOSED_V6}
    found |= {f"spelled {host}": f"http://{host}/x" for host in SPELLED}
    found |= {f"parser {url!r}": url for url in PARSERS}
    found |= {f"scheme {url}": url for url in SCHEMES}
    found |= {f"port {url}": url for url in PORTS}
    found |= {f"name A {ip}": f"http://{_name('a', ip)}/x" for ip in CLOSED_V4}
    found |= {f"name AAAA {ip}": f"http://{_name('aaaa', ip)}/x" for ip in CLOSED_V6}
    found |= {f"name {name}": f"http://{name}/x" for name in MIXED}
    found |= {f"rebinding {name}": f"http://{name}/x" for name in REBINDING}
    for code in (301, 302, 303, 307, 308):
        for to in (
            "http://127.0.0.1/x",
            "http://[::1]/x",
            f"http://{_name('a', '10.0.0.1')}/x",
            "http://169.254.169.254/x",
        ):
            found[f"redirect {code} {to}"] = _redirect(to, code)
    for to in ("//127.0.0.1/x", "file:///etc/passwd", "gopher://127.0.0.1/", "http://u:p@127.0.0.1/", "http://127.1/x"):
        found[f"redirect {to}"] = _redirect(to)
    found["redirect twice"] = _redirect(_redirect("http://127.0.0.1/x"))
    found["redirect to a closed port"] = _redirect(f"http://{V4}:8080/x")
    found["redirect to an opened host's other port"] = _redirect("http://10.20.30.40/x")
    found["opened host, other port"] = "http://10.20.30.40:6379/x"
    return found


def _name(kind: str, ip: str) -> str:
    return f"{kind}-{ip.replace('.', '-').replace(':', 'z')}.test"


MIXED: dict[str, Answers] = {
    "public-and-loopback.test": [("", "A", V4), ("", "A", "127.0.0.1")],
    "loopback-and-public.test": [("", "A", "127.0.0.1"), ("", "A", V4)],
    "public-and-six.test": [("", "A", V4), ("", "AAAA", "::1")],
    "mapped.test": [("", "AAAA", "::ffff:7f00:1")],
    "alias.test": [("", "CNAME", "deep.test"), ("deep.test", "CNAME", "deeper.test"), ("deeper.test", "A", "10.0.0.1")],
    "nobody.test": [],
}
# By how often a name was asked for: public first, then closed, in turns; or for one kind of address only.
REBINDING = {f"rebind{n}.test": n for n in range(12)}
FINE = {
    "fine by address": f"http://{V4}/data.csv",
    "fine by IPv6": f"http://[{V6}]/data.csv",
    "fine by name": "http://secret.test/data.csv",
    "fine by redirect": _redirect("http://fine.test/data.csv"),
    "fine, opened host": "http://10.20.30.40:8080/data.csv",
}
# The header is for secret.test; each of these leads away from it.
LEADING_AWAY = {
    f"header, redirect {code} to {to}": f"http://secret.test/go?code={code}&to={quote(to, safe='')}"
    for code in (302, 307, 308)
    for to in ("http://fine.test/x", f"http://{V4}/x", "http://10.20.30.40:8080/x", _redirect("http://fine.test/y"))
}
REFUSED = _addresses()
ADDRESSES = REFUSED | FINE | LEADING_AWAY
_BY_NAME = {_name("a", ip): ("A", ip) for ip in CLOSED_V4} | {_name("aaaa", ip): ("AAAA", ip) for ip in CLOSED_V6}


def answers_of(name: str, kind: str, nth: int) -> Answers:
    """What the name server says, the `nth` time that it is asked for this."""
    if name in ("secret.test", "fine.test"):
        return [(name, kind, V4 if kind == "A" else V6)] if kind in ("A", "AAAA") else []
    if name in _BY_NAME:
        return [(name, *_BY_NAME[name])] if _BY_NAME[name][0] == kind else []
    if name in REBINDING:
        return _rebound(name, kind, nth, REBINDING[name])
    return [
        (rname or name, rtype, value)
        for rname, rtype, value in MIXED.get(name, [])
        if rtype in (kind, "CNAME") or rname
    ]


def _rebound(name: str, kind: str, nth: int, way: int) -> Answers:
    closed = {"A": ("127.0.0.1", "169.254.169.254")[way % 2], "AAAA": ("::1", "fd00:ec2::254")[way % 2]}
    public = {"A": V4, "AAAA": V6}
    if kind not in closed:
        return []
    early = {0: nth == 1, 1: nth % 2 == 1, 2: kind == "A", 3: nth <= 2, 4: nth == 2, 5: nth % 3 == 1}[way // 2]
    return [(name, kind, (public if early else closed)[kind])]
