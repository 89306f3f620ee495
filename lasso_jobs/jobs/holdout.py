"""The exact pass over the held-out rows: absolute errors and the quantiles of the residuals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.artifacts.model import Holdout
from lasso_jobs.core.columns import Block
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.predict import Predictor
from lasso_jobs.data.blocks import block
from lasso_jobs.data.dataset import Partition
from lasso_jobs.jobs import intervals
from lasso_jobs.jobs.config import Intervals
from lasso_jobs.jobs.reading import Reading, read_training_rows

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The held-out rows, measured.

    Parameters
    ----------
    holdout : Holdout
    champion_mse : float or None
        Of the champion's own evaluated model, on the same rows.
    bytes_read : int
    """

    holdout: Holdout
    champion_mse: float | None
    bytes_read: int


@dataclass(frozen=True, slots=True)
class _Residuals:
    """Sums over held-out rows; merged in a fixed order."""

    n: int
    weight: float
    squared: float
    absolute: float
    champion_squared: float
    target_mean: float
    target_squared: float
    sizes: intervals.Sizes
    groups: intervals.Groups
    n_bytes: int


def evaluate(
    client: "Client",
    partitions: Sequence[Partition],
    reading: Reading,
    model: Predictor,
    champion: Predictor | None,
    present: Sequence[str],
    width: float,
    progress: Callable[[int, int], None] | None,
    grouping: Intervals | None = None,
) -> Evaluation:
    """Measure a model, and the champion if it can be, on the held-out rows.

    Parameters
    ----------
    client : distributed.Client
    partitions : sequence of Partition
    reading : Reading
        Of the training; decides which rows are held out.
    model, champion : Predictor
    present : sequence of str
        The columns that the data has: a champion that needs others is not compared.
    width : float
        The size of a typical residual, for the bins of the histogram.
    progress : callable or None
    grouping : Intervals, optional
        Groups that are to have intervals of their own.
    """
    from lasso_jobs.engine.tasks import tree_reduce

    models = [model.only(model.used)]
    if champion is not None and set(champion.used) <= set(present):
        models.append(champion.only(champion.used))
    by = None if grouping is None else grouping.by
    parts = tree_reduce(
        client, _measure, _merge, partitions, reading, tuple(models), width, by, progress=progress
    )
    enough = 0 if grouping is None else grouping.min_rows
    mse = parts.squared / parts.weight
    total = parts.target_squared / parts.weight
    return Evaluation(
        Holdout(
            parts.n,
            mse,
            float(np.sqrt(mse)),
            1.0 - mse / total if total > 0 else float(mse == 0),
            parts.absolute / parts.weight,
            parts.sizes.half_width(width),
            by,
            {
                name: sizes.half_width(width)
                for name, sizes in sorted(parts.groups.items())
                if sizes.n >= enough
            },
        ),
        parts.champion_squared / parts.weight if len(models) == 2 else None,
        parts.n_bytes,
    )


def _measure(
    partition: Partition,
    reading: Reading,
    models: tuple[Predictor, ...],
    width: float,
    by: str | None,
) -> _Residuals:
    mine, *others = models
    also = tuple(name for other in others for name in other.columns.features)
    also += () if by is None else (by,)
    total = _EMPTY
    for rows in read_training_rows(partition, replace(reading, columns=mine.columns, also=also)):
        held = np.flatnonzero(rows.buckets == reading.n_buckets)
        weights = np.ones(len(held)) if rows.weights is None else rows.weights[held]
        target = rows.target[held]
        residuals = target - mine.predict(_take(rows.block, held))
        groups = intervals.groups(rows.table, by, held, residuals, width)
        sizes = intervals.sizes(residuals, width)
        part = _summary(target, residuals, weights, sizes, groups, rows.counts.bytes_read)
        for other in others:
            # Decoded anew: another model may know other levels of a category.
            theirs = target - other.predict(_take(block(rows.table, other.columns), held))
            part = replace(part, champion_squared=float(theirs**2 @ weights))
        total = _merge(total, part)
    return total


def _take(all_rows: Block, rows: NDArray[np.intp]) -> Block:
    return Block(
        len(rows),
        tuple(values[rows] for values in all_rows.numeric),
        tuple(codes[rows] for codes in all_rows.codes),
    )


def _summary(
    target: Floats,
    residuals: Floats,
    weights: Floats,
    sizes: intervals.Sizes,
    groups: intervals.Groups,
    n_bytes: int,
) -> _Residuals:
    weight = float(weights.sum())
    mean = float(target @ weights / weight) if weight > 0 else 0.0
    return _Residuals(
        len(target),
        weight,
        float(residuals**2 @ weights),
        float(np.abs(residuals) @ weights),
        0.0,
        mean,
        float((target - mean) ** 2 @ weights),
        sizes,
        groups,
        n_bytes,
    )


def _merge(a: _Residuals, b: _Residuals) -> _Residuals:
    weight = a.weight + b.weight
    share = b.weight / weight if weight > 0 else 0.0
    step = b.target_mean - a.target_mean
    return _Residuals(
        a.n + b.n,
        weight,
        a.squared + b.squared,
        a.absolute + b.absolute,
        a.champion_squared + b.champion_squared,
        a.target_mean + step * share,
        a.target_squared + b.target_squared + step**2 * share * a.weight,
        a.sizes + b.sizes,
        intervals.merged(a.groups, b.groups),
        a.n_bytes + b.n_bytes,
    )


_EMPTY = _Residuals(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, intervals.NO_SIZES, {}, 0)
