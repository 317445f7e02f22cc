"""Logs: loguru writes all of them, the standard library's too; JSON in production."""

import json
import logging
import sys
from typing import Any

from loguru import logger


class _ToLoguru(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        logger.opt(depth=6, exception=record.exc_info).log(level, "{}: {}", record.name, record.getMessage())


def _as_json(message: Any) -> None:
    record = message.record
    line = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
        **record["extra"],
    }
    if record["exception"]:
        line["exception"] = str(message).partition("\n")[2]
    sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")


def configure(*, local: bool) -> None:
    """Send everything to standard error. Values of variables are never shown: they may be secrets."""
    logger.remove()
    if local:
        logger.add(
            sys.stderr,
            level="INFO",
            diagnose=False,
            backtrace=False,
            format="{time:HH:mm:ss} {level:<7} {message} {extra}",
        )
    else:
        logger.add(_as_json, level="INFO", diagnose=False, backtrace=False)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.INFO, force=True)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # else seven lines before each command
