"""Training: plan, gather moments in one pass, select alpha, evaluate, register.

Each stage takes what the stages before it return, so that a flow can run them as its tasks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

from lasso_jobs.artifacts.model import Certificate, Curve, Model
from lasso_jobs.artifacts.registry import Registered, Registry
from lasso_jobs.core import diagnostics as dg
from lasso_jobs.core import moments as m
from lasso_jobs.core import selection
from lasso_jobs.core import stability as st
from lasso_jobs.core.checks import Check
from lasso_jobs.core.choice import CrossValidation
from lasso_jobs.core.columns import Columns
from lasso_jobs.core.design import Recipe
from lasso_jobs.core.predict import Predictor
from lasso_jobs.core.sample import Sample
from lasso_jobs.errors import DataError
from lasso_jobs.jobs import holdout as h
from lasso_jobs.jobs.assumptions import examine
from lasso_jobs.jobs.clock import Clock, Report
from lasso_jobs.jobs.config import TrainJob
from lasso_jobs.jobs.gather import Gathered, gather, recall
from lasso_jobs.jobs.promotion import Promotion, champion_of, promote
from lasso_jobs.jobs.reading import Counts
from lasso_jobs.jobs.references import Seen, references
from lasso_jobs.jobs.report import keep_report
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
    recipe = _recipe(job, gathered.columns, everything)
    sample = _sample_for_scaling(planned, gathered)
    folds = gathered.folds.folds(moments)
    buckets = range(gathered.reading.n_buckets)
    cv = selection.cross_validate(
        recipe, in_folds, folds, _search(job), sample and sample.only(buckets)
    )
    recipe, alphas = replace(recipe, l1_ratio=cv.l1_ratio), cv.alphas_to_chosen
    evaluated = None
    if job.holdout is not None:
        before = buckets[: gathered.folds.n_before_holdout]
        seen = in_folds if before == buckets else moments.merged(before)
        evaluated = selection.fit(recipe, seen, alphas, cv.gamma, sample and sample.only(before))
    final = selection.fit(recipe, everything, alphas, cv.gamma, sample)
    groups, group_of = st.grouped(moments.buckets[:-1])
    if sample is not None:
        # The held-out rows, of the last bucket, are in no group.
        sample = replace(sample, buckets=np.append(group_of, -1)[sample.buckets])
    stability = None
    if (how := job.stability) is not None:
        stability = st.assess(
            recipe, groups, cv.alpha, how.pairs, how.threshold, job.seed, cv.gamma, sample
        )
    held = moments.holdout
    found = dg.diagnose(recipe, everything, final, cv.path_alphas, groups, held, cv.gamma, sample)
    return Selected(recipe, cv, evaluated, final, stability, found)


def _recipe(job: TrainJob, columns: Columns, rows: m.Moments) -> Recipe:
    how, with_nulls = job.preprocess, set(rows.nulls.tolist())
    return Recipe(
        columns,
        how.scaling,
        tuple(j for j in range(len(columns.numeric)) if j in with_nulls)
        if how.missing == "indicator"
        else (),
        penalty_factors=job.penalty_factors,
        bounds=job.bounds,
        adaptive=job.search.adaptive,
        max_levels=how.max_levels,
        min_count=how.min_count,
        drop_first=how.drop_first,
    )


def _search(job: TrainJob) -> selection.Search:
    return selection.Search(
        job.search.alphas,
        job.search.eps,
        job.search.rule,
        job.search.l1_ratios,
        job.search.gammas,
        job.search.fold_means,
        job.search.early_stop,
        job.search.repeats,
    )


def _sample_for_scaling(planned: TrainPlan, gathered: Gathered) -> Sample | None:
    if planned.job.preprocess.scaling != "robust":
        return None
    sample = gathered.sample
    for k, (training, _) in enumerate(gathered.folds.splits()):
        if not np.isin(sample.buckets, training).any():
            raise DataError(
                f"{planned.dataset.path}, preprocess.scaling 'robust'",
                f"none of the training rows of fold {k + 1} are in the sample",
                "some, to take quartiles from",
                "Use folds of similar sizes, or another scaling",
            )
    return sample


def predictor_of(recipe: Recipe, fit: selection.Fit) -> Predictor:
    """A fit as something that predicts."""
    columns = fit.design.grouping.columns
    fill = fit.design.location[: len(columns.numeric)]
    return Predictor(columns, recipe.indicators, fill, fit.coef, fit.intercept)


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


def build(
    planned: TrainPlan, gathered: Gathered, selected: Selected, evaluation: h.Evaluation | None
) -> Model:
    """Put the model together."""
    final, cv, design = selected.final, selected.cv, selected.final.design
    predictor = predictor_of(selected.recipe, final)
    kept = design.usable
    spread = final.standardised[kept] @ design.problem.gram @ final.standardised[kept]
    evaluated, holdout = selected.evaluated, None
    moments = gathered.moments
    everything = m.merge(moments.merged(range(gathered.reading.n_buckets)), moments.holdout)
    seen = Seen(
        everything,
        gathered.columns,
        gathered.sample,
        gathered.sampled_periods,
        gathered.periods,
    )
    if evaluation is not None:
        holdout = evaluation.holdout
    return Model(
        name=planned.job.name,
        target=planned.job.target,
        n_rows=moments.n_rows,
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
        references=references(predictor, final, seen),
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
        job=planned.job.model_dump(mode="json", exclude={"cache"}),
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
