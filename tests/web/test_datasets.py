"""Pages of datasets, uploads and exports, through the door."""

import hashlib
import html
import re
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal.extensions import db
from portal.models import Dataset, Export, Task, TaskHeaders, Upload, User
from portal.services import exports, request_headers, tasks, tidying
from portal.services.copies import copy_of
from tests.cast import browser, csrf, person
from tests.stage import Stage, dataset, set_up
from tests.store import adopt


@pytest.fixture
def stage(app: APIFlask) -> Stage:
    return set_up(app)


MANY = "datasets/00000000-0000-4000-8000-000000000001/1.parquet"
MADE = "exports/00000000-0000-4000-8000-000000000002/1"


@pytest.fixture
def rows(app: APIFlask, stage: Stage) -> str:
    """The address of alice's dataset, which has some rows now."""
    file = app.extensions["settings"].store_folder / MANY
    file.parent.mkdir(parents=True, exist_ok=True)
    duckdb.sql(f"COPY (SELECT i AS n, 'word ' || i AS word FROM range(120) t(i)) TO '{file}' (FORMAT parquet)")
    with app.app_context():
        dataset = db.session.scalar(select(Dataset).where(Dataset.uuid == stage.things["dataset"]))
        assert dataset
        dataset.store_key, dataset.rows = MANY, 120
        dataset.columns = [{"name": "n", "type": "integer"}, {"name": "word", "type": "text"}]
        db.session.commit()
    return f"/datasets/{stage.things['dataset']}"


def test_rows_are_sorted_filtered_and_paged(stage: Stage, rows: str) -> None:
    alice = stage.browser("alice")
    assert "Rows 1 to 50 of 120" in alice.get(rows).text
    page = alice.get(f"{rows}?sort=-n&offset=50").text
    assert "Rows 51 to 100 of 120" in page and ">69<" in page and 'aria-sort="descending"' in page
    page = alice.get(f"{rows}?c1=n&o1=lt&v1=3&c2=word&o2=contains&v2=WORD").text
    assert "Rows 1 to 3 of 3 that match, of 120 in all" in page
    part = alice.get(f"{rows}?sort=n", headers={"HX-Request": "true"}).text
    assert part.startswith('<section id="rows"') and "<html" not in part


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("c1=n&o1=lt&v1=x", "Compare column “n” with a number."),
        ("c1=&o1=eq&v1=5", "Choose the column that the value is to be compared with."),
        ("c1=nothing&o1=eq&v1=1", "There is no column “nothing”."),
        ("c1=n&o1=drop&v1=1", "There is no such comparison for column “n”."),
        ("sort=nothing", "There is no column “nothing”."),
        ("c1=n&o1=eq&v1=9999", "No rows match."),
        ("offset=120", "There are no rows from here on."),
        ("c1=n&o1=lt&v1=x&sort=-word&from=1", '<input type="hidden" name="sort" value="-word">'),
        ("c1=n&o1=lt&v1=x&sort=-word&from=1", '<input type="hidden" name="from" value="1">'),
    ],
)
def test_what_cannot_be_asked_is_said_on_the_page(stage: Stage, rows: str, query: str, said: str) -> None:
    answer = stage.browser("alice").get(f"{rows}?{query}")
    assert answer.status_code == 200 and said in answer.text


def test_one_row_whole(app: APIFlask, stage: Stage, rows: str) -> None:
    folder = app.extensions["settings"].store_folder
    query = "SELECT i AS n, {'deep': repeat('y', 500) || i} AS word FROM range(120) t(i)"
    duckdb.sql(f"COPY ({query}) TO '{folder / MANY}' (FORMAT parquet)")
    with app.app_context():
        dataset = db.session.scalars(select(Dataset).where(Dataset.uuid == stage.things["dataset"])).one()
        dataset.columns = [{"name": "n", "type": "integer"}, {"name": "word", "type": "struct"}]
        db.session.commit()
    alice = stage.browser("alice")
    page = alice.get(f"{rows}?sort=-n&c1=n&o1=lt&v1=60&from=1").text
    address = html.unescape(re.search(r'href="(\S+/row\?[^"]+)" aria-label="Row 3"', page)[1])  # type: ignore[index]
    assert "y" * 250 in page and "y" * 500 not in page
    row = alice.get(address).text
    assert "3 of 60 that match" in row and ">57<" in row and "y" * 500 + "57" in row
    back = html.unescape(re.search(r'href="([^"]+)">← ', row)[1])  # type: ignore[index]
    assert "Rows 1 to 50 of 60 that match" in alice.get(back).text
    assert "There are no rows from here on." in alice.get(f"{rows}/row?offset=120").text
    assert "There is no column “nothing”." in alice.get(f"{rows}/row?sort=nothing").text


def test_it_is_renamed_and_removed(app: APIFlask, stage: Stage, rows: str) -> None:
    alice, token = stage.browser("alice"), stage.csrf_token()
    form = {"csrf_token": token, "name": "Two", "description": "First line\nSecond <b>line</b>"}
    assert alice.post(f"{rows}/edit", data=form).status_code == 303
    page = alice.get(rows).text
    assert "<h1>Two</h1>" in page and "Second &lt;b&gt;line&lt;/b&gt;" in page
    wrong = alice.post(f"{rows}/edit", data={"csrf_token": token, "name": " "})
    assert wrong.status_code == 422 and "Fill this in." in wrong.text
    assert alice.post(f"{rows}/delete", data={"csrf_token": token}).status_code == 303
    assert alice.get(rows).status_code == 404
    adopt(app)
    with app.app_context():
        store = app.extensions["settings"].store_folder
        assert (store / MANY).exists()
        assert tidying.remove_files() == 1
        db.session.commit()
        assert not (store / MANY).exists()


def test_a_guessed_encoding_is_said_and_the_file_read_again_in_another(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    upload(alice, "姓名\n王\n".encode("gb18030"))
    with app.app_context():
        task = db.session.scalar(select(Task))
        assert task
        made = dataset(app, db.session.get_one(User, task.owner_id), "one.parquet")
        made.task_id = task.id
        made.found = {
            "format": "csv",
            "encoding": "gb18030",
            "encoding_guessed": True,
            "encodings": ["gb18030", "euc-kr"],
        }
        db.session.commit()
        address = f"/datasets/{made.uuid}"
    page = html.unescape(alice.get(address).text)
    assert "Read as GB18030 (GBK): a guess" in page
    choices = re.findall(r'<option value="([a-z0-9-_]+)">', page[page.index('id="read-as"') :])
    assert choices[0] == "euc-kr" and "gb18030" not in choices and "windows-1252" in choices
    form = {"csrf_token": csrf(alice, address), "encoding": "euc-kr"}
    assert alice.post(f"{address}/fetch-again", data=form).status_code == 303
    assert (
        "Choose one of"
        in alice.post(f"{address}/fetch-again", data={**form, "encoding": "x"}, follow_redirects=True).text
    )
    with app.app_context():
        again = db.session.scalar(select(Task).order_by(Task.id.desc()).limit(1))
        assert again and again.params["encoding"] == "euc-kr"


def upload(client: FlaskClient, content: bytes, name: str = "two.csv", **data: Any) -> Any:
    form = {"upload-file": (BytesIO(content), name), "csrf_token": csrf(client, "/tasks/"), **data}
    return client.post("/uploads/", data=form, content_type="multipart/form-data")


def test_a_file_from_ones_device(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    alice, content = browser(app, "alice"), b"a;b\n1;2\n" * 50_000
    answer = upload(
        alice,
        content,
        "two.csv",
        **{"upload-delimiter": "semicolon", "upload-skip_broken": "y", "upload-skip_rows": "0"},
    )
    assert answer.status_code == 303
    with app.app_context():
        sent = db.session.scalar(select(Upload))
        task = db.session.scalar(select(Task))
        assert sent and task and (sent.name, sent.bytes) == ("two.csv", len(content))
        assert sent.sha256 == hashlib.sha256(content).hexdigest()
        said = {"delimiter": ";", "skip_broken": True, "skip_rows": 0}
        assert task.params == {"upload": str(sent.uuid), "name": "two", **said}
        assert (app.extensions["settings"].store_folder / sent.store_key).read_bytes() == content
    assert incoming(app) == []


def incoming(app: APIFlask) -> list[Path]:
    folder: Path = app.extensions["settings"].instance_path / "incoming"
    return list(folder.iterdir()) if folder.exists() else []


def test_nothing_is_kept_of_what_may_not_be_sent(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    form = {"upload-file": (BytesIO(b"a\n1\n"), "x.csv")}
    assert alice.post("/uploads/", data=form, content_type="multipart/form-data").status_code == 400  # no token
    form = {"upload-file": (BytesIO(b"x" * 300_000), "x.csv")}
    assert client.post("/uploads/", data=form, content_type="multipart/form-data").status_code == 303  # to the log-in
    assert upload(alice, b"").status_code == 422
    assert alice.post("/uploads/", data={"csrf_token": csrf(alice, "/tasks/")}).status_code == 422
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Upload)) == 0
    assert incoming(app) == []


def test_request_headers_are_sealed_and_never_shown(app: APIFlask) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    form = {"url": "http://example.com/x.csv", "headers": "Authorization: Bearer hush-hush\nX-Two: b", "nonce": "n1"}
    token = csrf(alice, "/tasks/")
    answer = alice.post("/tasks/", data={**form, "csrf_token": token})
    assert answer.status_code == 303
    page = alice.get(answer.location).text
    assert "Authorization, X-Two" in page and "hush-hush" not in page
    wrong = alice.post("/tasks/", data={**form, "url": "ftp://example.com", "csrf_token": token})
    assert wrong.status_code == 422 and "hush-hush" not in wrong.text
    with app.app_context():
        sealed = db.session.scalar(select(TaskHeaders.sealed))
        task = db.session.scalar(select(Task))
        assert sealed and "hush" not in sealed and task and "hush" not in str(task.params)
        assert request_headers.opened(copy_of(task)) == {"Authorization": "Bearer hush-hush", "X-Two": "b"}
        again = tasks.again(db.session.get_one(User, task.owner_id), task)
        assert request_headers.opened(again) == {"Authorization": "Bearer hush-hush", "X-Two": "b"}
    for bad in ("Host: x", "Bad Name: x", "X: a\x01b", "no colon"):
        refused = alice.post("/tasks/", data={**form, "headers": bad, "nonce": bad, "csrf_token": token})
        assert refused.status_code == 422, bad


@pytest.fixture
def made(app: APIFlask, stage: Stage, rows: str) -> UUID:
    """The task of an export of alice's that is done."""
    content = bytes(range(256)) * 40
    with app.app_context():
        dataset = db.session.scalar(select(Dataset).where(Dataset.uuid == stage.things["dataset"]))
        task = db.session.scalar(select(Task).where(Task.uuid == stage.things["task"]))
        assert dataset and task
        store = app.extensions["settings"].store_folder
        (store / MADE).parent.mkdir(parents=True, exist_ok=True)
        (store / MADE).write_bytes(content)
        db.session.add(
            Export(
                owner_id=task.owner_id,
                task_id=task.id,
                dataset_id=dataset.id,
                filename='数据 "1".csv',
                media_type="text/csv; charset=gb18030",
                rows=3,
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                store_key=MADE,
                keep_until=func.now(),
            )
        )
        db.session.commit()
    return stage.things["task"]


def test_a_download_and_its_parts(app: APIFlask, stage: Stage, made: UUID) -> None:
    alice, address = stage.browser("alice"), f"/tasks/{made}/download"
    whole = alice.get(address)
    assert (whole.status_code, len(whole.data)) == (200, 10_240)
    etag = whole.headers["ETag"]
    assert whole.headers["Content-Disposition"].endswith("filename*=UTF-8''%E6%95%B0%E6%8D%AE%20%221%22.csv")
    assert whole.headers["Repr-Digest"].startswith("sha-256=:") and whole.headers["Content-Length"] == "10240"
    part = alice.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.data, part.headers["Content-Range"]) == (
        206,
        whole.data[100:200],
        "bytes 100-199/10240",
    )
    assert alice.get(address, headers={"Range": "bytes=-5"}).data == whole.data[-5:]
    assert alice.get(address, headers={"Range": "bytes=5-", "If-Range": etag}).data == whole.data[5:]
    assert alice.get(address, headers={"Range": "bytes=5-", "If-Range": '"other"'}).status_code == 200
    beyond = alice.get(address, headers={"Range": "bytes=10240-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */10240")
    assert alice.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert (alice.head(address).data, alice.head(address).headers["Content-Length"]) == (b"", "10240")
    assert whole.headers["Content-Type"] == "text/csv; charset=gb18030"
    assert stage.browser("bob").get(address).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Range": "bytes=5-", "If-Range": "W/{etag}"}, 200),
        ({"Range": "bytes=5-", "If-Range": "Sat, 28 Nov 2026 10:00:00 GMT"}, 200),
        ({"Range": "lines=5-9"}, 200),
        ({"Range": "bytes=5-9,20-30"}, 200),
        ({"Range": "bytes=9-5"}, 200),
        ({"If-None-Match": "W/{etag}"}, 304),
        ({"If-None-Match": '"other", {etag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"', "Range": "bytes=5-"}, 206),
        ({"If-Match": "{etag}", "Range": "bytes=5-"}, 206),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": "W/{etag}"}, 412),
    ],
)
def test_conditions_of_a_download(stage: Stage, made: UUID, headers: dict[str, str], status: int) -> None:
    alice, address = stage.browser("alice"), f"/tasks/{made}/download"
    etag = alice.head(address).headers["ETag"]
    sent = {name: value.format(etag=etag) for name, value in headers.items()}
    with alice.get(address, headers=sent) as answer:
        assert answer.status_code == status
    if status == 206:
        assert alice.head(address, headers=sent).headers["Content-Length"] == "10240"  # parts are for GET alone


def test_an_export_past_its_retention_goes(app: APIFlask, made: UUID) -> None:
    adopt(app)
    with app.app_context():
        db.session.execute(db.text("ALTER TABLE tasks DISABLE TRIGGER USER"))
        db.session.execute(
            db.text("UPDATE tasks SET status = 'completed', finished_at = now() WHERE uuid = :u"), {"u": made}
        )
        db.session.execute(db.text("ALTER TABLE tasks ENABLE TRIGGER USER"))
        db.session.commit()
        assert exports.expire_old() == 1
        db.session.commit()
        assert tidying.remove_files() == 1
        db.session.commit()
        assert db.session.scalar(select(Task.status).where(Task.uuid == made)) == "expired"
        assert not (app.extensions["settings"].store_folder / MADE).exists()


def test_an_export_is_asked_for(app: APIFlask, stage: Stage, rows: str) -> None:
    alice = stage.browser("alice")
    page = alice.get(f"{rows}/export?c1=n&o1=lt&v1=3").text
    assert "is less than" in page and 'name="v1" value="3"' in page
    form = {"csrf_token": stage.csrf_token(), "format": "csv", "columns": "word", "c1": "n", "o1": "lt", "v1": "3"}
    asked = alice.post(f"{rows}/export", data=form)
    assert asked.status_code == 303 and "<h1>one.csv</h1>" in alice.get(asked.location).text
    with app.app_context():
        task = db.session.scalar(select(Task).where(Task.kind == "export"))
        assert task and task.params == {
            "dataset": str(stage.things["dataset"]),
            "name": "one",
            "format": "csv",
            "columns": ["word"],
            "where": [{"column": "n", "op": "lt", "value": "3"}],
        }
    wrong = alice.post(f"{rows}/export", data={**form, "format": "xlsx", "packing": "gzip"})
    assert wrong.status_code == 422 and "This format cannot be made so" in wrong.text
    wrong = alice.post(f"{rows}/export", data={**form, "v1": "x"})
    assert wrong.status_code == 422 and "Compare column “n” with a number." in wrong.text
