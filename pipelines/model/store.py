"""Models on disk: skops files made canonical, loaded only by digest and by our own list of types.

skops names objects by their address in memory and stamps the time of day, so the same fit would
give other bytes every time. Here every object is named by its content, members are sorted and
carry no time: the same fit gives the same bytes, and saving a loaded model gives them back.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import skops.io
from sklearn.pipeline import Pipeline
from skops.io.exceptions import UntrustedTypesFoundException

from pipelines.canonical import canonical_json, sha256_bytes
from pipelines.errors import IntegrityBroken, NotThere

SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
TREES = "sklearn.ensemble._hist_gradient_boosting"
# What a model of `estimators.py` is made of, and nothing else: (loader, module, class).
ALLOWED = frozenset(
    {
        ("DTypeNode", "numpy", "dtype"),
        ("DictNode", "builtins", "dict"),
        ("JsonNode", "builtins", "str"),
        ("ListNode", "builtins", "list"),
        ("LossNode", "sklearn._loss._loss", "CyHalfBinomialLoss"),
        ("NdArrayNode", "numpy", "float64"),
        ("NdArrayNode", "numpy", "ndarray"),
        ("NdArrayNode", "numpy", "uint64"),
        ("ObjectNode", "sklearn._loss.link", "Interval"),
        ("ObjectNode", "sklearn._loss.link", "LogitLink"),
        ("ObjectNode", "sklearn._loss.loss", "HalfBinomialLoss"),
        ("ObjectNode", "sklearn.compose._column_transformer", "ColumnTransformer"),
        ("ObjectNode", f"{TREES}.binning", "_BinMapper"),
        ("ObjectNode", f"{TREES}.gradient_boosting", "HistGradientBoostingClassifier"),
        ("ObjectNode", f"{TREES}.predictor", "TreePredictor"),
        ("ObjectNode", "sklearn.impute._base", "SimpleImputer"),
        ("ObjectNode", "sklearn.linear_model._logistic", "LogisticRegression"),
        ("ObjectNode", "sklearn.pipeline", "Pipeline"),
        ("ObjectNode", "sklearn.preprocessing._data", "StandardScaler"),
        ("ObjectNode", "sklearn.preprocessing._encoders", "OneHotEncoder"),
        ("ObjectNode", "sklearn.preprocessing._function_transformer", "FunctionTransformer"),
        ("ObjectNode", "sklearn.preprocessing._label", "LabelEncoder"),
        ("RandomGeneratorNode", "numpy.random._generator", "Generator"),
        ("SliceNode", "builtins", "slice"),
        ("TupleNode", "builtins", "tuple"),
        ("TypeNode", "builtins", "str"),
        ("TypeNode", "numpy", "float64"),
    }
)
# Of these, the ones that skops does not trust by itself.
TRUSTED = ["numpy.dtype", f"{TREES}.predictor.TreePredictor"]


def dumps(model: Pipeline) -> bytes:
    """Return a model as canonical skops bytes. Raises IntegrityBroken for a type not allowed."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as raw:
        schema = json.loads(raw.read(SCHEMA))
        arrays = {name: raw.read(name) for name in raw.namelist() if name != SCHEMA}
    _refuse_types(schema)
    names = {name: f"{sha256_bytes(data)[:32]}.npy" for name, data in arrays.items()}
    _rename(schema, names)
    _renumber(schema)
    members = {names[name]: data for name, data in arrays.items()}
    return _zipped(members | {SCHEMA: json.dumps(schema, separators=(",", ":")).encode()})


def save(model: Pipeline, path: Path) -> str:
    """Write a model; return the SHA-256 of its bytes."""
    data = dumps(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return sha256_bytes(data)


def load(path: Path, sha256: str) -> Pipeline:
    """Read the model whose bytes have this SHA-256.

    The digest is checked before the file is parsed, and the types before one object is made.
    Raises NotThere, or IntegrityBroken.
    """
    if not path.is_file():
        raise NotThere("no such model file", where=path.name)
    data = path.read_bytes()
    if sha256_bytes(data) != sha256:
        raise IntegrityBroken(
            "a model file is not what its record says",
            where=path.name,
            observed=sha256_bytes(data),
            expected=sha256,
        )
    return loads(data)


def loads(data: bytes) -> Pipeline:
    """Make the model of these bytes. Raises IntegrityBroken for whatever is not on our list."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            schema = json.loads(file.read(SCHEMA))
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise IntegrityBroken("not a skops file") from None
    _refuse_types(schema)
    try:
        return skops.io.loads(data, trusted=TRUSTED)
    except UntrustedTypesFoundException as error:
        raise IntegrityBroken("a model holds a type that is not trusted") from error


def _refuse_types(schema: object) -> None:
    found = {_type(node) for node in _nodes(schema)}
    if unknown := sorted(found - ALLOWED):
        loader, module, name = unknown[0]
        raise IntegrityBroken(
            "a model holds a type that is not on the list of allowed types",
            observed=f"{module}.{name} ({loader})",
            expected="the types named in pipelines/model/store.py",
        )


def _type(node: dict[str, Any]) -> tuple[str, str, str]:
    return (str(node.get("__loader__")), str(node.get("__module__")), str(node.get("__class__")))


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    """Yield every object of a schema: whatever skops would make something of."""
    if isinstance(value, dict):
        if not value.keys().isdisjoint(("__class__", "__loader__", "__module__")):
            yield value
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _nodes(item)


def _rename(schema: object, names: dict[str, str]) -> None:
    for node in _nodes(schema):
        if "file" in node:
            node["file"] = names[node["file"]]


def _renumber(value: object) -> bytes:
    """Name every object by its content, from the leaves up; return the digest of `value`.

    Equal parts get equal names, so which parts happened to be one object in memory leaves no trace.
    """
    if isinstance(value, list):
        return _digest([_renumber(item).hex() for item in value])
    if not isinstance(value, dict):
        return _digest(value)
    content = [[key, _renumber(item).hex()] for key, item in value.items() if key != "__id__"]
    digest = _digest(content)
    if "__id__" in value:
        value["__id__"] = int.from_bytes(digest[:8], "big")
    return digest


def _digest(value: object) -> bytes:
    return hashlib.sha256(canonical_json(value)).digest()


def _zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_STORED) as file:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=EPOCH)
            info.create_system = 3
            info.external_attr = 0o600 << 16
            file.writestr(info, members[name])
    return buffer.getvalue()
