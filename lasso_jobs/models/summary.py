"""Says what a version of a model is: as plain values, and its coefficients as a table."""

import dataclasses
import math
from typing import Any

from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.models import findings
from lasso_jobs.models.model import Model
from lasso_jobs.models.registry import CHAMPION, Registry

Values = dict[str, Any]


def as_values(registry: Registry, reference: str) -> Values:
    """One version, as ``models show --json`` prints it."""
    registered = registry.load(reference)
    model = registered.model
    return {
        "name": model.name,
        "model_version": f"v{registered.version}",
        "digest": registered.digest,
        "champion": registry.aliases(model.name).get(CHAMPION) == registered.version,
        "target": model.target,
        "n_rows": model.n_rows,
        "alpha": model.alpha,
        "l1_ratio": model.l1_ratio,
        "gamma": model.gamma,
        "alpha_min": model.curve.alpha_min,
        "alpha_1se": model.curve.alpha_1se,
        "holdout": None if model.holdout is None else dataclasses.asdict(model.holdout),
        "certificate": dataclasses.asdict(model.certificate),
        **findings.as_values(model),
        "intercept": model.intercept,
        "offset": model.predictor.offset,
        "coef": findings.by_label(model, model.predictor.coef),
        "provenance": dict(registered.provenance),
        "moves": [dataclasses.asdict(move) for move in registry.moves(model.name)],
        "job": dict(model.job),
    }


def coefficients(model: Model) -> list[Values]:
    """The coefficients that are not zero, the strongest first."""
    stability, frequency, error = model.stability, None, None
    low: Floats | None = None
    high: Floats | None = None
    if stability is not None:
        frequency, error = stability.frequency, stability.standard_error
        if (spread := stability.bootstrap) is not None:
            low, high = spread.low, spread.high
    rows = [
        {
            "feature": label,
            "coefficient": float(model.predictor.coef[j]),
            "std_error": _or_none(error, j),
            "low": _or_none(low, j),
            "high": _or_none(high, j),
            "per_sd": float(model.standardised[j]),
            "frequency": _or_none(frequency, j),
        }
        for j, label in enumerate(model.labels)
        if model.predictor.coef[j] != 0
    ]
    return sorted(rows, key=lambda row: -abs(float(row["per_sd"])))


def _or_none(values: Floats | None, j: int) -> float | None:
    """A value of a coefficient; None of the offset, which has none."""
    return None if values is None or math.isnan(values[j]) else float(values[j])


def version_name(version: int | None) -> str | None:
    """A version as people write it."""
    return None if version is None else f"v{version}"
