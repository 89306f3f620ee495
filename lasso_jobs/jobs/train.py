"""Training: plan, gather moments in one pass, select alpha, evaluate, register.

Each stage takes what the stages before it return, so that a flow can run them as its tasks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from lasso_jobs.artifacts.model import Model
from lasso_jobs.artifacts.registry import Registered, Registry
from lasso_jobs.core.checks import Check
from lasso_jobs.jobs import holdout as h
from lasso_jobs.jobs.alpha_search import Selected, predictor_of, select
from lasso_jobs.jobs.assumptions import examine
from lasso_jobs.jobs.build import build
from lasso_jobs.jobs.clock import Clock, Report
from lasso_jobs.jobs.gather import Gathered, gather, recall
from lasso_jobs.jobs.promotion import Promotion, champion_of, promote
from lasso_jobs.jobs.reading import Counts
from lasso_jobs.jobs.report import keep_report
from lasso_jobs.jobs.train_job import TrainJob
from lasso_jobs.jobs.train_plan import TrainPlan, plan


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished training."""

    registered: Registered
    run_id: str
    promotion: Promotion
    counts: Counts
    left_out: tuple[tuple[str, str], ...]
    seconds: Mapping[str, float]
    checks: tuple[Check, ...]

    @property
    def model(self) -> Model:
        """The trained model."""
        return self.registered.model


def evaluate(planned: TrainPlan, gathered: Gathered, selected: Selected) -> h.Evaluation | None:
    """Measure the model without the held-out rows on them, and the champion on the same rows."""
    if selected.evaluated is None:
        return None
    champion = champion_of(planned.job)
    return h.evaluate(
        predictor_of(selected.recipe, selected.evaluated),
        None if champion is None else champion.model.evaluated,
        gathered.moments.holdout,
        gathered.held,
        gathered.columns,
        planned.job.intervals,
        gathered.groups,
        planned.job.search.split.group or planned.job.time,
    )


def train(
    job: TrainJob,
    cluster: str | None = None,
    workers: int | None = None,
    report: Report | None = None,
) -> TrainResult:
    """Train a model and register it.

    Parameters
    ----------
    job : TrainJob
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    report : callable, optional
        Called with the stage's name, the partitions done, and all partitions.

    Returns
    -------
    TrainResult

    Raises
    ------
    LassoJobsError
    """
    clock = Clock()
    planned = plan(job)
    clock.lap("plan")
    gathered = recall(planned)
    if gathered is None:
        from lasso_jobs.engine.cluster import connect

        with connect(cluster, workers) as client:
            clock.lap("cluster")
            gathered = gather(client, planned, report)
    clock.lap("moments")
    selected = select(planned, gathered)
    clock.lap("select")
    evaluation = evaluate(planned, gathered, selected)
    clock.lap("evaluate")
    return finish(planned, gathered, selected, evaluation, clock)


def finish(
    planned: TrainPlan,
    gathered: Gathered,
    selected: Selected,
    evaluation: h.Evaluation | None,
    clock: Clock,
    by: str | None = None,
) -> TrainResult:
    """Build and register the model; sum up. A promotion is `by` the user, unless it says who."""
    provenance = {
        "run_id": planned.run_id,
        "trained_at": datetime.now(UTC).isoformat(),
        "as_of": planned.job.date,
        "bytes_read": gathered.counts.bytes_read,
        "rows": gathered.counts.rows,
        "rows_filtered": gathered.counts.filtered,
        "rows_without_target": gathered.counts.without_target,
        "rows_with_nulls": gathered.counts.with_nulls,
        "files": len(planned.dataset.files),
        "data_plan": planned.data_digest,
        "data_version": planned.dataset.version,
        "versions": {name: version(name) for name in ("numpy", "scipy", "numba", "pyarrow")},
    }
    model = build(planned, gathered, selected, evaluation)
    examined = examine(planned, gathered, model, selected.final, selected.evaluated)
    registered = Registry(planned.job.registry).register(model, provenance)
    clock.lap("register")
    left_out = planned.features.left_out
    # Before the promotion: a champion has a report, or the training fails and is repeated.
    keep_report(planned.job.registry, registered, selected.final, examined, left_out)
    clock.lap("report")
    promotion = promote(planned.job, registered, evaluation, by)
    return TrainResult(
        registered,
        planned.run_id,
        promotion,
        gathered.counts,
        left_out,
        clock.seconds(),
        examined.checks,
    )
