"""Measures a model, and the champion, on the held-out rows, without another read.

Squared errors come from the moments. Absolute errors and the quantile of the residuals need rows:
a uniform sample of the held-out ones, and all of them while they are no more than that. An interval
from a sample is as valid as one from all rows (split conformal prediction asks for no more than
exchangeable ones, or cohorts of them); of independent rows its coverage varies by about
``sqrt(coverage (1 - coverage) / n_rows)``, 0.3 % at 10,000 rows.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.drift.outcomes import Expectation
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.fit.squared_error import mean_squared_error
from lasso_jobs.core.inference.cohorts import Estimate, estimate
from lasso_jobs.core.inference.conformal import Covered, Widths
from lasso_jobs.core.rows.blocks.matrix import block_of, hidden_rows
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data.groups import group_number
from lasso_jobs.models.model import INTERVAL_COVERAGE, Holdout
from lasso_jobs.training.read.sampled_rows import Rows, SampledRows

if TYPE_CHECKING:
    from lasso_jobs.jobs.train import Intervals, TrainJob
    from lasso_jobs.training.gather import TrainingData


@dataclass(frozen=True, slots=True)
class ChampionComparison:
    """A model and the champion on the same held-out rows.

    Parameters
    ----------
    mse, champion_mse : float
        Over all of them.
    gain : Estimate
        Of the champion's squared error less the challenger's, row by row: its mean is the
        difference of the two above, its standard error is from the sampled rows.
    n_rows : int
    later : bool
        Whether all of these rows are of periods after the last one that the champion was trained
        on. If not, it may have been trained on some of them, which flatters it.
    """

    mse: float
    champion_mse: float
    gain: Estimate
    n_rows: int
    later: bool = False

    @property
    def better(self) -> bool:
        """Whether the challenger's error is smaller, and by more than chance explains."""
        return self.gain.positive

    @property
    def worse(self) -> bool:
        """Whether its error is larger, and by more than chance explains."""
        error = self.gain.standard_error
        return error is not None and self.gain.mean < -self.gain.limit * error

    def not_worse(self, margin: float) -> bool:
        """Whether its error is at most a share above the champion's, by more than chance explains.

        A one-sided test of non-inferiority (Wellek 2010, "Testing Statistical Hypotheses of
        Equivalence and Noninferiority", chapter 1): the hypothesis to be refuted is that the mean
        difference is ``-margin * champion_mse`` or less. The margin counts as known.
        """
        return self.gain.exceeds(-margin * self.champion_mse)

    def as_values(self) -> dict[str, Any]:
        """What ``train --json`` prints of it."""
        return {
            "mse": self.mse,
            "champion_mse": self.champion_mse,
            "difference": self.gain.mean,
            "standard_error": self.gain.standard_error,
            "n_cohorts": self.gain.n_cohorts,
            "n_rows": self.n_rows,
            "rows_after_champion": self.later,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The errors of a model on the held-out rows.

    Parameters
    ----------
    holdout : Holdout
    comparison : ChampionComparison or None
        With the champion, if that can be measured on these rows.
    later : ChampionComparison or None
        The same on those of them that are of periods after the champion's training, where they
        tell something.
    """

    holdout: Holdout
    comparison: ChampionComparison | None
    later: ChampionComparison | None = None

    @property
    def decisive(self) -> ChampionComparison | None:
        """The comparison that says which one is better: the fair one where there is one."""
        return self.later or self.comparison

    def not_worse(self, margin: float) -> ChampionComparison | None:
        """A comparison that shows that the model is not worse, by a margin; None if none does.

        On rows that the champion was trained on it has an advantage, so that not to be worse there
        is more than is asked for: all held-out rows may show it, too, while the later ones are too
        few, unless they show the opposite.
        """
        for each in (self.later, self.comparison):
            if each is None:
                continue
            if each.not_worse(margin):
                return each
            if each.worse:
                return None
        return None


def measure_on_holdout(
    model: Predictor,
    champion: Predictor | None,
    data: "TrainingData",
    job: "TrainJob",
    *,
    seen_until: float | None = None,
) -> Evaluation:
    """Measure a model, and the champion if it can be, on the held-out rows.

    Parameters
    ----------
    model : Predictor
        Fitted to the other rows.
    champion : Predictor or None
    data : TrainingData
    job : TrainJob
    seen_until : float, optional
        The last period that the champion was trained on.
    """
    own, others = _errors(model, data), None
    if own is None or own.mse is None:
        raise ValueError("the model is not of these columns")
    if champion is not None:
        others = _errors(champion, data.for_champion or data)
    cohort = data.reading.cohort
    rows = _Residuals(
        own.residuals,
        data.held_out.facts(),
        cohort is not None,
        len(own.residuals) / data.moments.holdout.n,
    )
    comparison = later = None
    if others is not None:
        later = None if seen_until is None else _compared(rows, own, others, after=seen_until)
        comparison = _compared(rows, own, others)
        if others.mse is not None:  # by all rows, exactly
            gains, gain = others.residuals**2 - own.residuals**2, others.mse - own.mse
            comparison = ChampionComparison(
                mse=own.mse,
                champion_mse=others.mse,
                gain=rows.estimate(gains, mean=gain),
                n_rows=data.moments.holdout.n,
            )
    holdout = _holdout(rows, data, intervals=job.intervals, mse=own.mse, cohort=cohort)
    return Evaluation(holdout, comparison, later)


def _compared(
    rows: "_Residuals", own: "_Errors", others: "_Errors", *, after: float | None = None
) -> ChampionComparison | None:
    """The comparison on sampled rows that the champion can predict; None if there are none.

    Moments are not kept of these rows alone, so that all of it is of the sampled ones: both means
    are theirs, and they count as all rows that there are.

    Parameters
    ----------
    rows, own, others
    after : float, optional
        The rows are of periods after this one. Rows of a single cohort would decide nothing for as
        long as the champion is new: they are none.
    """
    chosen = ~np.isnan(others.residuals)
    if after is not None:
        chosen &= rows.facts.period > after
    weights = rows.facts.weight[chosen]
    if not weights.any():
        return None
    gain = replace(rows, share=1.0).estimate(others.residuals**2 - own.residuals**2, chosen)
    if after is not None and gain.standard_error is None:
        return None
    mse, champion_mse = (
        float(each.residuals[chosen] ** 2 @ weights / weights.sum()) for each in (own, others)
    )
    n_rows = int(chosen.sum())
    return ChampionComparison(mse, champion_mse, gain, n_rows=n_rows, later=after is not None)


@dataclass(frozen=True, slots=True)
class _Errors:
    """The residuals of the sampled rows, and the mean squared error of all.

    Of a model of other columns, rows that it cannot predict have none, which is NaN, and then the
    mean is not known.
    """

    residuals: Floats
    mse: float | None


def _errors(model: Predictor, data: "TrainingData") -> _Errors | None:
    """The errors of a model; None if it needs what is not among the columns."""
    model, held_out = model.only(model.used), data.held_out
    if not data.columns.has(model.columns):
        return None
    known = ~hidden_rows(held_out.X, data.columns, model.columns)
    block = block_of(held_out.X[:, known], data.columns, model.columns)
    if block is None:
        return None
    target, weights = held_out.target, held_out.weight
    residuals = np.full(len(target), np.nan)
    residuals[known] = target[known] - model.predict(block)
    if np.isnan(residuals).any():  # or a null of the model's offset
        return _Errors(residuals, None)
    if len(target) == data.moments.holdout.n:
        return _Errors(residuals, float(residuals**2 @ weights / weights.sum()))
    return _Errors(residuals, mean_squared_error(model, data.columns, data.moments.holdout))


@dataclass(frozen=True, slots=True)
class _Residuals:
    """The residuals of the sampled rows, with the facts of these rows.

    Parameters
    ----------
    residuals : ndarray, shape (n,)
    facts : SampledRows
    in_cohorts : bool
        Whether the rows come in cohorts; each row is one otherwise.
    share : float
        Of the held-out rows, how many are in the sample.
    """

    residuals: Floats
    facts: SampledRows
    in_cohorts: bool
    share: float

    def estimate(
        self, values: Floats, own: Rows = slice(None), mean: float | None = None
    ) -> Estimate:
        """The mean of some values over some of the rows."""
        facts = self.facts.only(own)
        cohorts = facts.cohort if self.in_cohorts else None
        return estimate(values[own], facts.weight, cohorts, share=self.share, mean=mean)

    def expected(
        self, covered: Covered | None, own: Rows = slice(None), mse: float | None = None
    ) -> Expectation:
        """The errors that some of the rows have."""
        errors, weight = -self.residuals, self.facts.weight[own]
        inside = None
        if covered is not None:
            of_new = float(covered.of_new[own] @ weight / weight.sum())
            inside = self.estimate(covered.held.astype(float), own, of_new)
        return Expectation(
            squared_error=self.estimate(errors**2, own, mse),
            error=self.estimate(errors, own),
            absolute_error=self.estimate(np.abs(errors), own),
            covered=inside,
            n_sampled=len(errors[own]),
        )


def _holdout(
    rows: _Residuals,
    data: "TrainingData",
    *,
    intervals: "Intervals | None",
    mse: float,
    cohort: str | None,
) -> Holdout:
    own_rows = {} if intervals is None else _groups(rows.facts, data.groups, intervals.min_rows)
    widths = Widths.of(
        np.abs(rows.residuals),
        rows.facts.weight,
        rows.facts.cohort if rows.in_cohorts else None,
        groups=own_rows,
        coverage=INTERVAL_COVERAGE,
    )
    expected = rows.expected(widths.covered, mse=mse)
    held = data.moments.holdout
    variance = float(held.scatter[held.n_values - 1, held.n_values - 1]) / held.weight
    return Holdout(
        n_rows=held.n,
        mse=mse,
        rmse=float(np.sqrt(mse)),
        r2=1.0 - mse / variance if variance > 0 else float(mse == 0),
        mae=expected.absolute_error.mean,
        interval=widths.overall.half,
        n_sampled=len(rows.residuals),
        by=None if intervals is None else intervals.by,
        intervals=widths.groups,
        expected=expected,
        expected_by={name: rows.expected(widths.covered, own) for name, own in own_rows.items()},
        cohort=cohort,
        effective_size=widths.overall.effective_size,
    )


def _groups(
    facts: SampledRows, names: tuple[str, ...], min_rows: int
) -> dict[str, NDArray[np.bool_]]:
    """The rows of each group that has enough of them for an interval of its own."""
    own_rows = {name: facts.group == group_number(name) for name in names}
    return {
        name: own
        for name, own in own_rows.items()
        if own.sum() >= min_rows and facts.weight[own].any()
    }
