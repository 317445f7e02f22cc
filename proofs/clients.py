"""Clients are made of /openapi.json by strangers' generators, and strangers' linters read it. `make prove-clients`

openapi-python-client, openapi-typescript (its types compiled under --strict), redocly and spectral, each pinned:
tools/clients/package-lock.json. What the Python client can do is a test: tests/whole/test_generated_client.py.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from proofs.bench import ROOT, Report, portal
from tests.browser.chromium import node, npm
from tests.generated_client import PACKAGE, generate

PINS = ROOT / "tools" / "clients"
# What a program would write against the generated types: a task's kind says what its result holds.
USE = """
import type { components, operations } from "./types";
type Task = components["schemas"]["TaskAnswer"];
export function rows(task: Task): number | undefined {
  if (task.kind === "health_check") return undefined;
  return task.result?.rows;
}
export function file(task: Task): string | undefined {
  return task.kind === "export" ? task.result?.filename : undefined;
}
export const submitted: operations["submitTask"]["requestBody"]["content"]["application/json"] = {
  kind: "export",
  countdown: 0,
  params: {
    dataset: "00000000-0000-0000-0000-000000000000", format: "csv", name: "", columns: [], encoding: "utf-8",
    where: [{ column: "population", op: "ge", value: 1 }, { column: "city_since", op: "is_null" }],
  },
};
// @ts-expect-error a dataset has no file of its own
export const wrong = (task: components["schemas"]["FetchTask"]): string | undefined => task.result?.filename;
"""


class Tools:
    """npm packages in a folder, run by Playwright's Node, which is pinned, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PINS / name, folder)
        env = {**os.environ, "npm_config_update_notifier": "false"}
        subprocess.run([*npm(folder), "ci", "--silent", "--ignore-scripts"], cwd=folder, env=env, check=True)

    def run(self, package: str, program: str, *args: str) -> tuple[int, str]:
        """Exit code, and all that it said."""
        said = json.loads((self.folder / "node_modules" / package / "package.json").read_text())["bin"]
        script = self.folder / "node_modules" / package / (said if isinstance(said, str) else said[program])
        env = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
        done = subprocess.run(
            [node(), str(script), *args], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr


def python_client(report: Report, spec: dict[str, Any], folder: Path) -> None:
    report.part("openapi-python-client")
    said = generate(spec, folder)
    report.check("warnings", [line for line in said.splitlines() if "arning" in line or "nable" in line], [])
    calls = [path for path in (folder / PACKAGE / "api").rglob("*.py") if path.name != "__init__.py"]
    report.check("operations", len(calls), sum(map(len, spec["paths"].values())))


def typescript_client(report: Report, tools: Tools) -> None:
    report.part("openapi-typescript")
    code, said = tools.run("openapi-typescript", "openapi-typescript", "openapi.json", "-o", "types.ts")
    report.check("exit code, warnings", (code, [line for line in said.splitlines() if "⚠" in line]), (0, []))
    (tools.folder / "use.ts").write_text(USE)
    report.check("tsc --strict", tools.run("typescript", "tsc", "--noEmit", "--strict", "use.ts"), (0, ""))


def linters(report: Report, tools: Tools) -> None:
    report.part("redocly's recommended rules, spectral:oas")
    # The project has no licence yet: the one thing that redocly warns of, and that no description may make up.
    skipped = ("--extends=recommended", "--skip-rule=info-license")
    _, said = tools.run("@redocly/cli", "redocly", "lint", "openapi.json", *skipped, "--format=json")
    totals = json.loads(said[said.index("{") : said.rindex("}") + 1])["totals"]
    report.check("redocly: errors, warnings", (totals["errors"], totals["warnings"]), (0, 0))
    (tools.folder / "spectral.json").write_text(json.dumps({"extends": ["spectral:oas"]}))
    arguments = ("lint", "-r", "spectral.json", "-f", "json", "-q", "openapi.json")
    _, said = tools.run("@stoplight/spectral-cli", "spectral", *arguments)
    report.check("spectral: errors and warnings", json.loads(said), [])


def main() -> None:
    report = Report("Generated clients")
    with portal(with_web=False) as running, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        spec = running.app.test_client().get("/openapi.json").get_json()
        python_client(report, spec, folder)
        tools = Tools(folder)
        typescript_client(report, tools)
        linters(report, tools)
    report.end()


if __name__ == "__main__":
    main()
