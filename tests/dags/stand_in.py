"""A stand-in for ``python -m pipelines.cli``: it answers from ``answers.json`` beside it.

The wiring of a DAG is tested with it, for every outcome a step can have, in seconds; the real
commands are tested on their own, and all together by the end-to-end test.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

words = sys.argv[2:]
name = " ".join(word for word in words if not word.startswith("--"))
answers = json.loads(Path("answers.json").read_text())
planned = answers.get(name, {})
calls = Path("calls.jsonl")
before = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
if isinstance(planned, list):
    planned = planned[min(sum(call["name"] == name for call in before), len(planned) - 1)]
call = {
    "name": name,
    "words": words,
    "airflow_run_id": os.environ.get("CLEW_AIRFLOW_RUN_ID"),
    "airflow_settings": [key for key in os.environ if key.startswith("AIRFLOW__")],
    "stdin": sys.stdin.read(),
    "folder": Path.cwd().name,
}
with calls.open("a") as file:
    file.write(json.dumps(call) + "\n")
if "sleep" in planned:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path("child").write_text(str(child.pid))
    time.sleep(planned["sleep"])
print("a line for the log")
print(*planned.get("stderr", []), sep="\n", file=sys.stderr)
answer = {"commit": f"after-{name.replace(' ', '-')}"} | planned.get("answer", {})
print(planned["raw"] if "raw" in planned else json.dumps(answer))
sys.exit(planned.get("exit", 0))
