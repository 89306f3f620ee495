"""Judges a feature's drift: in one run, with the other features, and with the runs before it.

A run is an alarm when its predictions are affected: the mean prediction has moved beyond its limit,
or too many rows have no value, or one that the model does not know. A shift of less than twice the
limit may still be normal variation, so that it has to persist; a larger one cannot be. What other
features have cancelled affects no prediction: it is watched (`lasso_jobs.core.drift.cancelling`).

A few extreme values can move a mean back to where it was. So where values lie beyond those of
training, the rows are also counted by the bins of training, in which a row weighs the same whatever
its value; the larger of both shifts is judged. A statistic that is no finite number says nothing of
the rows, and is an alarm by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import get_args

import numpy as np

from lasso_jobs.core.drift.cancelling import Cancelled, cancelled
from lasso_jobs.core.drift.drift import Drift, Severity
from lasso_jobs.core.drift.limits import Baseline, Limits, limits
from lasso_jobs.core.rows.moments import Floats

MIN_ROWS = 100
"""Fewer rows than this are not judged, unless a job says otherwise."""

MISSING_GROSS = 0.5
"""A rise of the share of rows without a usable value that needs no second day."""

MOST_NAMED = 3
"""Features that a reason names."""


def judge_drift(
    drift: Drift,
    baseline: Baseline,
    *,
    prediction_sd: float,
    n_judged: int,
    terms: Floats | None = None,
    min_rows: int = MIN_ROWS,
    undone: Cancelled | None = None,
    night: str | None = None,
) -> Drift:
    """A measured feature with its limits, and what they say of this run alone.

    Parameters
    ----------
    drift : Drift
    baseline : Baseline
    terms : ndarray, shape (k + 1,), optional
        Of the bins, as `Effect.terms`; without them extremes are not guarded against.
    prediction_sd : float
        Of the training predictions.
    n_judged : int
        Features that are judged in the same run.
    min_rows : int
        Fewer rows are not judged.
    undone : Cancelled, optional
        What other features have undone of its movement.
    night : str, optional
        The day, month or hour of the rows, in ISO form.
    """
    if drift.n < min_rows:
        return replace(drift, reason=f"not judged: {drift.n:,} rows, fewer than {min_rows:,}")
    limit = limits(
        baseline,
        drift.n,
        shares=np.array(drift.reference_shares),
        missing=drift.reference_missing_share,
        prediction_sd=prediction_sd,
        n_judged=n_judged,
        night=night,
    )
    drift = replace(
        drift, shift_limit=limit.shift, psi_limit=limit.psi, missing_limit=limit.missing
    )
    wrong = not_finite(drift)
    if wrong:
        reason = f"its {' and '.join(wrong)} cannot be computed: some values are too large"
        return replace(drift, raised="alarm", verdict="alarm", reason=reason)
    by_bins = moved_by_bins(drift, terms)
    both = (drift.score_shift, by_bins) if by_bins else (drift.score_shift,)
    moved = max((shift - usual(drift) for shift in both), key=abs)
    drift = replace(drift, net_shift=moved * (1.0 if undone is None else undone.left))
    raised = _raised(drift, limit, moved)
    reason = _reason(drift, limit, by_bins, undone)
    drift = replace(drift, raised=raised, verdict=raised, reason=reason)
    if abs(moved) > limit.of_season or unusable(drift) > limit.missing:
        return drift
    return in_season(drift, baseline.unseen(night))


def _raised(drift: Drift, limit: Limits, moved: float) -> Severity:
    """What a run says by itself; by how much the feature moved the mean prediction is given."""
    rise = unusable(drift) - drift.reference_missing_share
    gross = abs(drift.net_shift) > limit.gross
    if gross or (rise > MISSING_GROSS and unusable(drift) > limit.missing):
        return "alarm"
    beyond = abs(moved) > limit.shift or affected(drift) or drift.psi > limit.psi
    return "watch" if beyond else "ok"


def in_season(drift: Drift, unseen: str) -> Drift:
    """The drift without a verdict, if it is beyond a limit in a season that training has not seen.

    Parameters
    ----------
    drift : Drift
    unseen : str
        The month or week day; empty if the training has seen it.
    """
    if not unseen or drift.raised not in ("watch", "alarm"):
        return drift
    reason = f"not judged: the training has not seen a {unseen}; {drift.reason}"
    return replace(drift, raised="unknown", verdict="unknown", unseen_season=unseen, reason=reason)


def usual(drift: Drift) -> float:
    """What the week day and the month of a night usually do to the mean prediction."""
    return 0.0 if np.isnan(drift.usual_shift) else drift.usual_shift


def not_used(drift: Drift) -> Drift:
    """A feature without a coefficient that is not zero: it is not judged."""
    return replace(drift, reason=f"not judged: the model does not use it; PSI {drift.psi:.3g}")


Judge = Callable[..., Drift]
"""`judge_drift` with all that it needs but the drift and ``undone``."""


def judge_together(drifts: Mapping[str, Drift], judges: Mapping[str, Judge]) -> dict[str, Drift]:
    """Features of the same rows, and the predictions: each judged by itself, then by all.

    Parameters
    ----------
    drifts : mapping of str to Drift
        Measured, not judged.
    judges : mapping of str to callable
        `judge_drift` for each of them, with its baseline.
    """
    judged = {name: judges[name](drift) for name, drift in drifts.items()}
    for name, undone in cancelled(judged).items():
        judged[name] = judges[name](drifts[name], undone=undone)
    moved = next((d for d in judged.values() if d.kind == "prediction"), None)
    if moved is None or not abs(moved.net_shift) > moved.shift_limit or not moved.score_shift:
        return judged
    return {name: _with_share(drift, moved) for name, drift in judged.items()}


def _with_share(drift: Drift, moved: Drift) -> Drift:
    """The drift with its share of the movement of the mean prediction, also in words."""
    share = drift.score_shift / moved.score_shift
    if drift.kind == "prediction" or not isfinite(share):
        return drift
    reason = drift.reason
    if abs(drift.score_shift) > drift.shift_limit:
        reason += f"; {share:.0%} of the mean prediction's movement by {moved.score_shift:+.3g}"
    return replace(drift, shift_share=share, reason=reason)


def not_finite(drift: Drift) -> list[str]:
    """Names of the statistics of a run with rows that overflowed."""
    names = ("mean", "sd", "minimum", "maximum", "score_shift", "variance_shift", "wasserstein")
    wrong = [name for name in names if np.isinf(getattr(drift, name))]
    wrong += [name for name in ("score_shift", "psi") if np.isnan(getattr(drift, name))]
    return [name.replace("_", " ") for name in wrong]


def moved_by_bins(drift: Drift, terms: Floats | None) -> float:
    """The shift of the mean prediction by the rows in each bin; 0 where no value is extreme."""
    counts = np.array(drift.counts, float)
    if terms is None or not len(terms) or drift.out_of_range_share == 0 or not counts.sum():
        return 0.0
    return float((counts / counts.sum() - np.array(drift.reference_shares)) @ terms)


def unusable(drift: Drift) -> float:
    """Share of the rows with a null or with a level that the model does not know."""
    return drift.missing_share + (0.0 if np.isnan(drift.unseen_share) else drift.unseen_share)


def affected(drift: Drift) -> bool:
    """Whether the predictions are affected, beyond the limits that the drift has with it."""
    if np.isnan(drift.shift_limit) or drift.unseen_season:
        return False
    # A table of an older version has no net shift.
    shift = drift.score_shift if np.isnan(drift.net_shift) else drift.net_shift
    moved = abs(shift) > drift.shift_limit or drift.raised == "alarm"
    moved |= abs(drift.ewma_shift) > drift.ewma_limit
    changed = drift.kind == "prediction" and drift.psi > drift.psi_limit
    return bool(moved or changed or unusable(drift) > drift.missing_limit)


def _reason(drift: Drift, limit: Limits, by_bins: float, undone: Cancelled | None) -> str:
    """What is beyond a limit comes first."""
    shift, lost = abs(drift.score_shift - usual(drift)), unusable(drift)
    far = "far " if shift > limit.gross else ""
    by_itself = f"moves the mean prediction by {drift.score_shift:+.3g} by itself"
    if drift.kind == "prediction":
        by_itself = f"the mean prediction moved by {drift.score_shift:+.3g}"
    if usual(drift):
        by_itself += f", where {usual(drift):+.3g} is usual"
    beyond, within = [], []
    if shift > limit.shift:
        beyond.append(f"{by_itself}, {far}beyond the limit of {limit.shift:.3g}")
    else:
        within.append(f"{by_itself}, within the limit of {limit.shift:.3g}")
    if by_bins and abs(by_bins - usual(drift)) > limit.shift >= shift:
        beyond.append(
            f"extreme values hide that the other rows moved it by {by_bins:+.3g} or more, "
            f"{'far ' if abs(by_bins) > limit.gross else ''}beyond the limit of {limit.shift:.3g}"
        )
    if beyond and undone is not None:
        beyond.append(_cancelled_by(drift, undone))
    if lost > limit.missing:
        beyond.append(
            f"{lost:.1%} of the rows have no value, or one that the model does not know, beyond "
            f"the limit of {limit.missing:.1%}"
        )
    if drift.psi > limit.psi:
        beyond.append(f"PSI {drift.psi:.3g}, beyond the limit of {limit.psi:.3g}")
    else:
        within.append(f"PSI {drift.psi:.3g}, within the limit of {limit.psi:.3g}")
    return "; ".join([*beyond, *within])


def _cancelled_by(drift: Drift, undone: Cancelled) -> str:
    said = [f"{name} ({by:+.3g})" for name, by in undone.by[:MOST_NAMED]]
    more = len(undone.by) - len(said)
    names = ", ".join([*said, *([f"{more} more"] if more else [])])
    if abs(drift.net_shift) > drift.shift_limit:
        return f"in part cancelled by {names}, so that {drift.net_shift:+.3g} is left"
    return f"cancelled by {names}, and the predictions are as at training"


def persisting(drift: Drift, before: Sequence[bool], *, runs: int, last: int) -> Drift:
    """The drift with the verdict that the runs before make of it.

    Parameters
    ----------
    drift : Drift
        Judged by itself.
    before : sequence of bool
        Whether the predictions were affected in the runs before, the newest first.
    runs, last : int
        An alarm takes so many of the last ones, this one too.

    Examples
    --------
    >>> watched = Drift(
    ...     feature="x", kind="numeric", score_shift=2.0, shift_limit=1.0, raised="watch"
    ... )
    >>> persisting(watched, [False, True, True], runs=3, last=5).verdict
    'alarm'
    """
    if drift.raised == "alarm" or not affected(drift):
        return drift
    times = 1 + sum(before[: last - 1])
    if times < runs:
        return drift
    of = min(last, 1 + len(before))
    return replace(
        drift, verdict="alarm", reason=f"{drift.reason}; so in {times} of the last {of} runs"
    )


def worst(verdicts: Sequence[Severity]) -> Severity:
    """The gravest of several verdicts; of none it is unknown.

    Examples
    --------
    >>> worst(["ok", "alarm", "watch"]), worst(["ok", "unknown"])
    ('alarm', 'unknown')
    """
    order: tuple[Severity, ...] = get_args(Severity)
    return max(verdicts, key=order.index, default="unknown")
