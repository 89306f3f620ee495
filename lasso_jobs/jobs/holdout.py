"""The exact pass over the held-out rows: absolute errors and the quantiles of the residuals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.artifacts.model import INTERVAL_COVERAGE, Holdout
from lasso_jobs.core.columns import Block
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.predict import Predictor
from lasso_jobs.data.blocks import block
from lasso_jobs.data.dataset import Partition
from lasso_jobs.jobs.reading import Reading, read_training_rows

if TYPE_CHECKING:
    from distributed import Client

BINS_PER_WIDTH = 500
N_BINS = 20 * BINS_PER_WIDTH


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
    """Sums over held-out rows; merged in a fixed order.

    ``counts`` is the histogram of the absolute residuals, the last bin without an upper end.
    """

    n: int
    weight: float
    squared: float
    absolute: float
    champion_squared: float
    target_mean: float
    target_squared: float
    largest: float
    counts: NDArray[np.int64]
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
    """
    from lasso_jobs.engine.tasks import tree_reduce

    models = [model.only(model.used)]
    if champion is not None:
        champion = champion.only(champion.used)
        models += [champion] * (set(champion.columns.stored) <= set(present))
    parts = tree_reduce(
        client, _measure, _merge, partitions, reading, tuple(models), width, progress=progress
    )
    mse = parts.squared / parts.weight
    total = parts.target_squared / parts.weight
    return Evaluation(
        Holdout(
            parts.n,
            mse,
            float(np.sqrt(mse)),
            1.0 - mse / total if total > 0 else float(mse == 0),
            parts.absolute / parts.weight,
            _interval(parts, width),
        ),
        parts.champion_squared / parts.weight if len(models) == 2 else None,
        parts.n_bytes,
    )


def _interval(parts: _Residuals, width: float) -> float:
    """Upper end of the bin with the ``ceil((n + 1) coverage)``-th smallest absolute residual."""
    rank = int(np.ceil((parts.n + 1) * INTERVAL_COVERAGE))
    place = int(np.searchsorted(np.cumsum(parts.counts), rank))
    if place >= N_BINS - 1:
        return parts.largest
    return min((place + 1) * width / BINS_PER_WIDTH, parts.largest)


def _measure(
    partition: Partition, reading: Reading, models: tuple[Predictor, ...], width: float
) -> _Residuals:
    mine, *others = models
    also = tuple(name for other in others for name in other.columns.stored)
    total = _EMPTY
    for rows in read_training_rows(partition, replace(reading, columns=mine.columns, also=also)):
        held = np.flatnonzero(rows.buckets == reading.n_buckets)
        weights = np.ones(len(held)) if rows.weights is None else rows.weights[held]
        target = rows.target[held]
        residuals = target - mine.predict(_take(rows.block, held))
        part = _summary(target, residuals, weights, width, rows.counts.bytes_read)
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
    target: Floats, residuals: Floats, weights: Floats, width: float, n_bytes: int
) -> _Residuals:
    weight = float(weights.sum())
    size = np.abs(residuals)
    mean = float(target @ weights / weight) if weight > 0 else 0.0
    bins = np.minimum(size / width * BINS_PER_WIDTH, N_BINS - 1) if width > 0 else size * 0
    return _Residuals(
        len(target),
        weight,
        float(residuals**2 @ weights),
        float(size @ weights),
        0.0,
        mean,
        float((target - mean) ** 2 @ weights),
        float(size.max(initial=0.0)),
        np.bincount(bins.astype(np.int64), minlength=N_BINS),
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
        max(a.largest, b.largest),
        a.counts + b.counts,
        a.n_bytes + b.n_bytes,
    )


_EMPTY = _Residuals(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.zeros(N_BINS, np.int64), 0)
