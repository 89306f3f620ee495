"""Simulates nights on which a champion could be stuck: a leak, a move for good, a tie.

Real trainings and scoring runs on small folders by day, as `nightly` runs them: a night with an
alarm is answered by a training as of that day, not sooner than three days after the last.
"""

import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.judgements.rate import Rate
from lasso_jobs.core.inference.cohorts import estimate
from lasso_jobs.engine.cluster import connect
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.registry import Registry
from lasso_jobs.progress import Stages
from lasso_jobs.scoring import plan as score_plan
from lasso_jobs.scoring.run import run_stages as score_stages
from lasso_jobs.training.retrain import reason_not_to
from lasso_jobs.training.run import run_stages as train_stages

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers

START = date(2024, 1, 1)
DAYS, NIGHTS, PER_DAY = 60, 40, 100
LEAKS = 4
"""Trainings after the first, a week apart, whose champion leaks."""
TIES = 10
"""Simulations of a tie for each that was asked for: they cost nothing."""


def write_day(folder: Path, k: int, seed: int, *, moved: float = 0.0, leak: bool = False) -> None:
    """Day k: an effect of the day, five features, of which the first has moved."""
    rng = np.random.default_rng([20, seed, k])
    X = rng.normal(size=(PER_DAY, 5)) + 0.3 * rng.normal(size=5)
    X[:, 0] += moved
    y = X @ [1.0, 0.5, -0.5, 0.2, 0.0] + 0.2 * rng.normal() + rng.normal(size=PER_DAY)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(5)]).assign(y=y)
    if leak:
        frame["leak"] = y + 0.01 * rng.normal(size=PER_DAY)
    path = folder / f"day={day(k)}" / "rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path)


def day(k: int) -> str:
    """The date of day k."""
    return (START + timedelta(days=k)).isoformat()


@dataclass(frozen=True, slots=True)
class Shop:
    """A folder with data, a registry, scores and drift.

    Parameters
    ----------
    folder : Path
    workers : Workers
    """

    folder: Path
    workers: "Workers"

    def train(self, k: int, data: dict[str, Any] | None = None, **keys: Any) -> bool:
        """Train as of day k; whether the new version is champion."""
        job = self.job(data, **keys).on(day(k))
        result = train_stages(job, Stages(), lambda: nullcontext(self.workers))
        return result.promotion.promoted

    def job(self, data: dict[str, Any] | None = None, **keys: Any) -> TrainJob:
        """The training job."""
        where = {"path": str(self.folder / "data"), "where": "day <= '{date}'", **(data or {})}
        values = {"name": "m", "data": where, "target": "y", "search": {"alphas": 20}}
        values |= {"stability": None, "registry": str(self.folder / "models"), **keys}
        return TrainJob.from_values(values)

    def alarm(self, k: int) -> bool:
        """Score day k; whether its drift is an alarm."""
        job = ScoreJob.from_values(
            {
                "model": "m",
                "data": {"path": str(self.folder / "data")},
                "output": {"path": str(self.folder / "scores"), "partition_by": "day"},
                "drift": {"path": str(self.folder / "drift"), "min_rows": 50},
                "registry": str(self.folder / "models"),
            }
        )
        planned = score_plan.plan(job.on(day(k)))
        return score_stages(self.workers, planned, Stages()).verdict == "alarm"


@dataclass(frozen=True, slots=True)
class Nights:
    """What became of some nights.

    Parameters
    ----------
    alarms : list of bool
        Of each.
    promoted : list of bool
        Of each training that an alarm was answered by.
    """

    alarms: list[bool]
    promoted: list[bool]


def moved_for_good(shop: Shop, seed: int, data: dict[str, Any] | None = None) -> Nights:
    """Sixty days, and forty nights on which the first feature is two deviations higher."""
    nights = Nights([], [])
    for k in range(DAYS):
        write_day(shop.folder / "data", k, seed)
    shop.train(DAYS - 1, data)
    for k in range(DAYS, DAYS + NIGHTS):
        write_day(shop.folder / "data", k, seed, moved=2.0)
        nights.alarms.append(shop.alarm(k))
        due = reason_not_to(shop.job(data), START + timedelta(days=k)) is None
        if nights.alarms[-1] and due:
            nights.promoted.append(shop.train(k, data))
    return nights


def leaky_stays(shop: Shop, seed: int, *, gone: bool) -> bool:
    """Whether a first model that leaks is still champion after `LEAKS` trainings without it.

    Parameters
    ----------
    shop : Shop
    seed : int
    gone : bool
        Whether the leak is gone from the data; if not, the job excludes it.
    """
    for k in range(DAYS):
        write_day(shop.folder / "data", k, seed, leak=True)
    shop.train(DAYS - 1)
    for week in range(1, LEAKS + 1):
        last = DAYS + 7 * week
        for k in range(0 if gone else DAYS, last):
            write_day(shop.folder / "data", k, seed, leak=not gone)
        shop.train(last - 1, features={} if gone else {"exclude": ["leak"]})
    return Registry(shop.folder / "models").aliases("m")["champion"] == 1


def not_worse(days: int, worse_by: float, seed: int, margin: float = 0.01) -> bool:
    """Whether a challenger whose squared error is so much larger passes as not worse.

    Its gains vary between days and rows as those of two fits to overlapping data did: rows by a
    tenth of the champion's error, days by a hundredth.
    """
    rng = np.random.default_rng([21, days, seed])
    which = np.repeat(np.arange(float(days)), PER_DAY)
    gains = -worse_by + 0.01 * rng.normal(size=days)[which.astype(int)]
    gains += 0.1 * rng.normal(size=len(which))
    return estimate(gains, np.ones(len(which)), which).exceeds(-margin)


@dataclass(frozen=True, slots=True)
class World:
    """How a job trains, and the shares of alarms and of promotions before, on the same seeds."""

    name: str
    data: dict[str, Any]
    alarms: float | None
    promoted: float | None


# Of 40 nights 23 and 39 had an alarm; 1 of 8 and 0 of 13 trainings were promoted, without window.
MOVED = (
    World("a feature moved for good", {}, 0.775, 0.048),
    World("the same, with data.window: 30d", {"window": "30d"}, None, None),
)


def simulate(simulations: int) -> Iterator[Rate]:
    """The rates of all worlds; a series of nights for each hundred simulations, and at least one.

    Parameters
    ----------
    simulations : int
    """
    series = max(simulations // 100, 1)
    with connect(workers=1) as workers:
        for world in MOVED:
            found = [
                _in_new_shop(workers, moved_for_good, s, data=world.data) for s in range(series)
            ]
            alarms = [alarm for nights in found for alarm in nights.alarms]
            promoted = [each for nights in found for each in nights.promoted]
            yield _rate(world.name, "nights with an alarm", world.alarms, alarms)
            yield _rate(world.name, "trainings that became champion", world.promoted, promoted)
        for gone in (True, False):
            name = f"a leaky first model, {'gone from the data' if gone else 'excluded'}"
            stays = [_in_new_shop(workers, leaky_stays, s, gone=gone) for s in range(series)]
            yield _rate(name, "still champion after 4 weeks: 0 %", 1.0, stays)
    for days in (5, 12, 30):
        for worse_by, asked in ((0.01, "size <= 6 %"), (0.0, "power")):
            passed = [not_worse(days, worse_by, s) for s in range(TIES * simulations)]
            name = f"{days} days after the champion's, error {worse_by:.0%} larger"
            yield _rate(name, f"not worse by 1 %: {asked}", None, passed)


def _in_new_shop(workers: "Workers", world: Any, seed: int, **how: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return world(Shop(Path(folder), workers), seed, **how)


def _rate(world: str, asked: str, before: float | None, yes: list[bool]) -> Rate:
    after = float(np.mean(yes)) if yes else 0.0
    return Rate(
        judgement="never stuck", world=world, asked=asked, before=before, after=after, n=len(yes)
    )
