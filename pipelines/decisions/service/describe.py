"""The service's OpenAPI document, with the fields of the contract in force, and its page."""

from __future__ import annotations

import html
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pipelines.canonical import CONTROL, SEEN
from pipelines.contract import Column, Contract
from pipelines.decisions.admit import VERSION, Admission
from pipelines.decisions.fields import Field
from pipelines.decisions.service.desk import Desk
from pipelines.release.approve import LONGEST_REASON

LARGEST: Final = 2**63 - 1
KINDS: Final[dict[str, dict[str, Any]]] = {
    "integer": {"type": "integer", "minimum": -LARGEST - 1, "maximum": LARGEST},
    "number": {"type": "number"},
    "string": {"type": "string"},
    "boolean": {"type": ["boolean", "integer"], "enum": [False, True, 0, 1]},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
}
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
}
TEXT: Final = {"type": "string"}
# A name in one line; and one as records are kept under, with nothing blank around it.
ANY: Final = CONTROL.pattern.replace("[", "[^") + "*"
NAME: Final = f"^{ANY}{SEEN.pattern}{ANY}$"
KEPT: Final = f"^{SEEN.pattern}({ANY}{SEEN.pattern})?$"
NUMBER: Final = {
    "name": "decision_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}
SEVERAL: Final = {
    "type": "array",
    "minItems": 1,
    "description": "Applications. One that breaks the contract is sent back in its place.",
    "items": {},
}
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
    "properties": {
        "person": {"type": "string", "pattern": NAME, "description": "Who: a name of their own."},
        "reason": {"type": "string", "pattern": SEEN.pattern, "maxLength": LONGEST_REASON},
    },
}
SAID: Final = {"type": "object", "properties": {"stopped": {"type": "boolean"}, "recorded": TEXT}}


def operations() -> dict[str, dict[str, Any]]:
    """Return what each route says of itself."""
    one_or_many = [{"$ref": "#/components/schemas/Application"}, SEVERAL]
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
            (400, 401, 403, 413, 415, 422, 429, 503),
            {"requestBody": _body({"anyOf": one_or_many}), "parameters": [key]},
        ),
        "look": _operation(
            "Read a recorded decision; that you looked is recorded",
            {"type": "object"},
            (400, 401, 403, 404, 410, 429, 503),
            {},
        ),
        "stop": _operation("Refer everything", SAID, ERRORS, {"requestBody": _body(WORD)}),
        "resume": _operation("Decide again", SAID, (*ERRORS, 409), {"requestBody": _body(WORD)}),
        "health": _operation(
            "What decides, and what is wrong; anybody may ask",
            {"type": "object"},
            (503,),
            {"security": []},
        ),
    }


ERRORS: Final = (400, 401, 403, 413, 415, 503)


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


def application(contract: Contract, admission: Admission) -> dict[str, Any]:
    """Return the schema of an application under a contract, as the model in force admits it."""
    fields = admission.fields
    known = {"enum": [contract.version, None], "description": "The contract that the client knows."}
    return {
        "type": "object",
        "description": f"An application under {contract.name} {contract.version}.",
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.needed],
        "properties": {name: _property(field) for name, field in fields.items()} | {VERSION: known},
    }


def _property(field: Field) -> dict[str, Any]:
    """Return the schema of one field: what it refuses is not allowed, what it refers is.

    A field that may be missing may be null or empty text instead, as in a file.
    """
    column = field.column
    found: dict[str, Any] = dict(KINDS[column.kind])
    if field.read and column.outside == "refuse":
        found |= _bounds(column)
    if field.needed:
        found |= {"minLength": 1} if column.kind == "string" else {}
    if column.role == "subject" and column.kind == "string":
        found |= {"pattern": KEPT}
    if not field.needed:
        found = {"anyOf": [found, {"type": "null"}, {"const": ""}]}
    unit = f" ({column.unit})" if column.unit else ""
    return found | {"description": column.description + unit}


def _kind(schema: dict[str, Any]) -> str:
    """Return what a field's schema wants, in a word."""
    kind = schema.get("anyOf", [schema])[0].get("type", "string")
    return kind if isinstance(kind, str) else str(kind[0])


def _bounds(column: Column) -> dict[str, Any]:
    if column.allowed is not None:
        return {"enum": list(column.allowed)}
    ends = {"minimum": column.minimum, "maximum": column.maximum}
    return {name: end for name, end in ends.items() if end is not None}


def document(app: FastAPI, desk: Desk) -> dict[str, Any]:
    """Return the OpenAPI document as things stand."""
    made = get_openapi(title=app.title, version=app.version, routes=app.routes)
    loaded = desk.in_force.seen.loaded
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    any_object = {"type": "object", "description": "No model is in force."}
    schemas["Application"] = any_object
    if loaded is not None:
        model = loaded.model
        schemas["Application"] = application(model.contract, model.admission)
    schemas |= {"Problem": PROBLEM, "Decision": DECISION}
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"key": []}]
    made["paths"]["/v1/decisions/{decision_id}"]["get"]["parameters"] = [NUMBER]
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
        f"<tr><td><code>{html.escape(name)}</code></td><td>{_kind(each)}</td>"
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
