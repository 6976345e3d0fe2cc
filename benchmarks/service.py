"""Measure the decision service beside a constant answer and `mlflow models serve`, in one run.

    CLEW_HOME=/a/state/folder python -m benchmarks.service --rows applications.jsonl

The state folder has a champion and the checkout is the one it was trained from; its ledger is
copied away and nothing is written to it. Each row of the file is one application as JSON. The
three servers are started one after the other and asked in turns, so that a busy machine is as busy
for each; a ratio is the median over the rounds, with the extremes. Beside the clock stands what a
request costs the server in CPU, which tells more where other work takes the cores away. Ours
decides, gives reasons where it declines, records, seals and syncs every answer before it gives it
out; the others record nothing. The client is one process of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pipelines import params, wiring
from pipelines.layout import Layout, State, repository, state
from pipelines.model import store
from pipelines.records import Candidate
from pipelines.release.version_files import VersionFiles, fetched
from pipelines.typed import read_json

CONSTANT = """
from fastapi import FastAPI
app = FastAPI()
@app.post("/v1/decisions")
async def decide(body: dict):
    return {"decision": "approve"}
"""
OURS, FLOORS = "clew serve", ("constant", "mlflow models serve")
READY_SECONDS = 120
SESSION, USED = 3, slice(11, 13)  # of /proc/PID/stat, after the name


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, ping: str, **environment: str) -> Iterator[int]:
    """Run a server until the block ends; wait for it to answer first. Yields its session."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    process = subprocess.Popen(
        command,
        env={**os.environ, "PATH": path, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + READY_SECONDS
        while not answers(f"http://127.0.0.1:{port}{ping}"):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"did not start: {' '.join(command)}")
            time.sleep(0.2)
        yield process.pid
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def answers(url: str) -> bool:
    """Say whether an address answers."""
    try:
        urllib.request.urlopen(url, timeout=2).read()  # noqa: S310 - our own http address
    except OSError:
        return False
    return True


async def client(port: int, requests: Iterator[bytes], until: float, took: list[float]) -> None:
    """Send requests over one kept connection, one after the other, until the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        start = time.perf_counter()
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        if status not in {b"200", b"422"}:
            raise SystemExit(f"answered {status.decode()}")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        took.append(time.perf_counter() - start)
    writer.close()


async def load(port: int, requests: list[bytes], clients: int, seconds: float) -> list[float]:
    """Return how long each answer took with so many clients at once."""
    took: list[float] = []
    feed = endless(requests)
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(port, feed, until, took) for _ in range(clients)))
    return took


def endless(requests: list[bytes]) -> Iterator[bytes]:
    """Yield the requests over and over."""
    while True:
        yield from requests


def http(path: str, body: bytes) -> bytes:
    """Return one request's bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def champion(place: State, layout: Layout, into: Path) -> VersionFiles:
    """Return the champion's files."""
    registry = wiring.registry(place)(params.read(layout.params).model_name)
    return fetched(registry, registry.version(registry.promotions()[-1].version), into)


def save_for_mlflow(files: VersionFiles, folder: Path) -> tuple[str, ...]:
    """Save the champion's pipeline as MLflow serves it; return its inputs."""
    import mlflow.sklearn

    candidate = read_json(files.record, Candidate)
    model = store.load(files.model, candidate.model_sha256)
    mlflow.sklearn.save_model(
        model, folder, serialization_format="cloudpickle", pip_requirements=[]
    )
    return candidate.features


def cpu(session: int) -> float:
    """Return the seconds of CPU that the processes of a session have used."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            if int(words[SESSION]) == session:
                ticks += sum(int(word) for word in words[USED])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(
    servers: dict[str, tuple[int, int, list[bytes]]], rounds: int, seconds: float
) -> dict[str, Any]:
    """Ask the servers in turns; return requests a second at 16 clients and p99 at one, in ms."""
    rates: dict[str, list[float]] = {name: [] for name in servers}
    costs: dict[str, list[float]] = {name: [] for name in servers}
    alone: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, (port, session, requests) in servers.items():
            before = cpu(session)
            count = len(asyncio.run(load(port, requests, 16, seconds)))
            costs[name].append((cpu(session) - before) / count)
            rates[name].append(count / seconds)
            alone[name] += asyncio.run(load(port, requests, 1, seconds))
    found: dict[str, Any] = {
        name: {
            "requests/s at 16": round(statistics.median(rates[name])),
            "ms of CPU a request at 16": round(1000 * statistics.median(costs[name]), 3),
            "p50 ms at 1": round(1000 * statistics.median(alone[name]), 2),
            "p99 ms at 1": round(1000 * statistics.quantiles(alone[name], n=100)[98], 2),
        }
        for name in servers
    }
    for name in FLOORS:
        each = sorted(ours / floor for ours, floor in zip(rates[OURS], rates[name], strict=True))
        low, median, high = each[0], statistics.median(each), each[-1]
        found[f"{OURS} / {name}"] = [round(ratio, 2) for ratio in (low, median, high)]
        by_cpu = statistics.median(costs[name]) / statistics.median(costs[OURS])
        found[f"{OURS} / {name}, by CPU"] = round(by_cpu, 2)
    return found


def main() -> None:
    """Run it and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    chosen = parser.parse_args()
    lines = [line.encode() for line in chosen.rows.read_text().splitlines() if line]
    root = repository()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as servers:
        folder, home = Path(scratch), State(Path(scratch) / "home")
        shutil.copytree(state(root).home / "mlflow", home.home / "mlflow")
        home.service_settings.write_text("requests_per_second: 1000000\nburst: 1000000\n")
        features = save_for_mlflow(
            champion(home, Layout(root), folder / "version"), folder / "model"
        )
        (folder / "constant.py").write_text(CONSTANT)
        python: Callable[..., list[str]] = lambda *words: [sys.executable, *words]  # noqa: E731
        listen = ("--host", "127.0.0.1", "--port")
        ports = [free_port() for _ in range(3)]
        begin = servers.enter_context
        uvicorn = ("-m", "uvicorn", "--app-dir", str(folder), "constant:app", "--no-access-log")
        sessions = [
            begin(running(python(*uvicorn, *listen, str(ports[0])), ports[0], "/openapi.json"))
        ]
        serve = ("-P", "-m", "pipelines.cli", "serve", "--port", str(ports[1]))
        sessions.append(
            begin(running(python(*serve), ports[1], "/v1/health", CLEW_HOME=str(home.home)))
        )
        mlflow = ("-m", "mlflow", "models", "serve", "--env-manager", "local", "-m")
        words = (*mlflow, str(folder / "model"), *listen, str(ports[2]))
        sessions.append(begin(running(python(*words), ports[2], "/ping")))
        rows = [json.loads(line) for line in lines]
        split = [
            {"columns": list(features), "data": [[row.get(name) for name in features]]}
            for row in rows
        ]
        bodies = [json.dumps({"dataframe_split": each}).encode() for each in split]
        ours = [http("/v1/decisions", line) for line in lines]
        theirs = [http("/invocations", each) for each in bodies]
        asked = zip(
            (FLOORS[0], OURS, FLOORS[1]), ports, sessions, (ours, ours, theirs), strict=True
        )
        servers_of = {name: (port, session, sent) for name, port, session, sent in asked}
        found = measure(servers_of, chosen.rounds, chosen.seconds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
