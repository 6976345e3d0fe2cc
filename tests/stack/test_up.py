"""The whole stack, really started: health, privacy, restarts, approvals under load, the end.

One stack is started for the file. Its DAG folder, home folder and temporary folder are its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.errors import BadRequest
from pipelines.layout import Layout, State
from pipelines.stack import doctor, processes, record, up
from pipelines.stack.airflow_api import APPROVE, Airflow, Question, Run, connect
from pipelines.stack.settings import Settings
from tests.conftest import ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1800)]

DAGS = '''
"""Three small DAGs: one that counts, one that asks, one that stays."""
from datetime import timedelta
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task

with DAG("counts", schedule=None, params={"number": Param(1, type="integer", minimum=1)},
         max_active_runs=4):
    @task
    def first(params):
        print("counted", "here")
        return params["number"]
    @task
    def second(number):
        return number + 1
    second(first())

with DAG("asks", schedule=None, max_active_runs=100):
    @task
    def before():
        return 1
    @task
    def after():
        return 2
    approve = ApprovalOperator(
        task_id="approve", subject="May it?", response_timeout=timedelta(hours=1),
        assigned_users=[{"id": "approver", "name": "approver"}],
        params={"reason": Param(None, type=["null", "string"], minLength=3)})
    before() >> approve >> after()

with DAG("stays", schedule=None):
    @task
    def stay():
        import os, pathlib, subprocess, sys, time
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        subprocess.Popen(sleeper, start_new_session=True)
        time.sleep(600)
    stay()
'''
WELL = "9 healthy; decisions wait: no version was promoted"
OUTSIDE_LOOPBACK = ("00000000", "00000000000000000000000000000000")
LISTENING = "0A"  # of /proc/net/tcp, include/net/tcp_states.h


@dataclass(frozen=True)
class Live:
    """A started stack and the folders around it."""

    state: State
    home: Path
    temporary: Path
    repository: Path

    def api(self, user: str) -> Airflow:
        return connect(self.state, user)

    def pids(self) -> tuple[int, ...]:
        leader = record.ready(self.state).supervisor.pid
        return (leader, *processes.descendants(leader))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Start a stack with a home and a temporary folder that nothing may write to."""
    base = tmp_path_factory.mktemp("live")
    one = Live(State(base / "state"), base / "home", base / "tmp", base / "repository")
    for folder in (one.home, one.temporary, one.repository / "dags"):
        folder.mkdir(parents=True)
    (one.repository / "dags" / "small.py").write_text(DAGS)
    for name in (Layout(ROOT).params, Layout(ROOT).model_lock):
        copied = one.repository / name.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(name.read_text())
    subprocess.run(["git", "init", "--quiet", str(one.repository)], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(one.home))
        patch.setenv("TMPDIR", str(one.temporary))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        with up.running(one.state, one.repository, Settings()):
            engineer = one.api("engineer")
            for dag in ("counts", "asks", "stays"):
                engineer.wait_for_dag(dag, 60)
                engineer.unpause(dag)
            yield one


def wait_for(claim: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not claim() and time.monotonic() < end:
        time.sleep(0.2)
    return bool(claim())


def listening(pids: tuple[int, ...]) -> list[str]:
    """Return the hexadecimal local addresses on which these processes listen, by /proc."""
    mine = {
        str(link.readlink())
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").glob("*")
        if link.is_symlink() and str(link.readlink()).startswith("socket:")
    }
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in mine:
                found.append(fields[1].partition(":")[0])
    return found


def memory(pids: tuple[int, ...]) -> float:
    """Return the proportional memory of processes in MB."""
    pages = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(page.partition("Pss:")[2].split()[0]) for page in pages) / 1024


def test_every_service_calls_itself_healthy(live: Live) -> None:
    """The doctor finds every part of a started stack healthy, by the parts' own pages.

    The decision service is healthy without a champion, and says what it waits for, as soon as it
    has asked the registry, which may be ready later than it.
    """
    wait_for(lambda: doctor.services(live.state) == (True, WELL), 30)
    assert (True, WELL) == doctor.services(live.state)


def test_decisions_wait_for_a_champion(live: Live) -> None:
    """Before a version is promoted the running service gives no decision: 503, try again."""
    url = record.ready(live.state).decisions
    words = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/decisions", b"{}", words)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310
    assert (503, True) == (refused.value.code, "Retry-After" in refused.value.headers)


def test_its_memory_is_told(live: Live, record_property: Callable[[str, object], None]) -> None:
    """MLflow has two processes, and what the whole takes is reported."""
    running = {one.name: one.pid for one in record.ready(live.state).services}
    record_property("pss_mb", round(memory(live.pids())))
    assert 1 == len(processes.descendants(running["mlflow"]))


def test_nothing_listens_beyond_the_loopback_interface(live: Live) -> None:
    """Two of Airflow, MLflow, decisions, pages and Evidently listen, all on 127.0.0.1."""
    assert ["0100007F"] * 6 == listening(live.pids())


def test_a_listener_beyond_the_loopback_interface_would_be_seen() -> None:
    """The reading of /proc tells an open socket from a closed one."""
    import socket

    with socket.create_server(("0.0.0.0", 0)):  # noqa: S104 - what must be seen
        assert OUTSIDE_LOOPBACK[0] in listening((os.getpid(),))


def test_a_run_goes_through_and_its_tasks_are_told(live: Live) -> None:
    """A triggered run succeeds, and each task is listed with its state."""
    engineer = live.api("engineer")
    run = engineer.trigger("counts", {"number": 4})
    assert "success" == engineer.wait("counts", run.run_id, 120).state
    assert {"first": "success", "second": "success"} == {
        task.name: task.state for task in engineer.tasks("counts", run.run_id)
    }


def test_a_task_log_can_be_read_without_a_log_server(live: Live) -> None:
    """The page of a task shows its log from the disk."""
    engineer = live.api("engineer")
    run = engineer.trigger("counts", {"number": 1})
    engineer.wait("counts", run.run_id, 120)
    path = f"dags/counts/dagRuns/{run.run_id.replace('+', '%2B')}/taskInstances/first/logs/1"
    assert "counted here" in json.dumps(engineer.get(path))


def test_a_wrong_parameter_is_refused_by_the_schema_without_its_value(live: Live) -> None:
    """A refused trigger names the parameter and the rule, not the value."""
    with pytest.raises(BadRequest) as caught:
        live.api("engineer").trigger("counts", {"number": "marked-value-7351"})
    assert "number: Failed validating 'type' in schema" in str(caught.value)
    assert "marked-value-7351" not in str(caught.value)


def test_a_run_asked_for_twice_runs_once(live: Live) -> None:
    """A run id given again is refused, so that a repeated request has no second effect."""
    engineer = live.api("engineer")
    engineer.trigger("counts", run_id="once")
    with pytest.raises(BadRequest, match="done already"):
        engineer.trigger("counts", run_id="once")


def test_only_the_named_approver_can_answer_and_only_once(live: Live) -> None:
    """An approval is by the person it was asked of, with a reason, and cannot be given twice."""
    engineer, approver = live.api("engineer"), live.api("approver")
    run = engineer.trigger("asks")
    assert wait_for(lambda: approver.questions("asks", run.run_id), 60)
    question = approver.questions("asks", run.run_id)[0]
    with pytest.raises(BadRequest, match="may not"):
        engineer.answer(question, APPROVE, "I read the report")
    assert "approver" == approver.answer(question, APPROVE, "I read the report")
    with pytest.raises(BadRequest, match="done already"):
        approver.answer(question, APPROVE, "I read it again")
    assert "success" == engineer.wait("asks", run.run_id, 120).state


def test_lineage_events_are_written_to_the_state_folder(live: Live) -> None:
    """Airflow's own OpenLineage events land in the file of the layout, one JSON a line."""
    engineer = live.api("engineer")
    run = engineer.trigger("counts", {"number": 2})
    engineer.wait("counts", run.run_id, 120)

    def jobs() -> set[str]:
        lines = live.state.lineage.read_text().splitlines()
        return {json.loads(line)["job"]["name"] for line in lines}

    assert wait_for(lambda: {"counts", "counts.first", "counts.second"} <= jobs(), 30)


def test_mlflow_answers_and_refuses_another_host_name(live: Live) -> None:
    """The tracking server serves its own address only: no page elsewhere can reach it by name."""
    mlflow = record.ready(live.state).mlflow
    body = json.dumps({"max_results": 1}).encode()
    for host, expected in (("", 200), ("elsewhere.example", 403)):
        headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
        url = f"{mlflow}/api/2.0/mlflow/experiments/search"
        request = urllib.request.Request(url, body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                status = answer.status
        except urllib.error.HTTPError as refused:
            status = refused.code
        assert expected == status


def test_a_second_start_is_refused(live: Live) -> None:
    """Another stack on the same state folder is refused, and the first runs on."""
    with pytest.raises(BadRequest, match="did not start") as caught:
        up.run(live.state, live.repository, Settings(), serve=False)
    assert "runs on this state folder already" in str(caught.value.observed)
    wait_for(lambda: doctor.services(live.state) == (True, WELL), 30)
    assert (True, WELL) == doctor.services(live.state)


@pytest.mark.parametrize("name", ["airflow-execution", "airflow-scheduler", "mlflow", "decisions"])
def test_a_killed_service_comes_back_and_work_goes_on(live: Live, name: str) -> None:
    """A service killed outright is restarted, and a run triggered meanwhile succeeds."""
    engineer = live.api("engineer")
    killed = next(one for one in record.ready(live.state).services if one.name == name)
    os.kill(killed.pid, signal.SIGKILL)
    run = engineer.trigger("counts", {"number": 3})

    def back() -> bool:
        pids = [one.pid for one in record.ready(live.state).services if one.name == name]
        return killed.pid not in pids and doctor.services(live.state)[0]

    assert wait_for(back, 120)
    assert "success" == engineer.wait("counts", run.run_id, 300).state


def answer_all(live: Live, wanted: set[str], end: float) -> set[str]:
    """Approve every question of the `wanted` runs as it comes up; return the runs answered."""
    approver = live.api("approver")
    answered: set[str] = set()
    while answered != wanted and time.monotonic() < end:
        waiting: list[Question] = [
            one for one in approver.questions("asks") if one.run_id in wanted - answered
        ]
        for question in waiting:
            approver.answer(question, APPROVE, "I read the report")
            answered.add(question.run_id)
        time.sleep(0.2)
    return answered


def run_under_load(live: Live, count: int) -> list[str]:
    """Trigger `count` runs one after another while approvals go on; return their end states.

    Any answer of 500 or above raises Unavailable in the caller.
    """
    engineer = live.api("engineer")
    wanted = {f"load-{count}-{number:03}" for number in range(count)}
    end = time.monotonic() + 120 + 10 * count
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(answer_all, live, wanted, end)
        runs: list[Run] = [engineer.trigger("asks", run_id=name) for name in sorted(wanted)]
        assert wanted == answering.result()
    return [engineer.wait("asks", run.run_id, 300).state for run in runs]


def test_triggers_and_approvals_while_runs_go_on_are_not_lost(live: Live) -> None:
    """Twelve runs triggered and approved at once all succeed, without an error of the server."""
    assert ["success"] * 12 == run_under_load(live, 12)


@pytest.mark.slow
def test_a_hundred_triggers_and_approvals_while_runs_go_on_are_not_lost(live: Live) -> None:
    """A hundred runs triggered and approved at once all succeed, without an error of the server."""
    assert ["success"] * 100 == run_under_load(live, 100)
    assert "status_code=5" not in (live.state.logs / "airflow-api.log").read_text()


def test_nothing_is_written_outside_the_state_folder(live: Live) -> None:
    """Home, temporary folder and checkout are as they were, and no open file lies elsewhere."""
    assert [] == [*live.home.rglob("*"), *live.temporary.rglob("*")]
    files = [path for path in live.repository.rglob("*") if ".git" not in path.parts]
    made = {"dags", "small.py", "params.yaml", "infra", "locks", "model.lock"}
    assert made == {path.name for path in files}
    written = {path for pid in live.pids() for path in open_for_writing(pid)}
    assert [] == [path for path in written if not Path(path).is_relative_to(live.state.home)]


def open_for_writing(pid: int) -> list[str]:
    """Return the regular files that a process holds open for writing, by /proc."""
    found = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            path = str(link.readlink())
            flags = (Path(f"/proc/{pid}/fdinfo") / link.name).read_text()
        except OSError:
            continue
        mode = int(flags.partition("flags:")[2].split()[0], 8) & os.O_ACCMODE
        if path.startswith("/") and mode != os.O_RDONLY and not path.startswith("/dev/"):
            found.append(path)
    return found


def test_the_end_leaves_no_process_behind(live: Live) -> None:
    """SIGTERM ends everything, even a running task and what it started in another session."""
    engineer = live.api("engineer")
    run = engineer.trigger("stays")
    states = lambda: {task.state for task in engineer.tasks("stays", run.run_id)}  # noqa: E731
    assert wait_for(lambda: states() == {"running"}, 60)
    time.sleep(2)
    pids = live.pids()
    os.kill(pids[0], signal.SIGTERM)
    assert wait_for(lambda: processes.identity(pids[0]) is None, 60)
    assert [] == [pid for pid in pids if processes.identity(pid)]
    found = record.last(live.state)
    assert found
    assert "stopped" == found.status


@pytest.mark.slow
def test_in_the_foreground_it_says_what_runs_and_no_password(tmp_path: Path) -> None:
    """A line for each service on stderr, then addresses and users on stdout, and no secret."""
    state, repository = State(tmp_path / "state"), tmp_path / "repository"
    (repository / "dags").mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from pipelines.layout import State;"
        "from pipelines.stack import up; from pipelines.stack.settings import Settings;"
        "up.run(State(Path(sys.argv[1])), Path(sys.argv[2]),"
        "Settings(decisions=False, evidently=False))"
    )
    one = subprocess.Popen(
        [sys.executable, "-c", code, str(state.home), str(repository)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert one.stdout
    first = one.stdout.readline()
    one.send_signal(signal.SIGINT)
    out, said = one.communicate(timeout=60)
    out = first + out
    passwords = json.loads(state.users.read_text()).values()
    assert 0 == one.returncode
    assert 7 == said.count("ready after")
    assert "admin (admin), engineer (op), approver (user)" in out
    assert str(state.users) in out
    assert [] == [password for password in passwords if password in out + said]
