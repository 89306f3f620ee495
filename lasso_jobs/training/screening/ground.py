"""Holds what every round of a screening stands on: the marginals, and the sets of training rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.screening import Penalties
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.buckets import BucketMoments
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.levels import some_columns, with_other
from lasso_jobs.core.rows.marginals import Marginals
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.row_summary import RowSummary
from lasso_jobs.training.read.splits import Folds
from lasso_jobs.training.recipe import recipe_of
from lasso_jobs.training.screening.scanner import Scanner


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Rows that a path is fitted to, by their buckets; those of a fold have rows to test it on.

    Moments are merged when they are asked for: those of all sets would be as many squares.
    """

    buckets: tuple[int, ...]
    tested: tuple[int, ...]
    moments: BucketMoments

    def rows(self) -> Moments:
        """Those of the training rows."""
        return self.moments.merged(self.buckets)

    def test(self) -> Moments:
        """Those of the rows that the fold is tested on."""
        return self.moments.merged(self.tested)


@dataclass(slots=True, kw_only=True)
class Ground:
    """What every round stands on.

    Parameters
    ----------
    scanner : Scanner
    folds : KFold or RollingOrigin
    everything : Marginals
        Of all rows.
    sets : tuple of tuple of int
        The buckets of each set of training rows: first all but the hold-out, those of the folds
        last.
    marginals : tuple of Marginals
        Of each set.
    fold_weight : ndarray, shape (n_folds,)
        Weight of the rows that each fold is tested on.
    always : ndarray of bool, shape (q,)
        The screened columns that are never penalised, and the offset: no working set lacks them.
    """

    scanner: Scanner
    folds: Folds
    everything: Marginals
    sets: tuple[tuple[int, ...], ...]
    marginals: tuple[Marginals, ...]
    fold_weight: Floats
    always: NDArray[np.bool_]
    _kept: tuple[bytes, BucketMoments] | None = None

    @classmethod
    def of(cls, scanner: Scanner, folds: Folds) -> "Ground":
        """Scan the columns by themselves."""
        reading = scanner.reading
        marginals = scanner.columns()
        n = reading.n_buckets
        wanted = [range(n), range(n + 1), range(folds.n_before_holdout)]
        sets = dict.fromkeys(tuple(each) for each in wanted)
        if not float(marginals.weight[n, 0]):
            sets.pop(tuple(range(n + 1)))
        trainings = [tuple(training.tolist()) for training, _ in folds.splits()]
        recipe = recipe_of(scanner.planned.job, reading.columns, m.empty(1))
        levels = reading.levels_are_screened
        always = Penalties.of(recipe, indicators=False, levels=levels).factor == 0
        if recipe.offset_at is not None:
            always[recipe.offset_at] = True
        weight = marginals.weight[:, 0]
        return cls(
            scanner=scanner,
            folds=folds,
            everything=marginals.merged(range(n + 1)),
            sets=(*sets, *trainings),
            marginals=tuple(marginals.merged(each) for each in (*sets, *trainings)),
            fold_weight=np.array([float(weight[test].sum()) for _, test in folds.splits()]),
            always=always,
        )

    @property
    def job(self) -> Any:
        """The training job."""
        return self.scanner.planned.job

    def recipe_of(self, columns: Columns, rows: BucketMoments | Moments) -> Recipe:
        """How the job penalises some of the columns."""
        levels = self.scanner.reading.levels_are_screened
        return recipe_of(self.job, columns, rows, levels_are_screened=levels)

    @property
    def n_folds(self) -> int:
        """How many of the sets are trainings of folds."""
        return sum(1 for _ in self.folds.splits())

    def columns_of(self, inside: NDArray[np.bool_]) -> Columns:
        """The working set."""
        return some_columns(self.scanner.reading.columns, inside)

    def reading_of(self, inside: NDArray[np.bool_]) -> Reading:
        """The reading of the last working set alone, with the other levels as ``(other)``."""
        reading, columns = self.scanner.reading, self.columns_of(inside)
        if reading.levels_are_screened:
            columns = with_other(columns, reading.columns)
        return reading.of_some(columns)

    def moments_of(self, inside: NDArray[np.bool_]) -> BucketMoments:
        """The moments of the working set, read if it is another than the last one."""
        key = inside.tobytes()
        if self._kept is None or self._kept[0] != key:
            self._kept = None
            reading = self.scanner.reading.of_some(self.columns_of(inside))
            self._kept = key, self.scanner.pairs(reading)
        return self._kept[1]

    def summary_of(self, inside: NDArray[np.bool_]) -> RowSummary:
        """All that is to be known of the last working set."""
        self._kept = None
        return self.scanner.summary(self.reading_of(inside))

    def training_sets(self, moments: BucketMoments) -> list[TrainingSet]:
        """Each set of training rows, on the moments of a working set."""
        tested: list[tuple[int, ...]] = [()] * (len(self.sets) - self.n_folds)
        tested += [tuple(test.tolist()) for _, test in self.folds.splits()]
        return [
            TrainingSet(buckets, rows, moments)
            for buckets, rows in zip(self.sets, tested, strict=True)
        ]
