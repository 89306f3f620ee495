"""The pictures of the training report."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from scipy.special import ndtr, ndtri

from lasso_jobs.artifacts import svg
from lasso_jobs.artifacts.model import Model
from lasso_jobs.artifacts.page import limit, number
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.residuals import Held, binned

CELLS = 32
_QUANTILES = 80
WORST = 2.0
"""Alphas with errors so many times the smallest are left out of the picture."""


@dataclass(frozen=True, slots=True)
class CoefficientPath:
    """Coefficients along the alphas, per standard deviation of their columns.

    Parameters
    ----------
    alphas : ndarray, shape (n_alphas,)
        Descending.
    coef : ndarray, shape (n_alphas, k)
    labels : tuple of str
    """

    alphas: Floats
    coef: Floats
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture under its heading."""

    title: str
    figure: Markup
    note: str = ""


def cv_curve(model: Model) -> Markup | None:
    """The error of cross-validation by alpha, with its standard error and both rules."""
    curve = model.curve
    same = (curve.l1_ratios == model.l1_ratio) & (curve.gammas == model.gamma)
    same &= (curve.alphas > 0) & np.isfinite(curve.mse)
    # Larger errors would flatten the part where the choice is made.
    same &= (curve.mse <= WORST * curve.mse[same].min(initial=np.inf)) | (
        curve.alphas <= max(curve.alpha_1se, model.alpha)
    )
    alphas, mse, error = curve.alphas[same], curve.mse[same], curve.mse_se[same]
    if len(alphas) < 2:
        return None
    x = np.log10(alphas)
    error = np.where(np.isfinite(error), error, 0.0)
    low, high = mse - error, mse + error
    plot = svg.Plot((x.min(), x.max()), svg.padded([low.min(), high.max()]))
    band = [*zip(x, low, strict=True), *zip(x[::-1], high[::-1], strict=True)]
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        _powers(plot, "alpha"),
        svg.path([plot.at(*p) for p in band], "band", closed=True),
        svg.path([plot.at(*p) for p in zip(x, mse, strict=True)], "trace"),
    ]
    for name, alpha, y in (("min", curve.alpha_min, 20.0), ("1se", curve.alpha_1se, 32.0)):
        if alpha > 0 and alpha in alphas:
            at = plot.at(float(np.log10(alpha)), 0)[0]
            parts.append(svg.segment((at, plot.top), (at, plot.height - plot.bottom), "limit"))
            right = at > plot.width * 0.7
            parts.append(
                svg.text(at + (-4 if right else 4), y, name, "tick", "end" if right else "start")
            )
    best = int(mse.argmin())
    said = (
        f"Smallest mean squared error {number(mse[best])} at alpha {number(alphas[best])}; "
        f"alpha of the rule min {number(curve.alpha_min)}, of 1se {number(curve.alpha_1se)}; "
        f"chosen {number(model.alpha)}."
    )
    return svg.figure(
        "cv", "Error of cross-validation by alpha", said, plot.width, plot.height, parts
    )


def paths(path: CoefficientPath, chosen: float) -> Markup | None:
    """The coefficients along the alphas."""
    kept = path.alphas > 0
    alphas, coef = path.alphas[kept], path.coef[kept]
    if len(alphas) < 2 or not len(path.labels):
        return None
    x = np.log10(alphas)
    plot = svg.Plot((x.min(), x.max()), svg.padded([float(coef.min()), float(coef.max()), 0.0]))
    zero = plot.at(x.min(), 0)[1]
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        _powers(plot, "alpha"),
        svg.segment((plot.left, zero), (plot.width - plot.right, zero), "axis"),
    ]
    if chosen > 0:
        at = plot.at(float(np.log10(chosen)), 0)[0]
        parts.append(svg.segment((at, plot.top), (at, plot.height - plot.bottom), "limit"))
    for k in range(len(path.labels)):
        line = [plot.at(a, b) for a, b in zip(x, coef[:, k], strict=True)]
        parts.append(svg.path(line, f"trace c{k % 5}"))
    ends = ", ".join(
        f"{label} {number(v)}" for label, v in zip(path.labels, coef[-1].tolist(), strict=True)
    )
    about = f"At the smallest alpha, per standard deviation: {ends}."
    return svg.figure("paths", "Paths of the coefficients", about, plot.width, plot.height, parts)


def learning(model: Model) -> Markup | None:
    """Errors by the number of training rows."""
    curve = model.diagnostics.learning
    if len(curve.n_rows) < 2:
        return None
    both = [*curve.train_mse.tolist(), *curve.test_mse.tolist()]
    plot = svg.Plot((0.0, float(curve.n_rows[-1])), svg.padded(both))
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, f"{v:,.0f}") for v in svg.ticks(*plot.x, 4)], "training rows"),
    ]
    for kind, values in (("quiet", curve.train_mse), ("trace", curve.test_mse)):
        points = [plot.at(a, b) for a, b in zip(curve.n_rows, values, strict=True)]
        parts.append(svg.path(points, kind))
        parts += [svg.dot(*p, 2.5, f"{kind} dot") for p in points]
    said = ", ".join(
        f"{n:,} rows: {number(train)} in training, {number(test)} in the test"
        for n, train, test in zip(
            curve.n_rows.tolist(), curve.train_mse.tolist(), curve.test_mse.tolist(), strict=True
        )
    )
    title = "Mean squared error by the number of training rows"
    return svg.figure("learning", title, said, plot.width, plot.height, parts)


def of_residuals(held: Held, target: str) -> list[Picture]:
    """Held-out rows: predicted against actual, residuals against predicted, and by themselves."""
    residuals = held.residuals
    low, high = _middle(np.concatenate([held.predicted, held.actual]))
    across = svg.Plot((low, high), (low, high), height=260)
    diagonal = svg.segment(across.at(low, low), across.at(high, high), "limit")
    wide = _middle(residuals)
    flat = svg.Plot(_middle(held.predicted), (min(wide[0], 0), max(wide[1], 0)), height=260)
    level = svg.segment(flat.at(flat.x[0], 0), flat.at(flat.x[1], 0), "limit")
    predicted = f"predicted {target}"
    return [
        _density(
            "fit", "Predicted and actual", across, held.predicted, held.actual, diagonal, predicted
        ),
        _density(
            "res", "Predicted and residual", flat, held.predicted, residuals, level, predicted
        ),
        _distribution(residuals),
        _normal_quantiles(residuals),
    ]


def _density(
    key: str, title: str, plot: svg.Plot, x: Floats, y: Floats, line: Markup, name: str
) -> Picture:
    """How many rows are in each cell, as its shade, on a scale of square roots."""
    counts, x_edges, y_edges = np.histogram2d(x, y, CELLS, (plot.x, plot.y))
    outside = len(x) - int(counts.sum())
    cells = []
    for i, j in zip(*np.nonzero(counts), strict=True):
        left, top = plot.at(x_edges[i], y_edges[j + 1])
        right, bottom = plot.at(x_edges[i + 1], y_edges[j])
        shade = 1 + int(8 * np.sqrt(counts[i, j] / counts.max()))
        cells.append(svg.rect(left, top, right - left, bottom - top, f"cell d{min(shade, 8)}"))
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, limit(v)) for v in svg.ticks(*plot.x)], name),
        *cells,
        line,
    ]
    said = f"{len(x):,} rows; correlation {number(_correlation(x, y), 3)}."
    note = f"{outside:,} of {len(x):,} rows lie outside." if outside else ""
    return Picture(title, svg.figure(key, title, said, plot.width, plot.height, parts), note)


def _distribution(residuals: Floats, n_bins: int = 40) -> Picture:
    """The residuals' distribution, and the normal one of the same mean and deviation."""
    low, high = _middle(residuals)
    counts, edges = np.histogram(residuals, n_bins, (low, high))
    shares = counts / len(residuals)
    mean, spread = float(residuals.mean()), float(residuals.std()) or 1.0
    normal = np.diff(ndtr((edges - mean) / spread))
    plot = svg.Plot((low, high), (0.0, float(max(shares.max(), normal.max())) * 1.05), height=240)
    parts = [
        plot.y_axis([(v, f"{v:.0%}") for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, limit(v)) for v in svg.ticks(low, high)], "residual"),
    ]
    for share, a, b in zip(shares.tolist(), edges, edges[1:], strict=False):
        (left, top), (right, base) = plot.at(a, share), plot.at(b, 0)
        parts.append(svg.rect(left + 0.4, top, right - left - 0.8, base - top, "current"))
    middles = (edges[:-1] + edges[1:]) / 2
    parts.append(svg.path([plot.at(*p) for p in zip(middles, normal, strict=True)], "limit open"))
    said = f"Mean {number(mean)}, standard deviation {number(spread)}."
    title = "Residuals, and normal ones (dashed)"
    return Picture(title, svg.figure("dist", title, said, plot.width, plot.height, parts))


def _normal_quantiles(residuals: Floats) -> Picture:
    """Quantiles of the standardised residuals against those of the normal distribution."""
    spread = float(residuals.std()) or 1.0
    ordered = np.sort((residuals - residuals.mean()) / spread)
    # Even steps along the normal quantiles: most rows lie in the middle, and say the same.
    last = float(ndtri(1 - 0.5 / len(ordered)))
    even = ndtr(np.linspace(-last, last, _QUANTILES)) * len(ordered) - 0.5
    places = np.unique(even.round().astype(int))
    normal, own = ndtri((places + 0.5) / len(ordered)), ordered[places]
    plot = svg.Plot(svg.padded(normal), svg.padded([*own, *normal]), height=240)
    line = (float(normal.min()), float(normal.max()))
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, limit(v)) for v in svg.ticks(*plot.x)], "normal quantile"),
        svg.segment(plot.at(line[0], line[0]), plot.at(line[1], line[1]), "limit"),
        *(svg.dot(*plot.at(a, b), 2, "point") for a, b in zip(normal, own, strict=True)),
    ]
    said = f"Smallest {number(own[0])} and largest {number(own[-1])} standard deviations."
    title = "Quantiles of the residuals, in standard deviations"
    return Picture(title, svg.figure("qq", title, said, plot.width, plot.height, parts))


def partial_residuals(held: Held) -> list[Picture]:
    """For each feature: mean partial residuals in its bins, and the line of its coefficient."""
    found = []
    columns = zip(held.features, held.values, held.slopes.tolist(), strict=True)
    for i, (name, x, slope) in enumerate(columns):
        centre = float(x.mean())
        bins = binned(x, held.residuals + slope * (x - centre))
        if len(bins.n) < 2:
            continue
        half = 2 * bins.deviation / np.sqrt(bins.n)
        ends = (float(bins.x.min()), float(bins.x.max()))
        line = [(v, slope * (v - centre)) for v in ends]
        reach = [*(bins.y - half), *(bins.y + half), *(y for _, y in line)]
        plot = svg.Plot(svg.padded(ends), svg.padded(reach), 300, 170, 46)
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
        figure = svg.figure(f"p{i}", f"Partial residuals of {name}", said, 300, 170, parts)
        found.append(Picture(name, figure))
    return found


def _powers(plot: svg.Plot, name: str) -> Markup:
    """An axis of logarithms."""
    found = [(v, f"{10**v:.3g}") for v in svg.ticks(*plot.x, 4)]
    return plot.x_axis(found, name)


def _middle(values: Floats) -> svg.Point:
    """The range of all but the outermost thousandth on each side, and a little more."""
    low, high = np.quantile(values, [0.001, 0.999])
    return svg.padded([float(low), float(high)], 0.03)


def _correlation(x: Floats, y: Floats) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else 0.0
