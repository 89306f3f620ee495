"""Training: plan, gather moments in one pass, select alpha, evaluate, register.

Each stage takes what the stages before it return, so that a flow can run them as its tasks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from lasso_jobs.artifacts.model import Certificate, Curve, Model
from lasso_jobs.artifacts.registry import Registered
from lasso_jobs.core import diagnostics as dg
from lasso_jobs.core import moments as m
from lasso_jobs.core import selection
from lasso_jobs.core import stability as st
from lasso_jobs.core.choice import CrossValidation
from lasso_jobs.core.design import Recipe
from lasso_jobs.core.predict import Predictor
from lasso_jobs.jobs import holdout as h
from lasso_jobs.jobs.clock import Clock, Report, progress_of
from lasso_jobs.jobs.config import TrainJob
from lasso_jobs.jobs.gather import Gathered, gather
from lasso_jobs.jobs.promotion import Promotion, champion_of, register
from lasso_jobs.jobs.reading import Counts
from lasso_jobs.jobs.references import references
from lasso_jobs.jobs.train_plan import TrainPlan, plan

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished training."""

    registered: Registered
    run_id: str
    promotion: Promotion
    counts: Counts
    bytes_read: int
    left_out: tuple[tuple[str, str], ...]
    seconds: Mapping[str, float]

    @property
    def model(self) -> Model:
        """The trained model."""
        return self.registered.model


@dataclass(frozen=True, slots=True)
class Selected:
    """The chosen alpha, l1_ratio and gamma, and the fits at them.

    Parameters
    ----------
    recipe : Recipe
    cv : CrossValidation
    evaluated : Fit or None
        Without the held-out rows.
    final : Fit
        To all rows.
    stability : Stability or None
        Of fits to rows that are not held out.
    diagnostics : Diagnostics
        Of the final fit.
    """

    recipe: Recipe
    cv: CrossValidation
    evaluated: selection.Fit | None
    final: selection.Fit
    stability: st.Stability | None
    diagnostics: dg.Diagnostics


def select(planned: TrainPlan, gathered: Gathered) -> Selected:
    """Cross-validate, and fit at the chosen alpha; no data is read."""
    job, moments = planned.job, gathered.moments
    in_folds = moments.merged(range(gathered.reading.n_buckets))
    everything = m.merge(in_folds, moments.holdout)
    numeric = range(len(gathered.columns.numeric))
    with_indicators = job.preprocess.missing == "indicator"
    recipe = Recipe(
        gathered.columns,
        job.preprocess.scaling,
        tuple(j for j in numeric if with_indicators and j in everything.nulls),
        penalty_factors=job.penalty_factors,
        bounds=job.bounds,
        adaptive=job.search.adaptive,
    )
    search = selection.Search(
        job.search.alphas,
        job.search.eps,
        job.search.rule,
        job.search.l1_ratios,
        job.search.gammas,
        job.search.fold_means,
        job.search.early_stop,
        job.search.repeats,
    )
    cv = selection.cross_validate(recipe, in_folds, gathered.folds.folds(moments), search)
    recipe, alphas = replace(recipe, l1_ratio=cv.l1_ratio), cv.alphas_to_chosen
    evaluated = None
    if job.holdout is not None:
        n_before = gathered.folds.n_before_holdout
        whole = n_before == gathered.reading.n_buckets
        seen = in_folds if whole else moments.merged(range(n_before))
        evaluated = selection.fit(recipe, seen, alphas, cv.gamma)
    final = selection.fit(recipe, everything, alphas, cv.gamma)
    groups = st.grouped(moments.buckets[:-1])
    return Selected(
        recipe,
        cv,
        evaluated,
        final,
        _stability(job, recipe, groups, cv),
        dg.diagnose(recipe, everything, final, cv.path_alphas, groups, moments.holdout, cv.gamma),
    )


def _stability(
    job: TrainJob, recipe: Recipe, groups: list[m.Moments], cv: CrossValidation
) -> st.Stability | None:
    options = job.stability
    if options is None:
        return None
    return st.assess(recipe, groups, cv.alpha, options.pairs, options.threshold, job.seed, cv.gamma)


def predictor_of(recipe: Recipe, fit: selection.Fit) -> Predictor:
    """A fit as something that predicts."""
    fill = fit.design.location[: len(recipe.columns.numeric)]
    return Predictor(recipe.columns, recipe.indicators, fill, fit.coef, fit.intercept)


def evaluate(
    client: "Client",
    planned: TrainPlan,
    gathered: Gathered,
    selected: Selected,
    report: Report | None = None,
) -> h.Evaluation | None:
    """Measure the model without the held-out rows on them, and the champion on the same rows.

    Moments know the squared error; the absolute error and the residuals' quantiles need the rows,
    of which only the columns in use are read. Without held-out rows there is nothing to do.
    """
    if selected.evaluated is None:
        return None
    champion = champion_of(planned.job)
    return h.evaluate(
        client,
        planned.partitions,
        gathered.reading,
        predictor_of(selected.recipe, selected.evaluated),
        None if champion is None else champion.model.evaluated,
        planned.dataset.schema.names,
        width=float(np.sqrt(selected.cv.mse[selected.cv.index])),
        progress=progress_of(report, "hold-out"),
        grouping=planned.job.intervals,
    )


def build(
    planned: TrainPlan, gathered: Gathered, selected: Selected, evaluation: h.Evaluation | None
) -> Model:
    """Put the model together."""
    final, cv, design = selected.final, selected.cv, selected.final.design
    predictor = predictor_of(selected.recipe, final)
    kept = design.usable
    spread = final.standardised[kept] @ design.problem.gram @ final.standardised[kept]
    evaluated, holdout = selected.evaluated, None
    if evaluation is not None:
        holdout = evaluation.holdout
    return Model(
        name=planned.job.name,
        target=planned.job.target,
        n_rows=gathered.moments.n_rows,
        predictor=predictor,
        alpha=final.alpha,
        l1_ratio=cv.l1_ratio,
        gamma=cv.gamma,
        standardised=final.standardised,
        means=design.location[design.position],
        deviations=design.deviation,
        scales=design.scale,
        prediction_mean=float(design.location[design.target]),
        prediction_sd=float(np.sqrt(max(float(spread), 0.0))),
        references=references(predictor, design, gathered.sample),
        curve=Curve(
            cv.l1_ratios,
            cv.gammas,
            cv.alphas,
            cv.mse,
            cv.mse_se,
            cv.n_nonzero,
            cv.fold_mse,
            cv.fold_weight,
            float(cv.alphas[cv.min_index]),
            float(cv.alphas[cv.one_se_index]),
            cv.n_left_out,
            cv.repeats,
        ),
        certificate=Certificate(
            final.dual_gap,
            final.kkt,
            cv.worst_dual_gap,
            cv.worst_kkt,
            cv.worst_sse_bound,
            selected.diagnostics.collinearity.condition_number,
            final.converged and cv.converged,
        ),
        stability=selected.stability,
        diagnostics=selected.diagnostics,
        holdout=holdout,
        evaluated=None if evaluated is None else predictor_of(selected.recipe, evaluated),
        job=planned.job.model_dump(mode="json"),
    )


def train(
    job: TrainJob,
    cluster: str = "local",
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
    from lasso_jobs.engine.cluster import connect

    clock = Clock()
    planned = plan(job)
    clock.lap("plan")
    with connect(cluster, workers) as client:
        clock.lap("cluster")
        gathered = gather(client, planned, report)
        clock.lap("moments")
        selected = select(planned, gathered)
        clock.lap("select")
        evaluation = evaluate(client, planned, gathered, selected, report)
        clock.lap("evaluate")
    return finish(planned, gathered, selected, evaluation, clock)


def finish(
    planned: TrainPlan,
    gathered: Gathered,
    selected: Selected,
    evaluation: h.Evaluation | None,
    clock: Clock,
) -> TrainResult:
    """Build and register the model; sum up."""
    bytes_read = gathered.counts.bytes_read + (evaluation.bytes_read if evaluation else 0)
    provenance = {
        "run_id": planned.run_id,
        "trained_at": datetime.now(UTC).isoformat(),
        "bytes_read": bytes_read,
        "rows": gathered.counts.rows,
        "rows_filtered": gathered.counts.filtered,
        "rows_without_target": gathered.counts.without_target,
        "files": len(planned.dataset.files),
        "data_plan": planned.data_digest,
        "data_version": planned.dataset.version,
        "versions": {name: version(name) for name in ("numpy", "scipy", "numba", "pyarrow")},
    }
    model = build(planned, gathered, selected, evaluation)
    registered, promotion = register(planned.job, model, evaluation, provenance)
    clock.lap("register")
    return TrainResult(
        registered,
        planned.run_id,
        promotion,
        gathered.counts,
        bytes_read,
        planned.features.left_out,
        clock.seconds(),
    )
