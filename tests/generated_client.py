"""The client that openapi-python-client makes of a portal's description, as a stranger would make and import it."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "station_client"


class Generated:
    """Its parts by name: `model("FetchParams")`, `call("auth.log_in", client=…)`."""

    def __init__(self, package: str) -> None:
        self._package = package
        self.client: Any = self._module("client").Client
        self.authenticated: Any = self._module("client").AuthenticatedClient
        self.file: Any = self._module("types").File
        self.unexpected: Any = self._module("errors").UnexpectedStatus

    def model(self, name: str) -> Any:
        return getattr(self._module("models"), name)

    def call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """What an operation answers: a model, or a problem."""
        return self._module(f"api.{operation}").sync(*args, **kwargs)

    def whole_answer(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """With status and headers."""
        return self._module(f"api.{operation}").sync_detailed(*args, **kwargs)

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self._package}.{name}")


def generate(spec: dict[str, Any], folder: Path) -> str:
    """Make the package of a description; what the generator said. Any warning of its is an error."""
    source, settings = folder / "openapi.json", folder / "settings.json"
    source.write_text(json.dumps(spec), encoding="utf-8")
    settings.write_text(json.dumps({"package_name_override": PACKAGE}))
    argv = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"]
    argv += ["--path", str(source), "--config", str(settings), "--output-path", str(folder / PACKAGE)]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # it runs ruff
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    return told


@contextmanager
def imported(folder: Path) -> Iterator[Generated]:
    """The package that was made in a folder; forgotten afterwards."""
    sys.path.insert(0, str(folder))
    try:
        yield Generated(PACKAGE)
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]
