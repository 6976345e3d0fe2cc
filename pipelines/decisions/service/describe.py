"""The service's OpenAPI document, with the fields of the contract in force, and its page."""

from __future__ import annotations

import html
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pipelines.contract import Column, Contract
from pipelines.data.schema import required
from pipelines.decisions.service.desk import Desk

ASKED: Final = ("subject", "event_time", "feature", "protected")
KINDS: Final[dict[str, dict[str, str]]] = {
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
}
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
}
TEXT: Final = {"type": "string"}
NULLABLE_TEXT: Final = {"type": ["string", "null"]}
PROBLEM: Final = {
    "type": "object",
    "description": "Problem details (RFC 9457); names field and rule, never a value.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "instance": TEXT,
        "field": TEXT,
        "rule": TEXT,
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
DECISION: Final = {
    "type": "object",
    "required": ["decision_id", "decision", "because", "score", "reasons", "notice", "receipt"],
    "properties": {
        "decision_id": TEXT,
        "decision": {"enum": ["approve", "decline", "refer"]},
        "because": TEXT,
        "score": {"type": ["object", "null"]},
        "reasons": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": TEXT, "words": TEXT, "code": NULLABLE_TEXT},
            },
        },
        "notice": {"type": "object", "properties": {"automated": TEXT, "contest": TEXT}},
        "model": {"type": "object", "properties": {"name": TEXT, "version": TEXT}},
        "receipt": {
            "type": "object",
            "properties": {"index": {"type": "integer"}, "entry": TEXT, "proof": TEXT},
        },
    },
}
WORD: Final = {
    "type": "object",
    "required": ["person", "reason"],
    "additionalProperties": False,
    "properties": {"person": TEXT, "reason": TEXT},
}
SAID: Final = {"type": "object", "properties": {"stopped": {"type": "boolean"}, "recorded": TEXT}}


def operations() -> dict[str, dict[str, Any]]:
    """Return what each route says of itself."""
    one_or_many = [{"$ref": "#/components/schemas/Application"}, _list("Application")]
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "The same key gives the same decision, recorded once.",
    }
    told = {"anyOf": [{"$ref": "#/components/schemas/Decision"}, {"type": "array"}]}
    return {
        "decide": _operation(
            "Decide about one application, or a list of them",
            told,
            (400, 401, 403, 413, 422, 429, 503),
            {"requestBody": _body({"anyOf": one_or_many}), "parameters": [key]},
        ),
        "look": _operation(
            "Read a recorded decision; that you looked is recorded",
            {"type": "object"},
            (400, 401, 403, 404, 410, 429, 503),
            {},
        ),
        "stop": _operation("Refer everything", SAID, ERRORS, {"requestBody": _body(WORD)}),
        "resume": _operation("Decide again", SAID, ERRORS, {"requestBody": _body(WORD)}),
        "health": _operation("What decides, and what is wrong", {"type": "object"}, (503,), {}),
    }


ERRORS: Final = (400, 401, 403, 413, 503)


def _operation(
    summary: str, schema: dict[str, Any], errors: tuple[int, ...], extra: dict[str, Any]
) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[int, Any] = {
        code: {"description": "Problem", "content": problem} for code in errors
    }
    responses[200] = {"description": "Done", "content": {"application/json": {"schema": schema}}}
    return {"summary": summary, "responses": responses, "openapi_extra": extra}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": {"$ref": f"#/components/schemas/{name}"}}


def application(contract: Contract) -> dict[str, Any]:
    """Return the schema of an application under a contract."""
    columns = [column for column in contract.columns if column.role in ASKED]
    needed = [
        column.name
        for column in columns
        if column.role == "subject" or (column.role == "feature" and required(column))
    ]
    return {
        "type": "object",
        "description": f"An application under {contract.name} {contract.version}.",
        "additionalProperties": False,
        "required": needed,
        "properties": {column.name: _property(column) for column in columns},
    }


def _property(column: Column) -> dict[str, Any]:
    kind = KINDS[column.kind]
    found: dict[str, Any] = {**kind, "type": [kind["type"], "null"]}
    unit = f" ({column.unit})" if column.unit else ""
    found["description"] = column.description + unit
    return found


def document(app: FastAPI, desk: Desk) -> dict[str, Any]:
    """Return the OpenAPI document as things stand."""
    made = get_openapi(title=app.title, version=app.version, routes=app.routes)
    loaded = desk.in_force.seen.loaded
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    any_object = {"type": "object", "description": "No model is in force."}
    schemas["Application"] = application(loaded.model.contract) if loaded else any_object
    schemas |= {"Problem": PROBLEM, "Decision": DECISION}
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"key": []}]
    return made


def page(made: dict[str, Any]) -> str:
    """Return the document as one page without scripts."""
    routes = "".join(
        f"<tr><td><code>{method.upper()} {html.escape(path)}</code></td>"
        f"<td>{html.escape(each['summary'])}</td></tr>"
        for path, methods in made["paths"].items()
        for method, each in methods.items()
    )
    schema = made["components"]["schemas"]["Application"]
    needed = schema.get("required", ())
    fields = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{each['type'][0]}</td>"
        f"<td>{'needed' if name in needed else ''}</td>"
        f"<td>{html.escape(each['description'])}</td></tr>"
        for name, each in schema.get("properties", {}).items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Clew decisions</title>"
        "<style>body{font:16px/1.5 system-ui;max-width:60em;margin:2em auto;padding:0 1em}"
        "td{padding:.2em 1em .2em 0;vertical-align:top}</style><h1>Clew decisions</h1>"
        f"<table>{routes}</table><h2>An application</h2><p>{html.escape(schema['description'])}"
        f"</p><table>{fields}</table>"
        "<p>The whole description: <a href=openapi.json>openapi.json</a></p></html>"
    )
