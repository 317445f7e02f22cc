"""The HTML door."""

import functools
from collections.abc import Callable
from typing import Any

from flask import Flask, has_request_context, request, session
from flask_babel import Babel, format_datetime
from flask_wtf.csrf import CSRFError
from jinja2 import pass_context
from jinja2.filters import FILTERS

from portal import devices, formats, wording
from portal.engine import secret_parts
from portal.errors import BadRequest, Forbidden
from portal.extensions import login, settings
from portal.web import (
    accounts,
    admin,
    assets,
    credentials,
    datasets,
    dev,
    docs,
    errors,
    events,
    exports,
    factors,
    guards,
    home,
    locales,
    profile,
    sessions,
    tasks,
    uploads,
)
from portal.web.forms.captcha import offered

BLUEPRINTS = (
    home.bp,
    accounts.bp,
    credentials.bp,
    factors.bp,
    profile.bp,
    sessions.bp,
    events.bp,
    admin.bp,
    tasks.bp,
    uploads.bp,
    datasets.bp,
    exports.bp,
    docs.bp,
    dev.bp,
)


def init_app(app: Flask, babel: Babel) -> None:
    """Register the blueprints and what templates may use."""
    babel.init_app(app, locale_selector=locales.chosen_locale)
    login.user_loader(guards.load_member)
    login.session_protection = None  # a log-in's row decides, not the visitor's changing address
    assets.register(app)
    formats.register(app)
    app.jinja_env.globals["format_datetime"] = format_datetime
    app.jinja_env.globals["captcha_offered"] = offered
    app.jinja_env.filters["sentence"] = wording.sentence
    app.jinja_env.filters["shown_address"] = secret_parts.shown
    app.jinja_env.filters["told"] = wording.event_sentence
    app.jinja_env.filters["timeline"] = wording.timeline_sentence
    app.jinja_env.filters["device"] = devices.device
    app.context_processor(_context)
    app.register_error_handler(CSRFError, _out_of_date)
    app.before_request(_refuse_foreign)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    filters = app.jinja_env.filters
    filters.update({name: _each_time(filters[name]) for name in filters.keys() - FILTERS.keys()})


def _each_time(template_filter: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that Jinja asks at each rendering.

    What stands in a template as a constant it would else be asked for once, when the template is read: everybody would
    get the answer in the language of whoever came first.
    """

    @pass_context
    @functools.wraps(template_filter)
    def asked(_: Any, *args: Any, **kwargs: Any) -> Any:
        return template_filter(*args, **kwargs)

    return asked


def _refuse_foreign() -> None:
    """Besides the CSRF token, for every page: the JSON door takes no cookies."""
    if request.blueprint in {blueprint.name for blueprint in BLUEPRINTS} and guards.is_foreign():
        raise Forbidden("origin_foreign")


def _context() -> dict[str, Any]:
    """What the frame of every page needs; the cookie alone answers it, so that a poll stays without SQL."""
    here = has_request_context()
    return {
        "html_lang": locales.html_lang(),
        "signed_in": here and "_user_id" in session,
        "username": session.get("username", "") if here else "",
        "is_admin": here and session.get("is_admin", False),
        "local_mode": settings().is_local,
        "kinds": wording.KINDS,
    }


def _out_of_date(_: CSRFError) -> Any:
    return errors.of_portal_error(BadRequest("csrf_failed"))


__all__ = ["errors", "init_app"]
