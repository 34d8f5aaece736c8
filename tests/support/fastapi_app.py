"""A FastAPI app that validates as the API's document says, and answers with what it has understood."""

import json
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, ForwardRef, Literal, Union

from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from pydantic import UUID4, AfterValidator, BaseModel, Field, create_model

_SIMPLE = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}


def make_app(document: dict[str, Any]) -> FastAPI:
    """An app with one endpoint, whose body is what the document describes."""
    known: dict[str, Any] = {}
    for name, rule in document["$defs"].items():
        known[name] = _annotation(rule, known, name)
    body = _annotation(document, known, "Body")
    body.model_rebuild(_types_namespace=known)
    app = FastAPI()

    @app.post("/projects/{project_id}")
    async def accept(project_id: UUID4, body: body) -> dict[str, Any]:
        assert isinstance(body, BaseModel)
        return body.model_dump(mode="json", exclude_none=True)

    @app.exception_handler(RequestValidationError)
    async def refuse(_: object, error: RequestValidationError) -> Response:
        # FastAPI's own handler does the same, but can't write NaN and lone surrogates
        return Response(json.dumps({"detail": error.errors()}, default=bytes.decode), 422)

    return app


def _annotation(rule: dict[str, Any], known: dict[str, Any], name: str = "Model") -> Any:
    """The type that a rule of JSON Schema stands for."""
    match rule:
        case {"$ref": ref}:
            target = ref.rpartition("/")[2]
            return known.get(target, ForwardRef(target))
        case {"anyOf": rules}:
            return Union[tuple([_annotation(each, known) for each in rules])]  # noqa: UP007
        case {"oneOf": rules}:
            return Annotated[_annotation({"anyOf": rules}, known), Field(discriminator="type")]
        case {"const": value}:
            return Literal[value]
        case {"enum": values}:
            return Enum("Operator", {value: value for value in values})
        case {"type": "array", "items": items, "minItems": least}:
            return Annotated[list[_annotation(items, known)], Field(min_length=least)]
        case {"type": "array", "items": items}:
            return list[_annotation(items, known)]
        case {"format": "uuid4"}:
            return UUID4
        case {"format": "date-time"}:
            return Annotated[datetime, AfterValidator(lambda time: time if time.tzinfo else time.replace(tzinfo=UTC))]
        case {"type": "object", "properties": properties}:
            return create_model(name, **{key: _field(key, rule, known) for key in properties})
        case {"type": simple}:
            return _SIMPLE[simple]
    raise AssertionError(f"an unknown rule: {rule}")


def _field(key: str, rule: dict[str, Any], known: dict[str, Any]) -> tuple[Any, Any]:
    return _annotation(rule["properties"][key], known), ... if key in rule.get("required", ()) else None


async def post(app: FastAPI, path: str, body: bytes, content_type: str) -> tuple[int, Any]:
    """Status and JSON that an app answers, asked without a socket."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", content_type.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])
