"""For those who operate the portal: is it alive, is it ready, and what is wrong."""

from typing import Any

from apiflask import APIBlueprint

from portal.api import guards
from portal.services import health

bp = APIBlueprint("health", __name__, url_prefix="/health", enable_openapi=False)


@bp.get("/live")
@guards.public
def live() -> Any:
    """The process answers."""
    return {"status": "ok"}


@bp.get("/ready")
@guards.public
def ready() -> Any:
    """Each part by name, within a second. 503 without PostgreSQL; else the portal works on, perhaps degraded."""
    found = health.look()
    return found, *((503, {"Retry-After": "5"}) if found["status"] == "unavailable" else (200, {}))
