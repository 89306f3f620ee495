"""Simulates the gate: how often a model that is no better, or worse, becomes champion."""

import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.judgements.rate import Rate

Floats = NDArray[np.float64]

SIZE, POWER = "size <= 6 %", "power"
BEFORE = {
    "8 held-out days of equal rows": 0.0467,
    "8 held-out days of equal rows, gain 0.6 sd of days": 0.4313,
    "8 held-out days of unequal rows": 0.0808,
    "8 held-out days of unequal rows, gain 0.6 sd of days": 0.4412,
    "12 held-out days of equal rows": 0.0505,
    "12 held-out days of equal rows, gain 0.6 sd of days": 0.579,
    "12 held-out days of unequal rows": 0.0722,
    "12 held-out days of unequal rows, gain 0.6 sd of days": 0.527,
    "30 held-out days of equal rows": 0.054,
    "30 held-out days of equal rows, gain 0.6 sd of days": 0.9243,
    "30 held-out days of unequal rows": 0.0645,
    "30 held-out days of unequal rows, gain 0.6 sd of days": 0.7885,
    "60 held-out days of equal rows": 0.0467,
    "60 held-out days of equal rows, gain 0.6 sd of days": 0.9968,
    "60 held-out days of unequal rows": 0.058,
    "60 held-out days of unequal rows, gain 0.6 sd of days": 0.947,
    "60 `date=` folders of 100 rows, challenger worse on 400 new days": 0.8788,
    "60 `date=` folders of 100 rows, challenger better on 400 new days": 1.0,
    "the same, better by a feature of each row": 0.697,
}


def simulate(simulations: int) -> Iterator[Rate]:
    """The test by itself in worlds of few days, and whole trainings of days with effects."""
    for n_days in (8, 12, 30, 60):
        for unequal in (False, True):
            for gain in (0.0, 0.6):
                yield _test(n_days, unequal, gain, 20 * simulations)
    yield from _trainings(max(2, simulations // 6))


def _test(n_days: int, unequal: bool, gain: float, n: int) -> Rate:
    """How often a mean gain over held-out days is called positive."""
    from lasso_jobs.core.inference.cohorts import estimate

    rng, positive = np.random.default_rng([n_days, unequal]), 0
    for _ in range(n):
        rows = np.full(n_days, 100)
        if unequal:  # the largest of 12 days has about ten times the rows of the smallest
            rows = np.maximum(5, 100 * rng.lognormal(-0.32, 0.8, n_days)).astype(int)
        day = np.repeat(np.arange(float(n_days)), rows)
        of_days = rng.normal(size=n_days)[day.astype(int)]
        values = gain + of_days + rng.normal(0, 3, len(day))
        positive += estimate(values, np.ones(len(day)), day).positive
    sizes = "unequal" if unequal else "equal"
    world = f"{n_days} held-out days of {sizes} rows" + (f", gain {gain:g} sd of days" * (gain > 0))
    return Rate(
        judgement="gate, the test",
        world=world,
        asked=POWER if gain else SIZE,
        before=BEFORE.get(world),
        after=positive / n,
        n=n,
    )


N_DAYS, N_NEW, ROWS = 60, 400, 100
N_OF_DAYS = 12
"""Features that have one value a day, such as its weather."""
CHALLENGERS = {
    "60 `date=` folders of 100 rows, challenger worse on 400 new days": ("day*", False),
    "60 `date=` folders of 100 rows, challenger better on 400 new days": ("day*", True),
    "the same, better by a feature of each row": ("row", True),
}
"""What a challenger has besides the champion's features, and whether that is useful."""


def _trainings(n: int) -> Iterator[Rate]:
    """Challengers that also have features of the day, useless or useful, or one of each row."""
    for world, (extra, useful) in CHALLENGERS.items():
        counted = promoted = 0
        for seed in range(n):
            is_worse, is_promoted = _challenged(seed, extra, useful)
            if is_worse != useful:
                counted, promoted = counted + 1, promoted + is_promoted
        yield Rate(
            judgement="gate, a training",
            world=world,
            asked=POWER if useful else "promoted <= 5 %",
            before=BEFORE.get(world),
            after=promoted / max(counted, 1),
            n=counted,
        )


def _challenged(seed: int, extra: str, useful: bool) -> tuple[bool, bool]:
    """Whether the challenger is worse on new days, and whether it is promoted."""
    from lasso_jobs import TrainJob, train

    rng = np.random.default_rng([seed, useful])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        days = [_day(rng, extra, useful) for _ in range(N_DAYS)]
        for i, table in enumerate(days):
            path = place / "data" / f"date={date(2024, 1, 1) + timedelta(i)}" / "rows.parquet"
            path.parent.mkdir(parents=True)
            pq.write_table(table, path)
        jobs = [
            TrainJob.from_values(
                {
                    "name": "sales",
                    "data": {"path": str(place / "data")},
                    "target": "y",
                    "features": {"include": include},
                    "search": {"alphas": 30},
                    "stability": None,
                    "seed": seed,
                    "registry": str(place / "models"),
                }
            )
            for include in (["x*"], ["x*", extra])
        ]
        champion, challenger = (train(job, workers=1) for job in jobs)
        new = pa.concat_tables([_day(rng, extra, useful) for _ in range(N_NEW)])
    errors = [
        float(np.mean((new["y"].to_numpy() - result.model.predict(new).to_numpy()) ** 2))
        for result in (champion, challenger)
    ]
    return errors[1] > errors[0], challenger.promotion.promoted


def _day(rng: np.random.Generator, extra: str, useful: bool) -> pa.Table:
    """Rows that share the effect of their day, which features of the day may tell a part of."""
    x, of_day = rng.normal(size=(3, ROWS)), rng.normal(size=N_OF_DAYS)
    effect = rng.normal(0, 1) + (useful and extra == "day*") * of_day[0]
    y = x[0] + 0.5 * x[1] + effect + rng.normal(0, 2, ROWS)
    columns = {f"x{j}": values for j, values in enumerate(x)}
    columns |= {f"day{j}": np.full(ROWS, value) for j, value in enumerate(of_day)}
    if extra == "row":
        columns["row"] = rng.normal(size=ROWS)
        y += 0.3 * columns["row"]
    return pa.table({**columns, "y": y})
