"""Files from one's device, instead of an address."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import transfers
from portal.errors import PortalError
from portal.extensions import csrf, db
from portal.services import tasks, uploads
from portal.web import guards
from portal.web.forms.tasks import UPLOAD, FetchForm, UploadForm, fresh_nonce, key_of
from portal.web.tasks import page_of

bp = Blueprint("uploads", __name__, url_prefix="/uploads")


@bp.get("/")
@guards.member_required
def index() -> ResponseReturnValue:
    """Where the forms are: a refused one was answered under this address, and may be loaded again."""
    return redirect(url_for("tasks.index"))


@bp.post("/")
@csrf.exempt  # type: ignore[untyped-decorator]  # transfers.form_file checks it, once it is known who sends
@guards.member_required
def create() -> ResponseReturnValue:
    """Take a file in, and go to the task that reads it; or show the form again with what is wrong."""
    try:
        uploads.announce(guards.user(), request.content_length or 0)
        db.session.commit()  # before it comes: no connection is held while it does
        with transfers.form_file(guards.user(), f"{UPLOAD}file") as (name, received):
            form = UploadForm(prefix=UPLOAD, meta={"csrf": False})
            upload = uploads.keep(guards.user(), name, received)
        task = tasks.submit(guards.user(), "fetch", form.params(upload.uuid), key=key_of(form.nonce.data))
    except PortalError as error:
        return _again(error)
    db.session.commit()
    return redirect(url_for("tasks.show", uuid=task.uuid), 303)


def _again(error: PortalError) -> ResponseReturnValue:
    db.session.rollback()
    form = UploadForm(formdata=None, prefix=UPLOAD, nonce=fresh_nonce())
    again = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    fetch = FetchForm(formdata=None, nonce=fresh_nonce())
    return page_of(fetch, form.explain(error), again, upload=form)
