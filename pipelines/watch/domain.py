"""Whether a classifier can tell this window's people from those of the window before.

One column at a time can look the same while their joint distribution moved. A classifier that is
trained to tell the two windows apart, and judged on people it did not see, sees that too: an ROC
AUC of 0.5 is none. It needs rows, so a sample of either window is read out of the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.data.sketch import Floats
from pipelines.model.plan import Value
from pipelines.release.checks._statistics import delong, normal_interval
from pipelines.watch.findings import Finding, Status
from pipelines.watch_params import WatchParams

FOLDS: Final = 5
SAMPLE: Final = 5000
NO_DIFFERENCE: Final = 0.5
Rows = Sequence[Mapping[str, Value]]


def findings(now: Rows, former: Rows, names: Sequence[str], limits: WatchParams) -> list[Finding]:
    """Judge how well the two can be told apart; nothing unless `max_domain_auc` is set."""
    if limits.max_domain_auc is None:
        return []
    n = min(len(now), len(former))
    if n < limits.min_rows:
        said = f"{n} people in the smaller of two windows; judged from {limits.min_rows} on"
        return [_finding("not-enough-data", said, None, n, limits)]
    target = np.repeat([1, 0], [len(now), len(former)])
    values, variances = delong(target, told_apart([*now, *former], target, names, limits.seed))
    auc = float(values[0])
    low, high = normal_interval(auc, float(variances[0, 0]), limits.confidence)
    beyond = auc > limits.max_domain_auc and low > NO_DIFFERENCE
    unclear = not beyond and high - auc > limits.max_domain_auc - NO_DIFFERENCE
    status: Status = "alarm" if beyond else "not-enough-data" if unclear else "ok"
    said = (
        f"a classifier tells this window from the one before with ROC AUC {auc:.3f} "
        f"({low:.3f} to {high:.3f}), at most {limits.max_domain_auc:g}"
    )
    return [_finding(status, said, auc, n, limits)]


def told_apart(people: Rows, target: NDArray[np.int64], names: Sequence[str], seed: int) -> Floats:
    """Return each person's score by boosted trees that were fitted without them, shape (1, n)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    table = np.column_stack([_numbers([row.get(name) for row in people]) for name in names])
    model = HistGradientBoostingClassifier(max_iter=50, random_state=seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(model, table, target, cv=folds, method="decision_function")
    return np.asarray(scores, dtype=np.float64)[np.newaxis, :]


def _numbers(values: Sequence[Value]) -> Floats:
    """Return a column as numbers: texts by how frequent they are among all people, or NaN."""
    if all(each is None or isinstance(each, (int, float)) for each in values):
        return np.array([np.nan if each is None else float(each) for each in values])  # type: ignore[arg-type]
    texts = ["" if each is None else str(each) for each in values]
    names, counts = np.unique(texts, return_counts=True)
    places = dict(zip(names.tolist(), counts.argsort().argsort().tolist(), strict=True))
    return np.array([np.nan if text == "" else float(places[text]) for text in texts])


def _finding(
    status: Status, said: str, value: float | None, n: int, limits: WatchParams
) -> Finding:
    return Finding(
        check="domain",
        of="everybody",
        measure="roc_auc",
        status=status,
        said=said,
        value=value,
        bound=limits.max_domain_auc,
        n=n,
    )
