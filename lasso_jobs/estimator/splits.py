"""Turns scikit-learn's splits into sets of rows, whose moments make up those of every fold.

Rows that are in the same parts of the same folds need not be told apart: of five folds there are
five such sets. Folds that overlap, such as those of ``ShuffleSplit``, cut the rows into more and
more sets. Where these would be too many, the other folds wait for another round over the rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.buckets import MAX_STATE_BYTES, BucketMoments
from lasso_jobs.core.rows.folds import Fold
from lasso_jobs.errors import DataError

Indices = NDArray[np.intp]
FEWEST_SETS, MOST_SETS = 16, 64
"""How many sets a round may have, however many columns, and however few."""
TRAINING, TEST = 1, 2
N_ROLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Some folds, and the sets of rows that they are made of.

    Parameters
    ----------
    set_of_row : ndarray of int16, shape (n_rows,)
    roles : ndarray of int8, shape (n_sets, n_folds)
        What each set is in each fold: `TRAINING`, `TEST`, both (3), or neither (0).
    """

    set_of_row: NDArray[np.int16]
    roles: NDArray[np.int8]

    @property
    def n_sets(self) -> int:
        """Number of sets."""
        return len(self.roles)

    def folds(self, moments: BucketMoments) -> Iterator[Fold]:
        """The folds, of the sets' moments."""
        for roles in self.roles.T:
            training, test = (np.flatnonzero(roles & role) for role in (TRAINING, TEST))
            yield Fold(moments.merged(training), moments.merged(test), training)


def most_sets(n_values: int) -> int:
    """How many sets a round may have: fewer where their moments are large.

    Examples
    --------
    >>> most_sets(101), most_sets(1001)
    (64, 16)
    """
    return max(FEWEST_SETS, min(MOST_SETS, MAX_STATE_BYTES // (8 * n_values**2)))


def splits(cv: Any, n_rows: int, y: Any = None, groups: Any = None) -> list[tuple[Any, Any]]:
    """The rows that each fold is fitted to, and those that it is measured on.

    Parameters
    ----------
    cv : int, splitter, iterable of (training, test), or None
        None is 5. With groups, a number is of folds that keep each group together.
    n_rows : int
    y : ndarray, optional
        For splitters that look at it.
    groups : array-like, shape (n_rows,), optional
    """
    from sklearn.model_selection import GroupKFold, check_cv

    if groups is not None and (cv is None or isinstance(cv, Integral)):
        cv = GroupKFold(5 if cv is None else int(cv))
    rows = np.broadcast_to(np.zeros(1), (n_rows, 1))
    return list(check_cv(cv).split(rows, y, groups))


def rounds(folds: Sequence[tuple[Any, Any]], n_rows: int, most: int) -> Iterator[Round]:
    """Group folds into rounds of at most so many sets of rows; a fold alone may have more.

    Raises
    ------
    DataError
        If a fold has no row, or has one several times.

    Examples
    --------
    >>> halves = [([0, 1], [2, 3]), ([2, 3], [0, 1])]
    >>> (one,) = rounds(halves, n_rows=4, most=16)
    >>> one.set_of_row.tolist(), one.roles.tolist()
    ([0, 0, 1, 1], [[1, 2], [2, 1]])
    """
    sets, roles = np.zeros(n_rows, np.int16), np.zeros((1, 0), np.int8)
    for k, (training, test) in enumerate(folds):
        own = _roles(k, training, test, n_rows)
        together = _cut(sets, roles, own)
        if len(together.roles) > most and roles.shape[1]:
            yield Round(set_of_row=sets, roles=roles)
            together = _cut(np.zeros(n_rows, np.int16), np.zeros((1, 0), np.int8), own)
        sets, roles = together.set_of_row, together.roles
    yield Round(set_of_row=sets, roles=roles)


def _cut(sets: NDArray[np.int16], roles: NDArray[np.int8], own: NDArray[np.int8]) -> Round:
    """Cut sets by what their rows are in one more fold."""
    parts = sets * np.int16(N_ROLES) + own
    there = np.flatnonzero(np.bincount(parts, minlength=N_ROLES * len(roles)))
    number = np.zeros(N_ROLES * len(roles), np.int16)
    number[there] = np.arange(len(there))
    known = np.column_stack([roles[there // N_ROLES], there % N_ROLES]).astype(np.int8)
    return Round(set_of_row=number[parts], roles=known)


def _roles(k: int, training: Any, test: Any, n_rows: int) -> NDArray[np.int8]:
    roles = np.zeros(n_rows, np.int8)
    for role, name, rows in ((TRAINING, "fits to", training), (TEST, "is measured on", test)):
        index = _as_index(rows, n_rows)
        before = np.count_nonzero(roles & role)
        roles[index] |= role
        if len(index) == 0 or np.count_nonzero(roles & role) - before != len(index):
            found = f"fold {k + 1} {name} " + ("a row twice" if len(index) else "no row")
            expected = "rows, each of them once"
            raise DataError("LassoCV, cv", found, expected, "Correct the folds, or weigh the rows")
    return roles


def _as_index(rows: Iterable[Any], n_rows: int) -> Indices:
    index = np.asarray(rows)
    return np.flatnonzero(index) if index.dtype == bool else index.astype(np.intp)
