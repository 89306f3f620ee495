"""What a feature's drift means: verdicts of one run, and of several.

A run pages when predictions are affected: the mean prediction has moved by more than it does on
innocent days, or rows have no value, or none that the model knows. What is within twice the limit
of innocent days could still be one of them, so that it has to persist; what is beyond cannot.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lasso_jobs.core.drift import Drift, Verdict
from lasso_jobs.core.limits import Innocent, Limits, limits

MIN_ROWS = 100
"""Fewer rows than this are noted, never judged."""

MISSING_GROSS = 0.5
"""A rise of the share of rows without a usable value that needs no second day."""


def judge(drift: Drift, days: Innocent, prediction_sd: float, used: bool, n_judged: int) -> Drift:
    """A measured feature with its limits, and what they say of this run alone.

    Parameters
    ----------
    drift : Drift
    days : Innocent
    prediction_sd : float
        Of the training predictions.
    used : bool
        Whether the model has a non-zero coefficient for it.
    n_judged : int
        Features that are judged in the same run.
    """
    if not used:
        return replace(drift, reason=f"noted: PSI {drift.psi:.3g}; the model does not use it")
    if drift.n < MIN_ROWS:
        return replace(drift, reason=f"not judged: {drift.n} rows, fewer than {MIN_ROWS}")
    shares = np.array(drift.reference_shares)
    found = limits(days, drift.n, shares, drift.reference_missing_share, prediction_sd, n_judged)
    drift = replace(
        drift, shift_limit=found.shift, psi_limit=found.psi, missing_limit=found.missing
    )
    rise = unusable(drift) - drift.reference_missing_share
    gross = abs(drift.score_shift) > found.gross
    gross |= rise > MISSING_GROSS and unusable(drift) > found.missing
    raised: Verdict = "ok"
    if gross:
        raised = "alarm"
    elif affected(drift) or drift.psi > found.psi:
        raised = "watch"
    return replace(drift, raised=raised, verdict=raised, reason=_reason(drift, found))


def unusable(drift: Drift) -> float:
    """Share of the rows with a null or with a level that the model does not know."""
    return drift.missing_share + (0.0 if np.isnan(drift.unseen_share) else drift.unseen_share)


def affected(drift: Drift) -> bool:
    """Whether the predictions are: more than on an innocent day, or for want of values."""
    if np.isnan(drift.shift_limit):
        return False
    moved = abs(drift.score_shift) > drift.shift_limit
    changed = drift.kind == "prediction" and drift.psi > drift.psi_limit
    return bool(moved or changed or unusable(drift) > drift.missing_limit)


def _reason(drift: Drift, found: Limits) -> str:
    """What is beyond a limit comes first."""
    shift, lost = abs(drift.score_shift), unusable(drift)
    far = "far " if shift > found.gross else ""
    moved = f"the mean prediction moved by {drift.score_shift:+.3g}"
    beyond, within = [], []
    if shift > found.shift:
        beyond.append(f"{moved}, {far}beyond the {found.shift:.3g} of innocent days")
    else:
        within.append(f"{moved}, within {found.shift:.3g}")
    if lost > found.missing:
        beyond.append(
            f"{lost:.1%} of the rows have no value, or none that the model knows, beyond the "
            f"{found.missing:.1%} of innocent days"
        )
    if drift.psi > found.psi:
        beyond.append(f"PSI {drift.psi:.3g}, beyond the {found.psi:.3g} of innocent days")
    else:
        within.append(f"PSI {drift.psi:.3g}, within {found.psi:.3g}")
    return "; ".join([*beyond, *within])


def persisting(drift: Drift, before: Sequence[bool], runs: int, last: int) -> Drift:
    """The verdict with the runs before.

    Parameters
    ----------
    drift : Drift
        Judged by itself.
    before : sequence of bool
        Whether the predictions were affected in the runs before, the newest first.
    runs, last : int
        An alarm takes so many of the last ones, this one too.
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


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The gravest of several verdicts."""
    order: tuple[Verdict, ...] = ("ok", "watch", "alarm")
    return max(verdicts, key=order.index, default="ok")
