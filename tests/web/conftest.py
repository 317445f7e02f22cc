"""Alice, and the browser she is logged in with."""

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from tests.cast import Person, browser, person


@pytest.fixture
def alice(app: APIFlask) -> Person:
    return person(app, "alice")


@pytest.fixture
def alices(app: APIFlask, alice: Person) -> FlaskClient:
    """Her browser."""
    return browser(app, "alice")
