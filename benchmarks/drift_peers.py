"""Drift beside Evidently's default preset and NannyML's univariate drift, on the same days.

Each world is days of training and nights after them, as files. The scoring job judges the nights
with its defaults; the peers compare them with all training rows, without the outcome, with theirs.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.environments import python_of
from benchmarks.processes import run, table
from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.core.drift.drift import Severity
from lasso_jobs.core.drift.verdicts import worst

FIRST = date(2024, 1, 1)
SEEDS, NIGHTS, NUMERIC = 2, 10, 5
DAY_SD = 0.15
"""Of a day's effect, in standard deviations of the feature's rows."""

PEERS: dict[str, tuple[tuple[str, ...], str]] = {
    "evidently": (("evidently==0.7.23", "pandas<3", "pyarrow"), "evidently"),
    # NannyML imports statsmodels, but does not ask for it.
    "nannyml": (("nannyml==0.13.1", "pandas<3", "statsmodels", "pyarrow"), "nannyml"),
}
VERDICTS = {
    "evidently": ("Evidently: dataset drift", "Evidently: any column"),
    "nannyml": ("NannyML: any column",),
}
Frame = dict[str, NDArray[np.generic]]
Change = Callable[[Frame, np.random.Generator], None]


def _nothing(frame: Frame, rng: np.random.Generator) -> None:
    """An innocent night."""


def _shifted(sd: float, *names: str) -> Change:
    def change(frame: Frame, rng: np.random.Generator) -> None:
        for name in names:
            frame[name] = frame[name] + sd

    return change


def _flagged(frame: Frame, rng: np.random.Generator) -> None:
    frame["flag"] = (rng.random(len(frame["flag"])) < 0.6).astype(float)


@dataclass(frozen=True, kw_only=True)
class World:
    """Days of training, and nights after them.

    Parameters
    ----------
    name : str
    training : int
        Days.
    day_sd : float
        Of a day's effect on each numeric feature, in standard deviations of its rows.
    persistence : float
        Correlation of the effects of neighbouring days.
    odd : float
        Effect of the third training day.
    cancelled : float
        Share of training rows without an outcome; half of theirs have no x3 either.
    change : callable
        Changes the rows of each night.
    """

    name: str
    training: int = 60
    day_sd: float = 0.0
    persistence: float = 0.0
    odd: float = 0.0
    cancelled: float = 0.0
    change: Change = _nothing


WORLDS = (
    World(name="innocent, days alike"),
    World(name="innocent, days differ (0.15 sd)", day_sd=DAY_SD),
    World(name="innocent, days autocorrelated 0.8", day_sd=DAY_SD, persistence=0.8),
    World(name="innocent, 5 days of training", day_sd=DAY_SD, training=5),
    World(name="innocent, cancelled rows have nulls", cancelled=0.2),
    World(name="a pair moves 1 sd, the prediction does not", change=_shifted(1.0, "x0", "x1")),
    World(name="0.5 sd", day_sd=DAY_SD, change=_shifted(0.5, "x2")),
    World(
        name="1.5 sd, after one day at +5 sd", day_sd=DAY_SD, odd=5.0, change=_shifted(1.5, "x2")
    ),
    World(name="a flag goes from 3 % to 60 %", change=_flagged),
)


def drift_peers(options: argparse.Namespace) -> None:
    """Nights with a verdict in simulated worlds: ours, Evidently's and NannyML's."""
    place = Path(options.dir) / f"drift-peers-{options.rows}"
    worlds = [world for world in WORLDS if options.worlds in world.name]
    runs = [(world, seed) for world in worlds for seed in range(SEEDS)]
    folders = [_written(place, world, seed, options.rows) for world, seed in runs]
    ours = [_ours(folder) for folder in folders]
    columns = {
        "watch or alarm": [[v in ("watch", "alarm") for v in nights] for nights in ours],
        "alarm": [[v == "alarm" for v in nights] for nights in ours],
    }
    for name in options.peers:
        columns |= _theirs(name, folders, Path(options.dir) / "environments" / name)
    rows = [[world.name] for world in worlds]
    for found in columns.values():
        for i, row in enumerate(rows):
            nights = list(chain.from_iterable(found[i * SEEDS : (i + 1) * SEEDS]))
            row.append(f"{sum(nights)} of {len(nights)}" if nights else "cannot be installed")
    sys.stdout.write(f"{options.rows:,} rows a day\n\n{table(['', *columns], *rows)}\n")


def _theirs(name: str, folders: list[Path], environment: Path) -> dict[str, list[list[bool]]]:
    """By what counts as a verdict, for each folder, whether each night has it."""
    python = python_of(environment, *PEERS[name])
    if python is None:
        return {verdict: [] for verdict in VERDICTS[name]}
    module = str(Path(__file__).parent / "peers" / f"drift_{name}.py")
    found = json.loads(run([module, *map(str, folders)], python).output)
    return {verdict: [of[i] for of in found] for i, verdict in enumerate(VERDICTS[name])}


def _written(place: Path, world: World, seed: int, n_rows: int) -> Path:
    """Files by day, in `training` and `nights`; what is there already stays."""
    number = WORLDS.index(world)
    folder = place / f"{number}-{seed}"
    rng = np.random.default_rng([31, number, seed])
    n_days = world.training + NIGHTS
    effects = rng.normal(size=(n_days, NUMERIC))
    for t in range(1, n_days):
        step = np.sqrt(1 - world.persistence**2) * effects[t]
        effects[t] = world.persistence * effects[t - 1] + step
    effects *= world.day_sd
    effects[2] += world.odd
    for t in range(n_days):
        night = t >= world.training
        frame = _rows(rng, n_rows, effects[t], world)
        if night:
            world.change(frame, rng)
        of = folder / ("nights" if night else "training")
        path = of / f"day={FIRST + timedelta(days=t)}" / "rows.parquet"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            columns = {k: pa.array(v, from_pandas=True) for k, v in frame.items()}
            pq.write_table(pa.table(columns), path)
    return folder


def _rows(rng: np.random.Generator, n: int, effect: NDArray[np.float64], world: World) -> Frame:
    """The first two features are a pair (r = 0.96) whose coefficients cancel."""
    x = rng.normal(size=(NUMERIC, n))
    x[1] = 0.96 * x[0] + 0.28 * x[1]
    x += effect[:, None]
    flag = (rng.random(n) < 0.03).astype(float)
    y = 5 * (x[0] - x[1]) + 2 * x[2] + x[3] + 3 * flag + rng.normal(size=n)
    cancelled = rng.random(n) < world.cancelled
    x[3, cancelled & (rng.random(n) < 0.5)] = np.nan
    frame: Frame = {f"x{j}": row for j, row in enumerate(x)}
    return {**frame, "flag": flag, "y": np.where(cancelled, np.nan, y)}


def _ours(folder: Path) -> list[Severity]:
    """The gravest verdict of each night."""
    sys.stderr.write(f"{folder}\n")
    for name in ("models", "scores", "drift"):
        shutil.rmtree(folder / name, ignore_errors=True)
    registry = str(folder / "models")
    data = {"path": str(folder / "training")}
    values = {"name": "worlds", "data": data, "target": "y", "registry": registry}
    train(TrainJob.from_values(values))
    values = {
        "model": "worlds",
        "data": {"path": str(folder / "nights")},
        "output": {"path": str(folder / "scores"), "partition_by": "day"},
        "drift": {"path": str(folder / "drift")},
        "registry": registry,
    }
    nights: dict[str, list[Severity]] = {}
    for row in score(ScoreJob.from_values(values)).drift:
        nights.setdefault(row.partition, []).append(row.drift.verdict)
    return [worst(nights[night]) for night in sorted(nights)]
