"""Stability and diagnostics of a model as plain values."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lasso_jobs.artifacts.model import Model
from lasso_jobs.core.moments import Floats

Values = dict[str, Any]


def of_model(model: Model) -> Values:
    """Stability and diagnostics; what is not defined is None."""
    found, known = model.stability, model.diagnostics
    collinear, criteria, least = known.collinearity, known.information, known.least_squares
    labels, alphas = model.labels, model.curve.alphas
    return {
        "stability": None
        if found is None
        else {
            **_plain(found),
            "frequency": _by_label(model, found.frequency),
            "standard_error": _by_label(model, found.standard_error),
            "stable": [label for label, s in zip(labels, found.stable, strict=True) if s],
        },
        "diagnostics": {
            "condition_number": collinear.condition_number,
            "constant": [labels[j] for j in collinear.constant],
            "duplicates": {labels[j]: labels[first] for j, first in collinear.duplicates},
            "vif": _by_label(model, collinear.vif),
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
                **{name: _by_label(model, getattr(least, name)) for name in _LEAST_SQUARES},
            },
            "learning": _plain(known.learning),
            "notes": list(known.notes),
        },
    }


_LEAST_SQUARES = ("coef", "standard_error", "t", "low", "high")


def _plain(value: Any) -> Values:
    values = dataclasses.asdict(value)
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def _by_label(model: Model, values: Floats) -> dict[str, float | None]:
    """Values by coefficient; what is not finite is None."""
    finite = [v if math.isfinite(v) else None for v in values.tolist()]
    return dict(zip(model.labels, finite, strict=True))


def in_words(model: Model) -> Mapping[str, str]:
    """Stability and diagnostics in a few words."""
    found, known = model.stability, model.diagnostics
    collinear = known.collinearity
    lines, labels = {}, model.labels
    if found is not None:
        lines["stable"] = (
            f"{int(found.stable.sum())} of {len(labels)} coefficients in {found.threshold:.0%} of "
            f"{2 * found.pairs} halves or more"
        )
        bound = found.mb_bound
        if bound is not None:
            useful = bound < found.stable.sum()
            lines["stable"] += (
                f"; expected to be false: at most {bound:.3g}"
                if useful
                else "; too many are selected to bound the false ones"
            )
    condition = collinear.condition_number
    lines["columns"] = (
        "condition number "
        + ("infinite" if condition is None else f"{condition:.4g}")
        + _named("constant", [labels[j] for j in collinear.constant])
        + _named("duplicate", [f"{labels[j]} = {labels[i]}" for j, i in collinear.duplicates])
    )
    if known.notes:
        lines["notes"] = "; ".join(known.notes)
    return lines


def _named(what: str, names: Sequence[str]) -> str:
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return f"; {what}: {', '.join(names[:3])}{more}" if names else ""
