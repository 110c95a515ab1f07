"""The HTTP interface, described for programs: OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgan import __version__

BINARY = {"schema": {"type": "string", "format": "binary"}}

PROBLEM = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string", "description": "The reason, for programs."},
        "message": {"type": "string", "description": "The reason, for people: one line."},
    },
}

PROBLEMS: Mapping[str, str] = {
    "400": "The request means nothing: an unknown option, or a value out of range.",
    "403": "The request comes from another site, or is for another name than this server's.",
    "408": "The request took too long to come.",
    "413": "The request, or a picture in it, is too large.",
    "415": "A picture of a kind that is not read.",
    "422": "The picture is broken, or has not what the operation works on, such as a face.",
    "429": "Too many requests are here already.",
}


def document(
    operations: Sequence[Mapping[str, Any]], writing: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """For operations and fields as `forms.describe` and `forms.controls` describe them."""
    paths: dict[str, Any] = {
        f"/v1/{operation['name']}": {"post": _post(operation, writing)} for operation in operations
    }
    for path, summary in {
        "/healthz": "Whether it is up, and how many requests are here.",
        "/v1/operations": "Every operation with its fields.",
        "/v1/jobs/{job}": "How far a request is whose header Imgan-Job gave it this name.",
    }.items():
        paths[path] = {"get": {"summary": summary, "responses": {"200": _json({"type": "object"})}}}
    paths["/v1/jobs/{job}"]["get"]["parameters"] = [
        {"name": "job", "in": "path", "required": True, "schema": {"type": "string"}}
    ]
    return {
        "openapi": "3.1.0",
        "info": {"title": "imgan", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM},
            "responses": {
                status: _json({"$ref": "#/components/schemas/Problem"}, text)
                for status, text in PROBLEMS.items()
            },
        },
    }


def _post(operation: Mapping[str, Any], writing: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    fields = [*operation["fields"], *writing]
    references = [field for field in fields if field["type"] == "picture"]
    texts = [field for field in fields if field["type"] != "picture"]
    parts = {field["name"]: _schema(field) for field in references}
    if operation["pictures"] != "none":
        several = {"type": "array", "items": BINARY["schema"]}
        parts["picture"] = several if operation["pictures"] == "all" else BINARY["schema"]
    content: dict[str, Any] = {}
    if parts:
        needed = [field["name"] for field in references if field["needed"]]
        schema = {"type": "object", "properties": parts, "required": needed}
        content["multipart/form-data"] = {"schema": schema}
    if operation["pictures"] == "each" and not any(field["needed"] for field in references):
        content = {"image/*": BINARY, **content}
    post = {
        "summary": operation["summary"],
        "operationId": operation["name"],
        "parameters": [
            {
                "name": field["name"],
                "in": "query",
                "description": field["help"],
                "required": field["needed"],
                "schema": _schema(field),
            }
            for field in texts
        ],
        "responses": {
            "200": {
                "description": "The result.",
                "headers": {
                    name: {"schema": {"type": "string"}, "description": text}
                    for name, text in {
                        "Imgan-Facts": "What is known of the result, as JSON.",
                        "Imgan-Notes": "What a person should know, as a JSON list.",
                    }.items()
                },
                "content": {"*/*": BINARY},
            },
            **{status: {"$ref": f"#/components/responses/{status}"} for status in PROBLEMS},
        },
    }
    return {**post, "requestBody": {"content": content}} if content else post


def _schema(field: Mapping[str, Any]) -> dict[str, Any]:
    limits = {key: field[key] for key in ("minimum", "maximum") if field[key] is not None}
    one: dict[str, Any] = {"type": field["type"], **limits}
    if field["type"] == "picture":
        one = dict(BINARY["schema"])
    if field["choices"]:
        one["enum"] = field["choices"]
    schema = {"type": "array", "items": one} if field["many"] else one
    return schema if field["default"] is None else {**schema, "default": field["default"]}


def _json(schema: Mapping[str, Any], description: str = "JSON.") -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
