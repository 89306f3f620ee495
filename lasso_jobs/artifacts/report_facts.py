"""What the training report and the model card are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from lasso_jobs.artifacts.model import Model
from lasso_jobs.core.checks import Check
from lasso_jobs.core.columns import Category
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.period_means import Series
from lasso_jobs.core.residuals import Held


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

    @staticmethod
    def look(k: int) -> str:
        """Classes of line k: five colours, and five more with dashes."""
        return f"c{k % 5}" + (" dashed" if k % 10 >= 5 else "")


@dataclass(frozen=True, slots=True)
class Correlations:
    """Correlations of some columns in training.

    Parameters
    ----------
    labels : tuple of str
    matrix : ndarray, shape (k, k)
    """

    labels: tuple[str, ...]
    matrix: Floats


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the report and the card are made from.

    Parameters
    ----------
    model : Model
    reference : str
        Such as ``flights@v3``.
    digest : str
    provenance : mapping
    checks : sequence of Check
    held : Held or None
    series : Series or None
        Mean residuals of periods.
    vif : ndarray, shape (k,)
        Variance inflation factors of the selected columns among themselves.
    path : CoefficientPath
    correlations : Correlations
        Of the strongest selected columns, and of their strongest rejected rivals.
    left_out : sequence of (str, str)
        Columns of the data that are no features, and why.
    """

    model: Model
    reference: str
    digest: str
    provenance: Mapping[str, Any]
    checks: Sequence[Check]
    held: Held | None
    series: Series | None
    vif: Floats
    path: CoefficientPath
    correlations: Correlations
    left_out: Sequence[tuple[str, str]]

    @property
    def trained(self) -> str:
        """When the model was, to the minute."""
        at = self.provenance.get("trained_at")
        return "–" if at is None else f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A coefficient that is not zero.

    Parameters
    ----------
    rank : int
        By the size of ``per_sd``, from 1.
    label : str
    per_sd, coef : float
        For a column of unit variance, and in original units.
    error : float or None
        By the jackknife, of ``coef``.
    frequency : float or None
        Share of the halves of the rows that select it.
    vif, vif_of_all : float
        Among the selected columns, and among all.
    """

    rank: int
    label: str
    per_sd: float
    coef: float
    error: float | None
    frequency: float | None
    vif: float
    vif_of_all: float


def coefficients(facts: ReportFacts) -> list[Coefficient]:
    """Those that are not zero, the strongest first."""
    model, found = facts.model, facts.model.stability
    strength = np.abs(model.standardised)
    vif = dict(zip(np.flatnonzero(model.standardised).tolist(), facts.vif.tolist(), strict=True))
    order = [j for j in np.argsort(-strength, kind="stable").tolist() if j in vif]
    return [
        Coefficient(
            rank,
            model.labels[j],
            float(model.standardised[j]),
            float(model.predictor.coef[j]),
            None if found is None else float(found.standard_error[j]),
            None if found is None else float(found.frequency[j]),
            vif[j],
            float(model.diagnostics.collinearity.vif[j]),
        )
        for rank, j in enumerate(order, 1)
    ]


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature in training.

    Parameters
    ----------
    name : str
    nulls : float
        Share of the rows.
    mean, sd, low, high : float
        Of a number's values that are there; NaN of a category's.
    levels : int or None
        Of a category: those with a coefficient of their own.
    other : float or None
        Share of the rows whose level shares a coefficient with others.
    """

    name: str
    nulls: float
    mean: float
    sd: float
    low: float
    high: float
    levels: int | None = None
    other: float | None = None


def features(model: Model) -> list[Feature]:
    """All features, those with the most nulls first, and of equal ones the strongest."""
    strength = np.abs(model.standardised)
    found = [_feature(model, name) for name in model.columns.numeric]
    found += [_feature(model, each.name, each) for each in model.columns.categories]
    return sorted(
        found, key=lambda row: (-row.nulls, -strength[model.predictor.positions(row.name)].max())
    )


def _feature(model: Model, name: str, category: Category | None = None) -> Feature:
    known = model.references[name]
    values = known.missing_share, known.mean, known.sd, known.low, known.high
    if category is None:
        return Feature(name, *values)
    n = len(category.levels)
    return Feature(name, *values, n, float(known.shares[n]) if category.other else 0.0)
