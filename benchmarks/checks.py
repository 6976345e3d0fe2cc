"""What each check costs on the default data: ``python -m benchmarks.checks [naive|fair]``.

CPU seconds of this process, the report included; `reproducibility` trains again in another process,
whose time is not in it. The wall time of the whole step stands in `benchmarks/retrain.py`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.scoring import ROOT, default_data
from pipelines import params, wiring
from pipelines.layout import State
from pipelines.model import evaluate, train
from pipelines.records import Champion
from pipelines.release import check, checks, policy


def main(recipe: str, folder: Path) -> None:
    """Train a recipe and print what judging it costs."""
    layout = default_data(folder)
    layout.params.write_text(params.override(layout.params, {"candidate": recipe}))
    layout.policies.symlink_to(ROOT / "policies")
    context = wiring.context(layout, State(ROOT / "var"))
    train.run(context)
    evaluate.run(context)
    settings = params.read(layout.params)
    Champion(state="none", model_name=settings.model_name).write(layout.champion_record)
    case, pack = check.case_of(context, settings), policy.read(layout, settings.policy)
    layout.checks.mkdir(parents=True)
    check.one(checks.names()[0], case, pack)  # whichever comes first imports Evidently for all
    for name in checks.names():
        start = time.process_time()
        outcome = check.one(name, case, pack).outcome
        print(f"{name:16} {outcome:16} {time.process_time() - start:5.2f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(sys.argv[1] if len(sys.argv) > 1 else "fair", Path(temporary))
