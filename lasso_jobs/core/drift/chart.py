"""Charts the shifts of the nights so far, so that a lasting one is found that is small each night.

The chart is an exponentially weighted moving average of a feature's nightly shifts (EWMA: Roberts
1959; Lucas & Saccucci 1990, "Exponentially weighted moving average control schemes"). A night's
weight is `WEIGHT`, that of the night before it 0.8 times as much, and so on: about the last nine
nights count. Nights that were beyond their own limit are told by themselves and left out, so that
neither an odd night nor a fault that was mended echoes in the nights after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, sqrt

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.drift.drift import NAN, Drift
from lasso_jobs.core.drift.limits import FALSE_ALARMS, Baseline, Lasting
from lasso_jobs.core.drift.normal.variation import Knowledge, quantile
from lasso_jobs.core.drift.verdicts import in_season, usual
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.periods import between_variance

WEIGHT = 0.2
"""By convention (Montgomery, "Introduction to Statistical Quality Control"): from 0.05 to 0.25."""

MOST_NIGHTS = 40
"""Older ones weigh 0.0001."""

LEAST_NIGHTS = 3
"""Fewer are no lasting shift."""

LEAST_PERIODS = 20
"""Of the training, for the moving average of its own periods to tell how much it varies."""


def lasting_of(
    deviations: Floats, n: NDArray[np.int64], variance: float, knowledge: Knowledge
) -> Lasting:
    """How much the moving average of periods varies beyond chance.

    Of autoregressive effects of order one with variance b, it is ``b w / (2 - w)`` times
    ``(1 + r (1 - w)) / (1 - r (1 - w))``, and ``b / m`` for the training's mean of m effective
    periods. The moving average of the training's own periods is taken where it varies more, as
    it does with seasons and trends.

    Parameters
    ----------
    deviations : ndarray, shape (t,)
        As `lasso_jobs.core.drift.normal.variation.variation_of`.
    n : ndarray of int, shape (t,)
    variance : float
    knowledge : Knowledge
    """
    m, t = knowledge.effective, len(deviations)
    effects = between_variance(deviations * sqrt(1 / (1 - 1 / m)), n, variance)
    total = float(np.mean(deviations**2))
    r = min(knowledge.correlation * total / effects, 0.9) if effects > 0 else 0.0
    steady, kept = WEIGHT / (2 - WEIGHT), r * (1 - WEIGHT)
    between = effects * (steady * (1 + kept) / (1 - kept) + 1 / m)
    if t >= LEAST_PERIODS:
        smooth, chance = _averages(deviations), steady * variance * float(np.mean(1 / n))
        own = max(float(np.mean(smooth[t // 4 :] ** 2)) - chance, 0.0)
        between = max(between, own * knowledge.inflation)
    return Lasting(between, knowledge.freedom)


def _averages(values: Floats) -> Floats:
    """The moving average at each of some values, from zero on."""
    averages, average = np.empty(len(values)), 0.0
    for i, value in enumerate(values.tolist()):
        average += WEIGHT * (value - average)
        averages[i] = average
    return averages


@dataclass(frozen=True, slots=True)
class Chart:
    """Finds shifts that last.

    Parameters
    ----------
    baselines : mapping of str to Baseline
        Of the features that are judged, and of the predictions.
    prediction_sd : float
        Of the training predictions.
    night : str or None
        That is judged, in ISO form.
    """

    baselines: Mapping[str, Baseline]
    prediction_sd: float
    night: str | None

    def judge(
        self, judged: Mapping[str, Drift], nights: Sequence[Mapping[str, Drift]]
    ) -> dict[str, Drift]:
        """Features that are judged by themselves, with the chart of the nights so far.

        A feature is watched if only its chart is beyond the limit, which adds half of the false
        alarms of `lasso_jobs.core.drift.limits` to those. What other features have cancelled moves
        no prediction: a feature's average counts where that of the predictions went at least half
        as far with it.

        Parameters
        ----------
        judged : mapping of str to Drift
            With verdicts, of one night or of a pool.
        nights : sequence of mapping
            The night itself, and those before it, the newest first.
        """
        charted = {name: self._charted(name, drift, nights) for name, drift in judged.items()}
        whole = next((d.ewma_shift for d in charted.values() if d.kind == "prediction"), NAN)
        return {
            name: self._verdict(name, drift, judged[name], whole) for name, drift in charted.items()
        }

    def _charted(self, name: str, drift: Drift, nights: Sequence[Mapping[str, Drift]]) -> Drift:
        """The drift with its moving average, and the limit of that; as it was if there is none."""
        baseline = self.baselines[name]
        lasting = baseline.lasting_on(self.night)
        own = [night[name] for night in nights if name in night]
        if lasting is None or isnan(drift.shift_limit) or not self._counts(baseline, own[0]):
            return drift
        counted = [d for d in own[: 2 * MOST_NIGHTS] if self._counts(baseline, d)][:MOST_NIGHTS]
        if len(counted) < LEAST_NIGHTS:
            return drift
        weights = WEIGHT * (1 - WEIGHT) ** np.arange(len(counted))
        shift = float(weights @ [d.score_shift - usual(d) for d in counted])
        chance = baseline.variance / np.array([d.n for d in counted])
        reached = 1 - (1 - WEIGHT) ** (2 * len(counted))
        spread = sqrt(lasting.between * reached + float(weights**2 @ chance))
        limit = quantile(FALSE_ALARMS / 2 / len(self.baselines), lasting.freedom) * spread
        limit = max(limit, baseline.floors()[0] * self.prediction_sd)
        return replace(drift, ewma_shift=shift, ewma_limit=limit)

    def _verdict(self, name: str, drift: Drift, judged: Drift, whole: float) -> Drift:
        """The drift with what the chart says, given the moving average of the predictions."""
        shift, limit = drift.ewma_shift, drift.ewma_limit
        if not abs(shift) > limit:
            return drift
        if whole * np.sign(shift) < abs(shift) / 2:
            return judged
        if drift.raised in ("unknown", "alarm"):
            return drift
        what = "moved" if drift.kind == "prediction" else "has moved the mean prediction"
        reason = (
            f"{what} by {shift:+.3g} for long (moving average of the nights), beyond the limit of "
            f"{limit:.3g} for a shift that lasts; {drift.reason}"
        )
        watched = replace(drift, raised="watch", verdict="watch", reason=reason)
        return in_season(watched, self.baselines[name].unseen(self.night))

    def _counts(self, baseline: Baseline, drift: Drift) -> bool:
        """Whether a night was within its own limit, in a season that the training has seen."""
        if not drift.n or drift.unseen_season or isnan(drift.score_shift):
            return False
        limit = drift.shift_limit
        if isnan(limit):
            span, freedom = baseline.matching_spans(drift.n, self.night)
            probability = FALSE_ALARMS / len(self.baselines)
            width = max(quantile(probability, freedom, span.heaviness), span.extreme)
            limit = width * sqrt(baseline.variance_of_mean(drift.n, span))
        return abs(drift.score_shift - usual(drift)) <= limit
