"""Draws the errors of rows that a fit did not see: by prediction, by feature, by leverage."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from lasso_jobs.core.inference.residuals import Bins, CategoryOfRows, HeldOutPredictions, binned
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.pages import svg
from lasso_jobs.pages.page import limit, number

CELLS = 32
SHADES = 8
MOST_FEATURES = 9
MOST_NOT_SELECTED = 4
MOST_CATEGORIES = 6
MOST_LEVELS = 12
MOST_LETTERS = 10
"""Of a level's name: more do not fit beside a small picture on a phone."""
_BINS = 40
_QUANTILES = 80


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture under its heading."""

    title: str
    figure: Markup
    note: str = ""


def residuals(held: HeldOutPredictions, target: str) -> list[Picture]:
    """Held-out rows: predicted against actual, residuals against predicted, and by themselves."""
    errors = held.residuals
    low, high = middle(np.concatenate([held.predicted, held.actual]))
    across = svg.Plot(x=(low, high), y=(low, high), height=260)
    diagonal = svg.segment(across.at(low, low), across.at(high, high), "limit")
    wide = middle(errors)
    around = (min(wide[0], 0), max(wide[1], 0))
    flat = svg.Plot(x=middle(held.predicted), y=around, height=260)
    level = svg.segment(flat.at(flat.x[0], 0), flat.at(flat.x[1], 0), "limit")
    predicted = f"predicted {target}"
    far = held.leverage / held.mean_leverage
    lean = svg.Plot(x=(0.0, middle(far)[1]), y=flat.y, height=260)
    even = svg.segment(lean.at(0, 0), lean.at(lean.x[1], 0), "limit")
    fit = _Cells(across, held.predicted, held.actual, predicted)
    residual = _Cells(flat, held.predicted, errors, predicted)
    leverage = _Cells(lean, far, errors, "leverage over its mean")
    return [
        _density("fit", "Predicted and actual", fit, diagonal),
        _density("res", "Predicted and residual", residual, level),
        _distribution(errors),
        _normal_quantiles(errors),
        _density("lev", "Leverage and residual", leverage, even),
    ]


@dataclass(frozen=True, slots=True)
class _Cells:
    """Two values of each row, where they are drawn, and what the first is."""

    plot: svg.Plot
    x: Floats
    y: Floats
    x_name: str


def _density(key: str, title: str, values: _Cells, line: Markup) -> Picture:
    """How many rows are in each cell, as its shade, on a scale of square roots."""
    plot, x, y = values.plot, values.x, values.y
    counts, x_edges, y_edges = np.histogram2d(x, y, CELLS, (plot.x, plot.y))
    outside = len(x) - int(counts.sum())
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, limit(v)) for v in svg.ticks(*plot.x)], values.x_name),
        *shaded(plot, counts, x_edges, y_edges),
        line,
    ]
    said = f"{len(x):,} rows; correlation {number(_correlation(x, y), 3)}."
    note = f"{outside:,} of {len(x):,} rows lie outside." if outside else ""
    return Picture(title, plot.figure(key, title, said, parts), note)


def shaded(plot: svg.Plot, counts: Floats, x_edges: Floats, y_edges: Floats) -> list[Markup]:
    """The cells of two values, one path for each shade.

    A cell is some twenty letters, and a page some hundred kB.

    Parameters
    ----------
    plot : Plot
    counts, x_edges, y_edges : ndarray
        As numpy's ``histogram2d`` has them.
    """
    shades = np.minimum(1 + (SHADES * np.sqrt(counts / (counts.max() or 1.0))).astype(int), SHADES)
    shades[counts == 0] = 0
    # The edges are placed once each: a cell's corners by themselves took 0.03 s of a report.
    across = [plot.at(x, plot.y[0])[0] for x in x_edges.tolist()]
    down = [plot.at(plot.x[0], y)[1] for y in y_edges.tolist()]
    paths = []
    for shade in range(1, SHADES + 1):
        cells = np.argwhere(shades == shade).tolist()
        corners = [
            (across[i], down[j + 1], across[i + 1] - across[i], down[j] - down[j + 1])
            for i, j in cells
        ]
        if corners:
            paths.append(svg.rects(corners, f"cell d{shade}"))
    return paths


def _distribution(residuals: Floats) -> Picture:
    """The residuals' distribution, and the normal one of the same mean and deviation."""
    from scipy.special import ndtr

    low, high = middle(residuals)
    counts, edges = np.histogram(residuals, _BINS, (low, high))
    shares = counts / len(residuals)
    mean, spread = float(residuals.mean()), float(residuals.std()) or 1.0
    normal = np.diff(ndtr((edges - mean) / spread))
    tallest = float(max(shares.max(), normal.max())) * 1.05
    plot = svg.Plot(x=(low, high), y=(0.0, tallest), height=240)
    parts = [
        plot.y_axis([(v, f"{v:.0%}") for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, limit(v)) for v in svg.ticks(low, high)], "residual"),
    ]
    for share, a, b in zip(shares.tolist(), edges, edges[1:], strict=False):
        (left, top), (right, base) = plot.at(a, share), plot.at(b, 0)
        parts.append(svg.rect(left + 0.4, top, right - left - 0.8, base - top, kind="current"))
    middles = (edges[:-1] + edges[1:]) / 2
    parts.append(svg.path([plot.at(*p) for p in zip(middles, normal, strict=True)], "limit open"))
    said = f"Mean {number(mean)}, standard deviation {number(spread)}."
    title = "Residuals, and normal ones (dashed)"
    return Picture(title, plot.figure("dist", title, said, parts))


def _normal_quantiles(residuals: Floats) -> Picture:
    """Quantiles of the standardised residuals against those of the normal distribution."""
    from scipy.special import ndtr, ndtri

    spread = float(residuals.std()) or 1.0
    ordered = np.sort((residuals - residuals.mean()) / spread)
    # Even steps along the normal quantiles: most rows lie in the middle, and say the same.
    last = float(ndtri(1 - 0.5 / len(ordered)))
    even = ndtr(np.linspace(-last, last, _QUANTILES)) * len(ordered) - 0.5
    places = np.unique(even.round().astype(int))
    normal, own = ndtri((places + 0.5) / len(ordered)), ordered[places]
    plot = svg.Plot(x=svg.padded(normal), y=svg.padded([*own, *normal]), height=240)
    line = (float(normal.min()), float(normal.max()))
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, limit(v)) for v in svg.ticks(*plot.x)], "normal quantile"),
        svg.segment(plot.at(line[0], line[0]), plot.at(line[1], line[1]), "limit"),
        *(svg.dot(*plot.at(a, b), 2, "point") for a, b in zip(normal, own, strict=True)),
    ]
    said = f"Smallest {number(own[0])} and largest {number(own[-1])} standard deviations."
    title = "Quantiles of the residuals, in standard deviations"
    return Picture(title, plot.figure("qq", title, said, parts))


def shown(held: HeldOutPredictions, curves: Mapping[str, float]) -> list[int]:
    """The features to show: the strongest, and of those without a coefficient the most bent.

    Parameters
    ----------
    held : HeldOutPredictions
    curves : mapping of str to float
        How bent the residuals are along the features that are most so.
    """
    selected: list[int] = np.flatnonzero(held.slopes)[:MOST_FEATURES].tolist()
    others: list[int] = np.flatnonzero(held.slopes == 0).tolist()
    others.sort(key=lambda j: -curves.get(held.features[j], 0.0))
    return selected + others[:MOST_NOT_SELECTED]


def partial_residuals(held: HeldOutPredictions, curves: Mapping[str, float]) -> list[Picture]:
    """For each feature: mean partial residuals in its bins, and the line of its coefficient."""
    pictures = []
    for i, j in enumerate(shown(held, curves)):
        name, x, slope = held.features[j], held.values[j], float(held.slopes[j])
        centre = float(x.mean())
        bins = binned(x, held.residuals + slope * (x - centre), held.n_bins)
        if len(bins.n) < 2:
            continue
        half = 2 * bins.deviation / np.sqrt(bins.n)
        ends = (float(bins.x.min()), float(bins.x.max()))
        line = [(v, slope * (v - centre)) for v in ends]
        reach = [*(bins.y - half), *(bins.y + half), *(y for _, y in line)]
        plot = svg.Plot(x=svg.padded(ends), y=svg.padded(reach), width=300, height=170, left=46)
        parts = [
            plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y, 3)]),
            plot.x_axis([(v, limit(v)) for v in svg.ticks(*plot.x, 4)]),
            svg.segment(plot.at(*line[0]), plot.at(*line[1]), "limit"),
        ]
        for at, y, h in zip(bins.x, bins.y, half, strict=True):
            parts.append(svg.segment(plot.at(at, y - h), plot.at(at, y + h), "whisker"))
            parts.append(svg.dot(*plot.at(at, y), 3, "point"))
        said = ", ".join(
            f"at {number(a)}: {number(b)}"
            for a, b in zip(bins.x.tolist(), bins.y.tolist(), strict=True)
        )
        figure = plot.figure(f"p{i}", f"Partial residuals of {name}", said, parts)
        pictures.append(Picture(name if slope else f"{name} (not selected)", figure))
    return pictures + [
        _levels(f"k{i}", each, held.residuals)
        for i, each in enumerate(held.categories[:MOST_CATEGORIES])
    ]


def _levels(key: str, category: CategoryOfRows, residuals: Floats) -> Picture:
    """Mean residuals of the levels with the most rows, with two standard errors on each side."""
    codes = category.codes.astype(np.intp)
    bins = Bins.of(codes, codes.astype(float), residuals)
    most = np.sort(np.argsort(-bins.n, kind="stable")[:MOST_LEVELS])
    half = 2 * bins.deviation[most] / np.sqrt(bins.n[most])
    mean, at = bins.y[most], np.arange(len(most), 0, -1.0)
    names = [*category.levels, "null"]
    labels = [names[int(code)] for code in bins.x[most]]
    height = max(90, 50 + 17 * len(most))
    plot = svg.Plot(
        x=svg.padded([*(mean - half), *(mean + half), 0.0]),
        y=(0.4, len(most) + 0.6),
        width=300,
        height=height,
        left=92,
    )
    parts = [
        plot.y_axis([(y, _short(label)) for y, label in zip(at, labels, strict=True)]),
        plot.x_axis([(v, limit(v)) for v in svg.ticks(*plot.x, 4)]),
        plot.upright(0.0, "limit"),
    ]
    for y, centre, h in zip(at, mean, half, strict=True):
        parts.append(svg.segment(plot.at(centre - h, y), plot.at(centre + h, y), "whisker"))
        parts.append(svg.dot(*plot.at(centre, y), 3, "point"))
    said = ", ".join(
        f"{label}: {number(v)}" for label, v in zip(labels, mean.tolist(), strict=True)
    )
    rest = len(bins.n) - len(most)
    note = f"The {len(most)} levels with the most rows of {len(bins.n)}." if rest else ""
    figure = plot.figure(key, f"Mean residuals by {category.name}", said, parts)
    return Picture(f"{category.name}: mean residual of each level", figure, note)


def _short(label: str) -> str:
    return label if len(label) <= MOST_LETTERS else f"{label[: MOST_LETTERS - 1]}…"


def middle(values: Floats) -> svg.Point:
    """The range of all but the outermost thousandth on each side, and a little more."""
    low, high = np.quantile(values, [0.001, 0.999])
    return svg.padded([float(low), float(high)], 0.03)


def _correlation(x: Floats, y: Floats) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else 0.0
