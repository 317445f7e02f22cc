"""Small files that went wrong in some reader, and what must come out of them: `manifest.json`, `http_cases.json`.

A case has `file` (or `fetch` and `answers`, a scripted server: `tests/engine/scripted.py`), what is sent with the fetch
(`params`), what must come out (`expect`), other right outcomes (`or`), silent wrongs that must never come out, in words
(`never`), and where people differ (`opinion`).
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FILES: list[dict[str, Any]] = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
SERVERS: list[dict[str, Any]] = json.loads((FOLDER / "http_cases.json").read_text(encoding="utf-8"))
