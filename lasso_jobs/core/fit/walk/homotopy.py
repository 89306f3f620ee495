"""Walks the solutions of many alike problems at once, from change to change of what is active.

A solution of the problem in `lasso_jobs.core.fit.problem`, without ridge part and bounds, is told
by its active columns and their signs. While covariances and penalties change along a line,

    c = c0 + t c1,    l1 = l0 + t l1'     with t falling from above to a target,

those stay the same for a while, and coefficients and gradients are linear in t: the homotopy of
Osborne, Presnell & Turlach (2000), "A new approach to variable selection in least squares
problems", and the LARS of Efron et al. (2004). Two lines are of use. With l1 = t f it is the path
in alpha. With c1 the difference from the covariances of which a known solution is the optimum, it
leads from that solution to the problem's own (Garrigues & El Ghaoui 2008, "An homotopy algorithm
for the Lasso with online observations").

The fits to folds, halves and resamples are hundreds of problems with the same columns. Each step
takes every problem to its next change, on arrays with the problem as first axis: one at a time, 400
fits of 20 columns took 1.3 s, nearly all of it the interpreter's. The inverse of the active
columns' matrix is kept, and each change adds a matrix of rank one to it. Each solution is refined
once by its residual, so that it is as exact as a solution from scratch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.problem import RANK_TOLERANCE
from lasso_jobs.core.rows.moments import Floats

PARALLEL = 1e-12
"""A gradient that follows its penalty to this share never crosses it: that of an active twin."""
MOST_CHANGES = 8
"""For each column. A walk that makes more goes in circles, as it may between ties: it ends."""
SLOTS = 16

Places = NDArray[np.intp]
Kind = TypeVar("Kind", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How covariances and penalties of some problems depend on t: arrays of shape (n, p).

    Parameters
    ----------
    fixed, moving : ndarray
        ``c0`` and ``c1``.
    l1, l1_moving : ndarray
        ``l0`` and ``l1'``; both are 0 where a coefficient is not penalised.
    """

    fixed: Floats
    moving: Floats
    l1: Floats
    l1_moving: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Where the active columns of some problems stay the same, and solutions are linear in t.

    Parameters
    ----------
    problems : ndarray of intp, shape (m,)
    until : ndarray, shape (m,)
        The t of the next change; minus infinity if there is none.
    n_active : ndarray of int, shape (m,)
        Penalised ones.
    """

    problems: Places
    until: Floats
    n_active: NDArray[np.intp]


class Walk:
    """The state of a walk, which may go on to another target.

    Problems that still change are the first rows of every array: so no step copies an array to
    leave out those that have arrived.

    Parameters
    ----------
    grams : sequence of ndarray, shape (p, p)
    line : Line
    signs : ndarray, shape (n, p)
        Of the penalised coefficients of the first solution; 0 where one is 0.
    start : float
        The t of that solution; infinite for a path.

    Examples
    --------
    Of uncorrelated columns, each coefficient is its covariance less alpha.

    >>> one, zero = np.ones((1, 2)), np.zeros((1, 2))
    >>> line = Line(fixed=np.array([[0.9, -0.3]]), moving=zero, l1=zero, l1_moving=one)
    >>> walk = Walk([np.eye(2)], line, zero, np.inf)
    >>> for each in walk.segments(np.array([0.1])):
    ...     at, slope = walk.solutions(np.array([0]))
    ...     print(each.until, at, slope)
    [0.9] [[0. 0.]] [[0. 0.]]
    [0.3] [[0.9 0. ]] [[-1.  0.]]
    [-inf] [[ 0.9 -0.3]] [[-1.  1.]]
    """

    def __init__(self, grams: Sequence[Floats], line: Line, signs: Floats, start: float) -> None:
        n, p = signs.shape
        self._grams = grams
        self.n_columns = self._p = p
        self._of, self._ended = np.arange(n), np.zeros(n, np.bool_)
        # Where rows of p + 1 begin in a flat array, and pairs of them: `take` from there needs a
        # tenth of the time of `np.take_along_axis`.
        self._begin = (p + 1) * np.arange(n)[:, None]
        self._begin_of_two = (p + 1) * np.arange(2 * n).reshape(n, 2, 1)
        # A column of zeros after the others is what an empty slot stands for.
        self._cov = _padded(np.stack([line.fixed, line.moving], axis=1))
        self._l1 = _padded(np.stack([line.l1, line.l1_moving], axis=1))
        self._penalised = _padded((line.l1 > 0) | (line.l1_moving > 0))
        self._sign, self._active = _padded(signs), _padded((signs != 0) | ~self._penalised[:, :p])
        self._t, self._next = np.full(n, start), np.full(n, -np.inf)
        self._event, self._side = np.full(n, p), np.zeros(n)
        # The column that changed last, and the one that is to enter next.
        self._changed, self._pending = np.full(n, p), np.full(n, p)
        self._changes = np.zeros(n, np.intp)
        self._fill_slots()
        self._look_ahead(n)

    def _fill_slots(self) -> None:
        n, p = len(self._of), self._p
        most = int(self._active[:, :p].sum(axis=1).max(initial=0))
        size = min(most + SLOTS, p)
        self._slot = np.full((n, size), p)
        self._inverse, self._rows = np.zeros((n, size, size)), np.zeros((n, size, p + 1))
        for k, gram in enumerate(self._grams):
            own = np.flatnonzero(self._active[k, :p])
            m, among = len(own), gram[np.ix_(own, own)]
            inverse = _inverse(among)
            if inverse is None:
                self._ended[k] = True
                continue
            self._slot[k, :m], self._rows[k, :m, :p] = own, gram[own]
            self._inverse[k, :m, :m] = inverse

    def segments(self, target: Floats) -> Iterator[Segment]:
        """The segments down to a target of each problem, the one where it stands first.

        Parameters
        ----------
        target : ndarray, shape (n,)
        """
        m = self._first(~self._ended)
        if m:
            yield self._segment(np.arange(m))
        while m := self._first(~self._ended & (self._next > target[self._of])):
            self._change(m)
            m = self._first(~self._ended[:m])
            self._look_ahead(m)
            moved = np.flatnonzero(self._pending[:m] == self._p)
            if len(moved):
                yield self._segment(moved)

    def end(self, problems: Places) -> None:
        """Take some problems out for good."""
        self._ended |= np.isin(self._of, problems)

    def solutions(self, problems: Places) -> Floats:
        """The solutions of some problems in their present segments, ``at + t slope``.

        They are refined by their residual, so that they are as exact as from scratch.

        Returns
        -------
        ndarray, shape (2, m, p)
        """
        row = np.argsort(self._of)[problems]
        place = self._begin_of_two[: len(row)] + self._slot[row][:, None, :]
        inverse, goal = self._inverse[row], self._goal(row)
        coef = goal @ inverse
        left = goal - (coef @ self._rows[row]).take(place)
        coef += left @ inverse
        found = np.zeros((len(row), 2, self._p + 1))
        found.put(place, coef)
        return np.asarray(found[:, :, : self._p].transpose(1, 0, 2))

    def _first(self, going: NDArray[np.bool_]) -> int:
        """Bring these problems to the first rows, and count them."""
        m = int(going.sum())
        if m == len(going):
            return m
        into, out = np.flatnonzero(~going[:m]), m + np.flatnonzero(going[m:])
        if len(into):
            for name in _BY_PROBLEM:
                values = getattr(self, name)
                values[into], values[out] = values[out], values[into].copy()
        return m

    def _segment(self, row: Places) -> Segment:
        active = (self._active[row] & self._penalised[row]).sum(axis=1)
        return Segment(problems=self._of[row], until=self._next[row], n_active=active)

    def _change(self, m: int) -> None:
        """Let the column of the next change enter or leave, in the first problems."""
        every, event = np.arange(m), self._event[:m]
        self._t[:m] = np.minimum(self._t[:m], self._next[:m])
        self._changes[:m] += 1
        self._ended[:m] |= self._changes[:m] > MOST_CHANGES * self._p + SLOTS
        leaves = self._active[every, event]
        if not ((self._slot[:m] == self._p).any(axis=1) | leaves).all():
            self._grow()
        # The change of an inverse is a square of weights; a column that enters has -1 in its own.
        row = self._gram_rows(event, leaves)
        with_active = row.take(self._begin[:m] + self._slot[:m])
        weights = (self._inverse[:m] @ with_active[:, :, None])[:, :, 0]
        diagonal = row[every, event]
        pivot = diagonal - (weights * with_active).sum(axis=1)
        depends = ~leaves & (pivot <= RANK_TOLERANCE * diagonal)
        if depends.any():
            event = self._exchanged(np.flatnonzero(depends), weights)
            leaves |= depends
        column = np.where(leaves, event, self._p)
        slot = (self._slot[:m] == column[:, None]).argmax(axis=1)
        out = np.flatnonzero(leaves)
        weights[out] = self._inverse[out, slot[out]]
        pivot[out] = -weights[out, slot[out]]
        pivot[self._ended[:m]] = 1.0  # an exchange that fails has none, and its walk is over
        into = np.flatnonzero(~leaves)
        weights[into, slot[into]] = -1.0
        self._inverse[:m] += weights[:, :, None] * (weights / pivot[:, None])[:, None, :]
        self._inverse[out, slot[out]] = 0.0
        self._inverse[out, :, slot[out]] = 0.0
        self._rows[every, slot] = row
        self._slot[every, slot] = np.where(leaves, self._p, event)
        self._active[every, event] = ~leaves
        self._sign[every, event] = np.where(leaves, 0.0, self._side[:m])
        self._changed[:m] = event
        self._pending[into] = self._p

    def _gram_rows(self, event: Places, leaves: NDArray[np.bool_]) -> Floats:
        """The products of the columns that enter with all columns."""
        row = np.zeros((len(event), self._p + 1))
        for i in np.flatnonzero(~leaves).tolist():
            row[i, : self._p] = self._grams[self._of[i]][event[i]]
        return row

    def _exchanged(self, row: Places, weights: Floats) -> Places:
        """The columns that leave, where one that depends on the active ones takes their place.

        Where it enters, coefficients can move along the dependence without any change of the
        objective, until the first of them is zero. That one leaves, and then this one enters.
        """
        every, event = np.arange(len(row)), self._event[: len(weights)].copy()
        slot, t = self._slot[row], self._t[row]
        both = self._goal(row) @ self._inverse[row]
        coef = both[:, 0] + t[:, None] * both[:, 1]
        moves = -self._side[row][:, None] * weights[row]
        room = np.full(coef.shape, np.inf)
        toward = self._sign.take(self._begin[row] + slot) * moves < 0
        np.divide(np.abs(coef), np.abs(moves), out=room, where=toward)
        first = room.argmin(axis=1)
        self._ended[row] |= ~np.isfinite(room[every, first])
        self._pending[row], event[row] = event[row], slot[every, first]
        return event

    def _grow(self) -> None:
        more = min(self._slot.shape[1], self._p - self._slot.shape[1])
        self._slot = np.pad(self._slot, ((0, 0), (0, more)), constant_values=self._p)
        self._inverse = np.pad(self._inverse, ((0, 0), (0, more), (0, more)))
        self._rows = np.pad(self._rows, ((0, 0), (0, more), (0, 0)))

    def _goal(self, row: Places | slice) -> Floats:
        """What the products with the active columns are to be, by slot, shape (m, 2, n_slots)."""
        slot = self._slot[row]
        place = self._begin_of_two[row] + slot[:, None, :]
        signs = self._sign.take(self._begin[row] + slot)
        return np.asarray(self._cov.take(place) - self._l1.take(place) * signs[:, None, :])

    def _look_ahead(self, m: int) -> None:
        """Find the next change of the first problems: the largest t below at which one is due."""
        every, first, slot = np.arange(m), slice(m), self._slot[:m]
        coef = self._goal(first) @ self._inverse[:m]
        gradient = self._cov[:m] - coef @ self._rows[:m]
        t, l1, place = self._t[:m], self._l1[:m], self._begin[:m] + slot
        free = self._penalised[:m].copy()
        free[every, self._changed[:m]] = False
        idle, size = free & ~self._active[:m], PARALLEL * (l1[:, 0] + l1[:, 1])
        due = np.full((3, *free.shape), -np.inf)
        gap = l1 - _SIDES * gradient
        closing = gap[:, :, 1]
        np.divide(-gap[:, :, 0], closing, out=due[:2], where=idle & (closing > size))
        own = free.take(place) & (self._sign.take(place) * coef[:, 1] > 0)
        zero = np.full(slot.shape, -np.inf)
        np.divide(-coef[:, 0], coef[:, 1], out=zero, where=own)
        leaves = zero.argmax(axis=1)
        due[2, every, slot[every, leaves]] = zero[every, leaves]
        best = due.max(axis=0)
        event, waiting = best.argmax(axis=1), self._pending[:m] < self._p
        sides = np.where(due[0, every, event] >= due[1, every, event], 1.0, -1.0)
        self._event[:m] = np.where(waiting, self._pending[:m], event)
        self._next[:m] = np.where(waiting, t, np.minimum(best[every, event], t))
        self._side[:m] = np.where(waiting, self._side[:m], sides)


_SIDES = np.array([1.0, -1.0])[:, None, None, None]
_BY_PROBLEM = (
    *("_of", "_ended", "_cov", "_l1", "_penalised", "_sign", "_active", "_t", "_next", "_event"),
    *("_side", "_changed", "_pending", "_changes", "_slot", "_inverse", "_rows"),
)


def _inverse(gram: Floats) -> Floats | None:
    """None of a matrix that is singular."""
    try:
        lower = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return None
    if lower.diagonal().min(initial=1.0) ** 2 <= RANK_TOLERANCE:
        return None
    return np.asarray(np.linalg.inv(gram))


def _padded(values: NDArray[Kind]) -> NDArray[Kind]:
    """With one more column, of zeros."""
    padded = np.zeros((*values.shape[:-1], values.shape[-1] + 1), values.dtype)
    padded[..., :-1] = values
    return padded
