"""The image and the compose file, checked without an engine: what they name exists, and no secret stands in them."""

import importlib.util
import json
import re
import runpy
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from portal.config import Settings
from portal.local.place import Place
from portal.local.programs import of_the_portal

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
KEPT = ["python", "-m", "portal.keepalive"]
OURS = ["migrate", "web", "worker", "dispatcher"]
SECRETS = ["SECRET_KEY", "JWT_SECRET_KEY", "PASSWORD_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, as (name, rest), comments and line breaks removed."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def test_every_copied_file_exists_and_reaches_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name, rest in instructions():
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored, source


def test_the_image_is_pinned_to_hashes_and_runs_without_root() -> None:
    assert [rest for name, rest in instructions() if name == "USER"] == ["10001"]
    installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    assert installs
    assert all("--require-hashes" in rest and "--no-compile" in rest for rest in installs)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_pin_can_be_installed_as_the_image_installs_it(machine: str, tmp_path: Path) -> None:
    """With the Dockerfile's own options, for its Python, on its Debian (glibc 2.41); asks the index, writes nothing."""
    (python,) = {found for _, rest in instructions() for found in re.findall(r"^python:([\d.]+)-slim-trixie", rest)}
    (install,) = [shlex.split(rest) for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    assert install[:2] == ["pip", "install"]
    options = [str(ROOT / "requirements.txt") if "requirements" in word else word for word in install[2:]]
    dev = runpy.run_path(str(ROOT / "dev"), run_name="dev")
    resolve = [dev["find_uv"](), "pip", "install", "--dry-run", "--target", str(tmp_path), "--python-version", python]
    resolve += ["--python-platform", f"{machine}-manylinux_2_40", *options]
    done = subprocess.run(resolve, env=dev["install_environment"](), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "alibabacloud-dysmsapi20170525==" in done.stderr


def test_image_and_checkout_compile_the_same_packages() -> None:
    (left_out,) = re.findall(r'NOT_COMPILED = r"(.+)"', (ROOT / "dev").read_text(encoding="utf-8"))
    assert f"-x '{left_out}'" in DOCKERFILE


@pytest.mark.parametrize("service", ["web", "worker", "dispatcher"])
def test_what_hangs_ends_and_what_ends_is_started_again(service: str) -> None:
    assert shlex.split(SERVICES[service]["command"])[:3] == KEPT
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", OURS)
def test_every_command_names_what_exists(service: str) -> None:
    words = shlex.split(SERVICES[service]["command"])
    if words[:3] == KEPT:
        words = words[3:]
    if words[0] == "python":
        assert importlib.util.find_spec(words[2]) is not None
        return
    assert words[0] in {script.name for script in entry_points(group="console_scripts")}
    (module,) = [word.partition(":")[0] for word in words if re.match(r"wsgi(:app)?$|celery_app$", word)][-1:]
    assert (ROOT / f"{module}.py").exists()


def test_image_compose_and_make_run_start_the_same_server(tmp_path: Path) -> None:
    (command,) = [json.loads(rest) for name, rest in instructions() if name == "CMD"]
    assert shlex.split(SERVICES["web"]["command"]) == command
    assert command[:3] == KEPT
    command = command[3:]
    here = of_the_portal(Place(tmp_path, "127.0.0.1", 8000, {}), 1).web.argv
    assert [sys.executable, *command[1:3]] == list(here)[:3]
    known = {"--host", "--port", "--processes"}  # where it listens, and how often: all else is the server's own
    assert {word for word in [*command, *here] if word.startswith("--")} <= known


@pytest.mark.parametrize("service", OURS)
def test_services_wait_for_what_they_need(service: str) -> None:
    needed = SERVICES[service]["depends_on"]
    assert needed["postgres"]["condition"] == "service_healthy"
    assert service == "migrate" or needed["migrate"]["condition"] == "service_completed_successfully"
    assert needed.keys() <= SERVICES.keys()
    assert all("healthcheck" in SERVICES[name] for name in ("postgres", "redis"))


def test_the_broker_forgets_nothing() -> None:
    command = SERVICES["redis"]["command"]
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command


def test_every_named_volume_is_declared() -> None:
    declared = yaml.safe_load(COMPOSE)["volumes"].keys()
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == declared


def test_every_variable_is_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE))
    assert used <= example().keys()
    settings = {name.upper() for name in Settings.model_fields}
    assert example().keys() <= used | settings


def test_secrets_are_required_and_stand_nowhere() -> None:
    for name in SECRETS:
        assert example()[name] == ""
        assert set(re.findall(r"\$\{" + name + r"\b([^}]*)\}", COMPOSE)) == {":?see .env.example"}
    assert not re.search(r"(PASSWORD|_KEY)(: |=)(?!\$\{)\S", COMPOSE + DOCKERFILE)


def test_the_environment_names_settings_that_exist() -> None:
    known = {name.upper() for name in Settings.model_fields}
    assert SERVICES["web"]["environment"].keys() <= known
    required = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    assert required <= SERVICES["web"]["environment"].keys()
