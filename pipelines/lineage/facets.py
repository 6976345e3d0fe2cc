"""OpenLineage facets as plain data: the standard ones, and Clew's own with their schema.

The dictionaries are written here and not through the client's classes: importing those costs
half a second a step. Tests hold every one of them against the classes and against
`clew-facets.json`, which describes Clew's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.errors import ClewError

Facet = dict[str, object]

VERSION = "1-0-0"
PRODUCER = f"urn:clew:lineage:{VERSION}"
SPEC = "https://openlineage.io/spec"
EVENT_SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
OWN_SCHEMA = f"urn:clew:lineage:{VERSION}:clew-facets.json"


def _standard(version: str, name: str, **fields: object) -> Facet:
    url = f"{SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": url, **fields}


def _own(definition: str, **fields: object) -> Facet:
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{OWN_SCHEMA}#/$defs/{definition}",
        **fields,
    }


def job_type(kind: str) -> Facet:
    """Return what sort of job a step is: a step of a batch, leaving files or effects."""
    return _standard(
        "2-0-4",
        "JobTypeJobFacet",
        processingType="BATCH",
        integration="CLEW",
        jobType=f"{kind.upper()}_STEP",
    )


def documentation(summary: str) -> Facet:
    """Return the step's one-line summary."""
    return _standard("1-1-0", "DocumentationJobFacet", description=summary)


def parent(run_id: str, namespace: str, name: str) -> Facet:
    """Return the whole run that this step's run belongs to."""
    run, job = {"runId": run_id}, {"namespace": namespace, "name": name}
    return _standard(
        "1-2-0", "ParentRunFacet", run=run, job=job, root={"run": dict(run), "job": dict(job)}
    )


def error_message(error: BaseException) -> Facet:
    """Return the error's class and, for one of Clew's own, what was refused and where.

    Another library's message may quote a cell of a person's record, so only its class is told.
    """
    kind = type(error).__name__
    message = kind
    if isinstance(error, ClewError):
        message = f"{kind}: {error.what}" + (f" ({error.where})" if error.where else "")
    return _standard("1-0-1", "ErrorMessageRunFacet", message=message, programmingLanguage="PYTHON")


def version(text: str) -> Facet:
    """Return a dataset's version: ``sha256:…`` for files, the number of a model version."""
    return _standard("1-0-1", "DatasetVersionDatasetFacet", datasetVersion=text)


def schema(fields: Sequence[tuple[str, str]]) -> Facet:
    """Return a table's columns with their types, in their order."""
    listed = [{"name": name, "type": kind} for name, kind in fields]
    return _standard("1-2-0", "SchemaDatasetFacet", fields=listed)


def output_statistics(size: int, files: int, rows: int | None) -> Facet:
    """Return how much was written: bytes, files, and rows where they are known."""
    known = {} if rows is None else {"rowCount": rows}
    return _standard(
        "1-0-2", "OutputStatisticsOutputDatasetFacet", size=size, fileCount=files, **known
    )


def quality_metrics(rows: int, nulls: Mapping[str, int]) -> Facet:
    """Return counts: rows, and missing values by column."""
    columns = {name: {"nullCount": count} for name, count in nulls.items()}
    return _standard(
        "1-0-3", "DataQualityMetricsInputDatasetFacet", rowCount=rows, columnMetrics=columns
    )


def quality_assertions(
    broken: Sequence[tuple[str, str, int]], whole: str, *, passed: bool
) -> Facet:
    """Return the contract's outcome, and each rule (rule, column, rows) that rows broke."""
    listed: list[Facet] = [{"assertion": "contract", "success": passed, "actual": whole}]
    listed += [
        {"assertion": rule, "success": False, "actual": f"{count} rows"}
        | ({"column": column} if column else {})
        for rule, column, count in broken
    ]
    return _standard("1-1-0", "DataQualityAssertionsDatasetFacet", assertions=listed)


def column_lineage(fields: Mapping[str, Sequence[tuple[str, str, str]]], subtype: str) -> Facet:
    """Return, for each output column, the (namespace, dataset, column) it was made from."""
    how = [{"type": "DIRECT", "subtype": subtype}]
    mapped = {
        column: {
            "inputFields": [
                {"namespace": space, "name": name, "field": field, "transformations": how}
                for space, name, field in sources
            ]
        }
        for column, sources in fields.items()
    }
    return _standard("1-2-0", "ColumnLineageDatasetFacet", fields=mapped)


def digest(sha256: str, dvc_md5: str | None, files: Mapping[str, str]) -> Facet:
    """Return a dataset's SHA-256, DVC's MD5 of it when DVC keeps it, and its files' SHA-256."""
    known = {} if dvc_md5 is None else {"dvcMd5": dvc_md5}
    return _own("DigestDatasetFacet", sha256=sha256, files=dict(files), **known)


def record(kind: str, identity: str, digests: Sequence[str]) -> Facet:
    """Return the record that a dataset carries: its type, its content id, what it is known by."""
    return _own("RecordDatasetFacet", recordType=kind, recordId=identity, digests=list(digests))


def model(fields: Mapping[str, object]) -> Facet:
    """Return what a model is bound to: candidate, model, split, snapshot, environment ids."""
    return _own("ModelDatasetFacet", **fields)


def verdict(passed: bool, blocked_by: Sequence[str], fields: Mapping[str, object]) -> Facet:
    """Return the gate's answer and the digests it is bound to."""
    return _own("VerdictDatasetFacet", passed=passed, blockedBy=list(blocked_by), **fields)


def run(run_id: str, commit: str, airflow_run_id: str | None) -> Facet:
    """Return the run that a step worked for, by the names Clew and Airflow give it."""
    known = {} if airflow_run_id is None else {"airflowRunId": airflow_run_id}
    return _own("RunRunFacet", id=run_id, commit=commit, **known)


def environment(fields: Mapping[str, object]) -> Facet:
    """Return where the step ran: Python, system, machine, lock and environment id."""
    return _own("EnvironmentRunFacet", **fields)


def cached(*, is_cached: bool) -> Facet:
    """Return whether the step's outputs were taken over instead of made again."""
    return _own("CachedRunFacet", cached=is_cached)
