"""Files that programs send instead of an address, and how much one may."""

from typing import Any

from apiflask import APIBlueprint
from flask import request

from portal import transfers
from portal.api import guards
from portal.api.schemas.datasets import QuotaAnswer, UploadAnswer, UploadQuery
from portal.errors import Invalid
from portal.extensions import db
from portal.services import quotas, storage, uploads

bp = APIBlueprint("api_uploads", __name__, url_prefix="/api/v1", tag="uploads")


@bp.post("/uploads")
@guards.bearer_required
@bp.doc(operation_id="uploadFile", security="bearer")
@bp.input(UploadQuery, location="query", arg_name="query")
@bp.output(UploadAnswer, status_code=201)
def create(query: UploadQuery) -> Any:
    """Send a file as the body, whatever its type, but not in a form; then submit a fetch that names it."""
    user = guards.user()
    if request.mimetype == "multipart/form-data":  # else the form would be kept as if it were the file
        raise Invalid("file_in_form", field="Content-Type")
    uploads.announce(user, request.content_length)
    db.session.commit()  # before it comes: no connection is held while it does
    with transfers.body(user) as received:
        upload = uploads.keep(user, query.name, received)
    db.session.commit()
    return UploadAnswer.model_validate(upload), 201


@bp.get("/users/me/quota")
@guards.bearer_required
@bp.doc(operation_id="getQuota", security="bearer", tags=["users"])
@bp.output(QuotaAnswer)
def quota() -> Any:
    """How many tasks and bytes you have, and may have."""
    user = guards.user()
    return QuotaAnswer.model_validate(
        {"tasks": quotas.use_of(user).__dict__, "bytes": storage.use_of(user.id).__dict__}
    )
