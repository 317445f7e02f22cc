"""SMS: never one more than the limits allow, whatever is asked at once. `./dev prove sms`"""

import secrets
import threading
import time
from collections import Counter

from portal import limits
from portal.limits import HOUR, MINUTE
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
NETWORKS, FEW, MANY = (10 if SHORT else 500), 5, 30
AT_ONCE, AGAIN = (40, 8) if SHORT else (200, 200)
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
            "INSERT INTO messages"
            " (channel, purpose, recipient, prefix, network, send_to, vendor_code, vendor_id, state, created_at)"
            " SELECT 'sms', 'login', 'other ' || n, '', 'other ' || n, '', '', '', 'sent',"
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
    block = 50 if SHORT else 250
    for first in range(0, len(pairs), block):
        asked = pairs[first : first + block]
        calls = [ask_code(n, purpose, address) for n, address in asked for purpose in ("register", "login")]
        secrets.SystemRandom().shuffle(calls)
        if first <= len(pairs) // 2 < first + block:
            threading.Timer(0.5, bench.portal.redis.flushall).start()
        began = time.monotonic()
        answers += bench.portal.crowd(calls)
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
    bench.report.check(
        "SMS over the limit of an address; addresses with another count than theirs", (over, short), (0, 0)
    )
    counted = bench.portal.count("messages", "channel = 'sms' AND state IN ('sent', 'unknown')")
    bench.report.check("counted in the ledger", counted, expected)


def one_number(bench: Bench) -> str:
    """Answers the number, which then gets nothing more today."""
    bench.begin(f"{AT_ONCE} requests at the same moment to one number, and again whenever a window has passed")
    number, sent = new_numbers(1)[0], []

    def round_of(net: int) -> None:
        before = len(bench.cloud.sent_sms)
        bench.burst([number] * (AT_ONCE if net < 3 else AGAIN), net)
        sent.append(len(bench.cloud.sent_sms) - before)

    round_of(1)
    bench.portal.redis.flushall()
    round_of(2)
    bench.report.check("SMS, and after FLUSHALL", sent, [1, 0])
    for net in range(3, 8):
        bench.age(MINUTE + 1)
        round_of(net)
    bench.report.check("a minute later each: five in the hour", sent[2:], [1, 1, 1, 1, 0])
    bench.age(HOUR)
    for net in range(8, 14):
        bench.age(MINUTE + 1)
        round_of(net)
    bench.report.check("an hour later: ten in the day", sent[7:], [1, 1, 1, 1, 1, 0])
    bench.age(HOUR)
    round_of(14)
    bench.report.check("another hour later", sent[13:], [0])
    return number


def one_network(bench: Bench) -> None:
    bench.begin(f"{2 * PER_NETWORK} requests at the same moment to as many numbers, all from one network")
    numbers = new_numbers(2 * PER_NETWORK)
    for what, where in (
        ("one IPv4 address that forges the hops before it", ["10.20.0.1"] * len(numbers)),
        ("as many addresses of one IPv6 /64", [f"2001:db8:0:7::{n + 1:x}" for n in range(len(numbers))]),
    ):
        bench.cloud.forget()
        bench.portal.at_once([ask_code(n, "login", address) for n, address in zip(numbers, where, strict=True)])
        bench.age(MINUTE + 1)
        bench.report.check(f"SMS for {what}", len(bench.cloud.sent_sms), PER_NETWORK)


def budget(bench: Bench) -> None:
    bench.begin(f"The budget: {AT_ONCE} at the same moment, other numbers and addresses each, with 30 left")
    bench.filled(PER_MINUTE - 30, ago=1)
    said = tally(bench.burst(new_numbers(AT_ONCE), 1))
    bench.report.check("of the minute", said, {SPENT: AT_ONCE - 30, SENT: 30})
    bench.portal.redis.flushall()
    bench.report.check("after FLUSHALL", tally(bench.burst(new_numbers(AT_ONCE), 2)), {SPENT: AT_ONCE})
    bench.age(2 * HOUR)
    bench.filled(PER_DAY - PER_MINUTE - 10, ago=HOUR)
    said = tally(bench.burst(new_numbers(AT_ONCE), 3))
    bench.report.check("of the day, with 10 left", said, {SPENT: AT_ONCE - 10, SENT: 10})
    bench.report.check("SMS that the cloud was given", len(bench.cloud.sent_sms), 40)


def not_sent(bench: Bench) -> None:
    bench.begin(f"The vendor says that it did not send: {PER_NETWORK} numbers, one address")
    numbers = new_numbers(PER_NETWORK)
    calls = [ask_code(number, "login", "10.1.0.1") for number in numbers]
    bench.cloud.always = Said.sms("isv.BUSINESS_LIMIT_CONTROL")
    bench.report.check("refused by the vendor", tally(bench.portal.at_once(calls)), {"503 sms_throttled": PER_NETWORK})
    bench.cloud.always = None
    again = [ask_code(number, "login", "10.1.0.1") for number in numbers]
    bench.report.check(
        "at once again: every share was given back", tally(bench.portal.at_once(again)), {SENT: PER_NETWORK}
    )
    more = [ask_code(number, "login", "10.1.0.1") for number in new_numbers(5)]
    bench.report.check("and not one more than that", tally(bench.portal.at_once(more)), {TOO_MANY: 5})
    bench.report.check("SMS that the cloud was given", len(bench.cloud.sent_sms), PER_NETWORK)


def timed_out(bench: Bench) -> None:
    bench.begin(f"The vendor takes 20 messages and answers too late ({READ_SECONDS} s)")
    numbers = new_numbers(20)
    bench.cloud.always = Said(delay=READ_SECONDS + 1, takes=True)
    answers = tally(bench.burst(numbers, 1))
    bench.cloud.always = None
    bench.report.check("answers, as if sent", answers, {SENT: 20})
    states = {row.state: row.n for row in bench.portal.sql("SELECT state, count(*) AS n FROM messages GROUP BY state")}
    bench.report.check("in the ledger", states, {"unknown": 20})
    bench.report.check("asked for again at once", tally(bench.burst(numbers, 2)), {TOO_MANY: 20})
    time.sleep(1)
    bench.report.check("SMS that the cloud was given, none twice", len(bench.cloud.sent_sms), 20)


def owner(bench: Bench, number: str) -> None:
    """`number` was attacked until it gets nothing more today."""
    bench.report.part("The owner of the attacked number")
    bench.portal.people(["owner"], [number])
    home = Browser(bench.portal.port, "198.51.100.7")
    bench.report.check(
        "logs in by password, in a browser", home.post("/login", account="owner", password=PASSWORD), 303
    )
    call = Call("POST", "/api/v1/auth/login", {"account": number, "password": PASSWORD}, "198.51.100.7")
    bench.report.check("and in a program", bench.portal.one(call).status, 200)
    bench.begin(f"The owner has a code sent; then {AT_ONCE} requests, {AT_ONCE} guesses and 12 passwords of strangers")
    phone = Browser(bench.portal.port, "198.51.100.8")
    ticket = captcha()
    asked = phone.post(
        "/login/sms", phone_number=number, captcha_ticket=ticket["ticket"], captcha_randstr=ticket["randstr"]
    )
    bench.report.check("asked for in a browser", (asked, len(bench.cloud.sent_sms)), (303, 1))
    code = bench.cloud.sent_sms[0].params["code"]
    bench.burst([number] * AT_ONCE, 3)
    guesses = [
        Call("POST", "/api/v1/auth/login/sms", {"phone_number": number, "sms_code": f"{n:06}"}, address)
        for n, address in enumerate(addresses(AT_ONCE, 4))
    ]
    bench.portal.at_once(guesses)
    tries = [
        Call("POST", "/api/v1/auth/login", {"account": "owner", "password": f"no {n}", "captcha": captcha()}, address)
        for n, address in enumerate(addresses(12, 5))
    ]
    bench.portal.crowd(tries, 2)
    stranger = Call("POST", "/api/v1/auth/login", {"account": "owner", "password": "no", "captcha": captcha()})
    bench.report.check("strangers' passwords in the end", bench.portal.one(stranger).said, "429 login_too_many")
    bench.report.check("SMS to the number meanwhile", len(bench.cloud.sent_sms), 1)
    bench.report.check("the owner's code is still good", phone.post("/login/sms/code", sms_code=code), 303)
    bench.report.check("and they are in", phone.get("/sessions/")[0], 200)
    home.post("/logout", page="/sessions/")
    again = home.post("/login", account="owner", password=PASSWORD)
    bench.report.check("the password is, too, in a browser they used before", again, 303)


def prefixes(bench: Bench) -> None:
    bench.begin(f"{limits.PREFIX_SENDS} codes to numbers with one beginning, used by too few")
    size = limits.PREFIX_SENDS
    enough = -int(-limits.PREFIX_SHARE * size // 1)
    cases = [(enough - 1, True), (enough, False)] if SHORT else [(0, True), (enough - 1, True), (enough, False)]
    for net, (used, stops) in enumerate(cases, 30):
        common = f"+86{OPERATORS[net % 10]}{secrets.randbelow(10**4):04}"
        numbers = [f"{common}{n:04}" for n in range(size + 10)]
        first = tally(bench.burst(numbers[:size], net))
        bench.portal.sql(
            "UPDATE messages SET verified_at = now() WHERE id IN (SELECT id FROM messages WHERE prefix = :p LIMIT :n)",
            p=common,
            n=used,
        )
        young = bench.portal.count("stopped_prefixes", "prefix = :p", p=common)
        bench.age(limits.CODE_SECONDS + 60)
        bench.burst(numbers[size : size + 5], net + 100)
        late = tally(bench.burst(numbers[size + 5 :], net + 100))
        events = bench.portal.count("events", "kind = 'prefix.stopped' AND details->>'prefix' = :p", p=common)
        found = first, young, late, events
        after = {"503 sms_prefix_stopped": 5} if stops else {SENT: 5}
        bench.report.check(f"{used} of {size} used", found, ({SENT: size}, 0, after, int(stops)))
    bench.report.check("other numbers", tally(bench.burst(new_numbers(5), 40)), {SENT: 5})
    stopped = bench.portal.count("stopped_prefixes", "lifted_at IS NULL")
    bench.report.check("beginnings that are stopped", stopped, sum(stops for _, stops in cases))


def main() -> None:
    report = Report("SMS, sent through Aliyun's SDK to a cloud that checks signatures and counts")
    with Cloud() as cloud, Cloud() as judge:
        settings = {
            **cloud.settings(),
            "tencent_endpoint": judge.url,
            "captcha_read_seconds": 20,
            "gateway_read_seconds": READ_SECONDS,
            "sms_per_address_day": PER_NETWORK,
            "sms_per_minute": PER_MINUTE,
            "sms_per_day": PER_DAY,
        }
        with portal(**settings) as running:
            bench = Bench(running, cloud, report)
            everybody(bench)
            attacked = one_number(bench)
            owner(bench, attacked)
            one_network(bench)
            budget(bench)
            not_sent(bench)
            timed_out(bench)
            prefixes(bench)
    report.end()


if __name__ == "__main__":
    main()
