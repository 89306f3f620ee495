"""Finds the features whose movements cancel, so that the predictions have not moved.

Example: two features rise and fall together, and have the coefficients 5 and -5. Both rise. By
itself the first moves the mean prediction by +4.4, and the second by -4.4; the predictions are what
they were. What affects people is the joint movement.

A movement is cancelled only as far as features that moved unusually undo it: what a feature does on
an ordinary day excuses no other. And it is cancelled only where the predictions as a whole are as
they were at training. Two sensors that fail independently may cancel in the mean, but not row by
row: then the distribution of the predictions widens, which their PSI shows, or their standard
deviation, where few rows are far away.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

from lasso_jobs.core.drift.drift import Drift

UNUSUAL = 0.5
"""As a share of its limit: a feature that moved by less has not moved unusually. A limit is three
to four standard deviations of a feature's days, so that half of it is seldom exceeded."""

SPREAD = 1.25
"""The factor between standard deviations of the predictions that counts as another distribution:
of normal ones, it is a PSI of 0.1."""

OTHERS = "the other features together"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What is left of a feature's movement of the mean prediction, and what undid the rest.

    Parameters
    ----------
    left : float
        0 to 1: the share of the movement that is left.
    by : tuple of (str, float)
        The features that moved the mean prediction the other way, and by how much; the largest
        first.
    """

    left: float
    by: tuple[tuple[str, float], ...]


def cancelled(judged: Mapping[str, Drift]) -> dict[str, Cancelled]:
    """The features whose movements are beyond their limits, and cancelled wholly or in part.

    Parameters
    ----------
    judged : mapping of str to Drift
        The features and the predictions of the same rows, each judged by itself: ``net_shift`` is
        its movement.

    Notes
    -----
    Of the features that moved unusually, those that moved the mean prediction up sum to U, and
    those that moved it down to D. Where U > D, all of D is cancelled, and D / U of each feature in
    U. Many small movements undo a large one, though none of them is unusual. So where what is left
    is beyond the feature's limit, all others together are taken for one feature, whose limit is
    that of the predictions.
    """
    predictions = [drift for drift in judged.values() if drift.kind == "prediction"]
    if not predictions or not _as_at_training(predictions[0]):
        return {}
    prediction = predictions[0]
    moved = {
        name: drift.net_shift
        for name, drift in judged.items()
        if drift is not prediction and abs(drift.net_shift) > UNUSUAL * drift.shift_limit
    }
    found = {}
    for name, shift in moved.items():
        if abs(shift) <= judged[name].shift_limit:
            continue
        against = sorted(
            ((other, by) for other, by in moved.items() if by * shift < 0),
            key=lambda pair: -abs(pair[1]),
        )
        undone = _total(against) / sum(abs(by) for by in moved.values() if by * shift > 0)
        rest = _unusual_shift(prediction) - _unusual_shift(judged[name])
        unusual = rest * shift < 0 and abs(rest) > UNUSUAL * prediction.shift_limit
        beyond = (1 - undone) * abs(shift) > judged[name].shift_limit
        if unusual and beyond and abs(rest / shift) > undone:
            undone, against = abs(rest / shift), [(OTHERS, rest)]
        if undone > 0:
            found[name] = Cancelled(max(1 - undone, 0.0), tuple(against))
    return found


def _as_at_training(prediction: Drift) -> bool:
    """Whether neither the mean nor the distribution of the predictions has changed."""
    if prediction.raised != "ok":
        return False
    now, then = prediction.sd, prediction.reference_sd
    return isfinite(now) and then / SPREAD <= now <= then * SPREAD


def _unusual_shift(drift: Drift) -> float:
    """The score shift, less what is usual on such a day."""
    return drift.score_shift - (drift.usual_shift if isfinite(drift.usual_shift) else 0.0)


def _total(movements: Iterable[tuple[str, float]]) -> float:
    return sum(abs(by) for _, by in movements)
