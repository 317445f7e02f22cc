"""Calls of every kind made from what /openapi.json says, and whether each answer is what it says."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import schemathesis
from apiflask import APIFlask
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as drawing
from hypothesis import strategies as st
from schemathesis import APIOperation, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract_values import ACTORS, Case, Values

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PROBLEM = {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}
CASES = 8  # so many calls meet the things of one set-up: deletes and cancels use them up

Operation = APIOperation[Any, Any, Any, Any]
Send = Callable[[Case, dict[str, str]], Response]


def _in_process(case: Case, headers: dict[str, str]) -> Response:
    """The answer of the application itself; closed, as a server would, so that it holds no slot for transfers."""
    with case.operation.app.test_client().open(**case.as_transport_kwargs(headers=headers)) as answer:
        return Response.from_any(answer)


class Contract:
    """What was asked and answered by now; `broken` has one example of each breach.

    It empties the application's tables again and again. With `send` the calls go to a running portal on the same
    servers.
    """

    def __init__(self, app: APIFlask, send: Send | None = None) -> None:
        self._app, self._send = app, send or _in_process
        self.answers: Counter[tuple[str, int]] = Counter()
        """By actor and status."""
        self.succeeded: Counter[str] = Counter()
        """By operation."""
        self.broken: dict[str, str] = {}
        spec = app.test_client().get("/openapi.json").get_json()
        for operations in spec["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("default", None)  # it would document every status
        schema = schemathesis.openapi.from_dict(spec)
        schema.app = None if send else app
        self.operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
        assert len(self.operations) == sum(map(len, spec["paths"].values()))

    @property
    def asked(self) -> int:
        return self.answers.total()

    def try_out(self, operation: Operation, number: int) -> None:
        """Some calls, the same ones for the same number, each answer judged."""
        values = Values(self._app)

        @seed(number)
        @drawing(
            max_examples=CASES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(_cases(operation), st.sampled_from(list(ACTORS)), st.booleans(), st.booleans())
        def one(case: Case, actor: str, as_drawn: bool, any_ids: bool) -> None:
            if not any_ids:
                values.put_ids(case, actor)
            if not as_drawn:
                values.put_fields(case, actor)
            self._judge(case, actor, self._send(case, values.headers(actor)))

        one()

    def _judge(self, case: Case, actor: str, answer: Response) -> None:
        label = case.operation.label
        self.answers[actor, answer.status_code] += 1
        if answer.status_code < 300:
            self.succeeded[label] += 1
        for breach in breaches(case, answer):
            example = f"{breach} as {actor}: {case!r} {answer.content[:300]!r}"
            self.broken.setdefault(f"{label} {breach.splitlines()[0]} {answer.status_code}", example)


def _cases(operation: Operation) -> st.SearchStrategy[Case]:
    """Calls as the description wants them, and calls that are wrong in a place."""
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    return st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])


def breaches(case: Case, answer: Response) -> Iterator[str]:
    """What in an answer is not as described, or no problem+json though it is an error."""
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            yield str(failure)
    if answer.status_code >= 400:
        yield from problem_breaches(answer.status_code, answer.headers.get("content-type", [""])[0], answer.content)


def problem_breaches(status: int, content_type: str, content: bytes) -> Iterator[str]:
    """What in an error is not as RFC 9457 and our own word have it."""
    if content_type != "application/problem+json":
        yield f"an error as {content_type or 'nothing'}"
        return
    body = json.loads(content)
    if body.keys() != PROBLEM or body["status"] != status or not body["code"] or not body["detail"]:
        yield f"a problem that is not whole: {body}"
