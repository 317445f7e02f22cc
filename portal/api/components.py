"""The schemas of /openapi.json: each model once, under its own name, and tasks by their kind."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from portal.api.schemas import Answer, Body
from portal.api.schemas.admin import AdminExportTask, AdminFetchTask, AdminHealthCheckTask
from portal.api.schemas.task_kinds import (
    Conditions,
    ExportTask,
    ExportTaskBody,
    FetchTask,
    FetchTaskBody,
    HealthCheckTask,
    HealthCheckTaskBody,
)

_REFERENCE = "#/components/schemas/"
_KIND = Field(discriminator="kind")
_TASKS: dict[str, tuple[Literal["validation", "serialization"], Any]] = {
    "TaskBody": ("validation", Annotated[FetchTaskBody | ExportTaskBody | HealthCheckTaskBody, _KIND]),
    "TaskAnswer": ("serialization", Annotated[FetchTask | ExportTask | HealthCheckTask, _KIND]),
    "AdminTaskAnswer": (
        "serialization",
        Annotated[AdminFetchTask | AdminExportTask | AdminHealthCheckTask, _KIND],
    ),
    "Conditions": ("validation", Conditions),
}


class _Plain(GenerateJsonSchema):
    """Without titles of fields, which only say their names again, and which generators take for names of types."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """Nor with null for what may be left out, and may not be null."""
        described = super().default_schema(schema)
        if described.get("default", ...) is None:
            del described["default"]
        return described


def schemas() -> dict[str, Any]:
    """All of them by name; APIFlask would make one of each model for each model that holds it."""
    inputs: list[Any] = [(model, "validation", TypeAdapter(model)) for model in _models(Body)]
    inputs += [(model, "serialization", TypeAdapter(model)) for model in _models(Answer)]
    inputs += [(name, mode, TypeAdapter(described)) for name, (mode, described) in _TASKS.items()]
    keyed, shared = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE + "{model}", schema_generator=_Plain)
    named: dict[str, Any] = shared["$defs"]
    return named | {name: keyed[name, mode] for name, (mode, _) in _TASKS.items()}


def reference(name: str) -> dict[str, str]:
    """To the schema of that name."""
    return {"$ref": _REFERENCE + name}


def drop_unused(spec: dict[str, Any]) -> None:
    """Leave out schemas that no operation leads to."""
    known = spec["components"]["schemas"]
    used: set[str] = set()
    ahead = [spec["paths"]]
    while ahead:
        for name in _referred(ahead.pop()):
            if name not in used:
                used.add(name)
                ahead.append(known[name])
    spec["components"]["schemas"] = {name: known[name] for name in sorted(used)}


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _referred(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(reference := part.get("$ref"), str):
            yield reference.removeprefix(_REFERENCE)
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _referred(each)
