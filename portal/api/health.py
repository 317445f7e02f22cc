"""For those who operate the portal: is it alive, is it ready, and what is wrong."""

from typing import Any

from apiflask import APIBlueprint
from sqlalchemy.exc import SQLAlchemyError

from portal.api import guards
from portal.extensions import RedisError, db, redis
from portal.services import queue

bp = APIBlueprint("health", __name__, url_prefix="/health", enable_openapi=False)


@bp.get("/live")
@guards.public
def live() -> Any:
    """The process answers."""
    return {"status": "ok"}


@bp.get("/ready")
@guards.public
def ready() -> Any:
    """Each part by name. 503 without PostgreSQL; without Redis the portal works on, degraded."""
    parts: dict[str, Any] = {"postgresql": "ok", "redis": "ok"}
    try:
        parts["queue"] = queue.health()
    except SQLAlchemyError:
        parts["postgresql"] = "down"
    db.session.rollback()
    try:
        redis().ping()
    except RedisError:
        parts["redis"] = "down"
    down = [name for name in ("postgresql", "redis") if parts[name] == "down"]
    status = "ready" if not down else "unavailable" if "postgresql" in down else "degraded"
    return {"status": status, **parts}, *((503, {"Retry-After": "5"}) if "postgresql" in down else (200, {}))
