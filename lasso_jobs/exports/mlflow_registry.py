"""Registers an exported model in MLflow: a run with parameters, metrics, report, and an alias."""

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lasso_jobs.errors import JobError, ModelError, OutputError
from lasso_jobs.exports import mlflow_folder
from lasso_jobs.models.registry import CHAMPION, Registered, Registry
from lasso_jobs.training.report import store

_METRICS = ("mse", "rmse", "r2", "mae")
MOST_CHARACTERS = 6000
"""Of a parameter's value; MLflow refuses longer ones."""


def register(registry: str, reference: str, uri: str, alias: str | None = None) -> str:
    """Log a version to an MLflow server, and make it a version of a registered model there.

    Parameters
    ----------
    registry, reference : str
    uri : str
        Of the tracking server.
    alias : str, optional
        That the new version gets; without it, the alias of the reference, or ``champion`` if it
        names a model alone; none of an exact version or a digest.

    Returns
    -------
    str
        The model's URI, such as ``models:/sales/3``.

    Raises
    ------
    JobError
        If mlflow is not installed.
    OutputError
        If the server refuses it, or does not answer.
    """
    mlflow = _mlflow()
    models, (name, _, selector) = Registry(registry), reference.partition("@")
    registered, named = models.load(reference), selector or CHAMPION
    alias = alias or (named if named in models.aliases(name) else None)
    # By default a server that is away is called for some minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        # MLflow prints where its runs are.
        with redirect_stdout(sys.stderr):
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
            run = client.create_run(_experiment(client, name), run_name=registered.reference)
            try:
                version = _log(client, run.info, registered, registry=registry)
            except BaseException:
                client.set_terminated(run.info.run_id, "FAILED")
                raise
            client.set_terminated(run.info.run_id)
            if alias is not None:
                client.set_registered_model_alias(name, alias, version)
    except mlflow.exceptions.MlflowException as error:
        remedy = "Start the server, or correct its address or rights"
        raise OutputError(uri, str(error), "a run of MLflow", remedy) from error
    return f"models:/{name}/{version}"


def _mlflow() -> Any:
    try:
        import mlflow
        import mlflow.exceptions
    except ImportError as error:
        raise JobError(
            "register",
            f"mlflow cannot be imported ({error})",
            "the package mlflow",
            "Run pip install 'lasso_jobs[mlflow]'",
        ) from error
    return mlflow


def _experiment(client: Any, name: str) -> str:
    there = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if there is None else there.experiment_id)


def _log(client: Any, info: Any, registered: Registered, *, registry: str) -> str:
    """Log everything of a version, and return its number at the server."""
    model, run_id = registered.model, info.run_id
    for key, value in _parameters(registered).items():
        client.log_param(run_id, key, str(value)[:MOST_CHARACTERS])
    if model.holdout is not None:
        for metric in _METRICS:
            client.log_metric(run_id, f"holdout_{metric}", float(getattr(model.holdout, metric)))
    with TemporaryDirectory() as folder:
        place = Path(folder, "model")
        mlflow_folder.write(model, str(place))
        client.log_artifacts(run_id, str(place), "model")
        try:
            page = store.stored_report(registry, registered.reference).page
        except ModelError:  # An older version, or one whose report was removed.
            page = None
        if page is not None:
            Path(folder, store.PAGE).write_bytes(page)
            client.log_artifact(run_id, str(Path(folder, store.PAGE)))
    if not client.search_registered_models(f"name = '{model.name}'"):
        client.create_registered_model(model.name)
    source = f"{info.artifact_uri}/model"
    tags = {"lasso_jobs_digest": registered.digest}
    return str(client.create_model_version(model.name, source, run_id, tags=tags).version)


def _parameters(registered: Registered) -> dict[str, Any]:
    model = registered.model
    return {
        "reference": registered.reference,
        "digest": registered.digest,
        "target": model.target,
        "n_rows": model.n_rows,
        "alpha": model.alpha,
        "l1_ratio": model.l1_ratio,
        "gamma": model.gamma,
        **{f"job.{key}": value for key, value in model.job.items()},
    }
