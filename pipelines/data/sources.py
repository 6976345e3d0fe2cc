"""Where data lands: a folder, an S3 prefix, a query on a database. Each is copied into a folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pipelines.errors import BadRequest, NotThere, Unavailable
from pipelines.layout import State
from pipelines.params import Source

UNFINISHED = (".part", ".partial", ".tmp", ".filepart", ".crdownload")
QUERY_FILE = "query.parquet"


class NothingLanded(NotThere):
    """The source answered and holds no file: on a schedule that is no fault."""


def fetch(
    source: Source,
    location: str,
    into: Path,
    *,
    state: State,
    chunk_rows: int,
    environ: Mapping[str, str],
) -> None:
    """Copy what landed into the folder `into`. Raises NotThere when nothing did."""
    if source.kind == "files":
        _files(state.home / location, source, into)
    elif source.kind == "s3":
        _s3(location, source, into)
    else:
        from pipelines.data.query import fetch as fetch_query

        fetch_query(location, source.query, into / QUERY_FILE, chunk_rows, environ)


def chosen(names: Iterable[str], pattern: str) -> list[str]:
    """Return the names that match, sorted. Raises Unavailable while one is still being written.

    Names that end as unfinished copies do, and hidden ones that would match without their dot,
    are files that somebody is writing.
    """
    found = []
    for name in sorted(names):
        bare = name.lstrip(".")
        hidden = bare != name and (fnmatch(bare, pattern) or fnmatch(bare, f"{pattern}.*"))
        if hidden or name.lower().endswith(UNFINISHED):
            raise _being_written(name)
        if name == bare and fnmatch(name, pattern):
            found.append(name)
    return found


def _being_written(name: str) -> Unavailable:
    return Unavailable(
        "a file is still being written",
        where=name,
        hint="try again when it is complete; rename leftovers of broken copies away",
    )


def _nothing(pattern: str, where: str) -> NothingLanded:
    return NothingLanded(
        "nothing landed", where=where, observed="no file matches", expected=f"files named {pattern}"
    )


def _files(folder: Path, source: Source, into: Path) -> None:
    if not folder.is_dir():
        raise NotThere("no such landing folder", where=str(folder), hint="params.yaml: data.source")
    found = chosen((path.name for path in folder.iterdir() if path.is_file()), source.pattern)
    if not found:
        raise _nothing(source.pattern, str(folder))
    paths = [folder / name for name in found]
    before = {path: _stamp(path) for path in paths}
    newest = max(changed for _, changed in before.values()) / 1e9
    time.sleep(min(max(0.0, newest + source.settle_seconds - time.time()), source.settle_seconds))
    for path in paths:
        try:
            shutil.copyfile(path, into / path.name)
        except FileNotFoundError:
            raise _being_written(path.name) from None
        if _stamp(path) != before[path]:
            raise _being_written(path.name)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        now = path.stat()
    except FileNotFoundError:
        raise _being_written(path.name) from None
    return now.st_size, now.st_mtime_ns


def _s3(location: str, source: Source, into: Path) -> None:
    """Copy the objects directly under a prefix; endpoint and credentials are the environment's."""
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
    from s3fs import S3FileSystem

    if not location.startswith("s3://"):
        raise BadRequest("not an S3 prefix", expected="s3://bucket/prefix")
    store = S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    try:
        _copy_objects(store, location, source.pattern, into)
    except FileNotFoundError:
        raise NotThere("no such S3 prefix", where=location) from None
    except (BotoCoreError, ClientError, OSError) as error:
        raise Unavailable(
            "the S3 store did not answer as needed",
            where=location,
            observed=type(error).__name__,
            hint="see AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ) from None


def _copy_objects(store: Any, location: str, pattern: str, into: Path) -> None:  # noqa: ANN401
    objects = _objects(store, location)
    found = chosen(objects, pattern)
    if not found:
        raise _nothing(pattern, location)
    for name in found:
        store.get_file(objects[name]["name"], str(into / name))
    after = _objects(store, location)
    for name in found:
        if name not in after or after[name]["ETag"] != objects[name]["ETag"]:
            raise _being_written(name)


def _objects(store: Any, location: str) -> Mapping[str, Mapping[str, Any]]:  # noqa: ANN401
    listed = store.ls(location, detail=True, refresh=True)
    return {each["name"].rsplit("/", 1)[-1]: each for each in listed if each["type"] == "file"}
