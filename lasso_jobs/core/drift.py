"""How far current values lie from those the model was trained on.

The bins are frozen with the model: a drift statistic whose bins follow the current data compares
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.moments import Floats

Verdict = Literal["ok", "watch", "alarm"]
Counts = NDArray[np.int64]

N_BINS = 10
PSI_FLOOR = 0.1
"""Below it a population is called stable by convention (Siddiqi 2006, "Credit Risk Scorecards")."""

SHIFT_WATCH = 0.2
SHIFT_ALARM = 0.5
"""Shifts of the mean prediction, in standard deviations of the training predictions: what is
conventionally called a small and a medium effect (Cohen 1988, "Statistical Power Analysis")."""

MISSING_WATCH = 0.1
"""Rise of the null share: predictions that rest on imputation."""

MIN_ROWS = 100
"""Fewer rows than this are noted, never judged."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A feature at training time.

    Parameters
    ----------
    edges : ndarray, shape (k,)
        Inner edges of the bins of a numeric feature, ascending; a value equal to an edge lies
        above it. Empty for a categorical feature, whose indicators are its bins.
    shares : ndarray, shape (bins + 1,)
        Share of the training rows in each bin; last, the rows in none: the nulls of a numeric
        feature, the unseen levels of a categorical one.
    mean : float
        Of the observed values; NaN for a categorical feature.
    missing_share : float
    """

    edges: Floats
    shares: Floats
    mean: float
    missing_share: float


@dataclass(frozen=True, slots=True)
class Current:
    """A feature in some of the rows that were scored; mergeable.

    Parameters
    ----------
    counts : ndarray of int, shape (bins + 1,)
        Rows in each of the reference's bins, and in none.
    mean : float
        Of the observed values; 0 for a categorical feature, or where there are none.
    """

    counts: Counts
    mean: float

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.counts.sum())

    @property
    def shares(self) -> Floats:
        """Share of the rows in each bin."""
        return self.counts.astype(np.float64) / max(self.n, 1)


def merge(a: Current, b: Current) -> Current:
    """Two disjoint sets of rows together."""
    observed_a, observed_b = int(a.counts[:-1].sum()), int(b.counts[:-1].sum())
    share = observed_b / max(observed_a + observed_b, 1)
    return Current(a.counts + b.counts, a.mean + (b.mean - a.mean) * share)


def of_numbers(values: Floats, edges: Floats) -> Current:
    """Count rows in memory; NaN is null."""
    observed = values[~np.isnan(values)]
    return Current(bin_counts(values, edges), float(observed.mean()) if len(observed) else 0.0)


def of_codes(codes: NDArray[np.int32], width: int) -> Current:
    """Count rows in memory by their indicator; -1 is none."""
    counts = np.bincount(np.where(codes < 0, width, codes), minlength=width + 1)
    return Current(counts.astype(np.int64), 0.0)


@dataclass(frozen=True, slots=True)
class Drift:
    """One feature, compared.

    Parameters
    ----------
    feature : str
    n : int
    missing_share, reference_missing_share : float
    mean, reference_mean : float
        NaN for a categorical feature.
    psi : float
    score_shift : float
        Change of the mean prediction that is due to this feature, in target units.
    verdict : {"ok", "watch", "alarm"}
    reason : str
        The verdict in words.
    """

    feature: str
    n: int
    missing_share: float
    reference_missing_share: float
    mean: float
    reference_mean: float
    psi: float
    score_shift: float
    verdict: Verdict
    reason: str


def quantile_edges(sorted_values: Floats) -> Floats:
    """Inner edges of bins with about equal shares; fewer where values repeat."""
    if len(sorted_values) == 0:
        return np.empty(0)
    ranks = np.arange(1, N_BINS) * len(sorted_values) // N_BINS
    edges = np.unique(sorted_values[ranks])
    return np.asarray(edges[edges > sorted_values[0]], np.float64)


def bin_counts(values: Floats, edges: Floats) -> Counts:
    """Rows per bin, the nulls (NaN) last.

    Counting the values at or above each edge is several times faster than searching each value's
    bin (measured: 2.8 ns against 24 ns a value for 20 bins).
    """
    above = [np.count_nonzero(values >= edge) for edge in edges]
    observed = len(values) - np.count_nonzero(np.isnan(values))
    steps = np.array([observed, *above, 0])
    return np.append(steps[:-1] - steps[1:], len(values) - observed).astype(np.int64)


def psi(reference: Floats, counts: Counts) -> float:
    """Population stability index, ``sum (q - p) log(q / p)``.

    Half a row is added to every bin of the current counts, and the same share to the reference's,
    so that an empty bin is finite: its weight shrinks as the rows grow.
    """
    n = counts.sum()
    if n == 0:
        return 0.0
    extra = 0.5
    total = n + extra * len(counts)
    current = (counts + extra) / total
    expected = (reference * n + extra) / total
    return float(np.sum((current - expected) * np.log(current / expected)))


def compare(
    feature: str,
    reference: Reference,
    current: Current,
    missing_share: float,
    score_shift: float,
    prediction_sd: float,
    used: bool,
) -> Drift:
    """Compare a feature with training; it alarms when its drift moves the predictions.

    Parameters
    ----------
    feature : str
    reference : Reference
    current : Current
    missing_share : float
        Of the current rows.
    score_shift : float
        In target units.
    prediction_sd : float
        Standard deviation of the training predictions.
    used : bool
        Whether the model has a non-zero coefficient for it.
    """
    index = psi(reference.shares, current.counts)
    moved = abs(score_shift) / prediction_sd if prediction_sd > 0 else 0.0
    imputed = missing_share - reference.missing_share
    facts = f"PSI {index:.3f}, mean prediction moved by {score_shift:+.3g} ({moved:.2f} sd)"
    verdict: Verdict = "ok"
    if current.n < MIN_ROWS:
        facts = f"not judged: {current.n} rows, fewer than {MIN_ROWS}"
    elif not used:
        facts = f"PSI {index:.3f}; the model does not use it"
    elif index >= PSI_FLOOR and moved >= SHIFT_ALARM:
        verdict, facts = "alarm", f"{facts}, at least {SHIFT_ALARM} sd"
    elif index >= PSI_FLOOR and moved >= SHIFT_WATCH:
        verdict, facts = "watch", f"{facts}, at least {SHIFT_WATCH} sd"
    elif imputed >= MISSING_WATCH:
        verdict, facts = "watch", f"{facts}; {imputed:.0%} more rows are imputed"
    numeric = not np.isnan(reference.mean) and current.counts[:-1].any()
    return Drift(
        feature,
        current.n,
        missing_share,
        reference.missing_share,
        current.mean if numeric else float("nan"),
        reference.mean,
        index,
        score_shift,
        verdict,
        facts,
    )


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The gravest of several verdicts."""
    order: tuple[Verdict, ...] = ("ok", "watch", "alarm")
    return max(verdicts, key=order.index, default="ok")
