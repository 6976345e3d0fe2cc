"""The tables that `dvc plots` draws: one CSV file a picture, named in flow.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

ROC_POINTS = 200


def write(folder: Path, scores: pd.DataFrame, measured: Any, training: Any) -> None:  # noqa: ANN401
    """Write all tables; `measured` and `training` are what metrics.json and training.json hold."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "roc.csv": roc(scores),
        "calibration.csv": pd.DataFrame(
            measured["calibration"], columns=["predicted", "observed", "n"]
        ),
        "selection_rates.csv": selection_rates(measured),
        "trade_off.csv": trade_off(training),
    }
    for name, table in tables.items():
        table.to_csv(folder / name, index=False)


def roc(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the ROC curve, thinned to ROC_POINTS; no margin of a person stands in it."""
    columns = ["false_positive_rate", "true_positive_rate"]
    target = scores["target"].to_numpy()
    if len(np.unique(target)) < 2:  # noqa: PLR2004 - a curve needs both outcomes
        return pd.DataFrame(columns=columns)
    false, true, _ = roc_curve(target, scores["margin"].to_numpy())
    kept = np.unique(np.linspace(0, len(false) - 1, ROC_POINTS).round().astype(np.int64))
    return pd.DataFrame(np.column_stack([false[kept], true[kept]]), columns=columns)


def selection_rates(measured: Any) -> pd.DataFrame:  # noqa: ANN401
    """Return the selection rate of every group, with its interval and size."""
    rows = [
        {
            "group": f"{attribute}: {name}",
            "selection_rate": group["measures"]["selection_rate"]["value"],
            "low": group["measures"]["selection_rate"]["low"],
            "high": group["measures"]["selection_rate"]["high"],
            "n": group["n"],
            "small": group["small"],
        }
        for attribute, found in measured["attributes"].items()
        for name, group in found["groups"].items()
    ]
    columns = ["group", "selection_rate", "low", "high", "n", "small"]
    return pd.DataFrame(rows, columns=columns)


def trade_off(training: Any) -> pd.DataFrame:  # noqa: ANN401
    """Return ratio against ROC AUC of each fit, out of fold; without a search, of one."""
    rows = [
        {
            "selection_rate_ratio": fit["selection_rate_ratio"],
            "roc_auc": fit["roc_auc"],
            "chosen": number == training["chosen"],
            "multipliers": "; ".join(f"{k}={v:.3g}" for k, v in fit["multipliers"].items()),
        }
        for number, fit in enumerate(training["fits"])
    ]
    return pd.DataFrame(rows)
