"""Runs a training: plan, one read of the data, selection of alpha, evaluation, registration.

Each stage takes what the stages before it return, so that a flow can run them as its tasks.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lasso_jobs.data.times import NULL_PERIOD
from lasso_jobs.engine.blas import one_blas_thread
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.registry import Registry
from lasso_jobs.progress import Clock, Progress, Stages, opened_when_needed
from lasso_jobs.training.build import build
from lasso_jobs.training.examine import examine
from lasso_jobs.training.gather import TrainingData, gather
from lasso_jobs.training.holdout import Evaluation, measure_on_holdout
from lasso_jobs.training.plan import TrainPlan, plan
from lasso_jobs.training.promotion import champion_of, compared_model, last_period, promote
from lasso_jobs.training.report.facts import report_facts
from lasso_jobs.training.report.store import store_report
from lasso_jobs.training.result import TrainResult
from lasso_jobs.training.search import Selected, predictor_of, select

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers


def evaluate(planned: TrainPlan, data: TrainingData, selected: Selected) -> Evaluation | None:
    """Measure the model without the held-out rows on them, and the champion on the same rows."""
    if selected.evaluated is None:
        return None
    champion = champion_of(planned.job)
    return measure_on_holdout(
        predictor_of(selected.recipe, selected.evaluated),
        None if champion is None else compared_model(champion),
        data,
        planned.job,
        seen_until=None if champion is None else last_period(champion, planned.period),
    )


def train(
    job: TrainJob,
    cluster: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a model and register it.

    Parameters
    ----------
    job : TrainJob
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    progress : callable, optional
        Called with the stage's name, the work units done, and all of them.

    Returns
    -------
    TrainResult

    Raises
    ------
    LassoJobsError

    Examples
    --------
    >>> from lasso_jobs import TrainJob, train
    >>> result = train(TrainJob.from_yaml("train.yaml"), workers=1)
    >>> result.model.coef.round(2).to_dict()
    {'price': -1.99, 'visitors': 0.99}
    >>> round(result.model.holdout.rmse, 2)
    1.21
    """

    def open_cluster() -> "AbstractContextManager[Workers]":
        from lasso_jobs.engine.cluster import connect

        return connect(cluster, workers)

    return run_stages(job, Stages(), open_cluster, progress=progress)


def run_stages(
    job: TrainJob,
    stages: Stages,
    open_cluster: "Callable[[], AbstractContextManager[Workers]]",
    *,
    progress: Progress | None = None,
    by: str | None = None,
) -> TrainResult:
    """Run all stages of a training, in the one order that commands and flows share.

    Parameters
    ----------
    job : TrainJob
    stages : Stages
        Runs each of them.
    open_cluster : callable
        Returns a context manager, whose value are the workers. It is called only if something must
        be read that is not in the cache.
    progress : callable, optional
    by : str, optional
        Who promotes the model; by default the user.
    """

    @contextmanager
    def timed() -> "Iterator[Workers]":
        with open_cluster() as workers:
            stages.clock.lap("cluster")
            yield workers

    planned = stages.run("plan", plan, job)
    # The limit is the process's, so it holds in a flow's tasks and in the threads of fits, too.
    with one_blas_thread():
        with opened_when_needed(timed) as workers:
            data = stages.run("moments", gather, workers, planned, progress=progress)
        selected = stages.run("select", select, planned, data, progress=progress)
        evaluation = stages.run("evaluate", evaluate, planned, data, selected=selected)
        return stages.run(
            "register",
            register,
            planned,
            data,
            selected=selected,
            evaluation=evaluation,
            clock=stages.clock,
            by=by,
        )


def register(
    planned: TrainPlan,
    data: TrainingData,
    *,
    selected: Selected,
    evaluation: Evaluation | None,
    clock: Clock,
    by: str | None = None,
) -> TrainResult:
    """Build the model, register it with its report, and promote it if the job's rule says so.

    Parameters
    ----------
    planned : TrainPlan
    data : TrainingData
    selected : Selected
    evaluation : Evaluation or None
    clock : Clock
        Takes the times of ``register`` and ``report``.
    by : str, optional
        Who promotes the model; by default the user.
    """
    model = build(planned.job, data, selected, evaluation)
    examined = examine(planned, data, selected, model)
    provenance = _provenance(planned, data, clock)
    registered = Registry(planned.job.registry).register(model, provenance)
    clock.lap("register")
    left_out = planned.features.left_out
    # Before the promotion: a champion has a report, or the training fails and is repeated.
    facts = report_facts(registered, selected, examined, left_out, data=data)
    store_report(planned.job.registry, facts)
    clock.lap("report")
    return TrainResult(
        registered=registered,
        run_id=planned.run_id,
        promotion=promote(planned, registered, evaluation, by),
        counts=data.counts,
        unit=data.unit,
        left_out=left_out,
        seconds=clock.seconds(),
        checks=examined.checks,
    )


def _provenance(planned: TrainPlan, data: TrainingData, clock: Clock) -> dict[str, Any]:
    return {
        "run_id": planned.run_id,
        "trained_at": datetime.now(UTC).isoformat(),
        "as_of": planned.job.date,
        "bytes_to_read": planned.n_bytes,
        "bytes_read": data.counts.bytes_read,
        "seconds": None if data.counts.cached else clock.seconds()["total"],
        "rows": data.counts.rows,
        "rows_filtered": data.counts.filtered,
        "rows_without_target": data.counts.without_target,
        "rows_with_nulls": data.counts.with_nulls,
        "files": len(planned.dataset.files),
        "window": None if planned.window is None else asdict(planned.window),
        "periods": _periods(planned, data),
        "data_plan": planned.data_digest,
        "data_version": planned.dataset.version,
        "versions": {name: version(name) for name in ("numpy", "scipy", "numba", "pyarrow")},
    }


def _periods(planned: TrainPlan, data: TrainingData) -> dict[str, Any] | None:
    """The periods of the training rows; None if there are none, or they have no order."""
    keys = data.periods.keys
    keys = keys[keys != NULL_PERIOD]
    if planned.period is None or not len(keys) or (keys % 1).any():
        return None
    return {
        "column": planned.period,
        "n": len(keys),
        "first": float(keys[0]),
        "last": float(keys[-1]),
    }
