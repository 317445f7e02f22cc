"""A name has one form: limits hold for an account however it is written, and for nobody else. `./dev prove limits`"""

import itertools
import random
import time
import unicodedata
from collections import Counter
from pathlib import Path

from portal import limits
from portal.local.child import stop
from proofs.bench import (
    PASSWORD,
    SHORT,
    Answer,
    Call,
    Portal,
    Report,
    addresses,
    answers,
    ask_code,
    captcha,
    new_numbers,
    portal,
    tally,
    web,
)
from proofs.browser import Browser
from proofs.codes import Bench as Codes
from proofs.codes import a_day
from tests.cloud import Cloud

TRIES, NETWORKS, EQUAL_DIGITS, BY_IPV4 = (400, 50, 12, 12) if SHORT else (1000, 50, 200, 100)
WRONG, MANY = "401 credentials_wrong", "429 login_too_many"
BUSY, NOT_IT = ("429 too_many", "503 passwords_busy"), "not the password"
CALLERS = 4  # as many as two processes hash for at once
OWNER = "josé.kim-lee"
COUNTED = Path(__file__).parent / "counted"


class Bench:
    """The portal, and the hashes that its web compared a password with."""

    def __init__(self, running: Portal, file: Path) -> None:
        self.portal, self._file = running, file

    def compared(self, user_id: int) -> int:
        """How many passwords were compared with this person's."""
        stored = self.portal.sql("SELECT hashed_password FROM users WHERE id = :id", id=user_id)[0][0]
        lines = self._file.read_text(encoding="ascii").split() if self._file.exists() else []
        return Counter(lines)[stored]

    def make(self, usernames: list[str]) -> tuple[list[int], list[str]]:
        """People whose hashes differ, although their passwords are equal; their ids and numbers."""
        numbers = new_numbers(len(usernames))
        ids = [self.portal.people([name], [number])[0] for name, number in zip(usernames, numbers, strict=True)]
        return ids, numbers

    def tried(self, accounts: list[str], password: str = NOT_IT, net: int = 1) -> list[Answer]:
        """Log-ins with solved captchas, from all networks in turn."""
        froms = itertools.cycle(addresses(NETWORKS, net))
        return self.said([log_in(account, password, next(froms)) for account in accounts], CALLERS)

    def said(self, calls: list[Call], callers: int = 1) -> list[Answer]:
        """The answers; who is told that nobody can be seen to now, as on a machine that is busy, asks again."""
        given = self.portal.crowd(calls, callers)
        busy = [call for call, answer in zip(calls, given, strict=True) if answer.said in BUSY]
        settled = [answer for answer in given if answer.said not in BUSY]
        return [*settled, *self.said([anew(call) for call in busy], 1)] if busy else settled


def log_in(account: str, password: str, address: str, *, solved: bool = True) -> Call:
    body = {"account": account, "password": password} | ({"captcha": captcha()} if solved else {})
    return Call("POST", "/api/v1/auth/login", body, address)


def anew(call: Call) -> Call:
    """The same once more, with another captcha."""
    return call._replace(body=call.body | {"captcha": captcha()} if "captcha" in call.body else call.body)


def wide(text: str) -> str:
    """In full width, as an input method types it."""
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def cased(text: str) -> str:
    return "".join(random.choice((char.lower(), char.upper())) for char in text)


def username_spellings(name: str) -> list[str]:
    forms = [unicodedata.normalize(form, each) for each in (name, name.title()) for form in ("NFC", "NFD", "NFKD")]
    around = [f" {name}", f"{name}\u3000", f"\t{name}\n", f"jos\u200bé{name[4:]}", f"{name}\ufe0f"]
    return [*(cased(name) for _ in range(40)), *forms, *around, wide(name), wide(name.upper()[:3]) + name[3:]]


def email_spellings(address: str) -> list[str]:
    local, _, domain = address.partition("@")
    forms = [unicodedata.normalize(form, address) for form in ("NFC", "NFD")]
    return [
        *(f"{cased(local)}@{cased(domain)}" for _ in range(20)),
        *(*forms, wide(address), f" {address} ", f"{address}.", f'"{local}"@{domain}', f"{local}＠{domain}"),
        *(f"{local}@{domain.replace('.', dot)}" for dot in "。．｡"),
    ]


def number_spellings(number: str) -> list[str]:
    short = number.removeprefix("+86")
    grouped = f"{short[:3]} {short[3:7]} {short[7:]}"
    arabic = short.translate({ord("0") + digit: 0x660 + digit for digit in range(10)})
    return [
        *(short, number, f"0086{short}", f"86{short}", f"+86 {grouped}", f"0086-{grouped.replace(' ', '-')}"),
        *(f"(+86) {grouped}", wide(short), wide(number), f"００８６{wide(short)}", grouped.replace(" ", "\u3000")),
        *(grouped.replace(" ", "."), grouped.replace(" ", "—"), f" {short} ", f"{short[:3]}\u200b{short[3:]}", arabic),
    ]


def one_account(bench: Bench, report: Report, owner: int, number: str) -> None:
    email = f"{OWNER}@ds.example"
    spelled = [*username_spellings(OWNER), *email_spellings(email), *number_spellings(number)]
    accounts = [random.choice(spelled) for _ in range(TRIES - len(spelled))] + spelled
    random.shuffle(accounts)
    report.part(f"{TRIES} wrong log-ins for one account, in {len(set(spelled))} spellings, from {NETWORKS} addresses")
    before, most = bench.compared(owner), limits.LOGIN_PER_ACCOUNT[0].count
    said = tally(bench.tried(accounts))
    report.check("passwords compared", bench.compared(owner) - before, most)
    each = 3 * limits.LOGIN_PER_NAME[0].count
    report.check("answers", said, {WRONG: each, MANY: TRIES - each})
    written = bench.portal.sql("SELECT kind, count(*) FROM events WHERE user_id = :id GROUP BY kind", id=owner)
    report.check("tries that the owner's history tells of as compared", dict(map(tuple, written))["login.failed"], most)
    right = tally(bench.tried([OWNER, email, number] * 10, PASSWORD, net=2))
    report.check("the right password from strange networks now", right, {MANY: 30})
    report.check("passwords compared in all", bench.compared(owner) - before, most)


def dotted(bench: Bench, report: Report, owner: int, number: str) -> None:
    report.part("The same name with İ, I and i for each other: names of nobody, and no more tries for anybody's")
    name, before = "istanbul.ilk", bench.compared(owner)
    patterns = ["".join(each) for each in itertools.product(*(("i", "I", "İ") if c == "i" else c for c in name))]
    tries = [random.choice(patterns) for _ in range(20 * len(patterns))]
    said = tally(bench.tried(tries, net=3))
    report.check("passwords compared with the owner's", bench.compared(owner) - before, limits.LOGIN_PER_NAME[0].count)
    names = len({pattern.replace("I", "i") for pattern in patterns})
    report.check(f"answers: {names} names, each has its tries", said[WRONG], names * limits.LOGIN_PER_NAME[0].count)
    report.check("the right password by e-mail address", _one(bench, f"{name}@ds.example", "10.4.0.1"), "200")
    tries = [f"{name}@ds.example"] * 8
    report.check("then eight wrong ones by it", tally(bench.tried(tries, net=3)), {WRONG: 6, MANY: 2})
    most = limits.LOGIN_PER_ACCOUNT[0].count + 1  # the right one
    report.check("passwords compared", bench.compared(owner) - before, most)
    report.check("now the right one by number is as wrong as any", _one(bench, number, "10.4.0.1"), WRONG)
    report.check("for nothing was compared", bench.compared(owner) - before, most)


def _one(bench: Bench, account: str, address: str, password: str = PASSWORD) -> str:
    return bench.said([log_in(account, password, address)])[0].said


def nobody_else(bench: Bench, report: Report, others: list[str], home: Browser, number: str, cloud: Cloud) -> None:
    report.part("Meanwhile: everybody else, and the owner")
    said = tally(bench.tried(others, PASSWORD))
    report.check("others from the networks that tried", said, {"200": len(others)})
    report.check("the owner in a browser that knows them", home.post("/login", account=OWNER, password=PASSWORD), 303)
    answer = bench.portal.one(ask_code(number, "login", "10.4.0.2"))
    code, flow = cloud.sent_sms[-1].params["code"], answer.body["flow"]
    body = {"phone_number": number, "sms_code": code, "flow": flow}
    by_code = bench.portal.one(Call("POST", "/api/v1/auth/login/sms", body, "10.4.0.2"))
    report.check("the owner by an SMS code", by_code.said, "200")


def equal_digits(bench: Bench, report: Report, numbers: list[str]) -> None:
    usernames = [f"person{chr(97 + n // 26)}{chr(97 + n % 26)}-22" for n in range(EQUAL_DIGITS)]
    holder = f"x{numbers[0].removeprefix('+86')}"
    report.part(f"{EQUAL_DIGITS} usernames with equal digits, and one with somebody's number in it")
    bench.portal.people([*usernames, holder], new_numbers(len(usernames) + 1))
    tally(bench.tried(["nosuchperson-22"] * 11 + ["22"] * 11 + [f"no-{numbers[0]}"] * 11, net=5))
    said = tally(bench.tried(usernames, PASSWORD, net=6))
    report.check("each logs in", said, {"200": EQUAL_DIGITS})
    report.check("whose username has a number in it, too", _one(bench, holder, "10.6.1.1"), "200")
    report.check("whose number it is, too", _one(bench, numbers[0], "10.6.1.2"), "200")
    for account in (holder, numbers[0]):
        bench.portal.one(Call("POST", "/api/v1/auth/password/forgot", {"account": account}, "10.6.1.3"))
    asked = "SELECT username FROM messages JOIN users ON users.id = user_id WHERE purpose = 'reset_password'"
    told = sorted(row[0] for row in bench.portal.sql(asked))
    report.check("links to reset the password go to each their own", told, sorted([holder, "owner-of-number"]))


def in_other_clothes(bench: Bench, report: Report) -> None:
    report.part(
        "Visitors by IPv4 on a socket of IPv6, each with passwords of their own: one over many names is sprayed"
    )
    froms = [f"::ffff:10.8.{n // 250}.{n % 250 + 1}" for n in range(BY_IPV4)]
    said = bench.said(
        [log_in(f"nobody{n}", f"{NOT_IT} {n}", each, solved=False) for n, each in enumerate(froms)], CALLERS
    )
    report.check(f"{BY_IPV4} of them, one failure each", tally(said), {WRONG: len(froms)})
    one = ["10.9.0.1", "::ffff:10.9.0.1", "::ffff:a09:1", "64:ff9b::a09:1", "2002:a09:1::7", "[::ffff:10.9.0.1]:99"]
    most = limits.CAPTCHA_AFTER_IN_NETWORK[0].count
    calls = [log_in(f"nobody-{n}", f"{NOT_IT} {n}", one[n % len(one)], solved=False) for n in range(2 * most)]
    said = bench.said(calls)
    report.check("one of them in six forms", tally(said), {WRONG: most, "400 captcha_required": most})


def main() -> None:
    report = Report("Limits hold for whom they are meant, however a name is written")
    with Cloud() as cloud, Cloud() as judge:
        settings = {**cloud.settings(), "tencent_endpoint": judge.url, "sms_per_minute": 10_000, "sms_per_day": 10_000}
        with portal(with_web=False, **settings) as running:
            compared = running.folder / "compared"
            child = web(running, PYTHONPATH=str(COUNTED), COMPARED=str(compared))
            child.start()
            try:
                answers(child, running.port)
                _prove(Bench(running, compared), report, cloud)
            finally:
                stop([child], time.monotonic() + 5)
    report.end()


def _prove(bench: Bench, report: Report, cloud: Cloud) -> None:
    others = [f"other-{chr(97 + n)}" for n in range(20)]
    (owner, dotted_owner, _, _), numbers = bench.make([OWNER, "istanbul.ilk", "owner-of-number", "attacked"])
    bench.portal.people(others, new_numbers(len(others)))
    home = Browser(bench.portal.port, "10.4.0.3")
    report.check("the owner logs in at home", home.post("/login", account=OWNER, password=PASSWORD), 303)
    report.check("and that was counted", bench.compared(owner), 1)
    home.post("/logout", page="/sessions/")
    one_account(bench, report, owner, numbers[0])
    nobody_else(bench, report, others, home, numbers[0], cloud)
    dotted(bench, report, dotted_owner, numbers[1])
    equal_digits(bench, report, numbers[2:])
    in_other_clothes(bench, report)
    a_day(Codes(bench.portal, cloud), report, numbers[3])


if __name__ == "__main__":
    main()
