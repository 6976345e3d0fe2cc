"""The Registry port on MLflow: versions, approvals and the promotion trail, findable in its UI.

Records that are written once stand in the model's register; tags, artifacts and descriptions
repeat them for people to find, and are compared with them when read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipelines import flow
from pipelines.adapters import mlflow_model, mlflow_run
from pipelines.adapters.mlflow_register import Register
from pipelines.adapters.mlflow_transport import prepare
from pipelines.adapters.write_once import contradiction, registration
from pipelines.environments import locked
from pipelines.errors import IntegrityBroken, NotThere
from pipelines.layout import State
from pipelines.markdown import plain
from pipelines.ports import RegistryEntry, bound_tags
from pipelines.records import Approval, ModelVersion, Promotion

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as Listed

__all__ = ["MlflowRegistry", "prepare"]
# Among the run's files, as `folders` of its entry names them.
REPORT = f"{flow.path('checks')}/index.html"
IN_FORCE = "\n\n### Who made it decide\n\n"
# MLflow keeps 5,000 characters of a description; a whole reason stands in the tag and the trail.
LONGEST, LONGEST_REASON = 5000, 300


class MlflowRegistry(Register):
    """One registered model of an MLflow at `uri`: a server's URL, or ``sqlite:///`` and a file.

    `pages` is the address of the record's pages, for links; empty where there are none.
    """

    def __init__(self, uri: str, model_name: str, state: State, pages: str = "") -> None:
        super().__init__(uri, model_name, state)
        self._pages = pages
        self._lock = state.mlflow_database.with_name(f"{model_name}.lock")

    def lock(self) -> AbstractContextManager[None]:
        """Hold this model's lock among the processes of this machine."""
        return locked(self._lock)

    def version(self, version: str) -> ModelVersion:
        """Return one version. Raises NotThere, or IntegrityBroken: deleted or tags changed."""
        record = self._recorded(version)
        listed = self._listed(record)
        contradiction(record, listed.tags, bound_tags(record))
        return record

    def _listed(self, record: ModelVersion) -> Listed:
        try:
            with self._mlflow.asking() as client:
                return client.get_model_version(self._name, record.version)
        except NotThere:
            raise IntegrityBroken(
                "a registered version was deleted",
                where=f"{self._name} version {record.version}",
                hint="restore MLflow's database from its backup",
            ) from None

    def register(self, entry: RegistryEntry) -> ModelVersion:
        """Register once. What a killed call left half done is found by its run and finished."""
        run_id = self._run_of(entry)
        for found in self.versions():
            if found.registry_run == run_id:
                return self._record_version(
                    msgspec.structs.replace(
                        entry.version, version=found.version, registry_run=run_id
                    )
                )
        self._fill(run_id, entry)
        number = self._numbered(run_id, entry)
        record = msgspec.structs.replace(entry.version, version=number, registry_run=run_id)
        stored = self._record_version(record)
        with self._mlflow.asking() as client:
            client.set_terminated(run_id, "FINISHED")
        return stored

    def log_blocked(self, entry: RegistryEntry) -> str:
        """Log a blocked candidate as a failed run, without a version."""
        run_id = self._run_of(entry)
        self._fill(run_id, entry)
        with self._mlflow.asking() as client:
            client.set_terminated(run_id, "FAILED")
        return run_id

    def _run_of(self, entry: RegistryEntry) -> str:
        """Return the one MLflow run of this entry, made if need be."""
        key = registration(entry.version)
        if found := self._claims().get(key):
            return found
        experiment = self._made_experiment()
        name = f"{entry.version.run_id} {entry.version.candidate_id[:8]}"
        with self._mlflow.asking() as client:
            made = str(client.create_run(experiment, run_name=name).info.run_id)
        kept = self._claim(key, made)
        if kept != made:
            with self._mlflow.asking() as client:
                client.delete_run(made)
        return kept

    def _fill(self, run_id: str, entry: RegistryEntry) -> None:
        with self._mlflow.asking() as client:
            run = client.get_run(run_id)
            mlflow_run.fill(client, run, entry)
            store = self._mlflow.artifacts(run.info.artifact_uri)
            for name, folder in entry.folders.items():
                store.log_artifacts(str(folder), name)

    def _numbered(self, run_id: str, entry: RegistryEntry) -> str:
        """Return the number of the version that holds this run's model, made if need be."""
        with self._mlflow.asking() as client:
            for found in client.search_model_versions(f"run_id = '{run_id}'"):
                if found.name == self._name:
                    return str(found.version)
        model_id, source = self._logged_model(run_id, entry)
        with self._mlflow.asking() as client:
            made = client.create_model_version(
                self._name,
                source,
                run_id=run_id,
                model_id=model_id,
                tags=dict(entry.tags) | bound_tags(entry.version),
                description=self._described(run_id, entry.description),
                await_creation_for=0,
            )
        return str(made.version)

    def _described(self, run_id: str, description: str) -> str:
        """Return a version's description, led by links to its report and to the history."""
        links = []
        if not self._mlflow.embedded:
            with self._mlflow.asking() as client:
                experiment = client.get_run(run_id).info.experiment_id
            page = f"{self._mlflow.uri}/#/experiments/{experiment}/runs/{run_id}/artifacts"
            links.append(f"[Report]({page}/{REPORT})")
        if self._pages:
            links.append(f"[Who made it decide, and when]({self._pages}/record/models)")
        return "\n\n".join(filter(None, [" · ".join(links), description]))

    def _logged_model(self, run_id: str, entry: RegistryEntry) -> tuple[str, str]:
        with self._mlflow.asking() as client, tempfile.TemporaryDirectory() as folder:
            run = client.get_run(run_id)
            model = client.create_logged_model(
                run.info.experiment_id,
                name=self._name,
                source_run_id=run_id,
                tags=dict(entry.tags),
                model_type="skops",
            )
            mlflow_model.write(entry, Path(folder) / "model")
            store = self._mlflow.artifacts(model.artifact_location)
            store.log_artifacts(str(Path(folder) / "model"))
            client.finalize_logged_model(model.model_id, "READY")
            # MLflow's database resolves models:/ by a process-wide setting, the server by its own.
            embedded = self._mlflow.embedded
            source = model.artifact_location if embedded else f"models:/{model.model_id}"
            return str(model.model_id), str(source)

    def fetch(self, version: str, folder: Path) -> None:
        """Copy the files of a version into `folder`, unchecked."""
        listed = self._listed(self._recorded(version))
        folder.mkdir(parents=True, exist_ok=True)
        with self._mlflow.asking() as client, tempfile.TemporaryDirectory() as temporary:
            store = self._mlflow.artifacts(
                client.get_model_version_download_uri(self._name, listed.version)
            )
            found = store.download_artifacts(mlflow_model.FILES, dst_path=temporary)
            shutil.copytree(found, folder, copy_function=shutil.copyfile, dirs_exist_ok=True)

    def show(self, version: str, name: str, folder: Path) -> None:
        """Show a folder's files among the artifacts of the version's run."""
        record = self._recorded(version)
        with self._mlflow.asking() as client:
            run = client.get_run(record.registry_run)
            self._mlflow.artifacts(run.info.artifact_uri).log_artifacts(str(folder), name)

    # approvals and promotions

    def approve(self, approval: Approval) -> None:
        """Keep an approval with its version: the record, a tag and a JSON artifact."""
        record = self._recorded(approval.version)
        self._record_approval(approval)
        word = "approved" if approval.approved else "rejected"
        with self._mlflow.asking() as client, tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{approval.id[:16]}.json"
            approval.write(file)
            run = client.get_run(record.registry_run)
            self._mlflow.artifacts(run.info.artifact_uri).log_artifact(str(file), "approvals")
            for name, value in (
                ("clew.approval", word),
                ("clew.approval_id", approval.id),
                ("clew.approval_by", approval.person),
                ("clew.approval_at", approval.at),
                ("clew.approval_reason", approval.reason),
            ):
                client.set_model_version_tag(self._name, record.version, name, value)

    def promotions(self) -> Sequence[Promotion]:
        """Return the trail. Raises IntegrityBroken when a tag of it was changed by hand."""
        model, trail = self._model(), super().promotions()
        tags = model.tags if model else {}
        for each in trail:
            shown = tags.get(_tag(each))
            if shown is not None and shown != each.canonical().decode():
                raise IntegrityBroken(
                    "the promotion trail was edited in MLflow",
                    where=f"{self._name}: tag {_tag(each)}",
                    hint="put the tag back, and ask who changed it",
                )
        return trail

    def settle(self, promotion: Promotion) -> None:
        """Note that the aliases were set, and show the promotion as a tag."""
        with self._mlflow.asking() as client:
            text = promotion.canonical().decode()
            client.set_registered_model_tag(self._name, _tag(promotion), text)
            word = f"{promotion.kind} {promotion.number} by {promotion.person}, {promotion.at}"
            client.set_model_version_tag(self._name, promotion.version, "clew.in_force", word)
            said = client.get_model_version(self._name, promotion.version).description or ""
            told = said.partition(IN_FORCE)[0] + IN_FORCE + self._story(promotion.version)
            told = told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"
            client.update_model_version(self._name, promotion.version, description=told)
        self._record_settled(promotion)

    def _story(self, version: str) -> str:
        """Return who made a version decide, when and why, as a Markdown list; newest first."""
        given = {each.id: each for each in self.approvals(version)}
        lines = []
        for each in reversed(super().promotions()):
            if each.version == version:
                lines.append(f"- {_words(each.kind, each.person, each.reason, each.at)}")
                if approval := given.get(each.approval_id or ""):
                    who = approval.person, approval.reason, approval.at
                    lines.append(f"- {_words('approved', *who)}")
        return "\n".join(lines)

    def aliases(self) -> Mapping[str, str]:
        """Return each alias and the version it names as it stands."""
        model = self._model()
        return {name: str(version) for name, version in model.aliases.items()} if model else {}

    def point(self, alias: str, version: str | None) -> None:
        """Let an alias name a version, or none."""
        with self._mlflow.asking() as client:
            if version is None:
                client.delete_registered_model_alias(self._name, alias)
            else:
                client.set_registered_model_alias(self._name, alias, version)


def _words(what: str, person: str, reason: str, at: str) -> str:
    short = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}…"
    return f"{what}, {at}, by {plain(person)}: {plain(short)}"


def _tag(promotion: Promotion) -> str:
    return f"clew.promotion.{promotion.number:06d}"
