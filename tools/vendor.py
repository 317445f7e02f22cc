"""Copy the pinned browser libraries from npm into portal/static/vendor, with their checksums and licences.

    python tools/vendor.py           fetch, verify, copy, write vendor.lock.json (needs npm)
    python tools/vendor.py --check   recompute the checksums of what is committed (needs nothing)

Running and testing the portal needs neither npm nor this program.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parent.parent / "portal" / "static" / "vendor"
LOCK = VENDOR / "vendor.lock.json"


@dataclass(frozen=True)
class Package:
    """What to take of one npm package; `replace` is {file name: ((old, new), …)}, each old found exactly once."""

    name: str
    version: str
    files: tuple[str, ...]
    replace: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}"


PACKAGES = (
    Package("htmx.org", "4.0.1", ("dist/htmx.min.js", "LICENSE")),
    Package("@picocss/pico", "2.1.1", ("css/pico.min.css", "LICENSE.md")),
    Package(
        "altcha",
        "3.2.2",
        (
            "dist/external/altcha.min.js",
            "dist/external/altcha.css",
            "dist/workers/pbkdf2.js",
            "dist/i18n/zh-cn.js",
            "LICENSE.txt",
        ),
    ),
    Package(
        "swagger-ui-dist",
        "5.35.0",
        (
            "swagger-ui-bundle.js",
            "swagger-ui.css",
            "swagger-ui-bundle.js.LICENSE.txt",
            "LICENSE",
            "NOTICE",
        ),
    ),
    Package(
        "redoc",
        "2.5.4",
        ("bundles/redoc.standalone.js", "bundles/redoc.standalone.js.LICENSE.txt", "LICENSE"),
        {
            "redoc.standalone.js": (
                # Its side bar asks a CDN for a logo; an image that cannot load hides itself.
                ("https://cdn.redoc.ly/redoc/logo-mini.svg", "data:,"),
                # It adds a style while it loads, before `Redoc.init` has told it the nonce.
                ("r.nc=void 0", "r.nc=document.currentScript.nonce"),
            )
        },
    ),
)


def digest(content: bytes, algorithm: str) -> str:
    """The checksum in the form of an `integrity` attribute."""
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def npm(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["npm", *arguments], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def download(package: Package, folder: Path, locked: dict[str, Any]) -> tuple[Path, str]:
    """The package's tarball and its sha512, which must be what the registry and the last lock state."""
    wanted = f"{package.name}@{package.version}"
    packed = json.loads(npm("pack", "--json", "--ignore-scripts", wanted, cwd=folder))[0]
    tarball = folder / packed["filename"]
    actual = digest(tarball.read_bytes(), "sha512")
    stated = {npm("view", wanted, "dist.integrity", cwd=folder)}
    before = locked.get(package.name, {})
    if before.get("version") == package.version:
        stated.add(before["integrity"])
    if stated != {actual}:
        raise SystemExit(f"{wanted}: got {actual}, expected {sorted(stated)}")
    return tarball, actual


def copy(package: Package, tarball: Path) -> dict[str, str]:
    """Put the listed files into the package's folder; {file name: sha384}."""
    target = VENDOR / package.folder
    target.mkdir(parents=True, exist_ok=True)
    checksums = {}
    with tarfile.open(tarball) as archive:
        for path in package.files:
            member = archive.extractfile(f"package/{path}")
            if member is None:
                raise SystemExit(f"{package.name}: {path} is not a file")
            content, name = member.read(), Path(path).name
            for old, new in package.replace.get(name, ()):
                if content.count(old.encode()) != 1:
                    raise SystemExit(f"{package.name}: {name} no longer holds {old!r} once")
                content = content.replace(old.encode(), new.encode())
            (target / name).write_bytes(content)
            checksums[name] = digest(content, "sha384")
    return checksums


def fetch() -> None:
    locked = json.loads(LOCK.read_text()) if LOCK.exists() else {}
    lock: dict[str, Any] = {}
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            tarball, integrity = download(package, Path(folder), locked)
            lock[package.name] = {
                "version": package.version,
                "integrity": integrity,
                "folder": package.folder,
                "changed": sorted(package.replace),
                "files": copy(package, tarball),
            }
        print(f"{package.folder}: {len(package.files)} files")
    LOCK.write_text(json.dumps(lock, indent=2) + "\n")


def differences() -> list[str]:
    """What on disk is not as the lock says: changed, missing, or not listed."""
    lock = json.loads(LOCK.read_text())
    stated = {f"{p['folder']}/{name}": checksum for p in lock.values() for name, checksum in p["files"].items()}
    actual = {
        str(path.relative_to(VENDOR)): digest(path.read_bytes(), "sha384")
        for path in VENDOR.rglob("*")
        if path.is_file() and path != LOCK
    }
    return sorted(name for name in stated.keys() | actual.keys() if stated.get(name) != actual.get(name))


def main() -> None:
    if sys.argv[1:] != ["--check"]:
        fetch()
    if wrong := differences():
        raise SystemExit("not as in vendor.lock.json: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
