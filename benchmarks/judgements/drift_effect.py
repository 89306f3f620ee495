"""Simulates what drift does to predictions: features that cancel, rows without outcomes, flags.

Each simulation trains on 60 days of 200 rows, and judges ten nights of each world by themselves.
Innocent days differ from each other as the days of training do.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.judgements.rate import Rate
from lasso_jobs import TrainJob, train
from lasso_jobs.core.drift.verdicts import worst
from lasso_jobs.data.columns.feature_block import block
from lasso_jobs.drift.measure import measure_drift
from lasso_jobs.drift.observe import Observations, observe
from lasso_jobs.drift.watch import Run, Watch
from lasso_jobs.jobs.score import DriftOptions
from lasso_jobs.models.model import Model

DAYS, ROWS, NIGHTS = 60, 200, 10
COEF = {"a": 5.0, "b": -5.0, "delay": 0.3, "flag": 0.1, "zeros": 0.1, "u": 1.0, "v": -0.5}
"""Of the features; those of the flag and of the zeros are too small to move the predictions."""

Floats = NDArray[np.float64]
Frame = dict[str, Floats]
Change = Callable[[Frame, np.random.Generator], None]


def _day(rng: np.random.Generator, n: int, factor: float = 0.0) -> Frame:
    """The rows of a day: a and b follow a common factor, and a cancelled row has no delay."""
    common = rng.normal(factor + 0.2 * rng.normal(), 1.0, n)
    a, b = (common + 0.2 * rng.normal(size=n) for _ in range(2))
    cancelled = rng.random(n) < rng.beta(0.6, 12)
    delay = np.where(cancelled, np.nan, rng.gamma(1.0, 1.0, n) + 0.1 * rng.normal())
    zero = rng.random(n) < 0.6
    frame = {
        "a": a,
        "b": b,
        "delay": delay,
        "flag": (rng.random(n) < 0.03).astype(float),
        "zeros": np.where(zero, 0.0, rng.gamma(2.0, 1.0, n)),
        "u": rng.normal(0.2 * rng.normal(), 1.0, n),
        "v": rng.normal(0.2 * rng.normal(), 1.0, n),
    }
    y = sum(coef * frame[name] for name, coef in COEF.items()) + rng.normal(size=n)
    return {**frame, "y": y}


def _innocent(frame: Frame, rng: np.random.Generator) -> None:
    """As in training."""


def _together(frame: Frame, rng: np.random.Generator) -> None:
    frame["a"] += 2.0
    frame["b"] += 2.0


def _one_fails(frame: Frame, rng: np.random.Generator) -> None:
    frame["b"] = np.full(len(frame["b"]), frame["b"].mean() + 1.5)


def _offset(frame: Frame, rng: np.random.Generator) -> None:
    frame["b"] += 1.5


def _by_chance(frame: Frame, rng: np.random.Generator) -> None:
    """Two failures: of a in half of the rows, of b in the other half."""
    half = rng.random(len(frame["a"])) < 0.5
    frame["a"] += np.where(half, 4.0, 0.0)
    frame["b"] += np.where(half, 0.0, 4.0)


def _nulls(frame: Frame, rng: np.random.Generator) -> None:
    frame["delay"] = np.where(rng.random(len(frame["delay"])) < 0.7, np.nan, frame["delay"])


def _flag(frame: Frame, rng: np.random.Generator) -> None:
    frame["flag"] = (rng.random(len(frame["flag"])) < 0.6).astype(float)


def _zeros(frame: Frame, rng: np.random.Generator) -> None:
    frame["zeros"] = np.where(rng.random(len(frame["zeros"])) < 0.6, 0.0, frame["zeros"])


@dataclass(frozen=True)
class World:
    """Nights that are changed, what is counted of them, and what it was before.

    ``watch`` counts those with a watch or an alarm, of the feature that is named, or of any.
    """

    name: str
    change: Change
    asked: str
    before: float
    watch: bool = False
    feature: str | None = None


WORLDS = (
    World(
        "innocent days, cancelled rows among them", _innocent, "watch or alarm <= 2 %", 0.343, True
    ),
    World("a pair moves together, and cancels", _together, "alarm <= 2 %", 0.992),
    World("the same: told as a watch", _together, "power", 1.0, True),
    World("one of the pair is off by 1.5 sd", _offset, "alarm: power", 1.0),
    World("one of the pair stuck", _one_fails, "alarm: power", 1.0),
    World("both fail, and cancel in the mean only", _by_chance, "alarm: power", 0.998),
    World("70 % nulls", _nulls, "alarm: power", 1.0),
    World("a flag from 3 % to 60 %", _flag, "watch: power", 0.132, True, "flag"),
    World("zeros from 60 % to 84 %", _zeros, "watch: power", 0.997, True, "zeros"),
)


def simulate(simulations: int) -> Iterator[Rate]:
    """How many nights of each world have a watch or an alarm."""
    found: dict[str, list[bool]] = {world.name: [] for world in WORLDS}
    for seed in range(simulations):
        with tempfile.TemporaryDirectory() as folder:
            model = _trained(Path(folder), seed)
            for name, raised in _nights(model, folder, seed).items():
                found[name] += raised
    for world in WORLDS:
        nights = found[world.name]
        yield Rate(
            judgement="drift effect",
            world=world.name,
            asked=world.asked,
            before=world.before,
            after=float(np.mean(nights)),
            n=len(nights),
        )


def _trained(folder: Path, seed: int) -> Model:
    rng = np.random.default_rng([5, seed])
    days = [_day(rng, ROWS) for _ in range(DAYS)]
    frame = {name: np.concatenate([day[name] for day in days]) for name in days[0]}
    columns = {name: pa.array(values, from_pandas=True) for name, values in frame.items()}
    columns["day"] = pa.array(np.repeat(np.arange(DAYS), ROWS))
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    job = {
        "name": "worlds",
        "data": {"path": str(folder / "rows.parquet")},
        "target": "y",
        "features": {"include": list(COEF)},
        "period": "day",
        "search": {"alphas": [1e-6], "folds": 2},
        "holdout": None,
        "stability": None,
        "registry": str(folder / "models"),
        "cache": False,
    }
    return train(TrainJob.from_values(job), workers=1).model


def _nights(model: Model, folder: str, seed: int) -> Mapping[str, list[bool]]:
    """Whether each night of each world raises what the world counts; no night knows another."""
    rng = np.random.default_rng([6, seed])
    changes = list(dict.fromkeys(world.change for world in WORLDS))
    observed: Observations = {}
    watch = Watch(model.columns, model.references, None, False, ("night",))
    for change in changes:
        for night in range(NIGHTS):
            frame = _day(rng, ROWS)
            change(frame, rng)
            columns = {name: pa.array(frame[name], from_pandas=True) for name in COEF}
            label = [f"{change.__name__} {night}"] * ROWS
            table = pa.table({**columns, "night": label})
            rows = block(table, model.columns)
            kept = np.ones(ROWS, np.bool_)
            prediction = model.predictor.predict(rows)
            observe(observed, watch, table, block=rows, prediction=prediction, kept=kept)
    run = Run("run", "worlds", "v1", datetime(2024, 1, 1, tzinfo=UTC))
    options = DriftOptions(path=str(Path(folder, "drift")), features="selected")
    drift = measure_drift(watch, run, model=model, options=options, observed=[observed])
    raised: dict[str, list[bool]] = {}
    for world in WORLDS:
        counted = ("watch", "alarm") if world.watch else ("alarm",)
        nights = [f"night={world.change.__name__} {night}" for night in range(NIGHTS)]
        raised[world.name] = [
            worst(
                [
                    row.drift.verdict
                    for row in drift.rows
                    if row.partition == night and world.feature in (None, row.drift.feature)
                ]
            )
            in counted
            for night in nights
        ]
    return raised
