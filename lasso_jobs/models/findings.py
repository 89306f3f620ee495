"""Says what stability selection and the diagnostics found: as plain values, and in words."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lasso_jobs.core.inference.refits.bootstrap import MIN_GROUPS
from lasso_jobs.core.inference.refits.stability import Stability
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.models import intervals
from lasso_jobs.models.alpha_grid_end import end_in_words, end_of_grid
from lasso_jobs.models.model import Model

Values = dict[str, Any]


def as_values(model: Model) -> Values:
    """The end of the grid, stability and diagnostics; what is not defined is None."""
    stability, diagnostics = model.stability, model.diagnostics
    collinear, least = diagnostics.collinearity, diagnostics.least_squares
    criteria = diagnostics.information
    labels, alphas = model.labels, model.curve.alphas
    return {
        "alpha_at_end": end_of_grid(model),
        "intervals": intervals.in_words(model.holdout),
        "importance": _importance(model),
        "stability": None if stability is None else _stability(model, stability),
        "diagnostics": {
            "condition_number": collinear.condition_number,
            "constant": [labels[j] for j in collinear.constant],
            "duplicates": {labels[j]: labels[first] for j, first in collinear.duplicates},
            "vif": by_label(model, collinear.vif),
            "information": None
            if criteria is None
            else {
                **_plain(criteria),
                "alpha_aic": float(alphas[criteria.aic.argmin()]),
                "alpha_bic": float(alphas[criteria.bic.argmin()]),
            },
            "least_squares_ignoring_selection": None
            if least is None
            else {
                **_plain(least),
                **{name: by_label(model, getattr(least, name)) for name in _LEAST_SQUARES},
            },
            "learning": _plain(diagnostics.learning),
            "notes": list(diagnostics.notes),
        },
    }


def _importance(model: Model) -> Values | None:
    """What the features are worth, as plain values; None of a model of before."""
    if (known := model.importance) is None:
        return None
    return {"judged_by": known.judged_by, "mse": known.mse, "features": features(model)}


def features(model: Model) -> list[Values]:
    """The features with a coefficient, the strongest first; what is not known is None."""
    if (known := model.importance) is None:
        return []
    columns = [known.strength, known.mse_rise, known.rank_low, known.rank_high]
    rows = zip(known.terms, *(values.tolist() for values in columns), strict=True)
    return [
        {
            "feature": name,
            "rank": rank,
            "rank_low": None if math.isnan(low) else int(low),
            "rank_high": None if math.isnan(high) else int(high),
            "strength": strength,
            "mse_rise": None if math.isnan(rise) else rise,
        }
        for rank, (name, strength, rise, low, high) in enumerate(rows, 1)
    ]


def _stability(model: Model, stability: Stability) -> Values:
    spread, labels = stability.bootstrap, model.labels
    of_each = ("low", "high", "frequency")
    return {
        **_plain(dataclasses.replace(stability, bootstrap=None)),
        "frequency": by_label(model, stability.frequency),
        "standard_error": by_label(model, stability.standard_error),
        "stable": [label for label, s in zip(labels, stability.stable, strict=True) if s],
        "bound": stability.bound,
        "bootstrap": None
        if spread is None
        else {
            "resamples": spread.resamples,
            "coverage": spread.coverage,
            **{name: by_label(model, getattr(spread, name)) for name in of_each},
            "converged": spread.converged,
        },
    }


_LEAST_SQUARES = ("coef", "standard_error", "t", "p_value", "low", "high")


def _plain(value: Any) -> Values:
    values = dataclasses.asdict(value)
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def by_label(model: Model, values: Floats) -> dict[str, float | None]:
    """Values by coefficient; what is not finite is None.

    A screened model's are those that are not zero and the stable ones: it stands for very many
    columns, of which it has some hundreds without a coefficient, as no more than rivals.
    """
    wanted = model.predictor.coef != 0
    if model.stability is not None:
        wanted = wanted | model.stability.stable
    if model.certificate.screening is None:
        wanted[:] = True
    finite = [v if math.isfinite(v) else None for v in values.tolist()]
    listed = zip(model.labels, finite, wanted, strict=True)
    return {label: value for label, value, shown in listed if shown}


def has_intercept(model: Model) -> bool:
    """Whether an intercept was fitted."""
    return bool(model.job.get("intercept", True))


def n_looked_at(model: Model) -> int:
    """Coefficients that training could choose from, those of columns screened out too."""
    screening = model.certificate.screening
    outside = screening.n_columns - screening.n_working_set if screening is not None else 0
    if has_screened_levels(model):  # (other) is what is outside
        outside -= sum(category.other for category in model.columns.categories)
    return len(model.labels) - (model.predictor.offset is not None) + outside


def spread_is_wanted(model: Model) -> bool:
    """Whether the job asks for resamples."""
    how = model.job.get("stability")
    return isinstance(how, Mapping) and how.get("resamples") is not None


def has_screened_levels(model: Model) -> bool:
    """Whether levels of categories were screened as numbers were."""
    screening = model.certificate.screening
    return screening is not None and screening.n_working_set > len(model.columns.numeric)


def in_words(model: Model) -> Mapping[str, str]:
    """The end of the grid, stability and diagnostics in a few words."""
    diagnostics, labels = model.diagnostics, model.labels
    collinear = diagnostics.collinearity
    lines = {}
    if not has_intercept(model):
        lines["intercept"] = "none, as the job says"
    if model.predictor.offset is not None:
        lines["offset"] = f"{model.predictor.offset}, whose coefficient is 1"
    if (end := end_in_words(model)) is not None:
        lines["grid"] = end
    lines["intervals"] = intervals.in_words(model.holdout)
    if model.stability is not None:
        lines["stability"] = _stability_in_words(model.stability, model)
        if model.stability.q is not None and spread_is_wanted(model):
            lines["spread"] = _spread_in_words(model.stability)
    condition = collinear.condition_number
    lines["columns"] = (
        "condition number "
        + ("infinite" if condition is None else f"{condition:.4g}")
        + _named("constant", [labels[j] for j in collinear.constant])
        + _named("duplicate", [f"{labels[j]} = {labels[i]}" for j, i in collinear.duplicates])
    )
    if model.holdout is not None and model.holdout.warning is not None:
        lines["warning"] = model.holdout.warning
    if diagnostics.notes:
        lines["notes"] = "; ".join(diagnostics.notes)
    return lines


def _stability_in_words(stability: Stability, model: Model) -> str:
    stable, bound = int(stability.stable.sum()), stability.bound
    n = int((~np.isnan(stability.frequency)).sum())  # without an offset, and what no l1 penalty has
    halves = f"{stability.threshold:.0%} of {2 * stability.pairs} half-samples"
    if stability.q is None:  # of a model of before, whose halves were fitted at the chosen alpha
        line = f"{stable} of {n} coefficients are selected in at least {halves}"
        useless = bound is not None and bound >= stable
        return f"{line}; their expected number of false ones has no useful bound" * useless or line
    if stability.n_candidates == 0:
        return "not judged: no column that varies has an l1 penalty, so none is selected"
    if stability.q == 0:
        return (
            f"not judged: with {stability.n_candidates} coefficients to choose from, no selection "
            f"bounds the expected number of false ones at {stability.expected_false:g}; allow "
            "more (stability.expected_false)"
        )
    first = "the first" if stability.q == 1 else f"the first {stability.q}"
    return (
        f"{stable} of {n} coefficients are among {first} to enter in at least {halves}; at most "
        f"{bound:.2g} of them are expected to be false"
    )


def _spread_in_words(stability: Stability) -> str:
    spread = stability.bootstrap
    if spread is None:
        return (
            f"standard errors and intervals are not known: {stability.groups} groups of rows are "
            f"too few to draw from ({MIN_GROUPS} are needed)"
        )
    return (
        f"standard errors and {spread.coverage:.0%} intervals are of {spread.resamples} resamples "
        f"of {stability.groups} groups of rows, at this alpha"
    )


def _named(what: str, names: Sequence[str]) -> str:
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return f"; {what}: {', '.join(names[:3])}{more}" if names else ""
