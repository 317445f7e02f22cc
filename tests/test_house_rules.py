"""The rules of the house: the checkout keeps each of them, and each of them would notice a breach."""

import ast
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from apiflask import APIFlask

from portal import jobs
from portal.extensions import db
from tests import house_rules as rules

ROOT = Path(__file__).resolve().parents[1]
Rule = Callable[[Path], list[str]]

# Views of libraries, which carry no mark of ours.
PUBLIC = {"static", "_apispec.static"}

BREACHES: list[tuple[Rule, str, str]] = [
    (rules.commits_outside_the_doors, "portal/services/tasks.py", "def f(db):\n    db.session.commit()\n"),
    (rules.untold_changes, "portal/services/people.py", "def f(user):\n    user.email = None\n"),
    (rules.untold_changes, "portal/services/people.py", "def f():\n    update(User).values(role='admin')\n"),
    (rules.untold_changes, "portal/services/people.py", "def f(u):\n    u.email = None\n    messages.tell(u)\n"),
    (
        rules.untold_changes,
        "portal/web/people.py",
        "def g():\n    f()\n\ndef f(user):\n    user.x, user.email = 1, 2\n",
    ),
    (rules.long_files, "portal/services/tasks.py", "x = 1\n" * 301),
    (rules.long_files, "tests/test_tasks.py", "x = 1\n" * 401),
    (rules.inline_code, "portal/templates/a.html", "<script>alert(1)</script>"),
    (rules.inline_code, "portal/templates/a.html", '<p style="color: red">'),
    (rules.inline_code, "portal/templates/a.html", '<a onclick="go()">'),
    (rules.external_assets, "portal/templates/a.html", '<script src="https://cdn.example/x.js"></script>'),
    (rules.external_assets, "portal/templates/a.html", '<link rel="stylesheet" href="//cdn.example/x.css">'),
    (rules.external_assets, "portal/static/css/a.css", "@import 'https://cdn.example/x.css';"),
    (rules.htmx_2_idioms, "portal/templates/a.html", '<b hx-disabled-elt="this">'),
    (rules.htmx_2_idioms, "portal/templates/a.html", '<b hx-on:click="x()">'),
    (rules.htmx_2_idioms, "portal/static/js/a.js", 'addEventListener("htmx:afterSwap", x)'),
    (rules.fragments_without_a_root, "portal/templates/tasks/_row.html", '<p id="a"></p><p id="b"></p>'),
    (rules.fragments_without_a_root, "portal/templates/tasks/_row.html", "<p>{{ task.name }}</p>"),
    (rules.fragments_without_a_root, "portal/templates/tasks/_row.html", '{{ name }}<p id="a"></p>'),
    (rules.paths_of_one_machine, "docs/a.md", "see /" + "work/notes"),
    (rules.paths_of_one_machine, "tools/a.py", "URL = 'https://registry." + "npmjs.org'"),
]
KEPT: list[tuple[Rule, str, str]] = [
    (rules.commits_outside_the_doors, "portal/web/tasks.py", "def f(db):\n    db.session.commit()\n"),
    (
        rules.untold_changes,
        "portal/services/people.py",
        "def g():\n    f()\n    security_notices.tell()\n\ndef f(user):\n    user.email = 1\n",
    ),
    (rules.long_files, "tests/test_tasks.py", "x = 1\n" * 400),
    (rules.inline_code, "portal/templates/a.html", '{# no <style> #}<script src="{{ asset("a.js") }}"></script>'),
    (rules.external_assets, "portal/templates/a.html", '<a href="https://example.com">'),
    (rules.fragments_without_a_root, "portal/templates/_base.html", "<!doctype html><title></title><p></p>"),
    (
        rules.fragments_without_a_root,
        "portal/templates/tasks/_row.html",
        '{# x #}\n<p id="{{ a }}"{% if b %} c{% endif %}></p>',
    ),
]


@pytest.mark.parametrize("rule", dict.fromkeys(rule for rule, _, _ in BREACHES))
def test_the_checkout_keeps_the_rule(rule: Rule) -> None:
    assert rule(ROOT) == []


@pytest.mark.parametrize(("rule", "name", "text"), BREACHES)
def test_a_breach_is_noticed(rule: Rule, name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, name, text)
    assert len(rule(tmp_path)) == 1


@pytest.mark.parametrize(("rule", "name", "text"), KEPT)
def test_what_is_allowed_stays_allowed(rule: Rule, name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, name, text)
    assert rule(tmp_path) == []


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_vendored_files_are_those_of_the_lock() -> None:
    assert rules.changed_vendor_files(ROOT) == []


def test_a_changed_vendor_file_is_noticed(tmp_path: Path) -> None:
    lock = {"x": {"folder": "x-1", "files": {"x.js": "sha384-other", "gone.js": "sha384-other"}}}
    write(tmp_path, "portal/static/vendor/vendor.lock.json", json.dumps(lock))
    write(tmp_path, "portal/static/vendor/x-1/x.js", "1")
    write(tmp_path, "portal/static/vendor/x-1/new.js", "1")
    problems = rules.changed_vendor_files(tmp_path)
    assert problems == ["x-1/gone.js is missing", "x-1/new.js is not in the lock", "x-1/x.js was changed"]


def test_every_text_is_translated() -> None:
    assert rules.untranslated(ROOT) == []


TEXTS = [("#, fuzzy\n", "doubtful", "a"), ("", "known", "b"), ("", "blank", ""), ("", "old", "c")]


def test_an_untranslated_text_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", '[[tool.babel.mappings]]\nmethod = "python"\npattern = "portal/**.py"\n')
    write(tmp_path, "portal/a.py", '_("new")\n_("doubtful")\n_("known")\n_("blank")\n')
    texts = "".join(f'{note}msgid "{text}"\nmsgstr "{said}"\n\n' for note, text, said in TEXTS)
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    write(tmp_path, "portal/translations/zh/LC_MESSAGES/messages.po", head + texts)
    assert rules.untranslated(tmp_path) == ["empty: blank", "fuzzy: doubtful", "missing: new", "unused: old"]


def unguarded(app: APIFlask) -> list[str]:
    """Endpoints whose view says not who may enter."""
    return sorted({e for e, view in app.view_functions.items() if e not in PUBLIC and not hasattr(view, "guard")})


def test_every_endpoint_says_who_may_enter(app: APIFlask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules()} <= app.view_functions.keys()
    assert unguarded(app) == []


def test_an_unguarded_endpoint_is_noticed() -> None:
    app = APIFlask("portal", spec_path=None, docs_path=None)
    app.add_url_rule("/open", "open", lambda: "")
    assert unguarded(app) == ["open"]


def job_names() -> set[str]:
    constants = {value for name, value in vars(jobs).items() if name.isupper() and isinstance(value, str)}
    return constants - {jobs.QUEUE} | set(jobs.BY_KIND.values())


def worker_modules() -> list[str]:
    """What celery_app.py loads for the sake of its tasks. It is read, not imported: it builds an app of its own."""
    tree = ast.parse((ROOT / "celery_app.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "portal.worker"]
    return [f"portal.worker.{name.name}" for node in imports for name in node.names]


def unread_jobs(app: APIFlask, names: set[str], queues: set[str]) -> list[str]:
    """Job names that Celery does not know, or that go to a queue no worker reads."""
    for module in worker_modules():
        importlib.import_module(module)
    celery = app.extensions["celery"]
    routed = {name: celery.amqp.router.route({}, name)["queue"].name for name in names}
    return sorted(name for name in names if name not in celery.tasks or routed[name] not in queues)


def queues_of(file: str) -> set[str]:
    """The queues that the worker's command in a file reads."""
    commands = re.findall(r"celery_app\S* worker .*?-Q ([\w,-]+)", (ROOT / file).read_text(encoding="utf-8"))
    return {queue for command in commands for queue in command.split(",")}


@pytest.mark.parametrize("file", ["compose.yaml", "portal/local/programs.py"])
def test_every_job_is_read_by_a_worker(app: APIFlask, file: str) -> None:
    assert unread_jobs(app, job_names(), queues_of(file)) == []


def test_an_unread_job_is_noticed(app: APIFlask) -> None:
    assert unread_jobs(app, {"tasks.nobody"}, {jobs.QUEUE}) == ["tasks.nobody"]
    assert unread_jobs(app, {jobs.FETCH}, {"other"}) == [jobs.FETCH]


def test_models_and_migrations_agree(app: APIFlask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []
