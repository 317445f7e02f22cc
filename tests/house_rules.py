"""What a linter cannot hold, as functions: each takes the root of a file tree and returns what breaks its rule."""

import ast
import base64
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po

FILE_LINES, TEST_LINES = 300, 400
COMMITTING = ("portal/web/", "portal/api/", "portal/worker/", "portal/cli")
# Columns of a user and of their recovery codes; a new account is none that is changed.
PROTECTING = {"username", "email", "phone_number", "hashed_password", "role", "is_active", "totp_since", "used_at"}
NOT_OURS = {".git", ".venv", ".boot", ".browser", "instance", "vendor", ".hypothesis", "__pycache__", "node_modules"}
TEXT = {
    ".py",
    ".html",
    ".js",
    ".css",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".txt",
    ".in",
    ".json",
    ".ini",
    ".mako",
    ".po",
    "",
}
INLINE = re.compile(r"<style\b|\sstyle\s*=|\son[a-z]+\s*=|javascript:|<script\b(?![^>]*\bsrc=)", re.IGNORECASE)
EXTERNAL = re.compile(r"<(?:script|link|img|iframe|source|video|audio|use)\b[^>]*(?:https?:)?//", re.IGNORECASE)
EXTERNAL_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", re.IGNORECASE)
HTMX_2 = re.compile(
    r"hx-disabled-elt|\bhx-ext\b|\b286\b|htmx:after(?:Swap|Settle|Request)|htmx:beforeRequest|hx-on[:=]|\bhx-vars\b"
)
MACHINE = re.compile(r"(?<![\w.}/])/(?:work|root|home/\w+)/|registry\.npmjs|\bpypi\.org|pythonhosted|deb\.debian\.org")
JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}", re.DOTALL)
VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def ours(root: Path, *suffixes: str) -> Iterator[tuple[str, Path]]:
    """Our own files below `root` with one of the suffixes, and their paths relative to it."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        hidden = any(part in NOT_OURS or part.endswith("_cache") or part.startswith(".boot") for part in parts)
        if path.suffix in suffixes and not hidden and path.is_file():
            yield path.relative_to(root).as_posix(), path


def commits_outside_the_doors(root: Path) -> list[str]:
    return [
        f"{name}:{node.lineno} commits"
        for name, path in ours(root / "portal", ".py")
        if not f"portal/{name}".startswith(COMMITTING)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]


def untold_changes(root: Path) -> list[str]:
    """Functions that change what protects an account, of which its owner is told neither there nor by all callers."""
    return [
        f"{name}: {function} changes {', '.join(sorted(changed))}"
        for name, path in ours(root / "portal", ".py")
        for function, changed in _untold(ast.parse(path.read_text(encoding="utf-8")))
    ]


def _untold(tree: ast.Module) -> Iterator[tuple[str, set[str]]]:
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    called = {name: {_called(call) for call in _calls(node)} for name, node in functions.items()}
    tells = {
        name
        for name, node in functions.items()
        if any(ast.unparse(call.func).startswith("security_notices.tell") for call in _calls(node))
    }
    for name, node in functions.items():
        callers = {other for other, others in called.items() if name in others}
        if (changed := _changed(node) & PROTECTING) and name not in tells and not (callers and callers <= tells):
            yield name, changed


def _changed(function: ast.FunctionDef) -> set[str]:
    """Attributes that are assigned, and columns of an UPDATE's values."""
    attributes = {
        part.attr for part in ast.walk(function) if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
    }
    values = {word.arg for call in _calls(function) if _called(call) == "values" for word in call.keywords if word.arg}
    return attributes | values


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (part for part in ast.walk(node) if isinstance(part, ast.Call))


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def long_files(root: Path) -> list[str]:
    files = [*ours(root, ".py", ".html", ".js", ".css"), *((p.name, p) for p in [root / "dev"] if p.exists())]
    counted = [(name, len(path.read_text(encoding="utf-8").splitlines())) for name, path in files]
    return [
        f"{name}: {n} lines" for name, n in counted if n > (TEST_LINES if name.startswith("tests/") else FILE_LINES)
    ]


def inline_code(root: Path) -> list[str]:
    """Scripts, styles and handlers inside templates: the content security policy would block them."""
    found = _found(root, INLINE, "portal/templates", ".html")
    # Mail programs read no style sheets, and no policy of ours reaches them.
    return [breach for breach in found if not breach.startswith("portal/templates/mail/")]


def external_assets(root: Path) -> list[str]:
    """Anything a page would load from elsewhere."""
    styles = _found(root, EXTERNAL_STYLE, "portal/static", ".css")
    return _found(root, EXTERNAL, "portal/templates", ".html") + styles


def htmx_2_idioms(root: Path) -> list[str]:
    """What htmx 4 ignores or the content security policy blocks."""
    return _found(root, HTMX_2, "portal/templates", ".html") + _found(root, HTMX_2, "portal/static/js", ".js")


def paths_of_one_machine(root: Path) -> list[str]:
    """Paths and hosts that only the place where this was written has; no address of a registry is needed either."""
    return [
        f"{name}:{number} names {hit.group()}"
        for name, path in ours(root, *TEXT)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if name != "tests/house_rules.py" and (hit := MACHINE.search(line))
    ]


def _found(root: Path, pattern: re.Pattern[str], folder: str, suffix: str) -> list[str]:
    found = []
    for name, path in ours(root / folder, suffix):
        text = re.sub(r"\{#.*?#\}", _only_line_breaks, path.read_text(encoding="utf-8"), flags=re.DOTALL)
        lines = [(text.count("\n", 0, hit.start()) + 1, hit.group().strip()[:60]) for hit in pattern.finditer(text)]
        found += [f"{folder}/{name}:{number} {what}" for number, what in lines]
    return found


def _only_line_breaks(note: re.Match[str]) -> str:
    return "\n" * note.group().count("\n")


class _Roots(HTMLParser):
    """The elements and the text at the top of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.roots: list[dict[str, str | None]] = []
        self.loose = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.depth == 0:
            self.roots.append(dict(attrs))
        if tag not in VOID:
            self.depth += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.depth == 0:
            self.roots.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth == 0:
            self.loose += data.strip()


def fragments_without_a_root(root: Path) -> list[str]:
    """A fragment is `<noun>/_name.html`; frames extend something, and macro files define macros."""
    found = []
    for name, path in ours(root / "portal" / "templates", ".html"):
        text = path.read_text(encoding="utf-8")
        if "/" not in name or not path.name.startswith("_") or re.search(r"\{%-?\s*(?:extends|macro)\b", text):
            continue
        parser = _Roots()
        parser.feed(re.sub(r"\{\{.*?\}\}", "x", JINJA.sub("", text), flags=re.DOTALL))
        if len(parser.roots) != 1 or parser.loose or parser.depth:
            found.append(f"{name}: {len(parser.roots)} roots, loose text {parser.loose[:30]!r}, depth {parser.depth}")
        elif not parser.roots[0].get("id"):
            found.append(f"{name}: its root has no id")
    return found


def changed_vendor_files(root: Path) -> list[str]:
    """Vendored files that are not what vendor.lock.json says, or that it does not know."""
    vendor = root / "portal" / "static" / "vendor"
    lock = json.loads((vendor / "vendor.lock.json").read_text(encoding="utf-8"))
    known = {f"{entry['folder']}/{file}": digest for entry in lock.values() for file, digest in entry["files"].items()}
    present = {path.relative_to(vendor).as_posix(): path for path in vendor.rglob("*") if path.is_file()}
    present.pop("vendor.lock.json")
    problems = [f"{name} is missing" for name in known.keys() - present.keys()]
    for name, path in present.items():
        digest = "sha384-" + base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()
        if known.get(name) != digest:
            problems.append(f"{name} is not in the lock" if name not in known else f"{name} was changed")
    return sorted(problems)


def untranslated(root: Path) -> list[str]:
    """Texts of the sources that zh lacks or is unsure of, and texts of zh that the sources no longer have."""
    babel = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["babel"]["mappings"]
    methods = [(mapping["pattern"], mapping["method"]) for mapping in babel]
    keywords = {**DEFAULT_KEYWORDS, "lazy_gettext": None}
    wanted = {message for _, _, message, _, _ in extract_from_dir(str(root), methods, keywords=keywords)}
    with (root / "portal" / "translations" / "zh" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalog = {message.id: message for message in read_po(file) if message.id}
    problems = [f"unused: {text}" for text in catalog.keys() - wanted]
    problems += [f"missing: {text}" for text in wanted - catalog.keys()]
    for text in wanted & catalog.keys():
        message = catalog[text]
        said = message.string if isinstance(message.string, tuple | list) else (message.string,)
        if message.fuzzy or not all(said):
            problems.append(f"{'fuzzy' if message.fuzzy else 'empty'}: {text}")
    return sorted(problems)
