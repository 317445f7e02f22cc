"""One-time codes: exact tries, of a code and of a day; one use; nothing in Redis that tells. `./dev prove codes`"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from portal import limits
from proofs.bench import PASSWORD, SHORT, Call, Portal, Report, addresses, ask_code, captcha, new_numbers, portal, tally
from tests.cloud import Cloud

ROUNDS, GUESSES, USES = (3, 100, 50) if SHORT else (20, 200, 100)
WRONG = "422 code_wrong"


class Bench:
    """The portal, the cloud that has the codes, and everything that was ever sent."""

    def __init__(self, running: Portal, cloud: Cloud) -> None:
        self.portal, self.cloud = running, cloud
        self.secrets: dict[str, str] = {}
        """Code by number."""
        self.flows: dict[str, str] = {}
        """What the program that asked was told to send back, by number."""

    def ask(self, number: str, purpose: str) -> str:
        """Have a code sent; the code, as the phone shows it."""
        answer = self.portal.one(ask_code(number, purpose, secrets.choice(addresses(200, net=9))))
        assert answer.status == 202, answer
        sms = next(sms for sms in reversed(self.cloud.sent_sms) if sms.number == number.removeprefix("+86"))
        self.secrets[number], self.flows[number] = sms.params["code"], answer.body["flow"]
        return sms.params["code"]

    def use(self, number: str, code: str, address: str) -> Call:
        """As the program that asked for the last code of this number would."""
        return use(number, code, address, flow=self.flows[number])

    def age(self, seconds: int) -> None:
        """Let time go by for the ledger."""
        self.portal.sql("UPDATE messages SET created_at = created_at - :s * interval '1 second'", s=seconds)

    def compared_wrong(self) -> int:
        """How many wrong codes reached the comparison since Valkey started, as Valkey counted.

        The script compares what it finds, and then notes a wrong try by HINCRBY, which nothing else uses.
        """
        told = self.portal.redis.info("commandstats").get("cmdstat_hincrby")
        return int(told["calls"]) if told else 0


def use(number: str, code: str, address: str, **more: str) -> Call:
    return Call("POST", "/api/v1/auth/login/sms", {"phone_number": number, "sms_code": code, **more}, address)


def other_codes(code: str, count: int) -> list[str]:
    found: set[str] = set()
    while len(found) < count:
        found.add(f"{secrets.randbelow(10**limits.CODE_DIGITS):0{limits.CODE_DIGITS}}")
        found.discard(code)
    return list(found)


def guessing(bench: Bench, report: Report, numbers: list[str]) -> None:
    report.part(f"{ROUNDS} rounds: {GUESSES} wrong codes at the same moment, each from another address")
    compared, refused, left, late = [], [], [], []
    for number in numbers:
        code, before = bench.ask(number, "login"), bench.compared_wrong()
        wrong = zip(other_codes(code, GUESSES), addresses(GUESSES), strict=True)
        refused.append(tally(bench.portal.at_once([bench.use(number, guess, address) for guess, address in wrong])))
        compared.append(bench.compared_wrong() - before)
        left.append(len(bench.portal.redis.keys("code:*")))
        late.append(bench.portal.one(bench.use(number, code, "10.2.0.1")).said)
    report.check("compared in each round", compared, [limits.CODE_TRIES] * ROUNDS)
    report.check("answers", _sum(refused), {WRONG: GUESSES * ROUNDS})
    report.check("codes that are left in Redis after each round", left, [0] * ROUNDS)
    report.check("the right code afterwards is as wrong as any", set(late), {WRONG})
    written = bench.portal.count("events", "kind = 'code.wrong'")
    guessed = ROUNDS * limits.CODE_TRIES
    noted = min(ROUNDS * (GUESSES + 1) - guessed, limits.REFUSALS_NOTED[0].count)
    report.check("wrong codes in the history: the compared, and so many others", written, guessed + noted)


def winning(bench: Bench, report: Report, numbers: list[str]) -> None:
    report.part(f"{ROUNDS} rounds: the right code {USES} times at the same moment")
    won, others = [], []
    for number in numbers:
        code, before = bench.ask(number, "login"), bench.compared_wrong()
        said = tally(bench.portal.at_once([bench.use(number, code, address) for address in addresses(USES)]))
        won.append(said.pop("200", 0))
        others.append(said)
        assert bench.compared_wrong() == before
    report.check("wins in each round", won, [1] * ROUNDS)
    report.check("the others", _sum(others), {WRONG: ROUNDS * (USES - 1)})
    started = bench.portal.count("sessions")
    report.check("log-ins in the database", started, ROUNDS)


def elsewhere(bench: Bench, report: Report, anna: str, ben: str) -> None:
    report.part("A code for one number and purpose, used elsewhere")
    code, other = bench.ask(anna, "login"), bench.ask(ben, "login")
    about = {"phone_number": anna, "sms_code": code, "flow": bench.flows[anna]}
    where = {
        "for another number": bench.use(ben, code, "10.3.0.1"),
        "the other way round": bench.use(anna, other, "10.3.0.2"),
        "to set a password": Call(
            "POST",
            "/api/v1/auth/password/reset",
            {**about, "new_password": "another walk along the sea"},
        ),
        "to sign up": Call(
            "POST",
            "/api/v1/auth/register",
            {
                "username": "someone_new",
                "email": "new@ds.example",
                "password": PASSWORD,
                **about,
            },
        ),
    }
    if code == other:  # once in a million
        del where["for another number"], where["the other way round"]
    for what, call in where.items():
        report.check(what, bench.portal.one(call).said, WRONG)
    token = bench.portal.one(
        Call("POST", "/api/v1/auth/login", {"account": "anna", "password": PASSWORD, "captcha": captcha()})
    ).body["access_token"]
    said = bench.portal.one(Call("PATCH", "/api/v1/users/me", about, token=token)).said
    report.check("as the code for a change of number", said, WRONG)
    report.check("where it belongs", bench.portal.one(bench.use(anna, code, "10.3.0.3")).said, "200")
    report.check("there once more", bench.portal.one(bench.use(anna, code, "10.3.0.3")).said, WRONG)


def strangers(bench: Bench, report: Report, numbers: list[str]) -> None:
    report.part(f"{GUESSES} guesses of strangers, without the flow or with others, at a code of each of {len(numbers)}")
    asked = [(number, bench.ask(number, "login")) for number in numbers]
    before, counted = bench.compared_wrong(), bench.portal.count("messages", "wrong_guesses > 0")
    guesses = [
        use(asked[n % len(asked)][0], f"{n:06}", address, **({"flow": f"made up {n}"} if n % 2 else {}))
        for n, address in enumerate(addresses(GUESSES, net=4))
    ]
    report.check("answers", tally(bench.portal.at_once(guesses)), {WRONG: GUESSES})
    report.check("compared", bench.compared_wrong() - before, 0)
    counted = bench.portal.count("messages", "wrong_guesses > 0") - counted
    report.check("codes that it counts against", counted, 0)
    right = [bench.use(number, code, "10.5.0.1") for number, code in asked]
    report.check("the codes are still good, elsewhere too", tally(bench.portal.crowd(right)), {"200": len(asked)})


def a_day(bench: Bench, report: Report, number: str) -> None:
    codes, each, most = 10, 5, limits.WRONG_CODES_PER_NUMBER.count
    report.part(f"A day: {codes} codes for one number and {codes * each} guesses; Redis is emptied after each code")
    spellings = [number, number.removeprefix("+86"), f"0086{number[3:]}", f"+86 {number[3:6]} {number[6:]}"]
    paths = {"login": "login/sms", "reset_password": "password/reset"}
    compared, said = [], []
    for n in range(codes):
        spelling, purpose = spellings[n % len(spellings)], list(paths)[n % 2]
        answer = bench.portal.one(ask_code(spelling, purpose, f"10.6.0.{n + 1}"))
        said.append(answer.said)
        flow = answer.body.get("flow", "none")
        before = bench.compared_wrong()
        more = {"new_password": "another walk along the sea"} if purpose == "reset_password" else {}
        body = {"phone_number": spelling, "flow": flow, "sms_code": "no code", **more}
        calls = [Call("POST", f"/api/v1/auth/{paths[purpose]}", body, f"10.7.{n}.{k + 1}") for k in range(each)]
        bench.portal.at_once(calls)
        compared.append(bench.compared_wrong() - before)
        bench.portal.redis.flushall()
        bench.age(limits.HOUR if n % 5 == 4 else limits.MINUTE)
    sent = most // each
    report.check("compared at each code", compared, [each] * sent + [0] * (codes - sent))
    report.check("asked for a code", said, ["202"] * sent + ["429 guesses_too_many"] * (codes - sent))
    report.check("written in the history", bench.portal.count("events", "kind = 'code.blocked'"), 1)
    other = Call("POST", "/api/v1/auth/login", {"account": number, "password": PASSWORD, "captcha": captcha()})
    report.check("the password is still good", bench.portal.one(other).said, "200")
    bench.age(limits.DAY)
    report.check("a day later", bench.portal.one(ask_code(number, "login", "10.6.1.1")).said, "202")


class Dump:
    """Everything in a Redis: names, values, times of life, and each key's serialised form."""

    def __init__(self, redis: Any) -> None:
        keys = sorted(redis.keys("*"))
        self.keys = len(keys)
        self._raw = b"\n".join(part for key in keys for part in (key, *_values(redis, key), redis.dump(key) or b""))
        # What a keyed hash, a share's name or a long number is by chance tells nothing.
        self._plain = re.sub(rb"(?<![0-9a-f])(?=[0-9]*[a-f])[0-9a-f]{16,}(?![0-9a-f])", b"#", self._raw)

    def codes(self, known: Iterable[str]) -> list[str]:
        """Those that stand in it: plain, in base64, or as a hash that a list of all codes would undo."""
        return [code for code in known if self._has_number(code) or any(form in self._raw for form in _forms(code))]

    def numbers(self, known: Iterable[str]) -> list[str]:
        short = [number.removeprefix("+86") for number in known]
        return [
            number for number in short if number.encode() in self._raw or any(f in self._raw for f in _forms(number))
        ]

    def _has_number(self, code: str) -> bool:
        return re.search(rb"(?<![0-9])" + code.encode() + rb"(?![0-9])", self._plain) is not None


def _values(redis: Any, key: bytes) -> Iterator[bytes]:
    kind = redis.type(key).decode()
    if kind == "string":
        yield redis.get(key) or b""
    elif kind == "hash":
        for field, value in redis.hgetall(key).items():
            yield from (field, value)
    elif kind == "zset":
        for member, score in redis.zrange(key, 0, -1, withscores=True):
            yield from (member, str(score).encode())
    elif kind in ("list", "set"):
        yield from redis.lrange(key, 0, -1) if kind == "list" else redis.smembers(key)
    else:
        raise AssertionError(f"{kind} keys are not read here")


def _forms(text: str) -> list[bytes]:
    plain = text.encode()
    hashes = [hashlib.new(name, plain).hexdigest().encode() for name in ("md5", "sha1", "sha256", "sha512")]
    return [*hashes, base64.b64encode(plain).rstrip(b"=")]


def telling(bench: Bench, report: Report, numbers: list[str]) -> None:
    report.part("A dump of the whole Redis")
    redis = bench.portal.redis
    before = len(redis.keys("code:*"))
    for number in numbers:
        bench.ask(number, "login")
    report.check("codes sent a moment ago", len(redis.keys("code:*")) - before, len(numbers))
    dump = Dump(redis)
    report.say(f"{dump.keys} keys; sought: {len(bench.secrets)} codes and their numbers, plain, base64, bare hashes")
    report.check("codes in it", len(dump.codes(bench.secrets.values())), 0)
    report.check("numbers in it", len(dump.numbers(bench.secrets)), 0)
    code, number = bench.secrets[numbers[0]], numbers[0]
    redis.hset("planted", mapping={"what": f"code{code}", "who": number})
    planted = Dump(redis)
    found = len(planted.codes([code])), len(planted.numbers([number]))
    report.check("the same search finds what is planted", found, (1, 1))
    redis.delete("planted")
    right = [
        bench.use(number, bench.secrets[number], address)
        for number, address in zip(numbers, addresses(99), strict=False)
    ]
    report.check("and the codes were good", tally(bench.portal.crowd(right)), {"200": len(numbers)})


def _sum(tallies: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in tallies:
        for said, count in each.items():
            total[said] = total.get(said, 0) + count
    return total


def main() -> None:
    report = Report("One-time codes")
    with Cloud() as cloud, portal(**cloud.settings(), sms_per_minute=10_000, sms_per_day=10_000) as running:
        bench, numbers = Bench(running, cloud), new_numbers(2 * ROUNDS + 23)
        running.people(["anna", "ben", "attacked", *(f"person{n}" for n in range(len(numbers) - 3))], numbers)
        anna, ben, attacked, *others = numbers
        guessing(bench, report, others[:ROUNDS])
        winning(bench, report, others[ROUNDS : 2 * ROUNDS])
        elsewhere(bench, report, anna, ben)
        strangers(bench, report, others[2 * ROUNDS : 2 * ROUNDS + 10])
        telling(bench, report, others[2 * ROUNDS + 10 :])
        a_day(bench, report, attacked)
    report.end()


if __name__ == "__main__":
    main()
