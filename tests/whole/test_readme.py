"""What the README tells programs to do, word for word, against a running portal."""

import hashlib
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import openpyxl
import pytest

from portal.api.schemas.task_kinds import FetchParams
from tests.program import PASSWORD, Program
from tests.stack import ROOT, Stack

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README[README.index("## From a program") : README.index("## Work on it")]
BLOCKS = re.findall(r"^```\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
(DOWNLOAD,) = re.findall(r"^curl .* -C - .*$", SECTION, re.MULTILINE)
(CHECK,) = re.findall(r"^echo .*sha256sum.*$", SECTION, re.MULTILINE)
CONTENT = secrets.token_bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the README's examples need curl")


def bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script in a folder where the README's own paths lead somewhere, too."""
    if not (folder / "portal").exists():
        (folder / "portal").symlink_to(ROOT / "portal")
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def script_of(portal: Stack, name: str, *blocks: str) -> str:
    """The README's lines for this portal and somebody who has signed up."""
    script = "set -euo pipefail\n" + "\n".join(blocks)
    for old, new in (("http://127.0.0.1:8000", portal.url), ('"ada"', f'"{name}"'), ('"…"', f'"{PASSWORD}"')):
        assert script.count(old) == 1, old
        script = script.replace(old, new)
    return script


def test_the_examples_do_what_they_say(portal: Stack, program: Program, tmp_path: Path) -> None:
    name = f"ada-{secrets.token_hex(3)}"
    program.sign_up(name)
    script = script_of(portal, name, *BLOCKS)
    # Then once more where a part is there already, by a token that is none, and where all of it is.
    script += f"head -c 99 cities.xlsx > $task.part\nok=$token token=none\n{DOWNLOAD} || echo not logged in\n"
    script += f"token=$ok\n{DOWNLOAD}\n{DOWNLOAD} || echo nothing left\n{CHECK}\n"
    done = bash(script, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall("not logged in|nothing left|part: OK", done.stdout) == [
        "part: OK",
        "not logged in",
        "nothing left",
        "part: OK",
    ]
    assert '"上海"' in done.stdout and '"histogram"' in done.stdout
    sheet = openpyxl.load_workbook(tmp_path / "cities.xlsx", read_only=True).active
    assert sheet is not None
    names, *rows = sheet.iter_rows(values_only=True)
    people: list[Any] = [row[names.index("population")] for row in rows]
    assert people and min(people) >= 10_000_000


def test_what_is_refused_or_failed_says_why(portal: Stack, program: Program, tmp_path: Path) -> None:
    name = f"ada-{secrets.token_hex(3)}"
    program.sign_up(name)
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n1,2,3\n", encoding="utf-8")
    script = script_of(portal, name, BLOCKS[0], BLOCKS[1].replace("portal/static/sample/cities.csv", "broken.csv"))
    done = bash(script, tmp_path)
    assert done.returncode != 0 and '"csv_broken_row"' in done.stderr and "Traceback" not in done.stderr
    done = bash(script_of(portal, name, BLOCKS[0], "submit '{}'").replace(PASSWORD, "a wrong one"), tmp_path)
    assert done.returncode != 0 and '"credentials_wrong"' in done.stderr and "Traceback" not in done.stderr


def test_params_that_are_shown_are_params_that_there_are() -> None:
    shown = re.findall(r'"params": \{"(\w+)":', SECTION)
    assert {"url", "upload"} <= set(shown)
    assert set(shown) - {"dataset"} <= FetchParams.model_fields.keys()


@contextmanager
def answering(status: int, body: bytes, *, part: bool = False) -> Iterator[str]:
    """A server of one answer; a `part` is what was asked for of a file, as Data Station answers it."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if part else 0
            self.send_response(206 if start else status)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.wfile.write(body[start:])

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def downloaded(url: str, folder: Path) -> tuple[int, str]:
    """The README's two lines: their exit code, and what they said."""
    done = bash(f"api={url} task=one token=x sha256={SHA256}\nset -e\n{DOWNLOAD}\n{CHECK}", folder)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("had", [b"", CONTENT[:100_000]], ids=["anew", "goes on"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 412, 416, 429, 500, 503])
def test_an_error_never_becomes_the_file(status: int, had: bytes, tmp_path: Path) -> None:
    (tmp_path / "one.part").write_bytes(had)
    with answering(status, b'{"code": "wrong"}' * 20_000) as url:
        code, said = downloaded(url, tmp_path)
    assert code != 0, said
    assert not (tmp_path / "cities.xlsx").exists()
    assert (tmp_path / "one.part").read_bytes() == had
    with answering(200, CONTENT, part=True) as url:  # and the next try makes it whole
        assert downloaded(url, tmp_path)[0] == 0
    assert (tmp_path / "cities.xlsx").read_bytes() == CONTENT


def test_what_is_not_the_file_is_seen(tmp_path: Path) -> None:
    (tmp_path / "one.part").write_bytes(b"x" * 1000)  # of something else
    with answering(200, CONTENT, part=True) as url:
        code, said = downloaded(url, tmp_path)
    assert code != 0 and "FAILED" in said
    assert not (tmp_path / "cities.xlsx").exists()
