"""Checks the assumptions of the linear model, from residuals of held-out rows and of periods."""

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.one_alpha import Fit
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.fit.walk.refits import refit
from lasso_jobs.core.inference import checks as c
from lasso_jobs.core.inference import shape
from lasso_jobs.core.inference.collinearity import features_of, inflation
from lasso_jobs.core.inference.independence import CohortResiduals, independence
from lasso_jobs.core.inference.leverage import leverage
from lasso_jobs.core.inference.period_means import PeriodResiduals, mean_residuals
from lasso_jobs.core.inference.repeated_rows import repeated_rows
from lasso_jobs.core.inference.residuals import CategoryOfRows, HeldOutPredictions
from lasso_jobs.core.inference.serial import MOST_LAGS, Correlogram, RowOrder
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.blocks.matrix import block_of
from lasso_jobs.core.rows.columns import Category
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.models.model import Model
from lasso_jobs.training.read.sampled_rows import SampledRows
from lasso_jobs.training.search import predictor_of

if TYPE_CHECKING:
    from lasso_jobs.jobs.train import TrainJob
    from lasso_jobs.training.gather import TrainingData
    from lasso_jobs.training.plan import TrainPlan
    from lasso_jobs.training.search import Selected

MOST_LOOKED_AT = 1_000
"""Numeric features whose residuals are looked at, the strongest first: a millisecond each."""
ENOUGH_ROWS = 2_000
"""With fewer held-out rows, those of the folds are looked at, too, by fits without them."""
SHOWN_ROWS = 200
"""With fewer held-out rows, the report shows those of the folds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The checks of a model, and the residuals that they are from.

    Parameters
    ----------
    held : HeldOutPredictions or None
        The held-out rows, or where they are few what the checks looked at; None if there are none.
    series : PeriodResiduals or None
        None without a column of periods, or of more periods than are kept.
    vif : ndarray, shape (k,)
        Variance inflation factors of the selected columns among themselves.
    checks : tuple of Check
    orders : tuple of Correlogram
        Autocorrelations of those rows' residuals, for each order that rows have.
    """

    held: HeldOutPredictions | None
    series: PeriodResiduals | None
    vif: Floats
    checks: tuple[c.Check, ...]
    orders: tuple[Correlogram, ...] = ()


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
    final = selected.final
    held, looked_at = _unseen(planned, data, selected, model)
    orders = _orders(planned.job, data, model.predictor)
    series = None
    if planned.period is not None and len(data.periods.keys):
        series = mean_residuals(planned.period, model.predictor, final.design, data.periods)
    kept = varying(final)
    features = features_of(model.predictor.columns, model.predictor.indicators)[kept]
    vif = inflation(final.design.correlations(kept, selected.rows), features)
    n = len(looked_at.actual)
    on_held = {
        "linearity": shape.linearity,
        "homoscedasticity": shape.homoscedasticity,
        "outliers and leverage": c.outliers,
    }
    linear, spread, outliers = (
        c.too_few(name, n) if n < c.MIN_ROWS else check(looked_at)
        for name, check in on_held.items()
    )
    cohorts = _cohorts(planned.job, final, data, series)
    apart = independence(cohorts, series, orders)
    together = c.multicollinearity([model.labels[j] for j in kept], vif)
    sampled = data.sampled
    copies = repeated_rows(
        data.repeats, sampled.X, sampled.target, screened=data.screened is not None
    )
    return Examined(
        held=held,
        series=series,
        vif=vif,
        checks=(linear, apart, spread, together, outliers, copies),
        orders=orders,
    )


def varying(fit: Fit) -> NDArray[np.intp]:
    """The selected coefficients of columns that vary: all of them, but without an intercept."""
    return fit.selected[fit.design.deviation[fit.selected] > 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unseen:
    """Sampled rows, and their predictions by fits that did not see them.

    Parameters
    ----------
    rows : SampledRows
    predicted : ndarray, shape (n,)
    fit : Fit
        Whose columns and coefficients they are looked at by.
    n_training : int
        Rows that it was fitted to.
    name : str
        Which rows these are.
    """

    rows: SampledRows
    predicted: Floats
    fit: Fit
    n_training: int
    name: str


def _unseen(
    planned: "TrainPlan", data: "TrainingData", selected: "Selected", model: Model
) -> tuple[HeldOutPredictions | None, HeldOutPredictions]:
    """The rows to show, and those to check: all that a fit did not see, if few are held out.

    A bend that a check of 600 held-out rows of 3,000 does not find, one of 3,000 rows may.
    """
    held, recipe = None, selected.recipe
    if selected.evaluated is not None and model.evaluated is not None:
        rows = _held_out(data, selected.evaluated, model.evaluated)
        held = held_out_predictions(rows, data, recipe)
        if len(held.actual) >= ENOUGH_ROWS:
            return held, held
    every = held_out_predictions(_cross_validated(planned.job, data, selected), data, recipe)
    if held is None or len(held.actual) < SHOWN_ROWS:
        held = every if len(every.actual) else None
    return held, every


def _held_out(data: "TrainingData", fit: Fit, predictor: Predictor) -> _Unseen:
    rows = data.held_out.only(data.held_out.weight > 0)
    n = len(rows.target)
    drawn = f", drawn at random of {data.moments.holdout.n:,}" if n < data.moments.holdout.n else ""
    return _Unseen(
        rows=rows,
        predicted=predictor.predict(_block(rows, data, predictor)),
        fit=fit,
        n_training=sum(bucket.n for bucket in data.moments.buckets[: data.folds.n_before_holdout]),
        name=f"{n:,} held-out rows{drawn}, predicted by the fit to the other rows",
    )


def _cross_validated(job: "TrainJob", data: "TrainingData", selected: "Selected") -> _Unseen:
    """The sampled rows by the fit at the chosen alpha to the folds that they are not in.

    Held-out rows are predicted by the fit without them. The sample is of all rows if they are no
    more than it may hold. Rows that no fold tests, as the earliest in time, are left out.
    """
    recipe, final, sample = selected.recipe, selected.final, data.sample
    recipe = replace(recipe, grouping=recipe.grouping or final.design.grouping)
    scaling = sample if job.preprocess.scaling == "robust" else None
    predicted = np.full(len(sample.buckets), np.nan)

    def predict(fit: Fit, buckets: NDArray[np.intp]) -> None:
        rows = np.flatnonzero(np.isin(sample.buckets, buckets) & np.isnan(predicted))
        predictor = predictor_of(recipe, fit)
        predicted[rows] = predictor.predict(_block(data.sampled.only(rows), data, predictor))

    # Of repeated folds, the first; the others are other cuts of the same rows.
    folds = zip(data.folds.splits(), data.folds.folds(data.moments), strict=True)
    for (_, test), fold in islice(folds, data.folds.n_folds):
        among = scaling and scaling.only(fold.buckets)
        gamma = selected.cv.gamma
        fit = refit(final, recipe, fold.training, gamma=gamma, sample=among, measured=True)
        predict(fit, test)
    if selected.evaluated is not None:
        predict(selected.evaluated, np.array([len(data.moments.buckets) - 1]))
    rows = data.sampled.only(~np.isnan(predicted) & (data.sampled.weight > 0))
    n, of = len(rows.target), data.moments.n_rows
    drawn = f", drawn at random of {of:,}" if len(sample.buckets) < of else f" of {of:,}"
    return _Unseen(
        rows=rows,
        predicted=predicted[~np.isnan(predicted) & (data.sampled.weight > 0)],
        fit=final,
        n_training=selected.rows.n,
        name=f"{n:,} rows{drawn}, each predicted by the fit at the chosen alpha to the folds that "
        "it is not in" + ("" if selected.evaluated is None else ", or held out of"),
    )


def _block(rows: SampledRows, data: "TrainingData", predictor: Predictor) -> Block:
    block = block_of(rows.X, data.columns, predictor.columns)
    if block is None:
        raise ValueError("the sample is not of the model's columns")
    return block


def _orders(job: "TrainJob", data: "TrainingData", predictor: Predictor) -> tuple[Correlogram, ...]:
    """The autocorrelations of sampled rows in their files and in time; of sorted rows none.

    The residuals are those of the final fit, as of periods: of held-out rows alone, one row in
    twenty-five would have its neighbour beside it. Where the sample is a small part of all rows,
    few are close in a file; then sampled rows that follow one another tell what changes slowly.
    """
    rows = data.sampled.only(data.sampled.weight > 0)
    errors = rows.target - predictor.predict(_block(rows, data, predictor))
    orders = [files := RowOrder.of_files(rows.file, rows.position)]
    if job.time is not None:
        orders.append(RowOrder.of_times(job.time, rows.time, files))
    orders = [each for each in orders if not each.sorts(rows.target)]
    found = [Correlogram.of(errors, each) for each in orders]
    if orders and orders[0] is files and len(found[0].lags) < MOST_LAGS:
        found.insert(1, Correlogram.of(errors, files.among_sampled()))
    return tuple(each for each in found if len(each.lags))


def held_out_predictions(
    unseen: _Unseen, data: "TrainingData", recipe: d.Recipe
) -> HeldOutPredictions:
    """Rows that a fit did not see, with the features that their residuals are looked at by.

    Parameters
    ----------
    unseen : _Unseen
    data : TrainingData
    recipe : Recipe
    """
    fit, n = unseen.fit, unseen.n_training
    predictor = predictor_of(recipe, fit)
    block = _block(unseen.rows, data, predictor)
    columns, strongest = predictor.columns, fit.strongest()
    numeric = strongest[strongest < len(columns.numeric)][:MOST_LOOKED_AT]
    values = []
    for j in numeric.tolist():
        x, nulls = block.numeric[j], np.isnan(block.numeric[j])
        values.append(np.where(nulls, predictor.fill[j], x) if nulls.any() else x)
    spans, codes = dict(columns.spans()), zip(columns.categories, block.codes, strict=True)
    categories = [
        CategoryOfRows(category.name, _level_names(category), place) for category, place in codes
    ]
    size = {each.name: np.abs(fit.standardised[spans[each.name]]).max() for each in categories}
    screened = data.screened
    every = len(columns.numeric) if screened is None else screened.record.n_columns
    return HeldOutPredictions(
        predicted=unseen.predicted,
        actual=unseen.rows.target,
        features=[columns.numeric[j] for j in numeric],
        values=values,
        slopes=fit.coef[numeric],
        leverage=leverage(fit.design, fit.selected, predictor, block) / n,
        # Of a model without coefficients, 1: no row of it has any leverage.
        mean_leverage=max(len(fit.selected) + fit.design.intercept, 1) / n,
        categories=sorted(categories, key=lambda each: -size[each.name]),
        rows=unseen.name[0].upper() + unseen.name[1:],
        looked_at=_said_of(len(numeric), every),
    )


def _said_of(n: int, every: int) -> str:
    """Which numeric features are looked at."""
    if n < every:
        return (
            f"{n:,} of the {every:,} numeric features, the strongest and those nearest to a "
            "coefficient"
        )
    if n < 2:
        return "the one numeric feature" if n else "each numeric feature (there is none)"
    return f"each of the {n:,} numeric features"


def _level_names(category: Category) -> list[str]:
    names = ["null" if level is None else level for level in category.levels]
    return [*names, "(other)"] if category.other else names


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
