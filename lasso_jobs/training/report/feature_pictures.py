"""Draws the leading features against the target: where training rows are dense, and their means."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from lasso_jobs.core.inference.residuals import binned
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.models.model import Model
from lasso_jobs.pages import svg
from lasso_jobs.pages.page import limit, number
from lasso_jobs.training.read.sampled_rows import SampledRows
from lasso_jobs.training.report.residual_pictures import Picture, middle, shaded

MOST_FEATURES = 9
MOST_LEVELS = 7
MOST_LETTERS = 5
CELLS = 28
NO_LEVELS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureOfRows:
    """A feature and the target of sampled training rows.

    Parameters
    ----------
    name : str
    x, y, weight : ndarray, shape (n,)
        Of a category, x is the number of the level's place in the picture, from 0. Rows of weight
        zero, with a null, or of a level that is not shown are left out.
    levels : tuple of str
        Those that are shown, the ones with the most rows; none of a number.
    n_rows : int
        Sampled rows, also those that are left out.
    """

    name: str
    x: Floats
    y: Floats
    weight: Floats
    levels: tuple[str, ...]
    n_rows: int


def leading_features(model: Model, columns: Columns, rows: SampledRows) -> list[FeatureOfRows]:
    """The `MOST_FEATURES` strongest features of a model, with a sample of the training rows.

    Parameters
    ----------
    model : Model
    columns : Columns
        Of the sample.
    rows : SampledRows
    """
    categories = {category.name: category for category in columns.categories}
    found = []
    for name in () if model.importance is None else model.importance.terms[:MOST_FEATURES]:
        own = rows.X[columns.columns_of(name)]
        x, levels = own[0], NO_LEVELS
        if name in categories:
            x, levels = _places(categories[name], own)
        kept = ~np.isnan(x) & (rows.weight > 0)
        if kept.any():
            found.append(
                FeatureOfRows(
                    name=name,
                    x=x[kept],
                    y=rows.target[kept],
                    weight=rows.weight[kept],
                    levels=levels,
                    n_rows=len(kept),
                )
            )
    return found


def _places(category: Category, own: Floats) -> tuple[Floats, tuple[str, ...]]:
    """Where each row's level is among those with the most rows; NaN for the others."""
    counts = own.sum(axis=1)
    shown = np.sort(np.argsort(-counts, kind="stable")[:MOST_LEVELS])
    shown = shown[counts[shown] > 0]
    place = np.full(len(counts), np.nan)
    place[shown] = np.arange(len(shown))
    level = np.where(own.any(axis=0), own.argmax(axis=0), -1)
    x = np.where(level >= 0, place[level], np.nan)
    names = [label.removeprefix(f"{category.name}=") for label in category.labels]
    return x, tuple(names[k] for k in shown.tolist())


def scatters(features: Sequence[FeatureOfRows], target: str) -> list[Picture]:
    """A picture of each feature: the shade of a cell is the weight of its rows, by square roots."""
    return [_scatter(f"s{k}", each, target) for k, each in enumerate(features)]


def _scatter(key: str, rows: FeatureOfRows, target: str) -> Picture:
    n_levels = len(rows.levels)
    across = (-0.5, n_levels - 0.5) if n_levels else middle(rows.x)
    plot = svg.Plot(x=across, y=middle(rows.y), width=300, height=200, left=46)
    inside = (np.abs(rows.x - sum(plot.x) / 2) <= (plot.x[1] - plot.x[0]) / 2) & (
        np.abs(rows.y - sum(plot.y) / 2) <= (plot.y[1] - plot.y[0]) / 2
    )
    middles = _means(rows)
    points = [plot.at(x, min(max(y, plot.y[0]), plot.y[1])) for x, y in middles]
    ticks = [(float(v), limit(v)) for v in svg.ticks(*plot.x, 4)]
    if n_levels:
        ticks = [(float(k), _short(level)) for k, level in enumerate(rows.levels)]
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y, 4)]),
        plot.x_axis(ticks),
        *_cells(plot, rows, n_levels or CELLS),
        *([svg.path(points, "limit open")] if len(points) > 1 and not n_levels else []),
        *(svg.dot(*point, 3, "point") for point in points),
    ]
    at = [f"at {number(x)}" for x, _ in middles]
    if n_levels:
        at = [rows.levels[int(x)] for x, _ in middles]
    said = ", ".join(f"{a}: {number(y)}" for a, (_, y) in zip(at, middles, strict=True))
    left_out = rows.n_rows - int(inside.sum())
    note = f"{left_out:,} of {rows.n_rows:,} rows are not shown." if left_out else ""
    if n_levels == MOST_LEVELS:
        note = f"The {n_levels} levels with the most rows. {note}"
    title = f"{target} by {rows.name}"
    return Picture(rows.name, plot.figure(key, title, f"Means {said}.", parts), note)


def _means(rows: FeatureOfRows) -> list[svg.Point]:
    """Mean of the target in bins of a number with about equal numbers of rows, or of each level."""
    if not rows.levels:
        bins = binned(rows.x, rows.y)
        return list(zip(bins.x.tolist(), bins.y.tolist(), strict=True))
    own = [rows.x == k for k in range(len(rows.levels))]
    return [
        (float(k), float(np.average(rows.y[of], weights=rows.weight[of])))
        for k, of in enumerate(own)
        if of.any()
    ]


def _cells(plot: svg.Plot, rows: FeatureOfRows, n_across: int) -> list[Markup]:
    found = np.histogram2d(rows.x, rows.y, (n_across, CELLS), (plot.x, plot.y), weights=rows.weight)
    return shaded(plot, *found)


def _short(label: str) -> str:
    return label if len(label) <= MOST_LETTERS else f"{label[: MOST_LETTERS - 1]}…"
