"""Datasets."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AliasChoices, BaseModel, Field

from portal import limits
from portal.api.schemas import Answer


class ColumnAnswer(Answer):
    name: str
    type: str


class DatasetAnswer(Answer):
    """`bytes` and `sha256` are of the source as it was fetched."""

    uuid: UUID
    name: str
    source_url: str
    rows: int
    bytes: Annotated[int, Field(validation_alias=AliasChoices("bytes", "source_bytes"))]
    sha256: Annotated[str, Field(validation_alias=AliasChoices("sha256", "source_sha256"))]
    stored_bytes: int
    columns: list[ColumnAnswer]
    created_at: datetime
    keep_until: datetime


class DatasetsAnswer(Answer):
    items: list[DatasetAnswer]
    next_cursor: int | None


class RowsQuery(BaseModel):
    offset: Annotated[int, Field(ge=0, le=2**62)] = 0
    limit: Annotated[int, Field(ge=1, le=limits.ROWS_MAX)] = limits.PREVIEW_ROWS


class RowsAnswer(Answer):
    """Rows in the file's order, each a list in the order of `columns`; dates are ISO 8601, decimals are strings."""

    columns: list[ColumnAnswer]
    items: list[list[Any]]
    offset: int
    rows: int
