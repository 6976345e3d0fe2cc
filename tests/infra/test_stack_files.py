"""Image, compose files and manifests, read as an engine reads them; nothing is started."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.layout import State
from pipelines.stack import production
from pipelines.stack.production_secrets import make
from pipelines.typed import convert

ROOT = Path(__file__).resolve().parent.parent.parent
INFRA = ROOT / "infra"
KUBERNETES = INFRA / "kubernetes"
COMPOSE = yaml.safe_load((INFRA / "compose.yaml").read_text())
S3 = yaml.safe_load((INFRA / "compose.s3.yaml").read_text())
MANIFESTS = sorted(KUBERNETES.glob("*.yaml"))
DATABASES = {"postgres", "redis"}
OWN = set(COMPOSE["services"]) - DATABASES
# Read by libpq, by PostgreSQL's official image, and by the AWS client inside DVC and MLflow.
FOREIGN = {"PGPASSFILE", "POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS", "PGDATA"}
FOREIGN |= {
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
    "MLFLOW_S3_ENDPOINT_URL",
}
SECRET_WORD = re.compile(r"password|secret|token|passwd|fernet|jwt|private", re.IGNORECASE)
USERINFO = re.compile(r"://[^/@\s]*:[^/@\s]+@")


@cache
def documents() -> list[dict[str, Any]]:
    """Return every Kubernetes object of the base."""
    found = [list(yaml.load_all(each.read_text(), yaml.CSafeLoader)) for each in MANIFESTS]
    return [one for docs in found for one in docs if one["kind"] != "Kustomization"]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [each for each in documents() if each["kind"] in kinds]


@cache
def workloads() -> dict[str, dict[str, Any]]:
    """Return each workload's pod specification by its name."""
    found = of_kind("Deployment", "StatefulSet", "Job")
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in found}


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every container with its workload's name, those that run first too."""
    for name, spec in workloads().items():
        for each in [*spec.get("initContainers", []), *spec["containers"]]:
            yield name, each


def settings() -> list[tuple[str, str, str]]:
    """Return where a variable is set, its name, and what it is set to."""
    composed = [
        (name, key, str(value))
        for file in (COMPOSE, S3)
        for name, service in file["services"].items()
        for key, value in service.get("environment", {}).items()
    ]
    return composed + [
        (name, each["name"], each["value"])
        for name, container in containers()
        for each in container.get("env", [])
    ]


def image_lines() -> list[str]:
    return (INFRA / "Containerfile").read_text().splitlines()


def test_each_service_is_one_that_clew_knows() -> None:
    """Compose and Kubernetes run every service of the production stack, and no other."""
    state = State(Path("/state"))
    known = production.stack(state, Path("/repository"), production.Production(), {})
    assert {"prepare", *known} == OWN
    assert {"prepare", *known} == set(workloads()) - DATABASES
    for name, key, value in settings():
        assert key != "CLEW_SERVICE" or name == value


def test_every_variable_is_one_that_is_read() -> None:
    """A variable that no code reads would promise what does not happen."""
    sources = [*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "dags").glob("*.py")]
    code = "".join(each.read_text() for each in sources)
    unread = {key for _, key, _ in settings() if f'"{key}"' not in code} - FOREIGN
    assert set() == unread
    declared = re.findall(r"^\s+([A-Z_]+)=\S+", (INFRA / "Containerfile").read_text(), re.MULTILINE)
    own = [name for name in declared if name.startswith("CLEW_")]
    assert [] == [name for name in own if f'"{name}"' not in code]


def test_no_variable_holds_a_secret() -> None:
    """Secrets are files: a variable names one at most, and no URL holds a password."""
    for where, key, value in settings():
        assert not USERINFO.search(value), f"{where}: {key}"
        if SECRET_WORD.search(key):
            assert value.startswith("/run/secrets/"), f"{where}: {key}"
    for name, container in containers():
        words = " ".join([*container.get("command", []), *container.get("args", [])])
        assert not USERINFO.search(words), name
        assert not [each for each in container.get("env", []) if "valueFrom" in each], name
        assert "envFrom" not in container, name


def test_every_secret_is_one_that_is_made() -> None:
    """`clew secrets` writes exactly the files that compose and Kubernetes mount."""
    made = set(make())
    assert made == set(COMPOSE["secrets"])
    mounted = {
        item["key"]
        for spec in workloads().values()
        for volume in spec["volumes"]
        for item in volume.get("secret", {}).get("items", [])
    }
    assert made == mounted


def test_a_service_is_given_its_own_passwords_alone() -> None:
    """The decision service holds the writer's password, and none that may delete."""
    for name, service in COMPOSE["services"].items():
        given = [each for each in service.get("secrets", []) if isinstance(each, dict)]
        files = {each["source"] for each in given}
        spec = workloads()[name]
        items = [
            item
            for volume in spec["volumes"]
            for item in volume.get("secret", {}).get("items", [])
            if item["path"] == "pgpass"
        ]
        assert files == {each["key"] for each in items}, name
    deciding = COMPOSE["services"]["decisions"]["secrets"]
    assert [{"source": "pgpass-decisions", "target": "pgpass"}] == deciding
    lines = make()["pgpass-decisions"].splitlines()
    assert ["ledger_writer", "keys_writer"] == [line.split(":")[3] for line in lines]


def test_what_opens_the_ledger_is_bound_to_no_node() -> None:
    """Who decides may run on any node: no pod is tied to another, and no claim to one node."""
    once = {
        each["metadata"]["name"]
        for each in of_kind("PersistentVolumeClaim")
        if "ReadWriteMany" not in each["spec"]["accessModes"]
    }
    for name in ("decisions", "pages", "airflow-worker"):
        claims = [each.get("persistentVolumeClaim", {}) for each in workloads()[name]["volumes"]]
        assert "affinity" not in workloads()[name]
        assert not once & {each.get("claimName") for each in claims}, name


def test_ledger_and_keys_are_in_databases_of_their_own() -> None:
    """Wherever a ledger is named, so are its keys: another database, as another role."""
    for service in [each.get("environment", {}) for each in COMPOSE["services"].values()]:
        assert ("CLEW_LEDGER_URL" in service) == ("CLEW_KEYS_URL" in service)
    named = {(key, value) for _, key, value in settings() if key in production.LEDGER_VARIABLES}
    assert {
        ("CLEW_LEDGER_URL", "postgresql://ledger_writer@postgres/ledger"),
        ("CLEW_LEDGER_URL", "postgresql://ledger_eraser@postgres/ledger"),
        ("CLEW_KEYS_URL", "postgresql://keys_writer@postgres/keys"),
        ("CLEW_KEYS_URL", "postgresql://keys_eraser@postgres/keys"),
        ("CLEW_LEDGER_GUARD", "/srv/clew/guard/ledger-guard"),
    } == named


def test_images_are_chosen_by_the_user_and_pinned() -> None:
    """No file names a registry or a tag; Kubernetes pins by digest, compose refuses to guess."""
    for name, service in COMPOSE["services"].items():
        assert re.fullmatch(
            r"\$\{[A-Z]+_IMAGE:\?[^}]+digest\}|\$\{[A-Z]+_IMAGE:\?[^}]+\}", service["image"]
        ), name
    pinned = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["images"]
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each["digest"]) for each in pinned)
    assert {each["image"] for _, each in containers()} == {each["name"] for each in pinned}
    froms = [line.split()[1] for line in image_lines() if line.startswith("FROM")]
    assert {"${PYTHON_IMAGE}", "system"} == set(froms)
    assert "ARG PYTHON_IMAGE" in image_lines()


def test_the_image_installs_what_is_pinned_and_runs_as_nobody_special() -> None:
    """Every installation demands hashes; the last user is not root; there is a healthcheck."""
    text = (INFRA / "Containerfile").read_text().replace("\\\n", " ")
    installs = [
        line for line in re.split(r"[;\n]", text) if re.search(r"pip (install|download)", line)
    ]
    assert 3 == len(installs)
    assert [] == [line for line in installs if "--require-hashes" not in line]
    users = [line for line in image_lines() if line.startswith("USER")]
    assert "USER 10001:10001" == users[-1]
    assert 'CMD ["clew", "service", "--healthy"]' in text


def test_production_yaml_is_what_the_code_takes() -> None:
    """Both copies of the settings are read without complaint, and say the same."""
    plain = yaml.safe_load((INFRA / "production.yaml").read_text())
    (config,) = of_kind("ConfigMap")
    assert convert(plain, production.Production, "production.yaml") == convert(
        yaml.safe_load(config["data"]["production.yaml"]), production.Production, "config.yaml"
    )


def test_containers_may_do_as_little_as_works() -> None:
    """Not root, no capability, nothing written beside volumes, bounded memory, no token."""
    for name, spec in workloads().items():
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert {"type": "RuntimeDefault"} == spec["securityContext"]["seccompProfile"], name
        assert spec["automountServiceAccountToken"] is False, name
    for name, container in containers():
        expected = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert expected == container["securityContext"], name
        assert "memory" in container["resources"]["limits"], name
    for name in OWN:
        service = COMPOSE["services"][name]
        assert service["read_only"] is True, name
        assert ["ALL"] == service["cap_drop"], name
        assert "10001:10001" == service["user"], name


def test_every_service_is_probed() -> None:
    """Whatever runs for long is asked whether it lives and whether it is ready."""
    for name, spec in workloads().items():
        if name != "prepare":
            probes = set(spec["containers"][0])
            assert {"livenessProbe", "readinessProbe"} <= probes, name


def test_only_the_ledgers_services_reach_its_keys() -> None:
    """Keys and guard are mounted where decisions are recorded or erased, and nowhere else."""
    openers = {"decisions", "pages", "airflow-worker"}
    for volume in ("keys", "guard"):
        composed = {
            name
            for name, service in COMPOSE["services"].items()
            if any(each.startswith(f"{volume}:") for each in service.get("volumes", []))
        }
        mounted = {
            name
            for name, spec in workloads().items()
            if any(each["name"] == volume for each in spec["volumes"])
        }
        assert openers == composed == mounted


def test_the_network_is_closed_and_decisions_ask_no_stranger() -> None:
    """Nothing goes in or out by default; only names are asked outside the namespace."""
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} == policies["deny-all"]
    for name, spec in policies.items():
        for rule in spec.get("egress", []):
            assert rule.get("to"), name
            assert not [to for to in rule["to"] if "ipBlock" in to], name
            outside = [to for to in rule["to"] if "namespaceSelector" in to]
            assert not outside or name == "names", name
    asked = {
        name.removeprefix("out-to-")
        for name, spec in policies.items()
        if name.startswith("out-to-")
        and "decisions" in spec["podSelector"]["matchExpressions"][0]["values"]
    }
    assert {"postgres", "mlflow"} == asked


def test_what_asks_is_let_in_and_what_is_let_in_may_ask() -> None:
    """For every way out to a service there is the way in from the same pods, by the same port."""
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    outs = {name: spec for name, spec in policies.items() if name.startswith("out-to-")}
    assert 5 == len(outs)
    for name, spec in outs.items():
        into = policies[name.removeprefix("out-")]
        assert spec["podSelector"] == into["ingress"][0]["from"][0]["podSelector"]
        assert into["podSelector"] == spec["egress"][0]["to"][0]["podSelector"]
        assert into["ingress"][0]["ports"] == spec["egress"][0]["ports"]


def test_decisions_outlive_the_drain_of_a_node() -> None:
    """Of the two processes that decide, one stays."""
    (budget,) = of_kind("PodDisruptionBudget")
    assert 1 == budget["spec"]["minAvailable"]
    deciding = [each for each in of_kind("Deployment") if each["metadata"]["name"] == "decisions"]
    assert [2] == [each["spec"]["replicas"] for each in deciding]
    selector = budget["spec"]["selector"]["matchLabels"]
    assert selector == deciding[0]["spec"]["selector"]["matchLabels"]


def test_volumes_are_claimed_and_selectors_match() -> None:
    """Each volume a pod names is there, each Service finds pods, each selector its pods."""
    claims = {each["metadata"]["name"] for each in of_kind("PersistentVolumeClaim")}
    for name, spec in workloads().items():
        named = [each.get("persistentVolumeClaim") for each in spec["volumes"]]
        assert {each["claimName"] for each in named if each} <= claims, name
        volumes = {each["name"] for each in spec["volumes"]}
        for each in [*spec.get("initContainers", []), *spec["containers"]]:
            assert {mount["name"] for mount in each["volumeMounts"]} - volumes <= {"postgres"}, name
    for each in of_kind("Deployment", "StatefulSet"):
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"].items() <= labels.items()
    names = set(workloads())
    assert {
        each["spec"]["selector"]["app.kubernetes.io/name"] for each in of_kind("Service")
    } <= names


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_builds_the_base() -> None:
    """The base renders every object, each image by its digest."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES)], capture_output=True, text=True, check=True
    )
    made = list(yaml.load_all(done.stdout, yaml.CSafeLoader))
    assert len(documents()) == len(made)
    assert [] == re.findall(r"image: (?!\w+@sha256:)\S+", done.stdout)
