"""Simulated worlds: when drift is found, and how often innocent days raise a verdict.

Training rows come in days. The worlds go on with more days, scored by the scoring job itself, all
in one run: days are judged in their order, each by those before it. Days of few rows are judged
together with those before them, so that neighbours share rows, and verdicts too.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.processes import table
from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.core.drift.drift import Severity
from lasso_jobs.core.drift.verdicts import worst

FIRST = date(2023, 1, 1)
TRAINING_DAYS = 365
NUMERIC = 20
USED = 10
LEVELS = ("a", "b", "c", "d", "e")
STRONG, UNUSED = "x00", "x19"
SMALL = 20

Days = NDArray[np.float64]
Frame = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class World:
    """Days after the training.

    Parameters
    ----------
    name : str
    days : int
    start : int
        The first day that is not innocent; as many as there are days if all are.
    change : callable
        Changes the rows of a day, given how many days the change has lasted.
    differ : bool
        Whether days differ: by week days, by season, and by an effect that persists.
    rows : int or None
        Of a day; None for as many as the training's.
    """

    name: str
    days: int
    start: int
    change: Callable[[Frame, int, np.random.Generator], None]
    differ: bool = True
    rows: int | None = None


def _nothing(frame: Frame, age: int, rng: np.random.Generator) -> None:
    """An innocent day."""


def _shifted(name: str, sd: float, per_day: bool = False) -> Callable[..., None]:
    def change(frame: Frame, age: int, rng: np.random.Generator) -> None:
        frame[name] = frame[name] + sd * (age + 1 if per_day else 1)

    return change


def _new_level(frame: Frame, age: int, rng: np.random.Generator) -> None:
    frame["c0"] = np.where(rng.random(len(frame["c0"])) < 0.1, "new", frame["c0"])


def _null(frame: Frame, age: int, rng: np.random.Generator) -> None:
    frame[STRONG] = np.full(len(frame[STRONG]), np.nan)


def _hundredfold(frame: Frame, age: int, rng: np.random.Generator) -> None:
    frame[STRONG] = frame[STRONG] * 100


WORLDS = (
    World("innocent, days alike", 200, 200, _nothing, differ=False),
    World("innocent, days differ", 200, 200, _nothing),
    World("0.25 sd in a strong feature", 20, 5, _shifted(STRONG, 0.25)),
    World("0.25 sd in a feature without coefficient", 20, 5, _shifted(UNUSED, 0.25)),
    World("a new level in 10 % of the rows", 20, 5, _new_level),
    World("a strong feature stuck at null", 20, 5, _null),
    World("a strong feature x 100", 20, 5, _hundredfold),
    World("0.02 sd a day in a strong feature", 40, 5, _shifted(STRONG, 0.02, per_day=True)),
    World("20 rows, innocent, days alike", 300, 300, _nothing, differ=False, rows=SMALL),
    World("20 rows, innocent, days differ", 300, 300, _nothing, rows=SMALL),
    World("20 rows, 0.5 sd in a strong feature", 60, 30, _shifted(STRONG, 0.5), rows=SMALL),
    World("20 rows, 1 sd in a strong feature", 60, 30, _shifted(STRONG, 1.0), rows=SMALL),
    World("20 rows, a strong feature stuck at null", 60, 30, _null, rows=SMALL),
)


def drift(options: argparse.Namespace) -> None:
    """False alarms and days until detection in simulated worlds."""
    folder = Path(options.dir) / f"drift-{options.rows}"
    verdicts: list[list[Severity]] = []
    registries: dict[str, str] = {}
    worlds = [world for world in WORLDS if options.worlds in world.name]
    for world in worlds:
        number = WORLDS.index(world)
        sys.stderr.write(f"{world.name}\n")
        kind = "differ" if world.differ else "alike"
        training = _written(folder / f"training-{kind}", 0, TRAINING_DAYS, options.rows, world, 0)
        if kind not in registries:
            registries[kind] = _trained(folder, training, kind)
        place = folder / f"world-{number}"
        n_rows = world.rows or options.rows
        source = _written(place / "data", TRAINING_DAYS, world.days, n_rows, world, number)
        verdicts.append(_ours(place, source, registries[kind]))
    rows = [_counted(world, days) for world, days in zip(worlds, verdicts, strict=True)]
    head = ["", "watch", "alarm", "days with a watch or alarm before", "with an alarm"]
    sys.stdout.write(f"{options.rows:,} rows a day\n\n{table(head, *rows)}\n")


def _counted(world: World, verdicts: list[Severity]) -> list[str]:
    """The first day of a watch and of an alarm; the days before the change that have one."""
    before, after = verdicts[: world.start], verdicts[world.start :]
    levels = (("watch", "alarm"), ("alarm",))
    first = [next((i + 1 for i, v in enumerate(after) if v in level), None) for level in levels]
    false = [f"{sum(v in level for v in before)} of {len(before)}" for level in levels]
    return [world.name, *(_day(world, day) for day in first), *false]


def _day(world: World, day: int | None) -> str:
    if world.start == world.days:
        return ""
    return "never" if day is None else f"day {day}"


def _written(folder: Path, first: int, days: int, rows: int, world: World, seed: int) -> Path:
    """Files by day; what is there already stays."""
    effects = _effects(first + days, world.differ)
    for i in range(days):
        day = FIRST + timedelta(days=first + i)
        path = folder / f"day={day}" / "rows.parquet"
        if not path.exists():
            rng = np.random.default_rng([7, seed, first + i])
            frame = _rows(rng, rows, effects[first + i])
            if first + i >= TRAINING_DAYS + world.start:
                world.change(frame, first + i - TRAINING_DAYS - world.start, rng)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                pa.table({k: pa.array(v, from_pandas=True) for k, v in frame.items()}), path
            )
    return folder


def _effects(days: int, differ: bool) -> Days:
    """What is added to each feature on each day: shape (days, NUMERIC), in its deviations."""
    rng, effects = np.random.default_rng(11), np.zeros((days, NUMERIC))
    if not differ:
        return effects
    persistent = np.zeros((days, NUMERIC))
    for t in range(1, days):
        persistent[t] = 0.7 * persistent[t - 1] + rng.normal(0, 0.02, NUMERIC)
    t = np.arange(days)[:, None]
    season = 0.05 * np.sin(2 * np.pi * (t / 365 + rng.random(NUMERIC)))
    return np.asarray(persistent + season + 0.04 * (t % 7 >= 5))


def _rows(rng: np.random.Generator, n: int, effect: Days) -> Frame:
    common = rng.normal(size=(4, n))
    values = 0.6 * common[np.arange(NUMERIC) % 4] + 0.8 * rng.normal(size=(NUMERIC, n))
    values += effect[:, None]
    levels = rng.choice(LEVELS, n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    coef = np.where(np.arange(NUMERIC) < USED, np.linspace(2.0, 0.5, NUMERIC), 0.0)
    y = coef @ values + (levels == "a") - (levels == "c") + rng.normal(0, 3, n)
    frame: Frame = {f"x{j:02}": row + 5 for j, row in enumerate(values)}
    return {**frame, "c0": levels, "c1": rng.choice(LEVELS, n), "y": y}


def _trained(folder: Path, training: Path, kind: str) -> str:
    registry = str(folder / f"models-{kind}")
    values = {
        "name": "worlds",
        "data": {"path": str(training)},
        "target": "y",
        "search": {"rule": "1se", "split": {"group": "day"}},
        "registry": registry,
    }
    shutil.rmtree(registry, ignore_errors=True)
    train(TrainJob.from_values(values))
    return registry


def _ours(folder: Path, source: Path, registry: str) -> list[Severity]:
    """The verdict of each day."""
    for name in ("scores", "drift"):
        shutil.rmtree(folder / name, ignore_errors=True)
    values = {
        "model": "worlds",
        "data": {"path": str(source)},
        "output": {"path": str(folder / "scores"), "partition_by": "day"},
        "drift": {"features": "all", "path": str(folder / "drift")},
        "registry": registry,
    }
    result = score(ScoreJob.from_values(values))
    days: dict[str, list[Severity]] = {}
    for row in result.drift:
        # What the model does not use is never judged.
        if not row.drift.reason.startswith("not judged: the model does not use it"):
            days.setdefault(row.partition, []).append(row.drift.verdict)
    return [worst(days[day]) for day in sorted(days)]
