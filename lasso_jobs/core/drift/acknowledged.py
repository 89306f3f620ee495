"""Takes a drift that a person knows of as no alarm, up to the level at which they knew it.

A level is a mark on the scale of each statistic that is judged. Up to the mark, and a limit beyond
it, a run tells nothing new; further on it does. So an acknowledged shift of +2 with a limit of 0.3
is an alarm again at +2.4 and at -0.4, and none at +1.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite

from lasso_jobs.core.drift.drift import Drift
from lasso_jobs.core.drift.verdicts import unusable


@dataclass(frozen=True, slots=True)
class Level:
    """How far a feature's drift was in the run that was acknowledged.

    Parameters
    ----------
    shift : float
        That was judged, in target units.
    psi : float
    unusable : float
        Share of the rows without a usable value.
    """

    shift: float
    psi: float
    unusable: float

    @classmethod
    def of(cls, drift: Drift) -> "Level":
        """The level of a run's drift."""
        return cls(judged_shift(drift), drift.psi, unusable(drift))

    def covers(self, drift: Drift) -> bool:
        """Whether a judged drift is no further than this level, but for its limits.

        Examples
        --------
        >>> level = Level(shift=2.0, psi=0.5, unusable=0.0)
        >>> def moved(by):
        ...     return Drift(
        ...         feature="x",
        ...         kind="numeric",
        ...         score_shift=by,
        ...         shift_limit=0.3,
        ...         psi=0.5,
        ...         psi_limit=0.1,
        ...         missing_share=0.0,
        ...         reference_missing_share=0.0,
        ...         missing_limit=0.05,
        ...     )
        >>> [level.covers(moved(by)) for by in (1.0, 2.2, 2.4, -0.4)]
        [True, True, False, False]
        """
        shift, limit = judged_shift(drift), drift.shift_limit
        rise = drift.missing_limit - drift.reference_missing_share
        lost = max(self.unusable, drift.reference_missing_share)
        # What is not defined is covered by no level, as it compares with nothing.
        return (
            min(self.shift, 0.0) - limit <= shift <= max(self.shift, 0.0) + limit
            and drift.psi <= self.psi + drift.psi_limit
            and unusable(drift) <= lost + rise
        )


def judged_shift(drift: Drift) -> float:
    """The movement of the mean prediction that a verdict is of."""
    return drift.net_shift if isfinite(drift.net_shift) else drift.score_shift


def together(levels: Iterable[Level]) -> Level:
    """The level of the predictions when several features are at theirs."""
    known = list(levels)
    return Level(
        shift=sum(level.shift for level in known),
        psi=max(level.psi for level in known),
        unusable=max(level.unusable for level in known),
    )


def acknowledge(drift: Drift, level: Level, said: str) -> Drift:
    """A drift with its last verdict, if it is one that was acknowledged.

    Parameters
    ----------
    drift : Drift
        With the verdict of this run and the runs before.
    level : Level
    said : str
        By whom, when and why.
    """
    if drift.verdict not in ("watch", "alarm"):
        return drift
    if level.covers(drift):
        reason = f"acknowledged {said}; {drift.reason}"
        return replace(drift, verdict="ok", acknowledged=said, reason=reason)
    beyond = f"further than a shift of {level.shift:+.3g} and a PSI of {level.psi:.3g}"
    return replace(drift, reason=f"{beyond}, which were acknowledged {said}; {drift.reason}")
