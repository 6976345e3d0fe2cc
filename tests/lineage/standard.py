"""The OpenLineage schema: as the standard's own client carries it, or as published.

The client's classes are generated from the published JSON schema and name its address. They are
turned back into JSON schemas here. With ``OPENLINEAGE_SPEC`` set to a folder that holds the
published files, those are used as they are.
"""

from __future__ import annotations

import enum
import json
import sys
import types
import typing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attr
from jsonschema import Draft202012Validator, FormatChecker
from openlineage.client.generated import (
    base,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    dataset_version_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
)
from referencing import Registry, Resource

ROOT = Path(__file__).resolve().parents[2]
OWN = json.loads((ROOT / "pipelines" / "lineage" / "clew-facets.json").read_text())
FACETS = {
    "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet,
    "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet,
    "dataQualityMetrics": data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet,
    "documentation": documentation_job.DocumentationJobFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "parent": parent_run.ParentRunFacet,
    "schema": schema_dataset.SchemaDatasetFacet,
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
}
FACET_BASES = {
    base.RunFacet,
    base.JobFacet,
    base.DatasetFacet,
    base.InputDatasetFacet,
    base.OutputDatasetFacet,
}
FORMATS = FormatChecker(("uuid",))
STAMPS = {"_producer": {"type": "string"}, "_schemaURL": {"type": "string"}}
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
FORMAT_OF = {"runId": "uuid", "eventTime": "date-time"}


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return datetime.fromisoformat(str(value)).tzinfo is not None


@FORMATS.checks("uri", raises=ValueError)
def _is_uri(value: object) -> bool:
    parts = urlsplit(str(value))
    return bool(parts.scheme and (parts.netloc or parts.path)) and " " not in str(value)


def errors_of(event: dict[str, Any]) -> list[str]:
    """Give everything in which an event or one of its facets departs from the standard."""
    found = _errors(base.RunEvent, event, "event")
    if event["schemaURL"] != base.RunEvent._get_schema():
        found.append("event: another schema than the client's")
    for where, key, facet in facets_of(event):
        found += _facet_errors(key, facet, f"{where}.{key}")
    return found


def facets_of(event: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Give each facet of an event with where it stands and its key."""
    holders = [("run", event["run"].get("facets", {})), ("job", event["job"].get("facets", {}))]
    for side in ("inputs", "outputs"):
        for each in event[side]:
            where, kinds = f"{side}.{each['name']}", ("facets", "inputFacets", "outputFacets")
            holders += [(where, each.get(kind, {})) for kind in kinds]
    return [(where, key, facet) for where, held in holders for key, facet in held.items()]


def published_errors(folder: Path, event: dict[str, Any]) -> list[str]:
    """Give an event's departures from the published schema files in `folder`."""
    files = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    known = [(each["$id"], Resource.from_contents(each)) for each in files if "$id" in each]
    registry = Registry().with_resources([*known, (OWN["$id"], Resource.from_contents(OWN))])
    schemas = [(event["schemaURL"], event)]
    schemas += [(facet["_schemaURL"], facet) for _, _, facet in facets_of(event)]
    found = []
    for url, value in schemas:
        checker = Draft202012Validator({"$ref": url}, registry=registry, format_checker=FORMATS)
        found += [f"{url}: {error.message}" for error in checker.iter_errors(value)]
    return found


def _facet_errors(key: str, facet: dict[str, Any], where: str) -> list[str]:
    if key.startswith("clew_"):
        definition = facet["_schemaURL"].partition("#")[2]
        schema = {**OWN, "$ref": f"#{definition}"}
        checker = Draft202012Validator(schema, format_checker=FORMATS)
        return [f"{where}: {error.message}" for error in checker.iter_errors(facet)]
    kind = FACETS.get(key)
    if kind is None:
        return [f"{where}: not a facet of the standard"]
    wrong_url = [] if facet["_schemaURL"] == kind._get_schema() else [f"{where}: another schema"]
    return wrong_url + _errors(kind, facet, where)


def _errors(kind: type, value: object, where: str) -> list[str]:
    checker = Draft202012Validator(schema_of(kind), format_checker=FORMATS)
    return [
        f"{where}{error.json_path[1:]}: {error.message}" for error in checker.iter_errors(value)
    ]


@cache
def schema_of(kind: type) -> dict[str, Any]:
    """Give the JSON schema of one of the client's classes; a field it lacks is refused."""
    defined: dict[str, Any] = {}
    return {**_of_class(kind, defined), "$defs": defined}


def _of_class(kind: Any, defined: dict[str, Any]) -> dict[str, Any]:
    if kind in FACET_BASES:
        return {"type": "object", "required": list(STAMPS)}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [each.value for each in kind]}
    if not attr.has(kind):
        return {}
    if kind.__name__ not in defined:
        defined[kind.__name__] = {}
        defined[kind.__name__] = _object(kind, defined)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _object(kind: Any, defined: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, vars(base) | vars(sys.modules[kind.__module__]))
    fields = [each for each in attr.fields(kind) if not each.name.startswith("_")]
    properties = {each.name: _of_hint(hints[each.name], defined) for each in fields}
    for name in properties.keys() & FORMAT_OF:
        properties[name]["format"] = FORMAT_OF[name]
    required = [each.name for each in fields if each.default is attr.NOTHING]
    stamps = STAMPS if issubclass(kind, base.BaseFacet) else {}
    return {
        "type": "object",
        "properties": {**properties, **stamps},
        "required": [*required, *stamps],
        "additionalProperties": False,
    }


def _of_hint(hint: Any, defined: dict[str, Any]) -> dict[str, Any]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if origin in {typing.Union, types.UnionType}:
        return {"anyOf": [_of_hint(each, defined) for each in inner if each is not type(None)]}
    if origin is list:
        return {"type": "array", "items": _of_hint(inner[0], defined)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of_hint(inner[1], defined)}
    return _of_class(hint, defined)
