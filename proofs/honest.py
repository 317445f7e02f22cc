"""Somebody at their work, in a process of their own: what the proof's crowds do there must not slow their clock."""

import time
from collections import Counter
from http.client import HTTPConnection

PAUSE = 0.002
Took = dict[str, list[float]]


def work(port: int, address: str, token: str, paths: dict[str, str], rounds: int) -> tuple[Took, Counter[int]]:
    """Ask for each path in turn, so many times: the seconds each took, and how often each status was answered."""
    took: Took = {kind: [] for kind in paths}
    said: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en", "X-Forwarded-For": address}
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(rounds):
        for kind, path in paths.items():
            began = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            took[kind].append(time.perf_counter() - began)
            said[answer.status] += 1
            time.sleep(PAUSE)
    connection.close()
    return took, said
