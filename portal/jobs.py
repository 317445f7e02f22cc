"""Names of background jobs. A message carries only the task's uuid: the row in PostgreSQL is the queue of record."""

from portal.limits import TASK_SECONDS

QUEUE = "default"
FETCH = "tasks.fetch"
EXPORT = "tasks.export"
HEALTH_CHECK = "tasks.health_check"

# The job that runs a task of a kind.
BY_KIND = {"fetch": FETCH, "export": EXPORT, "health_check": HEALTH_CHECK}


def celery_config(redis_url: str) -> dict[str, object]:
    """Celery's settings; https://docs.celeryq.dev/en/stable/userguide/configuration.html"""
    # A worker behind a wire that died notices after both, and must before its unanswered doorbells are rung again. Its
    # main loop waits so long several times in a row meanwhile, and must give a sign of life all the same (`beat`).
    timeouts = {
        "socket_timeout": 2,
        "socket_connect_timeout": 2,
        "health_check_interval": 3,
    }
    return {
        "broker_url": redis_url,
        "result_backend": redis_url,
        "result_expires": 3600,
        "result_backend_transport_options": timeouts,
        "task_ignore_result": True,  # the row holds the result; nothing waits on Celery's
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "timezone": "UTC",
        "enable_utc": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,  # the lease brings a task back, and counts its attempts
        "worker_prefetch_multiplier": 1,
        "task_track_started": True,
        "task_time_limit": TASK_SECONDS,
        "task_default_queue": QUEUE,
        "worker_concurrency": 2,
        "task_publish_retry": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Without time-outs a half-open connection leaves a worker deaf for ever.
        "broker_transport_options": {
            **timeouts,
            "visibility_timeout": 3600,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
        },
        "worker_hijack_root_logger": False,
    }
