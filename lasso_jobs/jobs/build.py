"""What the stages of a training found, put together as a model."""

import numpy as np

from lasso_jobs.artifacts.model import Certificate, Curve, Model
from lasso_jobs.core import moments as m
from lasso_jobs.core.choice import CrossValidation
from lasso_jobs.jobs.alpha_search import Selected, predictor_of
from lasso_jobs.jobs.gather import Gathered
from lasso_jobs.jobs.holdout import Evaluation
from lasso_jobs.jobs.references import Seen, references
from lasso_jobs.jobs.train_plan import TrainPlan


def build(
    planned: TrainPlan, gathered: Gathered, selected: Selected, evaluation: Evaluation | None
) -> Model:
    """Put the model together."""
    final, cv, design = selected.final, selected.cv, selected.final.design
    predictor = predictor_of(selected.recipe, final)
    kept = design.usable
    spread = final.standardised[kept] @ design.problem.gram @ final.standardised[kept]
    evaluated = selected.evaluated
    moments = gathered.moments
    everything = m.merge(moments.merged(range(gathered.reading.n_buckets)), moments.holdout)
    seen = Seen(
        everything,
        gathered.columns,
        gathered.sample,
        gathered.sampled_periods,
        gathered.periods,
    )
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
        curve=_curve(cv),
        certificate=_certificate(selected),
        stability=selected.stability,
        diagnostics=selected.diagnostics,
        holdout=None if evaluation is None else evaluation.holdout,
        evaluated=None if evaluated is None else predictor_of(selected.recipe, evaluated),
        job=planned.job.model_dump(mode="json", exclude={"cache"}),
    )


def _curve(cv: CrossValidation) -> Curve:
    return Curve(
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
    )


def _certificate(selected: Selected) -> Certificate:
    final, cv = selected.final, selected.cv
    return Certificate(
        final.dual_gap,
        final.kkt,
        cv.worst_dual_gap,
        cv.worst_kkt,
        cv.worst_sse_bound,
        selected.diagnostics.collinearity.condition_number,
        final.converged and cv.converged,
    )
