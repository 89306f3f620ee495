"""Draws residuals in order: means of periods, and the autocorrelations of these and of rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.inference.period_means import BAND, PeriodResiduals, autocorrelation
from lasso_jobs.core.inference.serial import Correlogram
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.pages import svg
from lasso_jobs.pages.page import limit, number
from lasso_jobs.training.report.residual_pictures import Picture

MOST_LAGS = 30
MOST_POINTS = 400


def over_time(periods: PeriodResiduals) -> list[Picture]:
    """Mean residuals in the order of the periods, and their autocorrelations."""
    return [_means(periods), _autocorrelations(periods)]


def _means(periods: PeriodResiduals) -> Picture:
    """One point a period, or for each of as many neighbouring ones as give few enough points."""
    length = -(-len(periods.keys) // MOST_POINTS)
    starts = np.arange(0, len(periods.keys), length)
    rows = np.add.reduceat(periods.n, starts)
    means = np.add.reduceat(periods.mean * periods.n, starts) / rows
    plot = svg.Plot(x=(1.0, float(len(periods.keys))), y=svg.padded([*means, 0.0]))
    at = starts + 1 + (np.diff(np.append(starts, len(periods.keys))) - 1) / 2
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, f"{v:,.0f}") for v in svg.ticks(*plot.x, 4) if v % 1 == 0], "period"),
        plot.level(0.0, "limit"),
        svg.path([plot.at(*p) for p in zip(at, means, strict=True)], "trace thin"),
    ]
    said = f"From {number(float(means.min()))} to {number(float(means.max()))}."
    title = "Mean residual of each period"
    note = "" if length == 1 else f"Each point is of {length} neighbouring periods."
    return Picture(title, plot.figure("means", title, said, parts), note)


def _autocorrelations(periods: PeriodResiduals) -> Picture:
    t = len(periods.keys)
    r = autocorrelation(periods.scaled, min(MOST_LAGS, t // 4))
    band = np.full(len(r), BAND / np.sqrt(t))
    lags = np.arange(1, len(r) + 1)
    title = "Autocorrelation of the mean residuals"
    return _bars("acf", title, lags=lags, r=r, band=band, of="periods")


def in_order(orders: Sequence[Correlogram]) -> list[Picture]:
    """Autocorrelations of rows in each order that they have."""
    return [
        _bars(
            f"acf{i}",
            f"By {each.name}",
            lags=each.lags,
            r=each.r,
            band=BAND * each.error,
            of="rows",
            more=f" Pairs of rows at a lag: {each.pairs.min():,} to {each.pairs.max():,}.",
        )
        for i, each in enumerate(orders)
    ]


def _bars(
    key: str,
    title: str,
    *,
    lags: NDArray[np.int64],
    r: Floats,
    band: Floats,
    of: str,
    more: str = "",
) -> Picture:
    """Autocorrelations by lag, and the band that those of independent rows stay within."""
    reach = [*r, *band, *-band, 0.0]
    plot = svg.Plot(x=(0.0, float(lags[-1]) + 1.0), y=svg.padded(reach))
    zero = plot.at(0, 0)[1]
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, f"{v:.0f}") for v in svg.ticks(*plot.x, 6) if v % 1 == 0], "lag"),
        plot.level(0, "axis"),
    ]
    # A step of each lag, so that a single one has a band to be seen, too.
    for side in (-band, band):
        steps = [(lag + d, v) for lag, v in zip(lags, side, strict=True) for d in (-0.5, 0.5)]
        parts.append(svg.path([plot.at(*p) for p in steps], "limit open"))
    for lag, value in zip(lags.tolist(), r.tolist(), strict=True):
        x, y = plot.at(lag, value)
        parts.append(svg.rect(x - 2, min(y, zero), 4, abs(y - zero), kind="current"))
    pairs = zip(lags.tolist(), r.tolist(), strict=True)
    said = ", ".join(f"lag {lag}: {number(v, 3)}" for lag, v in pairs)
    outside = int((np.abs(r) > band).sum())
    widest = number(float(band.max()), 3)
    note = (
        f"{outside} of {len(lags)} lags lie outside ±{widest} (dashed), as one in twenty would if "
        f"{of} were independent.{more}"
    )
    return Picture(title, plot.figure(key, title, said, parts), note)
