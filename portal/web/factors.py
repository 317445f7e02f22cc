"""The second factor: asked for at the log-in, switched on and off."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import PortalError
from portal.extensions import db
from portal.services import factors
from portal.web import entry, guards
from portal.web.forms.factors import EnableForm, FactorForm

bp = Blueprint("factors", __name__)


@bp.get("/login/factor")
@guards.public
def ask() -> ResponseReturnValue:
    """The log-in's second step; those who did not do the first begin there."""
    if entry.half_entered() is None:
        return redirect(url_for("accounts.login"), 303)
    return render_template("factors/ask.html", form=FactorForm())


@bp.post("/login/factor")
@guards.public
def enter() -> ResponseReturnValue:
    """Log in."""
    form, status, user = FactorForm(), 422, entry.half_entered()
    if user is None:
        return redirect(url_for("accounts.login"), 303)
    if form.validate_on_submit():
        try:
            factors.check(user, form.otp.data or "", visitor=guards.visitor())
            return entry.enter_with_factor(user)
        except PortalError as error:
            status = form.explain(error)
    return render_template("factors/ask.html", form=form), status


@bp.get("/account/two-factor")
@guards.member_required
@guards.fresh_required
def show() -> ResponseReturnValue:
    """Whether it is on, and what can be done with it."""
    user = guards.user()
    left = factors.codes_left(user) if user.has_second_factor else None
    given = guards.login_session().two_factor_at is not None
    return render_template("factors/show.html", user=user, codes_left=left, given=given)


@bp.get("/account/two-factor/recovery-codes")
@bp.get("/account/two-factor/off")
@guards.member_required
def back() -> ResponseReturnValue:
    """Where those come back to who pressed a button and had to confirm their password first."""
    return redirect(url_for(".show"), 303)


@bp.get("/account/two-factor/set-up")
@guards.member_required
@guards.fresh_required
def begin() -> ResponseReturnValue:
    """A secret for the app; nothing counts before a code of it was typed."""
    return _set_up(EnableForm(formdata=None))


@bp.post("/account/two-factor/set-up")
@guards.member_required
@guards.fresh_required
def enable() -> ResponseReturnValue:
    """Switch it on. The recovery codes are shown in this answer, and never again."""
    form, status = EnableForm(), 422
    if form.validate_on_submit():
        try:
            codes = factors.enable(guards.login_session(), form.otp.data or "", visitor=guards.visitor())
            db.session.commit()
            return render_template("factors/recovery_codes.html", codes=codes, renewed=False)
        except PortalError as error:
            status = form.explain(error)
    return _set_up(form, status)


def _set_up(form: EnableForm, status: int = 200) -> ResponseReturnValue:
    if guards.user().has_second_factor:
        return redirect(url_for(".show"), 303)
    enrollment = factors.begin(guards.user())
    db.session.commit()
    return render_template("factors/set_up.html", form=form, enrollment=enrollment), status


@bp.post("/account/two-factor/recovery-codes")
@guards.member_required
@guards.fresh_required
def renew() -> ResponseReturnValue:
    """New recovery codes; those before them are void."""
    codes = factors.new_recovery_codes(guards.login_session(), visitor=guards.visitor())
    db.session.commit()
    return render_template("factors/recovery_codes.html", codes=codes, renewed=True)


@bp.post("/account/two-factor/off")
@guards.member_required
@guards.fresh_required
def disable() -> ResponseReturnValue:
    """Log in by one factor again."""
    factors.disable(guards.login_session(), visitor=guards.visitor())
    db.session.commit()
    flash(_("Two-factor log-in is off."), "success")
    return redirect(url_for("profile.show"), 303)
