"""Says what stability selection and the diagnostics found: as plain values, and in words."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lasso_jobs.core.inference.stability import Stability
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
        "stability": None
        if stability is None
        else {
            **_plain(stability),
            "frequency": by_label(model, stability.frequency),
            "standard_error": by_label(model, stability.standard_error),
            "stable": [label for label, s in zip(labels, stability.stable, strict=True) if s],
        },
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
    condition = collinear.condition_number
    lines["columns"] = (
        "condition number "
        + ("infinite" if condition is None else f"{condition:.4g}")
        + _named("constant", [labels[j] for j in collinear.constant])
        + _named("duplicate", [f"{labels[j]} = {labels[i]}" for j, i in collinear.duplicates])
    )
    if diagnostics.notes:
        lines["notes"] = "; ".join(diagnostics.notes)
    return lines


def _stability_in_words(stability: Stability, model: Model) -> str:
    stable, bound = int(stability.stable.sum()), stability.mb_bound
    n = len(stability.stable) - (model.predictor.offset is not None)
    line = (
        f"{stable} of {n} coefficients are selected in at least "
        f"{stability.threshold:.0%} of {2 * stability.pairs} half-samples"
    )
    if bound is None:
        return line
    if bound < stable:
        return f"{line}; at most {bound:.3g} of them are expected to be false"
    return (
        f"{line}; the expected number of false selections has no useful bound here, "
        "because each half-sample selects too many"
    )


def _named(what: str, names: Sequence[str]) -> str:
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return f"; {what}: {', '.join(names[:3])}{more}" if names else ""
