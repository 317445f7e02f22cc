"""Two of everything, each with a disk of its own: what begins at one goes on at the other. `./dev prove scale`"""

import secrets
from pathlib import Path
from typing import Any

from proofs.bench import PASSWORD, Answer, Report, new_numbers
from proofs.browser import Browser
from proofs.fleet import Caller, Fleet, fetch, fleet

SLOTS, LEASE, TASKS = 2, 3, 12
CANCEL_SECONDS = 5.0
PARTS = ("web", "worker", "dispatcher")


class Machine:
    """A web, a worker and a dispatcher, each with an empty folder and a port of its own; only the store is shared."""

    def __init__(self, bench: Fleet, name: str, store: Path) -> None:
        self._bench = bench
        self.folders = {part: bench.portal.folder / f"{part}-{name}" for part in PARTS}
        for folder in self.folders.values():
            folder.mkdir()
        own = {part: {"INSTANCE_PATH": str(self.folders[part]), "STORE_PATH": str(store)} for part in PARTS}
        self.web = bench.web(f"web-{name}", **own["web"])
        self.port = bench.ports[-1]
        self.worker = bench.worker(f"worker-{name}", SLOTS, **own["worker"])
        self.dispatcher = bench.dispatcher(f"dispatcher-{name}", **own["dispatcher"])

    def caller(self, token: str = "") -> Caller:
        return Caller(self.port, token)

    def die(self) -> None:
        for child in (self.web, self.worker, self.dispatcher):
            self._bench.kill_group(child)

    def files(self, part: str) -> list[str]:
        """What a part has left in its own folder."""
        folder = self.folders[part]
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Show:
    """Somebody who uses both webs."""

    def __init__(self, bench: Fleet, report: Report, one: Machine, two: Machine) -> None:
        self.bench, self.report, self.one, self.two = bench, report, one, two
        name = f"scale{secrets.token_hex(4)}"
        self.user_id = bench.portal.people([name], new_numbers(1))[0]
        body = {"account": name, "password": PASSWORD}
        answer = one.caller().ask("POST", "/api/v1/auth/login", body)
        assert answer.status == 200, answer
        self.token = answer.body["access_token"]
        self.at_one, self.at_two = one.caller(self.token), two.caller(self.token)
        self.browser = Browser(one.port, "192.0.2.7")
        assert self.browser.post("/login", account=name, password=PASSWORD) == 303

    def log_in(self) -> None:
        self.report.part("Logged in at web 1, by token and by cookie")
        self.report.check("the token at web 2", self.at_two.ask("GET", "/api/v1/users/me").status, 200)
        self.report.check("the cookie at web 2", self.browser.at(self.two.port).get("/tasks/")[0], 200)
        self.report.check("nobody at web 2", Browser(self.two.port, "192.0.2.8").get("/tasks/")[0], 303)

    def work(self) -> None:
        self.report.part("Submitted at web 1, polled and read at web 2")
        url = self.bench.source.csv("/scale.csv", rows=3, seconds=0.3)
        key = secrets.token_hex(8)
        first = self.submit(self.at_one, url, key)
        again = self.submit(self.at_two, url, key)
        self.report.check("the same key at both: equal answers", first.content == again.content, True)
        uuids = [first.body["uuid"], *(self.submit(self.at_one, url).body["uuid"] for _ in range(TASKS - 1))]
        ended = [self.ended(self.at_two, uuid) for uuid in uuids]
        self.report.check("ended, as web 2 says", {task["status"] for task in ended}, {"completed"})
        ran = self.bench.portal.sql("SELECT split_part(worker, '@', 1), count(*) FROM tasks GROUP BY 1 ORDER BY 1")
        self.report.say(", ".join(f"{worker} ran {count}" for worker, count in ran))
        self.report.check("workers that took part", len(ran), 2)
        for name, caller in (("web 1", self.at_one), ("web 2", self.at_two)):
            rows = [self.rows(caller, task) for task in ended]
            self.report.check(f"datasets read at {name}, whichever worker made them", rows, [3] * TASKS)
        page = self.browser.at(self.two.port).get(f"/tasks/{uuids[0]}")
        self.report.check("the task's page at web 2", page[0], 200)

    def cancel(self) -> None:
        self.report.part("Submitted at web 1, cancelled at web 2")
        uuid = self.submit(self.at_one, self.bench.source.csv("/long.csv", rows=50, seconds=25)).body["uuid"]
        path = f"/api/v1/tasks/{uuid}"
        running = self.bench.wait(lambda: self.at_two.ask("GET", path).body["status"] == "processing", 20)
        self.report.check("runs, as web 2 says", running, True)
        self.report.check("cancelled at web 2", self.at_two.ask("POST", f"{path}/cancel").status, 202)
        gone = self.bench.wait(lambda: self.at_one.ask("GET", path).body["status"] == "cancelled", CANCEL_SECONDS)
        self.report.check(f"web 1 says cancelled within {CANCEL_SECONDS:.0f} s", gone, True)

    def lose_one(self) -> None:
        self.report.part("kill -9 of all that runs on machine 1, in the middle of the work")
        url = self.bench.source.csv("/during.csv", rows=3, seconds=1)
        uuids = [self.submit(self.at_one, url).body["uuid"] for _ in range(TASKS // 2)]
        portal = self.bench.portal
        at_one = "status = 'processing' AND worker LIKE 'worker-one@%'"
        assert self.bench.wait(lambda: portal.count("tasks", at_one), 30), "worker 1 does not work"
        self.one.die()
        uuids += [self.submit(self.at_two, url).body["uuid"] for _ in range(TASKS // 2)]
        ended = [self.ended(self.at_two, uuid) for uuid in uuids]
        self.report.check("ended at machine 2", [task["status"] for task in ended], ["completed"] * TASKS)
        again = sum(task["attempt"] > 1 for task in ended)
        self.report.say(f"{again} ran again there, after a lease of {LEASE} s")
        self.report.check("some had begun on machine 1", again > 0, True)
        self.report.check("datasets read at web 2", [self.rows(self.at_two, task) for task in ended], [3] * TASKS)
        self.report.check("the cookie at web 2", self.browser.at(self.two.port).get("/tasks/")[0], 200)
        self.report.check("the token at web 2", self.at_two.ask("GET", "/api/v1/users/me").status, 200)

    def disks(self) -> None:
        self.report.part("What each part has left on its own disk")
        for name, machine in (("1", self.one), ("2", self.two)):
            for part in PARTS:
                files = machine.files(part)
                self.report.say(f"{part} {name}: {', '.join(files) or 'nothing'}")
        self.report.say("outbox.jsonl stands for SMS and mail, in local mode only; a killed attempt leaves its work;")
        self.report.say("looks is where a machine's looks take turns: a lock, in which nothing is written")
        for name, machine in (("1", self.one), ("2", self.two)):
            own = [file for file in machine.files("web") if file not in ("outbox.jsonl", "looks")]
            self.report.check(f"files of web {name}, but for the outbox and the lock", own, [])
        self.report.check("files of worker 2", self.two.files("worker"), [])

    def submit(self, caller: Caller, url: str, key: str = "") -> Answer:
        answer = caller.ask("POST", "/api/v1/tasks", fetch(url), key)
        assert answer.status == 202, answer
        return answer

    def ended(self, caller: Caller, uuid: str) -> dict[str, Any]:
        last: dict[str, Any] = {}

        def has() -> bool:
            last.update(caller.ask("GET", f"/api/v1/tasks/{uuid}").body)
            return bool(last["poll_after"] == 0)

        assert self.bench.wait(has, 60, every=0.3), last
        return last

    def rows(self, caller: Caller, task: dict[str, Any]) -> int:
        return len(caller.ask("GET", f"/api/v1/datasets/{task['result']['dataset']}/rows").body["items"])


def main() -> None:
    report = Report("Two webs, two workers, two dispatchers")
    with fleet(workers=0, dispatchers=0, webs=0, task_lease_seconds=LEASE) as bench:
        store = bench.portal.folder / "store"
        one, two = (Machine(bench, name, store) for name in ("one", "two"))
        bench.ready()
        show = Show(bench, report, one, two)
        for step in (show.log_in, show.work, show.cancel, show.lose_one, show.disks):
            step()
    report.end()


if __name__ == "__main__":
    main()
