"""Simulates whether one family is called better than another that is as good, or is better."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from benchmarks.judgements.rate import Rate
from lasso_jobs.comparison.paired import paired_difference
from lasso_jobs.core.rows.moments import Floats

ROWS, FOLDS = 200, 5


@dataclass(frozen=True, slots=True)
class World:
    """Two families of one kind, of which each knows one of two features.

    Parameters
    ----------
    kind : {"lines", "neighbours"}
        Least squares, or ten nearest neighbours.
    strength : float
        The coefficient of the second family's feature; that of the first's is 1.
    repeats : int
    before : float
        How often the second was called better when one standard error of independent folds was
        enough, on the same seeds.
    """

    kind: str
    strength: float
    repeats: int
    before: float

    @property
    def name(self) -> str:
        """In a few words."""
        folds = f"{FOLDS} folds" + (f", {self.repeats} times" if self.repeats > 1 else "")
        as_good = "as good" if self.strength == 1 else f"coefficient {self.strength:g} for 1"
        return f"{self.kind}, {as_good}, {folds}"

    def differences(self, seed: int) -> Floats:
        """The second family's mean squared error less the first's, in every fold."""
        rng = np.random.default_rng([17, seed])
        X = rng.normal(size=(ROWS, 2))
        y = X @ [1.0, self.strength] + rng.normal(size=ROWS)
        found = []
        for _ in range(self.repeats):
            for test in np.split(rng.permutation(ROWS), FOLDS):
                training = np.setdiff1d(np.arange(ROWS), test)
                first, second = (
                    np.mean((y[test] - self._fitted(X[training, j], y[training], X[test, j])) ** 2)
                    for j in (0, 1)
                )
                found.append(second - first)
        return np.array(found)

    def _fitted(self, x: Floats, y: Floats, new: Floats) -> Any:
        model = LinearRegression() if self.kind == "lines" else KNeighborsRegressor(10)
        return model.fit(x[:, None], y).predict(new[:, None])


WORLDS = (
    World("lines", 1.0, 1, 0.220),
    World("lines", 1.0, 10, 0.170),
    World("neighbours", 1.0, 1, 0.205),
    World("lines", 1.6, 1, 1.000),
    World("lines", 1.6, 10, 1.000),
)


def simulate(simulations: int) -> Iterator[Rate]:
    """How often the second family is called better."""
    for world in WORLDS:
        better = []
        for seed in range(simulations):
            differences = world.differences(seed)
            weights = np.ones(len(differences))
            better.append(paired_difference(differences, weights, 1 / (FOLDS - 1)).smaller)
        yield Rate(
            judgement="paired comparison",
            world=world.name,
            asked="size <= 5 %" if world.strength == 1 else "power",
            before=world.before,
            after=float(np.mean(better)),
            n=simulations,
        )
