"""Draws how a model came about: cross-validation, coefficient paths, learning curve."""

import numpy as np
from markupsafe import Markup

from lasso_jobs.models.model import Model
from lasso_jobs.pages import svg
from lasso_jobs.pages.page import limit, number
from lasso_jobs.training.report.facts import CoefficientPath

WORST = 2.0
"""Alphas whose error is more than so many times the smallest are left out of the picture."""


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
    plot = svg.Plot(x=(x.min(), x.max()), y=svg.padded([low.min(), high.max()]))
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
            parts.append(plot.upright(float(np.log10(alpha)), "limit"))
            right = at > plot.width * 0.7
            anchor = "end" if right else "start"
            parts.append(svg.text(at + (-4 if right else 4), y, name, anchor=anchor))
    best = int(mse.argmin())
    said = (
        f"Smallest mean squared error {number(mse[best])} at alpha {number(alphas[best])}; "
        f"alpha of the rule min {number(curve.alpha_min)}, of 1se {number(curve.alpha_1se)}; "
        f"chosen {number(model.alpha)}."
    )
    return plot.figure("cv", "Error of cross-validation by alpha", said, parts)


def paths(path: CoefficientPath, chosen: float) -> Markup | None:
    """The coefficients along the alphas."""
    kept = path.alphas > 0
    alphas, coef = path.alphas[kept], path.coef[kept]
    if len(alphas) < 2 or not len(path.labels):
        return None
    x = np.log10(alphas)
    reach = [float(coef.min()), float(coef.max()), 0.0]
    plot = svg.Plot(x=(x.min(), x.max()), y=svg.padded(reach))
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        _powers(plot, "alpha"),
        plot.level(0, "axis"),
    ]
    if chosen > 0:
        parts.append(plot.upright(float(np.log10(chosen)), "limit"))
    for k in range(len(path.labels)):
        line = [plot.at(a, b) for a, b in zip(x, coef[:, k], strict=True)]
        parts.append(svg.path(line, f"trace {path.line_class(k)}"))
    ends = ", ".join(
        f"{label} {number(v)}" for label, v in zip(path.labels, coef[-1].tolist(), strict=True)
    )
    about = f"At the smallest alpha, per standard deviation: {ends}."
    return plot.figure("paths", "Paths of the coefficients", about, parts)


def learning(model: Model) -> Markup | None:
    """Errors by the number of training rows."""
    curve = model.diagnostics.learning
    if len(curve.n_rows) < 2:
        return None
    both = [*curve.train_mse.tolist(), *curve.test_mse.tolist()]
    plot = svg.Plot(x=(0.0, float(curve.n_rows[-1])), y=svg.padded(both))
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
    return plot.figure("learning", title, said, parts)


def _powers(plot: svg.Plot, name: str) -> Markup:
    """An axis of logarithms, with the powers as its labels."""
    return plot.x_axis([(v, f"{10**v:.3g}") for v in svg.ticks(*plot.x, 4)], name)
