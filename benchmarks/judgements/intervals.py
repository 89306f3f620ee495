"""Simulates prediction intervals: how much of new rows they cover, where there are any."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.judgements.rate import Rate
from lasso_jobs.core.inference.conformal import half_width
from lasso_jobs.core.rows.moments import Floats

COVERAGE = 0.9
NEW, NEW_DAYS = 400, 40
"""Rows and days of each simulation that nobody has seen."""
PER_DAY = 50


@dataclass(frozen=True, slots=True)
class World:
    """What the held-out rows are like, and the new ones.

    Parameters
    ----------
    kind : {"alike", "weights", "days"}
        Rows that count alike; that have lognormal weights, with which the variance of their errors
        grows; or of days, which share an error as large as their rows' own.
    n : int
        Held-out rows, or days of `PER_DAY` rows each.
    before : float
        The coverage on the same seeds before weights and days were respected, and where the
        largest residual was the width of few rows.
    """

    kind: str
    n: int
    before: float

    @property
    def name(self) -> str:
        """In a few words."""
        words = {"alike": "rows", "weights": "rows of unequal weights", "days": "days"}
        return f"{self.n:,} held-out {words[self.kind]}"

    def rows(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats, Floats | None]:
        """Absolute errors, weights and days of n rows, or of n days."""
        if self.kind == "days":
            day = np.repeat(np.arange(n), PER_DAY)
            errors = rng.normal(size=n)[day] + rng.normal(size=len(day))
            return np.abs(errors), np.ones(len(day)), day.astype(float)
        weights = np.exp(rng.normal(size=n)) if self.kind == "weights" else np.ones(n)
        return np.abs(rng.normal(size=n) * np.sqrt(weights)), weights, None

    def coverage(self, seed: int) -> float | None:
        """Of new rows, by weight; None without an interval."""
        rng = np.random.default_rng([20, self.n, seed])
        half = half_width(*self.rows(rng, self.n), coverage=COVERAGE).half
        if half is None:
            return None
        sizes, weights, _ = self.rows(rng, NEW_DAYS if self.kind == "days" else NEW)
        return float(weights @ (sizes <= half) / weights.sum())


WORLDS = (
    World("alike", 4, 0.797),
    World("alike", 10, 0.907),
    World("alike", 20, 0.905),
    World("alike", 50, 0.900),
    World("alike", 200, 0.901),
    World("alike", 2_000, 0.900),
    World("weights", 20, 0.772),
    World("weights", 50, 0.759),
    World("weights", 200, 0.750),
    World("weights", 2_000, 0.751),
    World("days", 6, 0.891),
    World("days", 10, 0.890),
    World("days", 20, 0.898),
    World("days", 60, 0.898),
)


def simulate(simulations: int) -> Iterator[Rate]:
    """How much of new rows is covered where there is an interval, and how often there is none."""
    for world in WORLDS:
        found = [world.coverage(seed) for seed in range(simulations)]
        known = [coverage for coverage in found if coverage is not None]
        if known:
            yield Rate(
                judgement="intervals",
                world=world.name,
                asked="coverage >= 90 %",
                before=world.before,
                after=float(np.mean(known)),
                n=len(known),
            )
        if len(known) < simulations:
            yield Rate(
                judgement="intervals",
                world=world.name,
                asked="no interval",
                before=0.0,
                after=1 - len(known) / simulations,
                n=simulations,
            )
