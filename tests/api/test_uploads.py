"""Files that programs send."""

import hashlib
from io import BytesIO
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import Upload
from tests.cast import bearer, person, tokens

CONTENT = b"a,b\n1,2\n" * 100_000


@pytest.fixture
def alice(app: APIFlask) -> dict[str, str]:
    person(app, "alice")
    return bearer(tokens(app, "alice")["access_token"])


def send(client: FlaskClient, headers: dict[str, str], content: bytes = CONTENT, **more: Any) -> Any:
    return client.post("/api/v1/uploads?name=two.csv", data=content, headers=headers, **more)


def test_a_file_larger_than_any_other_body(client: FlaskClient, app: APIFlask, alice: dict[str, str]) -> None:
    answer = send(client, alice)
    assert answer.status_code == 201, answer.text
    body = answer.get_json()
    assert (body["name"], body["bytes"]) == ("two.csv", len(CONTENT))
    assert body["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    with app.app_context():
        key = db.session.query(Upload.store_key).scalar()
    settings = app.extensions["settings"]
    assert (settings.store_folder / key).read_bytes() == CONTENT
    assert list((settings.instance_path / "incoming").iterdir()) == []


def test_what_is_cut_off_is_not_kept(client: FlaskClient, app: APIFlask, alice: dict[str, str]) -> None:
    announced = {"CONTENT_LENGTH": str(2 * len(CONTENT))}
    answer = client.post("/api/v1/uploads", input_stream=BytesIO(CONTENT), headers=alice, environ_overrides=announced)
    assert answer.status_code == 400
    with app.app_context():
        assert db.session.query(Upload).count() == 0
    assert list((app.extensions["settings"].instance_path / "incoming").iterdir()) == []


def test_a_form_is_not_taken_for_the_file_in_it(client: FlaskClient, app: APIFlask, alice: dict[str, str]) -> None:
    form = {"file": (BytesIO(CONTENT[:1000]), "two.csv")}  # small: the test client leaves larger ones open
    answer = client.post("/api/v1/uploads", data=form, headers=alice, content_type="multipart/form-data")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "file_in_form")
    with app.app_context():
        assert db.session.query(Upload).count() == 0


def test_an_empty_file_is_refused(client: FlaskClient, alice: dict[str, str]) -> None:
    answer = send(client, alice, b"", environ_overrides={"CONTENT_LENGTH": "0"})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "file_empty")
