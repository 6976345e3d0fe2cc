"""One MLflow run a model whose parameters are records that can be written once.

MLflow's tags can be written over, a run's parameters cannot: the database refuses a second value,
also when two processes write at once. The registered model names its register by a tag that is
set in the transaction that makes it, so there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.adapters.mlflow_transport import PROXIED, Transport
from pipelines.adapters.write_once import WriteOnce
from pipelines.errors import BadRequest, IntegrityBroken, NotThere, Unavailable
from pipelines.layout import State

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import RegisteredModel

REGISTER = "clew.register"
REGISTER_OF = "clew.register_of"


class Register(WriteOnce):
    """The register of one registered model of an MLflow at `uri`."""

    def __init__(self, uri: str, model_name: str, state: State) -> None:
        self._mlflow = Transport(uri, state)
        self._name = model_name

    @property
    def model_name(self) -> str:
        return self._name

    def _model(self) -> RegisteredModel | None:
        """Return the registered model; None when MLflow answered that there is none."""
        try:
            with self._mlflow.asking() as client:
                found = client.get_registered_model(self._name)
        except NotThere:
            self._refuse_a_lost_register()
            return None
        if found.name != self._name:
            raise Unavailable(
                "what answered is no model registry", where=self._mlflow.uri, hint="clew doctor"
            )
        return found

    def _refuse_a_lost_register(self) -> None:
        """Raise IntegrityBroken when a register has records and its registered model is gone."""
        experiment = self._experiment()
        if experiment is None:
            return
        with self._mlflow.asking() as client:
            found = client.search_runs([experiment], f"tags.`{REGISTER_OF}` = '{self._name}'")
        if any(run.data.params for run in found):
            raise IntegrityBroken(
                "the registered model was deleted, but its register is there",
                where=f"MLflow experiment {self._name}",
                observed="no registered model",
                expected=self._name,
                hint="restore MLflow's database from its backup",
            )

    def _register(self) -> Run | None:
        """Return the run that is the model's register; None when there is no model yet."""
        model = self._model()
        if model is None:
            return None
        try:
            with self._mlflow.asking() as client:
                run = client.get_run(model.tags.get(REGISTER, ""))
        except (NotThere, BadRequest):
            run = None
        if run is None or run.data.tags.get(REGISTER_OF) != self._name:
            raise IntegrityBroken(
                "the registered model names no register of its own",
                where=f"{self._name}: tag {REGISTER}",
                hint="put the tag back; or choose another model_name in params.yaml",
            )
        return run

    def _claims(self) -> Mapping[str, str]:
        run = self._register()
        return dict(run.data.params) if run else {}

    def _claim(self, key: str, text: str) -> str:
        register = self._made_register()
        try:
            with self._mlflow.asking() as client:
                client.log_param(register, key, text)
        except BadRequest:  # it holds something else already: that is what is returned
            pass
        with self._mlflow.asking() as client:
            params = client.get_run(register).data.params
        if key not in params:
            raise Unavailable("a record was not kept", where=f"{self._name}: {key}")
        return str(params[key])

    def _made_register(self) -> str:
        """Return the register's run id. Of two that make one at once, the first wins."""
        if found := self._register():
            return str(found.info.run_id)
        experiment = self._made_experiment()
        tags = {REGISTER_OF: self._name, "mlflow.runName": f"register of {self._name}"}
        with self._mlflow.asking() as client:
            run_id = str(client.create_run(experiment, tags=tags).info.run_id)
            client.set_terminated(run_id)
        try:
            with self._mlflow.asking() as client:
                client.create_registered_model(self._name, tags={REGISTER: run_id})
        except BadRequest:
            with self._mlflow.asking() as client:
                client.delete_run(run_id)
            if self._register() is None:
                raise
            return self._made_register()
        return run_id

    def _experiment(self) -> str | None:
        with self._mlflow.asking() as client:
            found = client.get_experiment_by_name(self._name)
        return str(found.experiment_id) if found else None

    def _made_experiment(self) -> str:
        if found := self._experiment():
            return found
        # The server gives experiments its own address for artifacts; with none, name the same.
        location = f"{PROXIED}/{self._name}" if self._mlflow.embedded else None
        try:
            with self._mlflow.asking() as client:
                return str(client.create_experiment(self._name, artifact_location=location))
        except BadRequest:
            if found := self._experiment():
                return found
            raise
