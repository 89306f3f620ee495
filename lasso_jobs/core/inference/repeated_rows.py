"""Checks that rows are not copies of rows elsewhere in the split, which would test what was learnt.

Equal rows need be no copies: of few values of the features and the target, many are equal by
chance. If P is the chance that two different rows have equal features, and Q that they have equal
targets, n P Q of n rows are expected to be like another if both go their own ways. Rows are called
copies only where more than `MARGIN` times as many are equal, for equal features have targets that
are closer than those of any rows.
"""

import numpy as np

from lasso_jobs.core.inference.checks import Check, Limits
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.repeats import NOT_COUNTED, Repeats, of_columns

NAME = "repeated rows"
COPIES = Limits(0.01, 0.1)
"""Share of the rows that have a copy elsewhere in the split. Of copies of 10 % of the rows, an
error by cross-validation has about a tenth of rows that were trained on."""
EQUAL_TARGETS = 0.02
"""As of fifty values that are equally frequent; with fewer nothing tells copies from chance."""
MARGIN = 10.0
_HOW = (
    "Hashes of the features and the target, taken in the one read. The rows with the smallest "
    "hashes are counted with all their copies, wherever they lie."
)


def repeated_rows(repeats: Repeats, X: Floats, target: Floats, *, screened: bool = False) -> Check:
    """Check that few rows are copies of rows in another bucket, or of held-out rows.

    Parameters
    ----------
    repeats : Repeats
    X : ndarray, shape (p, k)
        Of a sample of the rows; NaN is null.
    target : ndarray, shape (k,)
    screened : bool
        Whether the rows have columns that were not hashed.
    """
    if screened or repeats.columns in (0, NOT_COUNTED):
        return _unknown(
            "Rows of screened or sparse columns, and of a cache with other columns, "
            "are not compared."
        )
    targets = chance_of_equals(of_columns(target[None]))
    if targets > EQUAL_TARGETS:
        return _unknown(
            f"The target is equal in {targets:.0%} of all pairs of rows, so that rows "
            "may be equal by chance."
        )
    n, several = int(repeats.counts.sum()), repeats.counts > 1
    elsewhere = several & (repeats.first < repeats.last)
    share, across = (float(repeats.counts[rows].sum() / n) for rows in (several, elsewhere))
    return _judged(share, across, by_chance=_by_chance(repeats, X, targets), repeats=repeats)


def _by_chance(repeats: Repeats, X: Floats, targets: float) -> float:
    """The share of the rows that are expected to be equal to another without any copies."""
    return min(1.0, n_rows(repeats) * chance_of_equals(of_columns(X)) * targets)


def n_rows(repeats: Repeats) -> float:
    """How many rows there are, as the hashes tell: their largest is what share of all that is.

    Examples
    --------
    >>> from lasso_jobs.core.rows.repeats import Hashing, none
    >>> hashing = Hashing(none(columns=1), np.array([1.0, 2.0, 1.0]), n_columns=0)
    >>> n_rows(hashing.counted(np.zeros(3, int)))
    3.0
    """
    n = float(repeats.counts.sum())
    return n * 2.0**64 / float(repeats.hashes[-1]) if repeats.full else n


def chance_of_equals(values: np.ndarray) -> float:
    """The share of all pairs that are equal.

    Examples
    --------
    >>> round(chance_of_equals(np.array([1, 1, 2])), 3)
    0.333
    """
    _, counts = np.unique(values, return_counts=True)
    pairs = len(values) * (len(values) - 1)
    return float((counts * (counts - 1)).sum() / pairs) if pairs else 0.0


def _judged(share: float, across: float, *, by_chance: float, repeats: Repeats) -> Check:
    many = across > MARGIN * by_chance
    rows = f"the {len(repeats.hashes):,} different rows that were counted"
    finding = f"{across:.1%} of the rows have a copy elsewhere in the split, by {rows}."
    if share - across >= COPIES.look:
        finding += f" {share - across:.1%} have copies that it keeps together."
    if across >= COPIES.look and not many:
        finding += f" About {by_chance:.1%} would be equal by chance."
    return Check.judged(
        NAME,
        COPIES.verdict(across) if many else "fine",
        finding=finding,
        how=_HOW,
        remedy=(
            "Take the copies out of the data, or keep them together: search.split: {group: "
            "COLUMN}, with a column that says what a row is about. Until then the errors of the "
            "hold-out and of cross-validation are too small."
        ),
        statistics={"share": share, "share_elsewhere": across, "share_by_chance": by_chance},
    )


def _unknown(finding: str) -> Check:
    return Check(name=NAME, verdict="not checked", finding=finding, how=_HOW)
