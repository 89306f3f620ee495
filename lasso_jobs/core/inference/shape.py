"""Checks residuals for a curve, and for an unequal width, along features and the prediction."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.inference.checks import MOST_NAMED, SIGNIFICANT, Check, Limits
from lasso_jobs.core.inference.residuals import (
    LEAST_BINS,
    Bins,
    HeldOutPredictions,
    breusch_pagan,
    brown_forsythe,
    curve_share,
    parabola_share,
    without_line,
)
from lasso_jobs.core.rows.moments import Floats

CURVE = Limits(0.01, 0.05)
"""Share of the residuals' variance that a curve would explain: what Cohen (1988, "Statistical Power
Analysis") calls a small and about a medium effect."""
SPREAD = Limits(1.5, 3.0)
"""Largest over smallest residual deviation. Beyond 3 the classical errors of the mean go wrong."""
PREDICTION = "the prediction"
ROWS_OF_A_DEVIATION = 20
"""The deviation of fewer rows may be anything."""
MOST_STATISTICS = 20
MOST_LEVELS = 50
"""As a job file's default of preprocess.max_levels."""


class _Curve(NamedTuple):
    """The share of the residuals' variance that a curve explains, and its p-value."""

    share: float
    p_value: float


def linearity(held: HeldOutPredictions) -> Check:
    """Check that residuals follow no curve in any feature, selected or not, nor in the prediction.

    Each axis has two tests, of any curve and of a parabola; with Bonferroni's correction for all of
    them, `SIGNIFICANT` is that of the whole check.
    """
    curves = {}
    for name, x, place in _axes(held):
        bins = Bins.of(place, x, without_line(x, held.residuals))
        # Two values are always on a line.
        if len(bins.n) >= LEAST_BINS:
            both = [_Curve(*curve_share(bins)), _Curve(*parabola_share(bins))]
            curves[name] = _Curve(max(both).share, min(each.p_value for each in both))
    limit = SIGNIFICANT / max(2 * len(curves), 1)
    bent = [name for name, each in curves.items() if each.p_value < limit]
    # A feature's own curve bends the prediction as well, and says more of what to do.
    bent.sort(key=lambda name: (name == PREDICTION, -curves[name].share))
    top = max((curves[name].share for name in bent), default=0.0)
    shown = sorted(curves, key=lambda name: -curves[name].share)[:MOST_STATISTICS]
    return Check.judged(
        "linearity",
        CURVE.verdict(top),
        finding=f"A curve in {bent[0]} would explain {curves[bent[0]].share:.1%} of the residuals' "
        "variance" + _also([f"{name} ({curves[name].share:.1%})" for name in bent[1:]]) + "."
        if bent
        else "No curve in a feature or in the prediction explains any of the residuals.",
        how=(
            f"{held.rows}. Their residuals, less their line in {held.looked_at}, selected or not, "
            "and in the prediction (the penalty leaves one), averaged in ten bins of it: omega "
            "squared is the share of the variance that these averages, or a parabola through "
            f"them, explain. {len(curves):,} were looked at, with Bonferroni's correction."
        ),
        remedy=_for_curves(held, bent),
        statistics={name: curves[name].share for name in shown},
    )


def _axes(held: HeldOutPredictions) -> Iterator[tuple[str, Floats, NDArray[np.uint8]]]:
    """The prediction and the features, with the bin of each row."""
    yield from zip(
        (PREDICTION, *held.features), (held.predicted, *held.values), held.places, strict=True
    )


def _also(others: Sequence[str]) -> str:
    """The others that were found, after the first."""
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return f"; so would one in {', '.join(others[:MOST_NAMED])}{more}" if others else ""


def _for_curves(held: HeldOutPredictions, bent: Sequence[str]) -> str:
    """What to do about curves, by the keys of a job file."""
    if not bent or bent[0] == PREDICTION:
        return (
            "Predict a logarithm or a root of the target, or add columns to the data that are "
            "products or powers of others. lasso-jobs compare says what trees gain by them."
        )
    values = dict(zip(held.features, held.values, strict=True))
    few = [name for name in bent if name != PREDICTION and _is_code(values[name])][:MOST_NAMED]
    rest = [name for name in bent if name != PREDICTION and name not in few][:MOST_NAMED]
    parts = []
    if few:
        parts.append(
            f"Give each value a coefficient of its own (features.categorical: [{', '.join(few)}])."
        )
    if rest:
        parts.append(
            f"Add columns to the data with a logarithm, a square or bins of {', '.join(rest)}."
        )
    return " ".join([*parts, "lasso-jobs compare says what trees gain by curves."])


def _is_code(x: Floats) -> bool:
    """Whether a number has few whole values, as a category may."""
    different = np.unique(x)
    return len(different) <= MOST_LEVELS and bool((different % 1 == 0).all())


class _Widths(NamedTuple):
    """How wide the residuals are along an axis, and whether they differ."""

    deviation: Floats
    x: Floats
    p_value: float

    @property
    def ratio(self) -> float:
        low, high = float(self.deviation.min()), float(self.deviation.max())
        return 1.0 if high == 0 else high / low if low > 0 else np.inf


def homoscedasticity(held: HeldOutPredictions) -> Check:
    """Check that the residuals are as wide everywhere: along each feature, and the prediction.

    `SIGNIFICANT` is that of the whole check, by Bonferroni's correction.
    """
    found = dict(_widths(held))
    limit = SIGNIFICANT / max(len(found), 1)
    certain = [name for name, each in found.items() if each.p_value < limit]
    worst = max(certain or [PREDICTION], key=lambda name: found[name].ratio)
    widths = found[worst]
    ratio, at, deviation = widths.ratio, widths.x, widths.deviation
    level = {category.name: category.levels for category in held.categories}.get(worst)

    def where(place: int) -> str:
        if level is None:
            return f"{'prediction' if worst == PREDICTION else worst} about {at[place]:.4g}"
        code = int(at[place])
        return f"{worst} {level[code] if code < len(level) else 'null'}"

    finding = (
        f"Residuals are {ratio:.2f} times as wide where they are widest "
        f"({where(int(deviation.argmax()))}) as where they are narrowest"
        + ("." if certain or ratio < SPREAD.look else ", which may be chance.")
    )
    if np.isinf(ratio):
        finding = f"Residuals do not vary in a bin ({where(int(deviation.argmin()))})."
    statistic, p_value = breusch_pagan(held.residuals, held.predicted)
    shown = sorted(
        (name for name in found if np.isfinite(found[name].ratio)),
        key=lambda name: (found[name].p_value, -found[name].ratio),
    )
    ratios = {f"ratio by {name}": found[name].ratio for name in shown[:MOST_STATISTICS]}
    own = {"ratio": ratio} if np.isfinite(ratio) else {}
    return Check.judged(
        "homoscedasticity",
        SPREAD.verdict(ratio) if certain else "fine",
        finding=finding,
        how=(
            f"{held.rows}. Standard deviation of their residuals in ten bins of {held.looked_at}, "
            "selected or not, of the prediction, and in each level of a category: the largest over "
            "the smallest, where Brown and Forsythe's test finds that they differ. "
            f"{len(found):,} were looked at, with Bonferroni's correction. Beside it is Breusch "
            "and Pagan's test by the prediction in Koenker's version."
        ),
        remedy=(
            "Predict a logarithm or a root of the target, weight the rows (weight), or give groups "
            f"intervals of their own (intervals.by{f': {worst}' if level is not None else ''})."
        ),
        statistics=own | ratios | {"breusch_pagan": statistic, "p_value": p_value},
    )


def _widths(held: HeldOutPredictions) -> Iterator[tuple[str, _Widths]]:
    """The widths along the prediction, each numeric feature that varies, and each category."""
    for name, x, place in _axes(held):
        yield from _width(name, place, x, without_line(x, held.residuals))
    for category in held.categories:
        codes = category.codes.astype(np.intp)
        yield from _width(category.name, codes, codes.astype(float), held.residuals)


def _width(
    name: str, place: NDArray[np.integer], x: Floats, residuals: Floats
) -> Iterator[tuple[str, _Widths]]:
    bins = Bins.of(place, x, residuals)
    enough = bins.n >= min(ROWS_OF_A_DEVIATION, len(x) // 20)
    if enough.sum() > 1 or name == PREDICTION:
        enough |= not enough.any()
        p_value = brown_forsythe(place, residuals)
        yield name, _Widths(bins.deviation[enough], bins.x[enough], p_value)
