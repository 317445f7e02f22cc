"""No address of the corpus reaches what is not public, in a network where everything is there to be reached."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proofs.ssrf_corpus import FINE, LEADING_AWAY, REBINDING, REFUSED

ROOT = Path(__file__).parents[2]
CLEAR = {
    *("url_not_allowed", "url_malformed", "url_scheme", "url_port", "url_credentials", "host_unresolvable"),
    *("redirect_insecure", "too_many_redirects"),
}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "proofs.ssrf_lab"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    if "refused" in said:
        pytest.skip(f"a network of one's own needs a right that is not given here: {said['refused']}")
    result: dict[str, Any] = said["found"]
    return result


def test_the_corpus_is_large_enough() -> None:
    assert len(REFUSED) >= 154


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_closed_is_reached(found: dict[str, Any], name: str) -> None:
    assert found[name]["hits"] == []
    if name.startswith("name "):  # whether it was found tells nobody
        assert found[name]["outcome"] == "host_unresolvable"
    known = CLEAR | ({"ok"} if name.removeprefix("rebinding ") in REBINDING else set())
    assert found[name]["outcome"] in known


@pytest.mark.parametrize("name", FINE)
def test_what_is_open_still_works(found: dict[str, Any], name: str) -> None:
    assert (found[name]["outcome"], found[name]["hits"]) == ("ok", [])


@pytest.mark.parametrize("name", LEADING_AWAY)
def test_request_headers_stay_with_their_server(found: dict[str, Any], name: str) -> None:
    assert (found[name]["outcome"], found[name]["leaks"], found[name]["hits"]) == ("ok", [], [])
