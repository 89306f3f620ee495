"""Solves the paths of all sets of training rows on a working set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.gradient_sums import Fits
from lasso_jobs.core.fit.lasso import solve_path
from lasso_jobs.core.fit.problem import GAP_TOLERANCE
from lasso_jobs.core.fit.relaxed import mixed
from lasso_jobs.core.fit.screening import Check, Penalties
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.threads import Steps
from lasso_jobs.training.screening.column_scans import GradientScan, in_groups
from lasso_jobs.training.screening.ground import Ground, TrainingSet

MOST_DESIGN_BYTES = 2**28
"""Of the squares of all sets, which are kept during a round if they take no more."""


LAST_SHARE = 0.1
"""Of the candidates, those least likely to enter: where one of them has a coefficient, a column
outside the set should have one as a rule, and the alphas from there on are left to the next round.
Of 4,000 rows x 10,000 columns two rounds had tried 68 alphas, with up to 670 coefficients, and
proved 25; they try 26 now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """The paths of all sets on the working set, at some alphas."""

    recipe: d.Recipe
    paths: "tuple[SetPath, ...]"
    alphas: Floats

    def check(self, ground: Ground, penalties: Penalties, outside: NDArray[np.bool_]) -> Check:
        """Scan all columns for their gradients, of each set of training rows."""
        reference = ground.everything.mean
        check = Check.empty(len(reference), len(self.alphas))
        scan = GradientScan(
            reading=ground.scanner.reading,
            working_set=self.recipe.columns,
            indicators=self.recipe.indicators,
            fits=tuple(path.fits for path in self.paths),
            reference=reference,
            groups=in_groups(len(reference), len(self.paths) * len(self.alphas)),
        )
        for columns, sums in ground.scanner.gradients(scan):
            check.look(
                columns,
                ground.marginals,
                penalties=penalties,
                sums=sums,
                reference=reference,
                alphas=self.alphas,
                outside=outside,
            )
        return check

    def at(self, alphas: slice) -> "Solved":
        """Some of the alphas."""
        paths = tuple(path.at(alphas) for path in self.paths)
        return Solved(recipe=self.recipe, paths=paths, alphas=self.alphas[alphas])

    def then(self, more: "Solved") -> "Solved":
        """These paths, and what follows."""
        paths = tuple(a.then(b) for a, b in zip(self.paths, more.paths, strict=True))
        alphas = np.concatenate([self.alphas, more.alphas])
        return Solved(recipe=self.recipe, paths=paths, alphas=alphas)

    def worth_without(self, last: NDArray[np.intp]) -> list[int]:
        """How many of these alphas are likely to be proved, if not all are, by `LAST_SHARE`.

        Parameters
        ----------
        last : ndarray of intp
            Of the set's columns, those that were to enter last.
        """
        used = self.used()[:, last].any(axis=1)
        # A scan is for two at least, so that the walk goes on.
        return [max(int(used.argmax()), 2)] if used.any() else []

    @property
    def last(self) -> list[dict[str, float]]:
        """By coefficient, the solution of each set at the last alpha."""
        return [path.by_label(-1) for path in self.paths]

    def mse(self, n_folds: int, n: int) -> Floats:
        """Errors of the folds, whose sets are the last, at the first n alphas."""
        return np.array([path.mse[:, :n] for path in self.paths[-n_folds:]])

    def n_converged(self, n_folds: int) -> int:
        """Down to which alpha the fits converged that cross-validation has."""
        fits = (self.paths[0], *self.paths[-n_folds:])
        return int(np.cumprod(np.all([path.converged for path in fits], axis=0)).sum())

    def used(self) -> NDArray[np.bool_]:
        """Which of the set's columns have a coefficient at each alpha, shape (n_alphas, q)."""
        n_columns = self.recipe.columns.n_columns
        coef = np.logical_or.reduce([path.fits.coef != 0 for path in self.paths])
        used = np.array(coef[:, :n_columns])
        used[:, np.array(self.recipe.indicators, np.intp)] |= coef[:, n_columns:]
        return used


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPath:
    """A path on one set of training rows.

    Parameters
    ----------
    fits : Fits
    labels : tuple of str
        Of the coefficients that are usable.
    coef : ndarray, shape (n_alphas, p_usable)
        On the correlation scale.
    explained : ndarray, shape (n_alphas,)
        Share of the target's variance in training.
    mse : ndarray, shape (n_gammas, n_alphas) or (n_gammas, 0)
        On the fold's test.
    converged : ndarray of bool, shape (n_alphas,)
        Whether the fit did, and its relaxed fit.
    """

    fits: Fits
    labels: tuple[str, ...]
    coef: Floats
    explained: Floats
    mse: Floats
    converged: NDArray[np.bool_]

    def at(self, alphas: slice) -> "SetPath":
        """Some of the alphas."""
        return SetPath(
            fits=self.fits.at(alphas),
            labels=self.labels,
            coef=self.coef[alphas],
            explained=self.explained[alphas],
            mse=self.mse[:, alphas],
            converged=self.converged[alphas],
        )

    def then(self, more: "SetPath") -> "SetPath":
        """The path, and what follows."""
        return SetPath(
            fits=self.fits.then(more.fits),
            labels=self.labels,
            coef=np.concatenate([self.coef, more.coef]),
            explained=np.concatenate([self.explained, more.explained]),
            mse=np.concatenate([self.mse, more.mse], axis=1),
            converged=np.concatenate([self.converged, more.converged]),
        )

    def by_label(self, at: int) -> dict[str, float]:
        """The solution at one alpha: what is not zero."""
        used = np.flatnonzero(self.coef[at])
        return {self.labels[j]: float(self.coef[at, j]) for j in used.tolist()}


@dataclass(frozen=True, slots=True)
class Designs:
    """Those of each set of training rows: kept while all of them are small.

    Parameters
    ----------
    recipe : Recipe
        Of the working set.
    sets : sequence of TrainingSet
    """

    recipe: d.Recipe
    sets: Sequence[TrainingSet]
    _kept: dict[int, d.Design] = field(default_factory=dict)

    def of(self, k: int) -> d.Design:
        """That of the k-th set."""
        design = self._kept.get(k) or d.fit(self.recipe, self.sets[k].rows())
        if 8 * len(self.recipe.labels) ** 2 * len(self.sets) <= MOST_DESIGN_BYTES:
            self._kept[k] = design
        return design


def solve_set(
    designs: Designs,
    k: int,
    alphas: Floats,
    start: Mapping[str, float],
    *,
    gammas: Sequence[float],
    steps: Steps,
) -> SetPath:
    """Solve the path of one set of training rows.

    Parameters
    ----------
    designs : Designs
    k : int
        Which of the sets.
    alphas : ndarray
        Descending.
    start : mapping of str to float
        The solution to start from, by coefficient.
    gammas : sequence of float
        The mixtures with the relaxed fit that are measured on the test.
    steps : Steps
        Takes one for each alpha, and may end the work.
    """
    recipe, design, rows = designs.recipe, designs.of(k), designs.sets[k]
    every = design.grouping.columns.labels_with(recipe.indicators)
    labels = tuple(every[j] for j in np.flatnonzero(design.usable))
    problem = design.problem
    first = np.array([start.get(name, 0.0) for name in labels])
    path = solve_path(problem, alphas, first, steps=steps)
    slack = problem.covariance @ path.coef.T
    gram = np.array([coef @ (problem.gram @ coef) for coef in path.coef])
    # Of the deviations from the mean, though without an intercept the fit is to more than these.
    left = problem.variance - 2 * slack + gram
    explained = 1 - left / design.variance if design.variance > 0 else np.zeros(len(alphas))
    coef, relaxed = mixed(problem, path.coef, gammas)
    mse: Floats = np.empty((len(gammas), 0))
    if rows.tested:
        original, _ = design.original_units(np.concatenate(coef))
        mse = evaluate(design, original, rows.test()).mse.reshape(coef.shape[:2])
    fits = [path, relaxed] if len(relaxed.coef) else [path]
    worst = np.max([np.maximum(each.dual_gap, each.kkt) for each in fits], axis=0)
    # Not the design: those of all sets are as many squares, which nobody needs any more.
    return SetPath(
        fits=Fits.of(recipe, design, path.coef, rows.buckets),
        labels=labels,
        coef=path.coef,
        explained=explained,
        mse=mse,
        converged=worst <= GAP_TOLERANCE,
    )


def last_ones(entry: Floats, new: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of columns that join a working set, the `LAST_SHARE` that would enter last.

    Examples
    --------
    >>> last_ones(np.array([1.0, 0.9, 0.5, 0.7]), np.array([1, 2, 3]))
    array([2])
    """
    return new[np.argsort(entry[new], kind="stable")[: int(np.ceil(LAST_SHARE * len(new)))]]
