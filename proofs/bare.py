"""The smallest Celery there is, to compare with: `celery -A proofs.bare worker`. Its broker is BARE_BROKER."""

import os
import time

from celery import Celery
from redis import Redis

STARTS = "bare:starts"
BROKER = os.environ.get("BARE_BROKER", "redis://127.0.0.1:6379/0")

app = Celery("bare", broker=BROKER)
app.conf.update(task_default_queue="bare", task_ignore_result=True, worker_prefetch_multiplier=1)


@app.task  # type: ignore[untyped-decorator]  # celery has no types
def note() -> None:
    """Say when it began, in seconds since 1970."""
    began = time.time()
    with Redis.from_url(BROKER) as redis:
        redis.lpush(STARTS, began)
