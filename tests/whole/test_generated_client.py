"""The whole journey, by a client that was generated from /openapi.json and knows nothing else of the portal."""

import csv
import hashlib
import io
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.engine.servers import Site
from tests.generated_client import Generated, generate, imported
from tests.program import Program
from tests.stack import PASSWORD, Stack, new_number

CSV = "city,people,founded\n北京,21893095,1045-01-01\n上海,24870895,1291-08-19\n拉萨,559423,\n".encode()
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture(scope="module")
def made(portal: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    folder = tmp_path_factory.mktemp("client")
    told = generate(Program(portal).call("GET", "/openapi.json")[1], folder)
    assert "arning" not in told
    with imported(folder) as generated:
        yield generated


@pytest.fixture
def visitor(made: Generated, portal: Stack) -> Iterator[Any]:
    with made.client(base_url=portal.url, headers=ENGLISH, raise_on_unexpected_status=True) as client:
        yield client


@pytest.fixture
def member(made: Generated, portal: Stack, program: Program, visitor: Any) -> Iterator[Any]:
    """The client of somebody who has signed up by it."""
    assert made.call("auth.get_captcha", client=visitor).provider.value == "altcha"
    number, name = new_number(), f"gina-{secrets.token_hex(3)}"
    purpose = made.model("SmsCodeBodyPurpose").REGISTER
    asked = made.model("SmsCodeBody")(number, purpose, made.model("CaptchaTicket")(program.ticket()))
    sent = made.call("auth.send_sms_code", client=visitor, body=asked)
    assert sent.expires_in == 300
    code = next(each["code"] for each in program.outbox() if each["to"] == number)
    person = made.model("RegisterBody")(name, f"{name}@example.com", number, PASSWORD, code, flow=sent.flow)
    made.call("auth.register", client=visitor, body=person)
    logged_in = made.call("auth.log_in", client=visitor, body=made.model("LoginBody")(name, PASSWORD))
    assert logged_in.user.username == name
    token = logged_in.access_token
    with made.authenticated(
        base_url=portal.url, token=token, headers=ENGLISH, raise_on_unexpected_status=True
    ) as client:
        yield client


def ended(made: Generated, client: Any, uuid: UUID) -> Any:
    """A task, once it has ended."""
    until = time.monotonic() + 30
    while (task := made.call("tasks.get_task", uuid, client=client)).poll_after:
        assert time.monotonic() < until, task
        time.sleep(0.15)  # `poll_after` is a second at first
    return task


def dataset_of(made: Generated, client: Any, **params: Any) -> Any:
    """What a fetch makes of an address or an upload."""
    body = made.model("FetchTaskBody")("fetch", made.model("FetchParams")(**params))
    task = ended(made, client, made.call("tasks.submit_task", client=client, body=body).uuid)
    assert isinstance(task, made.model("FetchTask")) and task.status.value == "completed", task
    return made.call("datasets.get_dataset", task.result.dataset, client=client)


def test_the_journey(made: Generated, member: Any, source: Site) -> None:
    url = source.file("/generated/cities.csv", CSV)
    fetched = dataset_of(made, member, url=url, name="Cities", header=True)
    assert (fetched.name, fetched.rows, fetched.sha256) == ("Cities", 3, hashlib.sha256(CSV).hexdigest())
    upload = made.call("uploads.upload_file", client=member, body=made.file(io.BytesIO(CSV)), name="cities.csv")
    sent = dataset_of(made, member, upload=upload.uuid)
    assert [each.uuid for each in made.call("datasets.list_datasets", client=member).items] == [
        sent.uuid,
        fetched.uuid,
    ]

    where = made.model("Comparison")("people", made.model("ComparisonOp").GT, 1_000_000)
    asked = json.dumps([where.to_dict()])
    rows = made.call("datasets.list_rows", sent.uuid, client=member, where=asked, sort=["-people"], limit=1)
    assert (rows.items, rows.matching, rows.next_offset) == ([["上海", 24870895, "1291-08-19"]], 2, 1)
    profile = made.call("datasets.get_profile", sent.uuid, client=member)
    assert [column["name"] for column in profile.columns] == ["city", "people", "founded"]  # free-form

    filled = made.model("Emptiness")("founded", made.model("EmptinessOp").NOT_NULL)
    either = made.model("OneOf")("city", "in", ["上海", "拉萨"])
    params = made.model("ExportParams")(
        sent.uuid, made.model("ExportParamsFormat").CSV, columns=["city"], where=[where, filled, either]
    )
    submitted = made.call("tasks.submit_task", client=member, body=made.model("ExportTaskBody")("export", params))
    export = ended(made, member, submitted.uuid)
    assert isinstance(export, made.model("ExportTask"))
    assert (export.result.rows, export.result.filename) == (1, "cities.csv")
    assert [type(each).__name__ for each in export.params.where] == ["Comparison", "Emptiness", "OneOf"]
    file = made.call("tasks.download_export", export.uuid, client=member).payload.read()
    assert hashlib.sha256(file).hexdigest() == export.result.sha256
    assert list(csv.reader(io.StringIO(file.decode()))) == [["city"], ["上海"]]
    part = made.whole_answer("tasks.download_export", export.uuid, client=member, range_="bytes=2-")
    assert (int(part.status_code), part.parsed.payload.read()) == (206, file[2:])

    steps = made.call("tasks.list_task_events", export.uuid, client=member).items
    assert [step.kind.value for step in steps] == ["accepted", "queued", "started", "completed"]
    assert [task.kind for task in made.call("tasks.list_tasks", client=member).items] == ["export", "fetch", "fetch"]
    made.whole_answer("datasets.delete_dataset", fetched.uuid, client=member)
    assert made.call("users.get_quota", client=member).bytes_kept > 0
    assert made.call("auth.log_out", client=member).message
    assert made.call("users.get_account", client=member).code == "token_invalid"


def test_a_key_makes_one_task_of_two_submits(made: Generated, member: Any) -> None:
    body = made.model("HealthCheckTaskBody")("health_check")
    one, other = (made.call("tasks.submit_task", client=member, body=body, idempotency_key="once") for _ in range(2))
    assert one.uuid == other.uuid
    task = ended(made, member, one.uuid)
    assert isinstance(task, made.model("HealthCheckTask")) and task.result.database_ms >= 0


def test_errors_are_models_with_a_code(made: Generated, visitor: Any, member: Any, portal: Stack) -> None:
    problem = made.model("Problem")
    wrong = made.call("auth.log_in", client=visitor, body=made.model("LoginBody")("nobody", "nothing at all"))
    assert isinstance(wrong, problem) and (wrong.status, wrong.code) == (401, "credentials_wrong")
    assert made.call("tasks.get_task", uuid4(), client=member).code == "not_found"
    params = made.model("FetchParams")(url="http://127.0.0.1:1/inside.csv")
    refused = made.call("tasks.submit_task", client=member, body=made.model("FetchTaskBody")("fetch", params))
    assert isinstance(refused, problem)
    assert [(each.field, each.message != "") for each in refused.errors] == [("params.url", True)]
    with made.authenticated(base_url=portal.url, token="made.up.token") as anybody:
        assert made.call("users.get_account", client=anybody).code == "token_invalid"


def test_what_fails_says_why(made: Generated, member: Any, source: Site) -> None:
    url = source.file("/generated/page.html", b"<!doctype html><title>x</title><p>no data")
    body = made.model("FetchTaskBody")("fetch", made.model("FetchParams")(url=url))
    task = ended(made, member, made.call("tasks.submit_task", client=member, body=body).uuid)
    assert (task.status.value, task.error_code, task.result) == ("failed", "not_data", None)
    assert "web page" in task.error_message
