"""SMS: never one more than the limits allow, whatever is asked at once. `./dev prove sms`"""

import secrets
import time
from collections import Counter
from collections.abc import Callable

from portal import limits
from portal.limits import DAY, HOUR, MINUTE
from proofs.bench import (
    OPERATORS,
    PASSWORD,
    SHORT,
    Answer,
    Call,
    Portal,
    Report,
    addresses,
    ask_code,
    captcha,
    new_numbers,
    portal,
    tally,
)
from proofs.browser import Browser
from tests.cloud import Answer as Said
from tests.cloud import Cloud

# 500 networks: four fifths ask for 5 numbers each, one fifth for 30 each, and each number is asked for twice.
NETWORKS, FEW, MANY = (25 if SHORT else 500), 5, 30
AT_ONCE = 60 if SHORT else 200
PER_NETWORK, PER_MINUTE, PER_DAY = 20, 5_000, 9_000
READ_SECONDS = 2
SENT, TOO_MANY, SPENT = "202", "429 sms_too_many", "503 sms_budget_spent"


class Bench:
    """The portal, and the cloud that counts what really reaches it."""

    def __init__(self, running: Portal, cloud: Cloud, report: Report) -> None:
        self.portal, self.cloud, self.report = running, cloud, report

    def begin(self, title: str) -> None:
        """An empty ledger, an empty cloud."""
        self.report.part(title)
        self.portal.sql("TRUNCATE messages, stopped_prefixes")
        self.portal.redis.flushall()
        self.cloud.forget()

    def age(self, seconds: int) -> None:
        """Let so many seconds pass for the ledger."""
        self.portal.sql("UPDATE messages SET created_at = created_at - make_interval(secs => :s)", s=seconds)

    def burst(self, numbers: list[str], net: int, purpose: str = "login") -> list[Answer]:
        """One request for each, at the same moment, each from another address."""
        where = addresses(len(numbers), net)
        return self.portal.at_once([ask_code(n, purpose, a) for n, a in zip(numbers, where, strict=True)])

    def filled(self, count: int, ago: int) -> None:
        """So many messages to others, sent some seconds ago."""
        self.portal.sql(
            "INSERT INTO messages (channel, purpose, recipient, prefix, network, mail_to, vendor_code, vendor_id, state,"
            " created_at) SELECT 'sms', 'login', 'other ' || n, '', 'other ' || n, '', '', '', 'sent',"
            " clock_timestamp() - make_interval(secs => :ago) FROM generate_series(1, :count) n",
            ago=ago,
            count=count,
        )


def everybody(bench: Bench) -> None:
    """Both requests for a number come from one network: so the count is the same in whatever order they are served."""
    busy = NETWORKS // 5
    per_network = [FEW] * (NETWORKS - busy) + [MANY] * busy
    expected = sum(min(count, PER_NETWORK) for count in per_network)
    numbers = iter(new_numbers(sum(per_network)))
    pairs = [
        (next(numbers), address)
        for address, count in zip(addresses(NETWORKS), per_network, strict=True)
        for _ in range(count)
    ]
    secrets.SystemRandom().shuffle(pairs)
    bench.begin(f"{2 * len(pairs)} requests from {NETWORKS} addresses to {len(pairs)} numbers, FLUSHALL in the middle")
    answers, spread, started = [], 0.0, time.monotonic()
    block = 125 if SHORT else 250
    for first in range(0, len(pairs), block):
        calls = [ask_code(*_with(pair, purpose)) for pair in pairs[first : first + block] for purpose in _PURPOSES]
        secrets.SystemRandom().shuffle(calls)
        middle = first <= len(pairs) // 2 < first + block
        began = time.monotonic()
        answers += bench.portal.crowd(_flushing(bench, calls) if middle else calls)
        spread = max(spread, time.monotonic() - began)
    seconds = time.monotonic() - started
    bench.report.say(f"{len(answers) / seconds:.0f} requests a second; two for one number at most {spread:.0f} s apart")
    sent = bench.cloud.sent_sms
    bench.report.check("two for one number came within the minute", spread < MINUTE, True)
    bench.report.check("SMS that the cloud was given", len(sent), expected)
    bench.report.check("answers", tally(answers), {SENT: expected, TOO_MANY: len(answers) - expected})
    bench.report.check("most SMS to one number", max(Counter(sms.number for sms in sent).values()), 1)
    came_from = dict(pairs)
    per = Counter(came_from[f"+86{sms.number}"] for sms in sent)
    over = sum(max(0, count - PER_NETWORK) for count in per.values())
    short = sum(per[a] != min(n, PER_NETWORK) for a, n in zip(addresses(NETWORKS), per_network, strict=True))
    bench.report.check("SMS over the limit of an address; addresses with another count than theirs", (over, short), (0, 0))
    counted = bench.portal.count("messages", "channel = 'sms' AND state IN ('sent', 'unknown')")
    bench.report.check("counted in the ledger", counted, expected)


_PURPOSES = ("register", "login")


def _with(pair: tuple[str, str], purpose: str) -> tuple[str, str, str]:
    return pair[0], purpose, pair[1]


def _flushing(bench: Bench, calls: list[Call]) -> list[Call]:
    """The same calls; Redis is emptied while they are under way."""
    import threading

    threading.Timer(0.8, bench.portal.redis.flushall).start()
    return calls
