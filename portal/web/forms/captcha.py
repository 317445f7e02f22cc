"""The captcha in a form."""

from typing import Any

from flask import g
from flask_babel import lazy_gettext as _
from wtforms import Field
from wtforms.validators import StopValidation

from portal.extensions import gateways, settings
from portal.wording import sentence


class CaptchaField(Field):
    """Nothing is typed here: the widget adds inputs of its own, read as `ticket` and `randstr`."""

    ticket = randstr = ""

    def __init__(self, *, needed: bool = True, **kwargs: Any) -> None:
        super().__init__(_("Captcha"), **kwargs)
        self.needed = needed

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        del data, extra_filters
        given = formdata or {}
        self.process_errors, self.data = [], None
        self.ticket = given.get("altcha") or given.get("captcha_ticket") or ""
        self.randstr = given.get("captcha_randstr") or ""

    def pre_validate(self, form: Any) -> None:
        del form
        if self.needed and not self.ticket:
            raise StopValidation(sentence({"code": "captcha_failed"}))


def offered() -> dict[str, Any]:
    """What a page needs to show the captcha; allows this page to load what the provider's script loads."""
    captcha = gateways().captcha
    g.policy = {**g.get("policy", {}), **{name: f"'self' {more}" for name, more in captcha.sources.items()}}
    if captcha.provider == "tencent":
        return {**captcha.offer(), "script": settings().tencent_script_url}
    return {"provider": captcha.provider}  # its widget asks for the challenge itself, when it is to be solved
