"""Wall time of one retrain: a bare script, `dvc repro`, and Airflow, on the same data in one run.

``python benchmarks/retrain.py [--rows N] [--candidate NAME] [--skip-airflow]`` prints a Markdown
table. The bare script calls the very same step functions one after another in one process: no
DVC, no git, no lineage, no process of its own for the model. With ``--rows`` the default data is
drawn from with replacement up to N rows with new ids, so that the script takes long enough for
overheads to show as what they are.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import random
import runpy
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAND = ROOT / "examples" / "boston_mortgages" / "land.py"
BARE = """
import json, sys, time
from pathlib import Path
from pipelines import flow, wiring, params
from pipelines.layout import Layout, state
import importlib
here = Layout(Path.cwd())
context = wiring.context(here, state(here.root))
wiring.prepare_registry(context.state)
took = {}
for step in flow.STEPS:
    if step.name in ("register", "promote"):
        continue
    start = time.perf_counter()
    importlib.import_module(step.module).run(context)
    took[step.name] = time.perf_counter() - start
print(json.dumps(took))
"""


def main() -> None:
    """Measure and print."""
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as name:
        folder = Path(name)
        clone, home = prepared(folder, asked)
        environment = os.environ | {
            "CLEW_HOME": str(home),
            "PYTHONPATH": str(clone),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        parse = parse_times(clone, environment)
        bare, bare_total = bare_script(clone, environment)
        dvc, dvc_total = dvc_repro(folder, clone, home, environment)
        tasks, airflow_total = ({}, None) if asked.skip_airflow else airflow(clone, home, asked)
    print(f"\n{rows_of(asked)} rows, candidate `{asked.candidate}`; seconds of wall time\n")
    print("| step | bare script | dvc repro | Airflow task |\n|---|---|---|---|")
    for step, seconds in bare.items():
        print(f"| {step} | {seconds:.1f} | {shown(dvc.get(step))} | {shown(tasks.get(step))} |")
    for step in sorted(set(tasks) - set(bare)):
        print(f"| {step} | | | {shown(tasks[step])} |")
    print(
        f"| **whole** | **{bare_total:.1f}** | **{dvc_total:.1f}** | **{shown(airflow_total)}** |"
    )
    ratio = f"{airflow_total / bare_total:.2f}" if airflow_total else "-"
    print(f"| beside the bare script | 1 | {dvc_total / bare_total:.2f} | {ratio} |")
    print("\n| DAG file | parse, s |\n|---|---|")
    for file, seconds in parse.items():
        print(f"| {file} | {seconds:.2f} |")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=0, help="0: the default data as it is")
    parser.add_argument("--candidate", default="fair")
    parser.add_argument("--skip-airflow", action="store_true")
    return parser.parse_args()


def rows_of(asked: argparse.Namespace) -> str:
    """Return the number of rows as text."""
    return f"{asked.rows:,}" if asked.rows else "1,989"


def shown(seconds: float | None) -> str:
    """Return seconds as text, a dash for none."""
    return "-" if seconds is None else f"{seconds:.1f}"


def prepared(folder: Path, asked: argparse.Namespace) -> tuple[Path, Path]:
    """Return a clone of the committed tree and a state folder with the data landed."""
    clone, home = folder / "clone", folder / "var"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    params = clone / "params.yaml"
    lines = params.read_text().splitlines(keepends=True)
    chosen = [
        f"candidate: {asked.candidate}\n" if line.startswith("candidate:") else line
        for line in lines
    ]
    params.write_text("".join(chosen))
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    commit = ["commit", "--quiet", "--allow-empty", "-am", "bench"]
    subprocess.run(["git", *identity, *commit], cwd=clone, check=True)
    landing = home / "landing"
    landing.mkdir(parents=True)
    file = runpy.run_path(str(LAND))["main"](landing)
    if asked.rows:
        resample(file, asked.rows)
    shared = ROOT / "var" / "environments"
    if shared.exists():
        (home / "environments").symlink_to(shared)
    return clone, home


def resample(file: Path, rows: int) -> None:
    """Draw rows with replacement, with new ids in the first column."""
    with file.open(newline="") as source:
        header, *body = csv.reader(source)
    draw = random.Random(1)  # noqa: S311 - a benchmark's data
    with file.open("w", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(header)
        for number in range(rows):
            writer.writerow([f"R{number:09d}", *draw.choice(body)[1:]])


def bare_script(clone: Path, environment: dict[str, str]) -> tuple[dict[str, float], float]:
    """Run the step functions in one process; return seconds by step, and of the whole process."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", BARE],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    total = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]), total


def dvc_repro(
    folder: Path, clone: Path, home: Path, environment: dict[str, str]
) -> tuple[dict[str, float], float]:
    """Reproduce in a fresh clone after `ingest`; return seconds by step, and of both commands."""
    fresh = folder / "dvc"
    subprocess.run(["git", "clone", "--quiet", str(clone), str(fresh)], check=True)
    own = environment | {"PYTHONPATH": str(fresh), "CLEW_HOME": str(home.with_name("var-dvc"))}
    Path(own["CLEW_HOME"]).mkdir()
    for name in ("landing", "environments"):
        if (home / name).exists():
            (Path(own["CLEW_HOME"]) / name).symlink_to((home / name).resolve())
    program = [sys.executable, "-m"]
    commands = (
        [*program, "pipelines.run_step", "ingest"],
        [*program, "dvc", "add", "-q", "data/landed"],
        [*program, "dvc", "repro"],
    )
    subprocess.run([*program, "pipelines.cli", "init"], cwd=fresh, env=own, check=True)
    start = time.perf_counter()
    for command in commands:
        subprocess.run(command, cwd=fresh, env=own, check=True, stdout=sys.stderr)
    total = time.perf_counter() - start
    return step_times(Path(own["CLEW_HOME"]) / "lineage" / "events.jsonl"), total


def step_times(events: Path) -> dict[str, float]:
    """Return seconds from START to COMPLETE by step, from the lineage file."""
    times: dict[str, dict[str, datetime]] = {}
    for line in events.read_text().splitlines():
        event = json.loads(line)
        at = datetime.fromisoformat(event["eventTime"])
        times.setdefault(event["job"]["name"], {})[event["eventType"]] = at
    return {
        name: (kinds["COMPLETE"] - kinds["START"]).total_seconds()
        for name, kinds in times.items()
        if "COMPLETE" in kinds and "START" in kinds
    }


def airflow(clone: Path, home: Path, asked: argparse.Namespace) -> tuple[dict[str, float], float]:
    """Run both DAGs on a running stack; return seconds by task, and of both runs."""
    sys.path.insert(0, str(clone))
    os.environ["CLEW_HOME"] = str(home)
    up = importlib.import_module("pipelines.stack.up")
    api_module = importlib.import_module("pipelines.stack.airflow_api")
    settings = importlib.import_module("pipelines.stack.settings").Settings()
    state = importlib.import_module("pipelines.layout").State(home)
    took: dict[str, float] = {}
    total = 0.0
    with up.running(state, clone, settings):
        api = api_module.connect(state, "engineer")
        for dag, conf in (("prepare_data", {}), ("train_model", {"candidate": asked.candidate})):
            api.wait_for_dag(dag, 300)
            api.unpause(dag)
            run = api.wait(dag, api.trigger(dag, conf).run_id, 3600)
            found = api.get(f"dags/{dag}/dagRuns/{run.run_id}")
            total += seconds(found["queued_at"], found["end_date"])
            tasks = api.get(f"dags/{dag}/dagRuns/{run.run_id}/taskInstances?limit=100")
            for task in tasks["task_instances"]:
                if task["duration"] is not None:
                    name = task["task_id"]
                    took[name] = took.get(name, 0.0) + task["duration"]
            api.unpause(dag, paused=True)
    return took, total


def seconds(start: str, end: str) -> float:
    """Return the seconds between two ISO times."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def parse_times(clone: Path, environment: dict[str, str]) -> dict[str, float]:
    """Return the seconds each DAG file takes to load in a process that has Airflow loaded."""
    code = (
        "import time, sys, json, pathlib, runpy; import airflow.sdk; sys.path.insert(0, 'dags')\n"
        "took = {}\n"
        "for file in sorted(pathlib.Path('dags').glob('[!_]*.py')):\n"
        "    start = time.perf_counter(); runpy.run_path(str(file))\n"
        "    took[file.name] = time.perf_counter() - start\n"
        "print(json.dumps(took))"
    )
    home = {"AIRFLOW_HOME": environment["CLEW_HOME"] + "/airflow-parse"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=clone,
        env=environment | home,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
