"""Builds the model from what the stages of a training have found."""

import logging
from dataclasses import replace

import numpy as np

from lasso_jobs.core.fit.choice import CrossValidation
from lasso_jobs.core.fit.one_alpha import Fit
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.fit.squared_error import explained_alone
from lasso_jobs.drift.references import TrainingRows, references
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.model import Certificate, Curve, Holdout, Model
from lasso_jobs.training.gather import TrainingData
from lasso_jobs.training.holdout import Evaluation
from lasso_jobs.training.search import Selected, predictor_of

SUSPICIOUS_R2 = 0.99
"""Of the data that people predict, few leave so little to chance; what does so is mostly a leak."""

logger = logging.getLogger(__name__)


def build(
    job: TrainJob, data: TrainingData, selected: Selected, evaluation: Evaluation | None
) -> Model:
    """Build the model."""
    final, cv, design, rows = selected.final, selected.cv, selected.final.design, selected.rows
    predictor = predictor_of(selected.recipe, final)
    active = np.flatnonzero(final.standardised)
    weights = final.standardised[active]
    spread = weights @ design.correlations(active, rows) @ weights
    evaluated = selected.evaluated
    training = TrainingRows(
        moments=rows,
        columns=data.columns,
        sample=data.sample,
        sampled_periods=data.sampled.period,
        periods=data.periods,
        unlabelled=data.unlabelled,
    )
    return Model(
        name=job.name,
        target=job.target,
        n_rows=data.moments.n_rows,
        predictor=predictor,
        alpha=final.alpha,
        l1_ratio=cv.l1_ratio,
        gamma=cv.gamma,
        standardised=final.standardised,
        means=design.location[design.position],
        deviations=design.deviation,
        scales=design.scale,
        prediction_mean=float(design.mean_prediction(final.coef[None])[0]),
        prediction_sd=float(np.sqrt(max(float(spread), 0.0))),
        references=references(predictor, final, training),
        curve=_curve(cv),
        certificate=_certificate(data, selected),
        stability=selected.stability,
        diagnostics=selected.diagnostics,
        importance=selected.importance,
        holdout=None if evaluation is None else _warned(evaluation.holdout, final, predictor),
        evaluated=None if evaluated is None else predictor_of(selected.recipe, evaluated),
        job=job.model_dump(mode="json", exclude={"cache"}),
        kept_together=data.reading.kept_together,
    )


def _warned(holdout: Holdout, final: Fit, predictor: Predictor) -> Holdout:
    """The errors on held-out rows, with a warning where they are too small to be true."""
    if not holdout.r2 > SUSPICIOUS_R2:
        return holdout
    found = explained_alone(final.design, predictor)
    warning = f"the R2 of {holdout.r2:.4f} on held-out rows is too good for most data"
    if found is not None:
        name, share = found
        warning += (
            f": {name!r} explains {share:.4f} of the target's variance by itself. If it is known "
            "only once the target is, leave it out, by features.exclude"
        )
    logger.warning("Note that %s", warning)
    return replace(holdout, warning=warning)


def _curve(cv: CrossValidation) -> Curve:
    return Curve(
        l1_ratios=cv.l1_ratios,
        gammas=cv.gammas,
        alphas=cv.alphas,
        mse=cv.mse,
        mse_se=cv.mse_se,
        n_nonzero=cv.n_nonzero,
        fold_mse=cv.fold_mse,
        fold_weight=cv.fold_weight,
        alpha_min=float(cv.alphas[cv.min_index]),
        alpha_1se=float(cv.alphas[cv.one_se_index]),
        n_left_out=cv.n_left_out,
        repeats=cv.repeats,
    )


def _certificate(data: TrainingData, selected: Selected) -> Certificate:
    final, cv = selected.final, selected.cv
    return Certificate(
        dual_gap=final.dual_gap,
        kkt=final.kkt,
        worst_dual_gap=cv.worst_dual_gap,
        worst_kkt=cv.worst_kkt,
        sse_bound=cv.worst_sse_bound,
        condition_number=selected.diagnostics.collinearity.condition_number,
        converged=final.converged
        and cv.converged
        and (selected.evaluated is None or selected.evaluated.converged),
        screening=None if data.screened is None else data.screened.record,
    )
