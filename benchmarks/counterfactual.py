"""Compare counterfactuals with DiCE's: the same people, models, columns and allowed directions.

    python -m benchmarks.counterfactual --peer PYTHON [--people 40]

PYTHON is an interpreter that has dice-ml, msgspec, PyYAML and the versions of scikit-learn, numpy,
pandas and skops of this stack. Everybody declined in the test part who has no missing value is
asked for one change. DiCE gets scikit-learn's own pipeline, the training part, each column's range
or other values in the allowed direction, and its defaults for the rest. A change counts as found
when the plan approves it; costs are ours for both: median absolute deviations, another category 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("random", "genetic")
GENETIC = 6  # people for the genetic method, which takes up to a minute for each
SEED = 7
NEAR = 1e-9


def ask(folder: Path, people: int) -> dict[str, dict[str, Any]]:
    """Train both models, find our changes, and write what the peer needs; return our answers."""
    from benchmarks.account import default_data
    from benchmarks.scoring import BOOSTED
    from pipelines import params

    data = folder / "data"
    data.mkdir()
    layout = default_data(data)
    linear = msgspec.structs.replace(params.read(layout.params).recipe, mitigation=None)
    ours = {}
    for name, recipe in (("linear", linear), ("trees", BOOSTED)):
        ours[name] = _cases(folder / name, layout, recipe, people)
    return ours


def _cases(folder: Path, layout: Any, recipe: Any, people: int) -> dict[str, Any]:  # noqa: ANN401
    from benchmarks.account import version
    from pipelines.account.counterfactual import _diverse
    from pipelines.account.levers import levers
    from pipelines.account.then import Then, said
    from pipelines.contract import Contract
    from pipelines.data import profile
    from pipelines.decisions.load import load
    from pipelines.model import parts
    from pipelines.model.rows import rows
    from pipelines.params import DecideParams
    from pipelines.records import Split
    from pipelines.typed import read_json

    files, record = version(layout, recipe, folder)
    model = load(files, msgspec.structs.replace(record, version="1"), DecideParams())
    known, split = profile.read(files.profile), read_json(layout.split_record, Split)
    features, target = model.candidate.features, read_json(files.contract, Contract).target.name
    frames = {name: parts.read(layout, split, name) for name in ("train", "test")}  # type: ignore[arg-type]
    (folder / "train.json").write_bytes(
        msgspec.json.encode(list(rows(frames["train"], [*features, target])))
    )
    asked, found = [], []
    for row in rows(frames["test"], list(model.admission.fields)):
        data = msgspec.json.encode({k: v for k, v in row.items() if v is not None})
        application = model.admission.admit(data)
        answer = said(model, application)
        whole = all(application.values[name] is not None for name in features)
        if answer.outcome != "decline" or not whole or len(asked) >= people:
            continue
        free = levers(model, application.values, known)
        then = Then(model, files, data, application, answer)
        start = time.process_time()
        ((result, _),) = _diverse(then, free, 1)
        took = time.process_time() - start
        cost = None if result.changes is None else result.cost
        found.append({"ms": took * 1e3, "cost": cost, "row": application.values, "free": free})
        asked.append(
            {
                "row": {name: application.values[name] for name in features},
                "ranges": {each.name: [each.low, each.high] for each in free if not each.options},
                "options": {
                    each.name: [v for v, _ in each.options] for each in free if each.options
                },
            }
        )
    kind = model.candidate.margin
    (folder / "asked.json").write_bytes(
        msgspec.json.encode(
            {
                "kind": kind,
                "model": str(files.model),
                "sha256": record.model_sha256,
                "needed": model.approve_from,
                "features": features,
                "target": target,
                "cases": asked,
            }
        )
    )
    return {"model": model, "found": found}


def peer(folder: Path) -> None:
    """Answer the same cases with DiCE, in its own interpreter; write JSON."""
    warnings.filterwarnings("ignore")
    import dice_ml
    import numpy as np
    import pandas as pd

    from pipelines.model import score, store

    told = json.loads((folder / "asked.json").read_bytes())
    features, target, needed = told["features"], told["target"], told["needed"]
    model = store.load(Path(told["model"]), told["sha256"])
    frame = pd.DataFrame(json.loads((folder / "train.json").read_bytes())).dropna()
    chosen = {name for each in told["cases"] for name in each["options"]}
    kept = frame.select_dtypes("object").columns
    texts = [
        name for name in features if name in chosen or name in kept or frame[name].dtype == bool
    ]
    back = {name: {str(value): value for value in frame[name].unique()} for name in texts}
    for each in told["cases"]:
        for name in texts:
            values = [each["row"][name], *each["options"].get(name, [])]
            back[name] |= {str(value): value for value in values}

    def typed(given: pd.DataFrame) -> pd.DataFrame:
        made = {}
        for name in features:
            column = given[name]
            made[name] = (
                column.astype(str).map(back[name]) if name in texts else column.astype(float)
            )
        return pd.DataFrame(made)

    class Wrapped:
        """scikit-learn's pipeline, with the version's operating point at one half."""

        def predict_proba(self, given: pd.DataFrame) -> Any:  # noqa: ANN401
            share = 1 / (1 + np.exp(needed - score.margins(model, typed(given), told["kind"])))
            return np.stack([1 - share, share], axis=1)

        def predict(self, given: pd.DataFrame) -> Any:  # noqa: ANN401
            return self.predict_proba(given).argmax(axis=1)

    shown = frame[[*features, target]].copy()
    for name in features:
        shown[name] = shown[name].astype(str) if name in texts else shown[name].astype(float)
    shown[target] = shown[target].astype(int)
    data = dice_ml.Data(
        dataframe=shown,
        continuous_features=[name for name in features if name not in texts],
        outcome_name=target,
    )
    wrapped = dice_ml.Model(model=Wrapped(), backend="sklearn")
    answers = []
    for method in METHODS:
        explainer = dice_ml.Dice(data, wrapped, method=method)
        for number, each in enumerate(told["cases"][: GENETIC if method == "genetic" else None]):
            answers.append(_answered(explainer, method, number, each, texts, back))
    (folder / "answers.json").write_text(json.dumps(answers))  # DiCE prints on stdout


def _answered(
    explainer: Any,  # noqa: ANN401
    method: str,
    number: int,
    asked: dict[str, Any],
    texts: list[str],
    back: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    import pandas as pd

    row = asked["row"]
    query = pd.DataFrame(
        [{name: str(value) if name in texts else float(value) for name, value in row.items()}]
    )
    allowed = dict(asked["ranges"])
    for name, values in asked["options"].items():
        allowed[name] = [str(value) for value in (row[name], *values)]
    more = {"random_seed": SEED} if method == "random" else {}
    start = time.process_time()
    try:
        made = explainer.generate_counterfactuals(
            query,
            total_CFs=1,
            desired_class=1,
            features_to_vary=list(allowed),
            permitted_range=allowed,
            verbose=False,
            **more,
        )
        final = made.cf_examples_list[0].final_cfs_df
    except Exception as error:  # noqa: BLE001 - whatever it is, DiCE has no answer
        final, note = None, type(error).__name__
    else:
        note = ""
    took = (time.process_time() - start) * 1e3
    values: dict[str, Any] | None = None
    if final is not None and len(final):
        first = final.iloc[0]
        values = {
            name: back[name][str(first[name])] if name in texts else float(first[name])
            for name in allowed
        }
    return {"method": method, "case": number, "ms": took, "values": values, "note": note}


def compared(ours: dict[str, Any], answers: list[dict[str, Any]]) -> Iterator[dict[str, object]]:
    """Yield a row of the table for each method."""
    model, found = ours["model"], ours["found"]
    for method in METHODS:
        theirs = [each for each in answers if each["method"] == method]
        nearer, beaten, ratios = 0, 0, []
        for each in theirs:
            own = found[each["case"]]
            cost = _cost(model, own, each["values"])
            if cost is None:
                continue
            beaten += 1
            if own["cost"] is not None and own["cost"] <= cost + NEAR:
                nearer += 1
            if own["cost"]:
                ratios.append(cost / own["cost"])
        yield {
            "method": method,
            "people": len(theirs),
            "ours found": sum(found[each["case"]]["cost"] is not None for each in theirs),
            "ours, median ms": statistics.median(each["ms"] for each in found),
            "theirs approved and allowed": beaten,
            "theirs, median ms": statistics.median(each["ms"] for each in theirs),
            "ours nearer or equal, of those": nearer,
            "their cost beside ours, median": statistics.median(ratios) if ratios else None,
            "errors": sorted({each["note"] for each in theirs if each["note"]}),
        }


def _cost(model: Any, own: dict[str, Any], values: dict[str, Any] | None) -> float | None:  # noqa: ANN401
    """Return what a change costs; None where it is not allowed, or the plan does not approve it."""
    if values is None:
        return None
    changed, cost = dict(own["row"]), 0.0
    for lever in own["free"]:
        value = values[lever.name]
        if lever.options is None:
            value = lever.typed(value)
            if not lever.low - NEAR <= value <= lever.high + NEAR:
                return None
        if value != lever.now:
            cost += lever.cost(value)
            changed[lever.name] = value
    return cost if model.plan.margin(changed) >= model.approve_from else None


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--peer", required=True, help="a Python that has dice-ml")
    parser.add_argument("--people", type=int, default=40)
    asked = parser.parse_args()
    told: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder:
        ours = ask(Path(folder), asked.people)
        for name, each in ours.items():
            done = subprocess.run(
                [asked.peer, "-m", "benchmarks.counterfactual", str(Path(folder) / name)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(done.stderr)
            answers = json.loads((Path(folder) / name / "answers.json").read_bytes())
            told[name] = list(compared(each, answers))
            print(json.dumps({name: told[name]}), file=sys.stderr, flush=True)
    json.dump(told, sys.stdout, indent=2)


if __name__ == "__main__":
    if len(sys.argv) == 2 and Path(sys.argv[1]).is_dir():  # noqa: PLR2004
        peer(Path(sys.argv[1]))
    else:
        main()
