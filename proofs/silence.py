"""No answer before the log-in tells who has an account: not in status, headers or body, and not in time.

`make prove-silence`: servers and the application of its own; the application is called in this process, so that
no network blurs the times. SHORT=1 takes fewer samples and under a minute.
"""

import gc
import json
import os
import random
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from statistics import median

import flask_migrate
from apiflask import APIFlask
from loguru import logger
from scipy.stats import binom, mannwhitneyu
from sqlalchemy import insert, text
from werkzeug.test import TestResponse

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.local.servers import throwaway
from portal.models import User
from portal.services import passwords
from proofs.strangers import SCENES, PassingCaptcha, Person, Scene, Sending, Visit

SHORT = bool(os.environ.get("SHORT"))
# So many rounds in all at each look, decided beforehand: samples are added to, never drawn anew.
LOOKS, SLOW_LOOKS, WARM_UP = ((24, 48, 96), (10, 20, 40), 2) if SHORT else ((420, 840, 1680), (420, 840, 1680), 20)
P, LAST_P = 0.01, 0.001
CALLS_ROUNDS, CALLS_BOUND = (9 if SHORT else 25), 12  # Python calls, about 10 µs; loading one user was 50 and more
BOUND = 10  # µs; what differs by less for sure tells nobody anything through a network
OWNERS = ("known", "inactive")
GROUPS = (*OWNERS, "unknown")
NORMALISED = """\
X-Request-Id, request_id in a problem, and the flow of a code: drawn for each request
CSRF tokens: signed with the moment; as long for everyone
the session cookie: compared by what it holds, without csrf_token and flow, which are drawn for each browser
what was typed (name, address, number, password): shown again in the form; as long for everyone
RateLimit-Reset: seconds to the end of a window of the clock
Retry-After and the sentence with it: 59 s may have become 60"""
NAMES_ONLY = {"X-Request-Id", "RateLimit-Reset"}
CSRF = re.compile(r"I[\w-]{40,}\.[\w-]{6}\.[\w-]{27}")


def bare(visit: Visit, answer: TestResponse) -> str:
    """The whole answer, but for what NORMALISED lists."""
    lines = [f"status: {answer.status}"]
    for name, value in answer.headers:
        if name == "Set-Cookie" and value.startswith("session="):
            cookie, _, rest = value.removeprefix("session=").partition(";")
            signer = visit.app.session_interface.get_signing_serializer(visit.app)  # type: ignore[attr-defined]
            held = {key: kept for key, kept in signer.loads(cookie).items() if key not in ("csrf_token", "flow")}
            value = f"session={json.dumps(held, sort_keys=True)};{rest}"
        if name == "Retry-After" and int(value) in (59, 60):
            value = "60"
        lines.append(f"{name}: {'' if name in NAMES_ONLY else value}")
    body = answer.get_data(as_text=True)
    if answer.is_json:
        parsed = json.loads(body)
        parsed |= {name: "" for name in ("request_id", "flow") if name in parsed}
        body = json.dumps(parsed).replace("59 seconds", "60 seconds")
    said = "\n".join([*lines, body])
    for typed in (visit.person.email, visit.person.username, visit.person.number, visit.wrong_password):
        said = said.replace(typed, "TYPED" + "." * len(typed))
    return CSRF.sub(lambda token: f"CSRF token of {len(token[0])}", said)


@dataclass
class Samples:
    times: dict[str, list[float]] = field(default_factory=lambda: {group: [] for group in GROUPS})
    different: list[str] = field(default_factory=list)


@cache
def _stored() -> str:
    return passwords.hashed("correct horse battery staple")


def people(app: APIFlask, size: int) -> dict[str, list[Person]]:
    """So many of each group, of whom two groups are in the database, and nothing else is anywhere."""
    groups = {group: [Person.new() for _ in range(size)] for group in GROUPS}
    mixed = [(person, group == "known") for group in OWNERS for person in groups[group]]
    random.shuffle(mixed)
    with app.app_context():
        stored = _stored()
        db.session.execute(text("TRUNCATE users, events, events_head, messages, stopped_prefixes CASCADE"))
        db.session.execute(
            insert(User),
            [
                {"username": p.username, "email": p.email, "phone_number": p.number, "hashed_password": stored}
                | {"email_verified_at": datetime.now(UTC), "is_active": active}
                for p, active in mixed
            ],
        )
        db.session.commit()
        db.session.execute(text("ANALYZE"))
        db.session.commit()
    return groups


def add(samples: Samples, app: APIFlask, scene: Scene, rounds: int) -> None:
    """One of each group in turn, in a new order each round, so that noise of the machine is common to them."""
    groups = people(app, rounds + WARM_UP)
    for turn in range(rounds + WARM_UP):
        app.extensions["redis"].flushdb()
        visits = {group: Visit(app, groups[group][turn], turn) for group in GROUPS}
        sendings = {group: scene.ask(visits[group]) for group in random.sample(GROUPS, 3)}
        seen = {}
        for group in random.sample(GROUPS, 3):
            gc.collect(0)
            began = time.perf_counter()
            answer = sendings[group]()
            took = time.perf_counter() - began
            expected = answer.status_code == scene.status and scene.said in answer.text
            assert expected, f"{answer.status} {answer.text[:400]}"
            seen[group] = bare(visits[group], answer)
            if turn >= WARM_UP:
                samples.times[group].append(took)
        samples.different += [group for group in OWNERS if seen[group] != seen["unknown"]]


def calls(app: APIFlask, scene: Scene) -> dict[str, int]:
    """How many more Python calls than for nobody, by the median within rounds: work that no other program blurs."""
    counted: dict[str, list[int]] = {group: [] for group in GROUPS}
    groups = people(app, CALLS_ROUNDS)
    for turn in range(CALLS_ROUNDS):
        app.extensions["redis"].flushdb()
        for group in random.sample(GROUPS, 3):
            sending = scene.ask(Visit(app, groups[group][turn], turn))
            counted[group].append(_calls_of(sending))
    return {
        group: round(median(a - b for a, b in zip(counted[group], counted["unknown"], strict=True))) for group in OWNERS
    }


def _calls_of(sending: Sending) -> int:
    ticks = count()
    sys.setprofile(lambda *_: next(ticks) and None)
    try:
        sending()
    finally:
        sys.setprofile(None)
    return next(ticks)


def interval(found: Samples, group: str) -> tuple[float, float]:
    """Where the median of the differences within rounds lies, in µs, by 99 %: their own order says so, no model."""
    differences = sorted(a - b for a, b in zip(found.times[group], found.times["unknown"], strict=True))
    out = int(binom.ppf(0.005, len(differences), 0.5))
    return 1e6 * differences[max(out - 1, 0)], 1e6 * differences[min(len(differences) - out, len(differences) - 1)]


def compare(app: APIFlask, scene: Scene) -> bool:
    """Print what was found; False when somebody could be told from nobody."""
    found, rounds, more = Samples(), 0, calls(app, scene)
    looks = SLOW_LOOKS if scene.slow else LOOKS
    for look in looks:
        add(found, app, scene, look - rounds)
        rounds = look
        chance = {group: mannwhitneyu(found.times[group], found.times["unknown"]).pvalue for group in OWNERS}
        between = {group: interval(found, group) for group in OWNERS}
        medians = " ".join(f"{1000 * median(found.times[group]):8.3f}" for group in GROUPS)
        timed = " ".join(f"{chance[group]:6.4f}" for group in OWNERS)
        sizes = "  ".join(f"{low:+6.0f} to {high:+5.0f}" for low, high in between.values())
        print(
            f"{scene.name:32} {rounds:5} {medians}  {timed}  {sizes}  {more['known']:+4} {more['inactive']:+4}"
            f" {len(found.different):5}",
            flush=True,
        )
        if found.different or max(map(abs, more.values())) > CALLS_BOUND:
            return False
        least = LAST_P if look == looks[-1] else P
        seen = [g for g in OWNERS if chance[g] <= least and not (between[g][0] > -BOUND and between[g][1] < BOUND)]
        if not seen:
            return True
    return False


@contextmanager
def portal() -> Iterator[APIFlask]:
    """The real application on servers of its own."""
    keys = {name: secrets.token_urlsafe(40) for name in ("secret_key", "jwt_secret_key", "password_key")}
    raised = dict.fromkeys(
        ["sms_per_minute", "sms_per_day", "mail_per_minute", "mail_per_day", "api_per_minute"], 10**6
    )
    with tempfile.TemporaryDirectory() as folder, throwaway(Path(folder)) as servers:
        own = {
            **keys,
            **raised,
            "portal_mode": "local",
            "api_per_minute": 10**6,
            "database_url": servers.postgres.url,
            "redis_url": servers.redis.url,
            "instance_path": Path(folder) / "instance",
            "default_locale": "en",
        }
        app = create_app(Settings.model_validate(own))
        logger.remove()
        app.extensions["gateways"] = replace(app.extensions["gateways"], captcha=PassingCaptcha())
        with app.app_context():
            flask_migrate.upgrade(str(Path(app.root_path).parent / "migrations"))
        yield app
        with app.app_context():
            db.engine.dispose()


def main() -> int:
    chosen = [scene for scene in SCENES if all(word in scene.name for word in sys.argv[1:])]
    print("Compared byte by byte, but for:", *NORMALISED.splitlines(), sep="\n  - ")
    print("Limits of SMS, mail and the API overall are raised; each sample has a person and an address of its own;")
    print("Redis is emptied before each round, its order drawn; the captcha lets everything pass. p is Mann-Whitney's,")
    print(f"two-sided, over all samples so far. A scene is silent at the first of these looks, {LOOKS},")
    print(
        f"where p > {P} (at the last p > {LAST_P}), or the difference is surely below {BOUND} µs (99 % interval of its"
    )
    print(
        "median within rounds); else rounds are added. One false alarm in 150 whole runs. Besides, the Python calls of"
    )
    print(f"{CALLS_ROUNDS} requests each are counted: the median of the differences may be {CALLS_BOUND}.")
    print(f"{WARM_UP} rounds warm up.", "SHORT: far fewer samples than the 400 that are asked for." if SHORT else "")
    print(f"{'':38} {'median ms':^26}  {'p against unknown':^14} {'µs more than unknown':^31}")
    print(f"{'':32} {'each':>5} {'known':>8} {'inactive':>8} {'unknown':>8}  {'known':6} {'inactive':7}", end=" ")
    print(f"{'known':^15}  {'inactive':^14}  calls more different")
    with portal() as app:
        gc.disable()
        told = [scene.name for scene in chosen if not compare(app, scene)]
    print(f"{len(chosen)} scenes:", f"NOT SILENT: {told}" if told else "silent")
    return bool(told)


if __name__ == "__main__":
    sys.exit(main())
