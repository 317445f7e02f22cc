"""Thousands of calls drawn from /openapi.json, as nobody, a member and an admin: each answer is what it says there.

`make prove-api`: by schemathesis, against a running web; the draws are new each time, and SEED=N repeats them. SHORT=1
makes fewer.
"""

import json
import os
import secrets
from collections import Counter
from typing import Any

import requests
from schemathesis import Response

from proofs.bench import SHORT, Portal, Report, portal
from tests.api.test_errors import HOSTILE
from tests.contract import Contract, problem_breaches
from tests.contract_values import ACTORS, Case, Values

LEAST_CASES = 300 if SHORT else 5_000
SEED = int(os.environ.get("SEED", secrets.randbelow(10**6)))
NO_LIMITS: dict[str, Any] = {f"sms_per_{per}": 1_000_000 for per in ("address_day", "minute", "day")}


def drawn(running: Portal, report: Report) -> None:
    session = requests.Session()
    session.trust_env = False

    def send(case: Case, headers: dict[str, str]) -> Response:
        # Codes are asked for in this process and used over there: both have to come from one network.
        return case.call(
            base_url=f"http://127.0.0.1:{running.port}",
            session=session,
            headers=headers | {"X-Forwarded-For": "127.0.0.1"},
        )

    contract = Contract(running.app, send)
    report.part(f"{LEAST_CASES} calls or more, of {len(contract.operations)} operations (SEED={SEED})")
    number = SEED
    while contract.asked < LEAST_CASES:
        for operation in contract.operations:
            number += 1
            contract.try_out(operation, number)
    for actor in ACTORS:
        statuses = sorted((status, times) for (who, status), times in contract.answers.items() if who == actor)
        report.say(f"{actor:7} " + ", ".join(f"{status}: {times}" for status, times in statuses))
    report.say(f"{contract.asked} calls, {contract.succeeded.total()} of them succeeded")
    never = sorted({operation.label for operation in contract.operations} - contract.succeeded.keys())
    if not SHORT:
        report.check("operations that never succeeded", never, [])
    server_errors = {status: times for (_, status), times in contract.answers.items() if status >= 500}
    report.check("5xx", server_errors, {})
    report.check("answers that are not as described", list(contract.broken.values()), [])


def hostile(running: Portal, report: Report) -> None:
    values, paths = Values(running.app), running.app.test_client().get("/openapi.json").get_json()["paths"]
    with_json = [
        (method.upper(), path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]
    report.part(f"{len(HOSTILE)} hostile bodies to each of {len(with_json)} operations that take JSON")
    answers: Counter[int] = Counter()
    broken = []
    with requests.Session() as session:
        session.trust_env = False
        for actor in ACTORS:
            headers = {**values.headers(actor), "Content-Type": "application/json"}
            for method, path in with_json:
                url = f"http://127.0.0.1:{running.port}{path.replace('{uuid}', '0' * 32)}"
                for body in HOSTILE:
                    answer = session.request(method, url, data=body, headers=headers, timeout=30)
                    answers[answer.status_code] += 1
                    found = list(problem_breaches(answer.status_code, answer.headers["Content-Type"], answer.content))
                    broken += [f"{method} {path} {body[:30]!r}: {each}" for each in found]
    report.say(json.dumps(answers))
    report.check("answers but 400, 401, 404", sorted(answers.keys() - {400, 401, 404}), [])
    report.check("answers that are no whole problem+json", broken, [])


def main() -> None:
    report = Report("The API's contract")
    with portal(**NO_LIMITS) as running:
        drawn(running, report)
        hostile(running, report)
        log = (running.folder / "web.log").read_text()
        report.say(f"{log.count(' /api/v1/')} calls in the web's log")
        report.check("errors that nobody caught, in the web's log", log.count("unhandled"), 0)
    report.end()


if __name__ == "__main__":
    main()
