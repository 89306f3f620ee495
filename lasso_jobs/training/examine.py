"""Checks the assumptions of the linear model, from residuals of held-out rows and of periods."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.one_alpha import Fit
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.inference import checks as c
from lasso_jobs.core.inference.independence import CohortResiduals, independence
from lasso_jobs.core.inference.period_means import PeriodResiduals, mean_residuals
from lasso_jobs.core.inference.residuals import HeldOutPredictions, inflation
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.blocks.matrix import block_of
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.models.model import Model

if TYPE_CHECKING:
    from lasso_jobs.jobs.train import TrainJob
    from lasso_jobs.training.gather import TrainingData
    from lasso_jobs.training.plan import TrainPlan
    from lasso_jobs.training.search import Selected

MOST_FEATURES = 9


@dataclass(frozen=True, slots=True)
class Examined:
    """The checks of a model, and the residuals that they are from.

    Parameters
    ----------
    held : HeldOutPredictions or None
        None without held-out rows.
    series : PeriodResiduals or None
        None without a column of periods, or of more periods than are kept.
    vif : ndarray, shape (k,)
        Variance inflation factors of the selected columns among themselves.
    checks : tuple of Check
    """

    held: HeldOutPredictions | None
    series: PeriodResiduals | None
    vif: Floats
    checks: tuple[c.Check, ...]


def examine(
    planned: "TrainPlan", data: "TrainingData", selected: "Selected", model: Model
) -> Examined:
    """Check the assumptions of a linear model, by the residuals of its fits.

    Parameters
    ----------
    planned : TrainPlan
    data : TrainingData
    selected : Selected
        The fits.
    model : Model
        Of these fits.
    """
    final, evaluated = selected.final, selected.evaluated
    held = None
    if evaluated is not None and model.evaluated is not None:
        held = held_out_predictions(evaluated, model.evaluated, data)
    series = None
    if planned.period is not None and len(data.periods.keys):
        series = mean_residuals(planned.period, model.predictor, final.design, data.periods)
    kept = varying(final)
    vif = inflation(final.design.correlations(kept, selected.rows))
    n = 0 if held is None else len(held.actual)
    on_held = {
        "linearity": c.linearity,
        "homoscedasticity": c.homoscedasticity,
        "outliers and leverage": c.outliers,
    }
    linear, spread, outliers = (
        c.too_few(name, n) if held is None or n < c.MIN_ROWS else check(held)
        for name, check in on_held.items()
    )
    apart = independence(_cohorts(planned.job, final, data, series), series)
    together = c.multicollinearity([model.labels[j] for j in kept], vif)
    return Examined(held, series, vif, (linear, apart, spread, together, outliers))


def varying(fit: Fit) -> NDArray[np.intp]:
    """The selected coefficients of columns that vary: all of them, but without an intercept."""
    return fit.selected[fit.design.deviation[fit.selected] > 0]


def held_out_predictions(
    fit: Fit, predictor: Predictor, data: "TrainingData"
) -> HeldOutPredictions:
    """The sampled held-out rows, predicted by the fit to the others.

    Parameters
    ----------
    fit : Fit
        Without the held-out rows.
    predictor : Predictor
        The fit.
    data : TrainingData
    """
    held = data.held_out
    rows = np.flatnonzero(held.weight > 0)
    block = block_of(held.X[:, rows], data.columns, predictor.columns)
    if block is None:
        raise ValueError("the sample is not of the model's columns")
    n_numeric = len(predictor.columns.numeric)
    selected = fit.selected
    used = selected[selected < n_numeric]
    used = used[np.argsort(-np.abs(fit.standardised[used]), kind="stable")][:MOST_FEATURES]
    numbers = [block.numeric[j] for j in used.tolist()]
    values = [
        np.where(np.isnan(x), predictor.fill[j], x) for x, j in zip(numbers, used, strict=True)
    ]
    before = range(data.folds.n_before_holdout)
    n = sum(data.moments.buckets[i].n for i in before)
    return HeldOutPredictions(
        predicted=predictor.predict(block),
        actual=held.target[rows],
        features=[predictor.columns.numeric[j] for j in used],
        values=np.array(values).reshape(len(used), len(rows)),
        slopes=fit.coef[used],
        leverage=_leverage(fit.design, selected, predictor, block) / n,
        # Of a model without coefficients, 1: no row of it has any leverage.
        mean_leverage=max(len(selected) + fit.design.intercept, 1) / n,
    )


def _leverage(design: d.Design, selected: Any, predictor: Predictor, block: Block) -> Floats:
    """The rows' leverages times the number of training rows."""
    gram = design.gram(selected)
    z = _columns(predictor, block, selected)
    if design.intercept:
        z -= design.location[design.position[selected], None]
    z /= design.unit[selected, None]
    # Of dependent columns any solution gives the same leverage.
    weighed = np.linalg.lstsq(gram, z, rcond=None)[0]
    return np.asarray(design.intercept + (z * weighed).sum(axis=0))


def _columns(predictor: Predictor, block: Block, selected: Any) -> Floats:
    """The selected coefficients' columns, shape (k, n), nulls filled."""
    spans = dict(predictor.columns.spans())
    starts = [spans[category.name].start for category in predictor.columns.categories]
    n_numeric, first = len(predictor.columns.numeric), predictor.columns.n_columns
    columns = np.empty((len(selected), block.n_rows))
    for i, j in enumerate(selected.tolist()):
        if j < n_numeric:
            nulls = np.isnan(block.numeric[j])
            columns[i] = np.where(nulls, predictor.fill[j], block.numeric[j])
        elif j >= first:
            columns[i] = np.isnan(block.numeric[predictor.indicators[j - first]])
        else:
            k = int(np.searchsorted(starts, j, side="right")) - 1
            columns[i] = block.codes[k] == j - starts[k]
    return columns


def _cohorts(
    job: "TrainJob", final: Fit, data: "TrainingData", series: PeriodResiduals | None
) -> list[CohortResiduals]:
    """Rows that may err alike: those of a period, and those that the split keeps together."""
    split, buckets = job.search.split, data.moments.buckets
    kind = split.group or split.fold or split.time
    # The mean of weighted rows varies by their weights, too, which moments do not tell apart.
    if job.weight is not None or (kind is None and series is None):
        return []
    errors = [evaluate(final.design, final.coef[None], rows) for rows in buckets]
    mse = float(sum(e.sse[0] for e in errors) / sum(e.weight for e in errors))
    cohorts = []
    # A period of a single row says nothing of its own.
    if series is not None and series.n.sum() > len(series.n):
        cohorts.append(CohortResiduals(series.name, series.mean, series.n.astype(float), mse))
    if kind is not None and (series is None or kind != series.name):
        weight = np.array([e.weight for e in errors[:-1]])
        bias = np.array([e.bias[0] for e in errors[:-1]])
        cohorts.append(CohortResiduals(kind, bias, weight, mse))
    return cohorts
