"""A million tasks in the table: a list's last page costs what its first does. `./dev prove lists`"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from apiflask import APIFlask
from sqlalchemy import create_engine, text

from portal import limits
from portal.app import create_app
from portal.extensions import db
from portal.models import User
from portal.services import tasks
from proofs.bench import SHORT, Portal, Report, new_numbers
from proofs.fleet import Fleet, Member, fleet

USERS, EACH = 1000, (100 if SHORT else 1000)
SMALL = 1000  # tasks in the table that the large one is compared with
HOARD = 20_000 if SHORT else 200_000  # tasks of one user more
LOOKS = 60 if SHORT else 300
PAGE, MOST = 20, 1.5

_SEED = """
SET LOCAL session_replication_role = replica;
INSERT INTO tasks (uuid, owner_id, kind, params, status, progress, result, attempt, version,
                   created_at, next_run_at, start_before, started_at, finished_at)
SELECT gen_random_uuid(), (:owners)[1 + n % :users], CASE n % 10 WHEN 0 THEN 'health_check' ELSE 'fetch' END,
       jsonb_build_object('url', 'https://example.com/' || n || '.csv', 'name', 'Table ' || n),
       (ARRAY['completed', 'completed', 'failed', 'cancelled'])[1 + n % 4], 100,
       jsonb_build_object('rows', n), 1, 5, at, at, at, at, at
FROM (SELECT n, now() - make_interval(secs => :count - n) AS at FROM generate_series(0, :count - 1) n) AS numbers
"""


def seed(running: Portal, owners: list[int], count: int) -> None:
    """Ended tasks, of these users in turn: one user's lie scattered over the table."""
    running.sql(_SEED, owners=owners, users=len(owners), count=count)


class Reader(NamedTuple):
    """Somebody who lists their tasks, in one of the two databases."""

    app: APIFlask
    user_id: int

    def look(self, cursor: int | None) -> float:
        """How long the service takes for a page (s)."""
        with self.app.app_context():
            user = db.session.get_one(User, self.user_id)
            began = time.perf_counter()
            found = tasks.list_for(user, cursor=cursor, limit=PAGE)
            took = time.perf_counter() - began
            assert len(found.items) == PAGE
            return took


def cursors(bench: Fleet, member: Member, limit: int = PAGE, after: int | None = None) -> list[int | None]:
    """Of every page from one to the last, as somebody finds them who follows `next_cursor`."""
    caller = bench.caller(member)
    found = [after]
    while True:
        where = f"&cursor={found[-1]}" if found[-1] else ""
        answer = caller.ask("GET", f"/api/v1/tasks?limit={limit}{where}")
        assert answer.status == 200, answer
        if answer.body["next_cursor"] is None:
            caller.close()
            return found
        found.append(answer.body["next_cursor"])


def medians(looks: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Milliseconds of each, taken in turn so that the machine's moods meet all."""
    took: dict[str, list[float]] = {name: [] for name in looks}
    for _ in range(LOOKS):
        for name, look in looks.items():
            took[name].append(look())
    return {name: statistics.median(values) * 1000 for name, values in took.items()}


def small_copy(bench: Fleet) -> APIFlask:
    """A second database, as the first is now."""
    running = bench.portal
    with running.app.app_context():
        db.engine.dispose()
    url = running.servers.postgres.url
    admin = create_engine(url.rpartition("/")[0] + "/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE small TEMPLATE portal"))
    admin.dispose()
    settings = running.app.extensions["settings"]
    return create_app(settings.model_copy(update={"database_url": url.rpartition("/")[0] + "/small"}))


def compare(report: Report, what: str, took: dict[str, float], name: str, base: str) -> None:
    ratio = took[name] / took[base]
    report.check(
        f"{what}: {took[name]:.2f} ms, x {ratio:.2f} of {took[base]:.2f} ms, at most {MOST}", ratio <= MOST, True
    )


def main() -> None:
    report = Report(f"A list of {USERS * EACH:,} tasks")
    with fleet(workers=0, dispatchers=0, webs=0) as bench:
        member, hoarder = bench.members(2)
        owners = [member.id, *bench.portal.people([f"owner{n}" for n in range(USERS - 1)], new_numbers(USERS - 1))]
        report.part(f"{SMALL:,} tasks, then {USERS * EACH:,} of {USERS:,} users and {HOARD:,} of one more")
        seed(bench.portal, owners[: SMALL // EACH], SMALL)
        bench.portal.sql("ANALYZE")
        small = Reader(small_copy(bench), member.id)
        bench.portal.sql("TRUNCATE tasks CASCADE")
        seed(bench.portal, owners, USERS * EACH)
        seed(bench.portal, [hoarder.id], HOARD)
        bench.portal.sql("ANALYZE")
        report.say(f"{bench.portal.count('tasks'):,} in the table")
        bench.web("web")
        bench.ready()
        pages(bench, report, small, member, hoarder)
        with small.app.app_context():
            db.engine.dispose()
    report.end()


def pages(bench: Fleet, report: Report, small: Reader, member: Member, hoarder: Member) -> None:
    report.part(f"Pages of {PAGE}, found by following next_cursor")
    mine, theirs = cursors(bench, member), cursors(bench, hoarder, limits.PAGE_SIZE_MAX)
    report.check("pages", (len(mine), len(theirs)), (EACH // PAGE, HOARD // limits.PAGE_SIZE_MAX))
    theirs += cursors(bench, hoarder, PAGE, theirs[-1])
    big, many = Reader(bench.portal.app, member.id), Reader(bench.portal.app, hoarder.id)
    report.part(f"What a page costs in the service: medians of {LOOKS}, in turn")
    took = medians(
        {
            "small first": lambda: small.look(None),
            "first": lambda: big.look(None),
            "middle": lambda: big.look(mine[len(mine) // 2]),
            "last": lambda: big.look(mine[-1]),
            "hoard first": lambda: many.look(None),
            "hoard middle": lambda: many.look(theirs[len(theirs) // 2]),
            "hoard last": lambda: many.look(theirs[-1]),
        }
    )
    compare(report, f"first page, beside {SMALL:,} tasks", took, "first", "small first")
    compare(report, "middle page, beside the first", took, "middle", "first")
    compare(report, "last page, beside the first", took, "last", "first")
    compare(report, f"of {HOARD:,}: first page, beside {SMALL:,} tasks", took, "hoard first", "small first")
    compare(report, f"of {HOARD:,}: middle page, beside the first", took, "hoard middle", "hoard first")
    compare(report, f"of {HOARD:,}: last page, beside the first", took, "hoard last", "hoard first")
    with bench.portal.app.app_context():
        user = db.session.get_one(User, member.id)
        last = tasks.list_for(user, cursor=mine[-1], limit=PAGE)
        report.check("nothing comes after the last page", last.next_cursor, None)


if __name__ == "__main__":
    main()
