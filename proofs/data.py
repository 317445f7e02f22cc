"""Any honest file in, a look at it, any format out: fast, whole, in flat memory, safe. `./dev prove data [PART …]`"""

import sys
import tempfile
from pathlib import Path

from proofs.bench import Report
from proofs.data_cells import formulas, round_trips
from proofs.data_desk import desk
from proofs.data_export import exports
from proofs.data_fetch import killed, speed
from proofs.data_guard import guard
from proofs.data_look import escapes, look

AT_THE_DESK = {
    "speed": speed,
    "killed": killed,
    "exports": exports,
    "round_trips": round_trips,
    "formulas": formulas,
    "escapes": escapes,
    "look": look,
}


def main() -> None:
    report = Report("Data in and out")
    wanted = sys.argv[1:] or ["guard", *AT_THE_DESK]
    if "guard" in wanted:
        guard(report)
    parts = [part for name, part in AT_THE_DESK.items() if name in wanted]
    if parts:
        with tempfile.TemporaryDirectory() as folder, desk(Path(folder)) as made:
            for part in parts:
                part(report, made)
    report.end()


if __name__ == "__main__":
    main()
