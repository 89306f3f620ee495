"""Simulates the checks of assumptions: innocent data that are accused, and faults that are found.

Each simulation is a training of a Parquet file, by the product's own stages, on one thread.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.judgements.rate import Rate
from lasso_jobs import TrainJob
from lasso_jobs.engine.cluster import connect
from lasso_jobs.engine.tasks import Workers
from lasso_jobs.training.build import build
from lasso_jobs.training.examine import examine
from lasso_jobs.training.gather import gather
from lasso_jobs.training.plan import plan
from lasso_jobs.training.run import evaluate
from lasso_jobs.training.search import select

N = 1500
ONE_IN = 8
"""A training takes a tenth of a second; there are an eighth of the simulations asked for."""
ACCUSED = ("needs a look", "violated")
Draw = Callable[[np.random.Generator], pd.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Data, what is asked of the checks of it, and what they said before.

    Parameters
    ----------
    name, asked : str
    draw : callable
        Returns rows with a target y.
    before : float
    check : str
        The one that is asked; empty for all but that of outliers, which heavy tails are; "least
        squares" for whether there is none.
    holdout : float or None
    weight : str or None
    l1_ratio : float
        Below 1, both levels of a boolean are selected.
    """

    name: str
    asked: str
    draw: Draw
    before: float
    check: str = ""
    holdout: float | None = 0.2
    weight: str | None = None
    l1_ratio: float = 1.0


def simulate(simulations: int) -> Iterator[Rate]:
    """The worlds below, each with an eighth of the simulations that were asked for."""
    n = max(simulations // ONE_IN, 1)
    with connect(workers=1) as workers:
        for world in WORLDS:
            said = [_said(world, seed, workers) for seed in range(n)]
            yield Rate(
                judgement=world.check or "any check",
                world=world.name,
                asked=world.asked,
                before=world.before,
                after=float(np.mean(said)),
                n=n,
            )


def _said(world: World, seed: int, workers: Workers) -> bool:
    frame = world.draw(np.random.default_rng([seed, 20]))
    with TemporaryDirectory() as folder:
        frame.to_parquet(Path(folder) / "rows.parquet")
        job = {
            "name": "checks",
            "data": {"path": f"{folder}/rows.parquet"},
            "target": "y",
            "search": {"alphas": 30, "l1_ratio": world.l1_ratio},
            "stability": None,
            "cache": False,
            "registry": f"{folder}/models",
            "holdout": world.holdout,
            "weight": world.weight,
        }
        planned = plan(TrainJob.from_values(job))
        data = gather(lambda: workers, planned)
        selected = select(planned, data)
        model = build(planned.job, data, selected, evaluate(planned, data, selected))
        checks = examine(planned, data, selected, model).checks
    if world.check == "least squares":
        return selected.diagnostics.least_squares is None
    asked = [check for check in checks if check.name == world.check]
    if not world.check:
        asked = [check for check in checks if check.name != "outliers and leverage"]
    return any(check.verdict in ACCUSED for check in asked)


def _numbers(rng: np.random.Generator, p: int, n: int = N) -> pd.DataFrame:
    return pd.DataFrame(rng.normal(size=(n, p)), columns=[f"x{j}" for j in range(p)])


def _linear(frame: pd.DataFrame, noise: np.ndarray) -> pd.DataFrame:
    return frame.assign(y=2 * frame["x0"] + frame["x1"] + noise)


def _normal(rng: np.random.Generator, p: int = 5, n: int = N) -> pd.DataFrame:
    return _linear(_numbers(rng, p, n), rng.normal(size=n))


def _heavy(rng: np.random.Generator) -> pd.DataFrame:
    return _linear(_numbers(rng, 5), rng.standard_t(4, N))


def _flags(rng: np.random.Generator) -> pd.DataFrame:
    frame = _normal(rng)
    for name, share in (("paid", 0.5), ("new", 0.2), ("late", 0.05)):
        frame[name] = rng.random(N) < share
        frame["y"] += frame[name]
    return frame.assign(side=rng.choice(["left", "right"], N))


def _categories(rng: np.random.Generator) -> pd.DataFrame:
    frame = _normal(rng)
    for name, levels in (("shop", 8), ("brand", 20)):
        code = rng.integers(0, levels, N)
        frame[name] = code.astype(str)
        frame["y"] += rng.normal(size=levels)[code]
    return frame


def _weighted(rng: np.random.Generator) -> pd.DataFrame:
    return _normal(rng).assign(w=rng.gamma(2.0, 1.0, N))


def _series(values: np.ndarray, rho: float) -> np.ndarray:
    values = values.copy()
    values[1:] *= np.sqrt(1 - rho**2)
    for t in range(1, len(values)):
        values[t] += rho * values[t - 1]
    return values


def _slow_features(rng: np.random.Generator) -> pd.DataFrame:
    frame = pd.DataFrame(_series(rng.normal(size=(N, 5)), 0.95)).add_prefix("x")
    return _linear(frame, rng.normal(size=N))


def _curve_in_selected(rng: np.random.Generator) -> pd.DataFrame:
    frame = _normal(rng)
    return frame.assign(y=frame["y"] + 0.25 * frame["x0"] ** 2)


def _curve_in_unselected(
    rng: np.random.Generator, p: int = 5, n: int = N, size: float = 0.25
) -> pd.DataFrame:
    frame = _normal(rng, p, n)
    return frame.assign(y=frame["y"] + size * frame["x3"] ** 2)


def _spread(rng: np.random.Generator) -> pd.DataFrame:
    frame = _numbers(rng, 5)
    return _linear(frame, rng.normal(size=N) * np.exp(0.25 * frame["x3"].to_numpy()))


def _slow_errors(rng: np.random.Generator) -> pd.DataFrame:
    return _linear(_numbers(rng, 5), _series(rng.normal(size=N), 0.4))


def _tied(rng: np.random.Generator) -> pd.DataFrame:
    frame = _normal(rng)
    frame["flag"] = rng.random(N) < 0.5
    return frame.assign(y=frame["y"] + frame["flag"], same=frame["flag"].astype(float))


def _hundred(rng: np.random.Generator) -> pd.DataFrame:
    return _normal(rng, 100)


def _bent_of_hundred(rng: np.random.Generator) -> pd.DataFrame:
    return _curve_in_unselected(rng, 100)


def _few(rng: np.random.Generator) -> pd.DataFrame:
    return _normal(rng, n=150)


def _few_bent(rng: np.random.Generator) -> pd.DataFrame:
    return _curve_in_unselected(rng, n=150, size=0.5)


SIZE, POWER = "size <= 2 %", "power"
WORLDS = (
    World(name="normal errors, 5 features", asked=SIZE, draw=_normal, before=0.0),
    World(name="normal errors, 100 features", asked=SIZE, draw=_hundred, before=0.0),
    World(name="errors of Student's t, 4 df", asked=SIZE, draw=_heavy, before=0.0),
    World(name="booleans and two-level text", asked=SIZE, draw=_flags, before=0.0),
    World(name="the same, Elastic Net", asked=SIZE, draw=_flags, l1_ratio=0.5, before=1.0),
    World(name="categories of 8 and 20 levels", asked=SIZE, draw=_categories, before=0.0),
    World(name="weights", asked=SIZE, draw=_weighted, weight="w", before=0.0),
    World(name="autocorrelated features", asked=SIZE, draw=_slow_features, before=0.04),
    World(name="150 rows", asked=SIZE, draw=_few, before=0.0),
    World(
        name="curve in a selected feature",
        asked=POWER,
        draw=_curve_in_selected,
        check="linearity",
        before=0.8,
    ),
    World(
        name="curve in an unselected feature",
        asked=POWER,
        draw=_curve_in_unselected,
        check="linearity",
        before=0.52,
    ),
    World(
        name="the same among 100 features",
        asked=POWER,
        draw=_bent_of_hundred,
        check="linearity",
        before=0.12,
    ),
    World(
        name="the same without a hold-out",
        asked=POWER,
        draw=_curve_in_unselected,
        check="linearity",
        holdout=None,
        before=0.0,
    ),
    World(
        name="a larger one in 150 rows",
        asked=POWER,
        draw=_few_bent,
        check="linearity",
        before=0.0,
    ),
    World(
        name="spread by an unselected feature",
        asked=POWER,
        draw=_spread,
        check="homoscedasticity",
        before=0.0,
    ),
    World(
        name="errors autocorrelated by 0.4 in file order",
        asked=POWER,
        draw=_slow_errors,
        check="independence",
        before=0.0,
    ),
    World(
        name="booleans, Elastic Net: there is none",
        asked="0 %",
        draw=_flags,
        l1_ratio=0.5,
        check="least squares",
        before=1.0,
    ),
    World(
        name="a boolean and its copy as a number: there is none",
        asked="0 %",
        draw=_tied,
        l1_ratio=0.5,
        check="least squares",
        before=1.0,
    ),
)
