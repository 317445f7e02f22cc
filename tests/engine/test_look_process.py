"""Looks in processes of their own: the same answers, and an end whatever becomes of the process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).parents[2]


def said(folder: Path, case: str) -> Any:
    path = folder / "some.parquet"
    query = "FROM (VALUES (1, 'é', '{\"a\": [1, 2.5]}'::JSON), (2, NULL, NULL)) t(n, word, raw)"
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    argv = [sys.executable, "-m", "tests.engine.desk_program", str(path), case]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_rows_as_values_and_as_json(tmp_path: Path) -> None:
    values, texts = said(tmp_path, "in time")
    assert values["rows"] == [[1, "é", {"a": [1, 2.5]}], [2, None, None]]
    assert texts["rows"] == ['[1, "é", {"a": [1, 2.5]}]']


def test_faults_are_told_a_bug_is_not_hidden_and_the_next_one_is_answered(tmp_path: Path) -> None:
    fault, bug, rows = said(tmp_path, "wrong")
    assert fault["fault"] == "file_missing"
    assert "not iterable" in bug["bug"]
    assert len(rows["rows"]) == 2


@pytest.mark.parametrize(
    ("case", "code", "seconds"), [("stopped", "look_too_slow", 2.5), ("killed", "look_too_large", 0)]
)
def test_whoever_asks_a_process_that_stops_or_dies_is_told_in_time(
    tmp_path: Path, case: str, code: str, seconds: float
) -> None:
    (told,) = said(tmp_path, case)
    assert told["fault"] == code
    assert seconds <= told["seconds"] < seconds + 15
