"""Bodies and answers of the JSON door."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from portal import limits


class Body(BaseModel):
    """What a program sends: unknown fields are refused, so that a typing error does not pass in silence."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What a program gets."""

    # Nothing is left out of an answer, so those who read it need not ask whether it is there.
    model_config = ConfigDict(from_attributes=True, json_schema_serialization_defaults_required=True)


class PageQuery(BaseModel):
    """Where to go on in a list, and how much of it to answer at most: a page of large items ends early."""

    cursor: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None
    limit: Annotated[int, Field(ge=1, le=limits.PAGE_SIZE_MAX)] = limits.PAGE_SIZE


class FieldError(Answer):
    """What is wrong with one field; `field` is its path in the body."""

    field: str
    message: str


class Problem(Answer):
    """RFC 9457; `code` is stable (the tag `errors` lists what it may be), `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldError] = []


class Message(Answer):
    message: str
