"""The errors on the held-out rows, without another read.

Squared errors come from the moments. Absolute errors and the quantile of the residuals need rows:
a uniform sample of the held-out ones, and all of them while they are no more than that. An interval
from a sample is as valid as one from all rows (split conformal prediction asks for no more than
exchangeable ones); its coverage varies by about ``sqrt(coverage (1 - coverage) / n_rows)``, 0.3 %
at 10,000 rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.artifacts.model import Expectation, Holdout
from lasso_jobs.core.clusters import Estimate, estimate
from lasso_jobs.core.columns import Columns, block_of
from lasso_jobs.core.moments import Floats, Moments
from lasso_jobs.core.predict import Predictor
from lasso_jobs.core.sample import Sample
from lasso_jobs.core.squared_error import mean_squared_error
from lasso_jobs.jobs.intervals import group_number, half_width
from lasso_jobs.jobs.train_job import Intervals

_Rows = slice | NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same held-out rows.

    Parameters
    ----------
    mse, champion_mse : float
        Over all of them.
    gain : Estimate
        Of the champion's squared error less the challenger's, row by row: its mean is the
        difference of the two above, its standard error is from the sampled rows.
    """

    mse: float
    champion_mse: float
    gain: Estimate

    @property
    def better(self) -> bool:
        """Whether the challenger's error is smaller, and by more than chance explains."""
        return self.gain.positive


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The held-out rows, measured.

    Parameters
    ----------
    holdout : Holdout
    comparison : Comparison or None
        With the champion's own evaluated model, if that can be measured on these rows.
    """

    holdout: Holdout
    comparison: Comparison | None


def evaluate(
    model: Predictor,
    champion: Predictor | None,
    rows: Moments,
    sample: Sample,
    columns: Columns,
    grouping: Intervals | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
) -> Evaluation:
    """Measure a model, and the champion if it can be, on the held-out rows.

    Parameters
    ----------
    model : Predictor
        Fitted to the other rows.
    champion : Predictor or None
    rows : Moments
        Of the held-out rows.
    sample : Sample
        Of the held-out rows; its values end with the target, the weight, the group, the cluster.
    columns : Columns
        Of the moments and the sample.
    grouping : Intervals, optional
        Groups that are to have intervals of their own.
    groups : sequence of str
        Their names.
    cluster : str, optional
        The column that the clusters come from; without, each row is one.
    """
    mine, mse = _measured(model, columns, sample, rows)
    if mine is None or mse is None:
        raise ValueError("the model is not of these columns")
    rows_of = _Sampled(mine, sample, cluster is not None, len(mine) / rows.n)
    theirs, champion_mse = (
        (None, None) if champion is None else _measured(champion, columns, sample, rows)
    )
    comparison = None
    if theirs is not None and champion_mse is not None:
        gain = rows_of.estimate(theirs**2 - mine**2, known=champion_mse - mse)
        comparison = Comparison(mse, champion_mse, gain)
    holdout = _holdout(rows_of, rows, mse, grouping, groups)
    return Evaluation(replace(holdout, cluster=cluster), comparison)


@dataclass(frozen=True, slots=True)
class _Sampled:
    """The sampled rows' residuals, and what else their values end with."""

    residuals: Floats
    sample: Sample
    clustered: bool
    share: float

    def estimate(
        self, values: Floats, own: _Rows = slice(None), known: float | None = None
    ) -> Estimate:
        """The mean of some values over some of the rows."""
        _, weights, _, clusters = self.sample.values[-4:, own]
        in_clusters = clusters if self.clustered else None
        return estimate(values[own], weights, in_clusters, self.share, known)

    def expected(
        self, covered: NDArray[np.bool_], own: _Rows = slice(None), mse: float | None = None
    ) -> Expectation:
        """The errors that some of the rows have."""
        errors = -self.residuals
        return Expectation(
            self.estimate(errors**2, own, mse),
            self.estimate(errors, own),
            self.estimate(np.abs(errors), own),
            self.estimate(covered.astype(float), own),
            len(errors[own]),
        )


def _holdout(
    rows_of: _Sampled,
    rows: Moments,
    mse: float,
    grouping: Intervals | None,
    groups: Sequence[str],
) -> Holdout:
    sizes, (weights, group) = np.abs(rows_of.residuals), rows_of.sample.values[-3:-1]
    enough = np.inf if grouping is None else grouping.min_rows
    chosen = {name: group == group_number(name) for name in groups}
    chosen = {k: own for k, own in chosen.items() if own.sum() >= enough and weights[own].any()}
    widths = {name: half_width(sizes[own]) for name, own in chosen.items()}
    covered = sizes <= half_width(sizes)
    for name, own in chosen.items():
        covered[own] = sizes[own] <= widths[name]
    expected = rows_of.expected(covered, mse=mse)
    variance = float(rows.scatter[rows.n_values - 1, rows.n_values - 1]) / rows.weight
    return Holdout(
        rows.n,
        mse,
        float(np.sqrt(mse)),
        1.0 - mse / variance if variance > 0 else float(mse == 0),
        expected.absolute_error.mean,
        half_width(sizes),
        len(sizes),
        None if grouping is None else grouping.by,
        widths,
        expected,
        {name: rows_of.expected(covered, own) for name, own in chosen.items()},
    )


def _measured(
    model: Predictor, columns: Columns, sample: Sample, rows: Moments
) -> tuple[Floats | None, float | None]:
    """Residuals of the sampled rows, and the mean squared error of all.

    None and None for a model that needs what is not among the columns.
    """
    model = model.only(model.used)
    block, (target, weights) = block_of(sample.values, columns, model.columns), sample.values[-4:-2]
    if block is None:
        return None, None
    residuals = target - model.predict(block)
    if len(target) == rows.n:
        return residuals, float(residuals**2 @ weights / weights.sum())
    return residuals, mean_squared_error(model, columns, rows)
