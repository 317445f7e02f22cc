"""Many at the same moment."""

import threading
from collections import Counter
from collections.abc import Callable

from apiflask import APIFlask

from portal.errors import PortalError
from portal.extensions import db


def at_once(app: APIFlask, count: int, act: Callable[[], object]) -> Counter[str]:
    """Run `act` in so many threads from one starting line; count the outcomes."""
    outcomes: Counter[str] = Counter()
    gate = threading.Barrier(count)

    def one() -> None:
        with app.app_context():
            gate.wait()
            try:
                act()
                outcomes["done"] += 1
            except PortalError as error:
                outcomes[error.code] += 1
            finally:
                db.session.rollback()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
