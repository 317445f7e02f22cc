"""The proofs in their short form, as `SHORT=1 make prove-…` runs them, but for speed: other tests run beside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = "bombs codes sms limits tokens once cancel fair shares submit degraded start lists scale front".split()


@pytest.mark.parametrize("name", NAMES)
def test_a_proof_in_short(name: str) -> None:
    env = {**os.environ, "SHORT": "1", "SPEED_COUNTS": "0"}
    done = subprocess.run(
        [sys.executable, "-m", f"proofs.{name}"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
