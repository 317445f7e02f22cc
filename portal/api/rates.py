"""How often one client may call the JSON door, said in every answer's headers."""

import time

from flask import Flask, Response, current_app, request
from flask_limiter import Limiter

from portal.extensions import RedisError, settings
from portal.services import messages


class _Limiter(Limiter):
    """Of several requests that meet a dead Redis at once, the library lets the first alone fall back."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        try:
            super()._check_request_limit(callable_name, in_middleware)
        except RedisError:
            if not self._storage_dead:
                raise
            self.context.seen_limits.clear()
            super()._check_request_limit(callable_name, in_middleware)


def init_app(app: Flask) -> None:
    """Count per network in Redis; in the process, with the same limit, while Redis is away."""
    limiter = _Limiter(
        key_func=lambda: messages.network(request.remote_addr or ""),
        application_limits=[lambda: f"{settings().api_per_minute} per minute"],
        application_limits_exempt_when=_is_exempt,
        strategy="moving-window",
        in_memory_fallback_enabled=True,
        key_prefix="rate",
        storage_options={"connection_pool": app.extensions["redis"].connection_pool},
    )
    limiter.init_app(app)

    @app.after_request
    def tell(response: Response) -> Response:
        # The library's own headers would overwrite every other Retry-After.
        if current := limiter.current_limit:
            try:
                reset, remaining = max(1, round(current.reset_at - time.time())), max(0, current.remaining)
            except RedisError:  # away since the request was counted
                return response
            response.headers["RateLimit-Limit"] = str(current.limit.amount)
            response.headers["RateLimit-Remaining"] = str(remaining)
            response.headers["RateLimit-Reset"] = str(reset)
            if current.breached:
                response.headers["Retry-After"] = str(reset)
        return response


def _is_exempt() -> bool:
    # A poll costs one round trip to Redis; counting it would cost another.
    view = current_app.view_functions.get(request.endpoint or "")
    return not request.path.startswith("/api/") or getattr(view, "polls", False)
