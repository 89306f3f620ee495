"""Collects the facts of a training that its report and its model card are made from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from lasso_jobs.core.fit.one_alpha import Fit
from lasso_jobs.core.rows.columns import Category
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.models.model import Model
from lasso_jobs.models.registry import Registered
from lasso_jobs.training.examine import Examined
from lasso_jobs.training.gather import TrainingData
from lasso_jobs.training.report.feature_pictures import FeatureOfRows, leading_features
from lasso_jobs.training.search import Selected

MOST_PATHS = 10
MOST_CORRELATIONS = 16


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

    @classmethod
    def of(cls, final: Fit, labels: tuple[str, ...], alphas: Floats) -> "CoefficientPath":
        """The paths of the `MOST_PATHS` coefficients that grow largest."""
        coef = final.path.coef
        usable = np.flatnonzero(final.design.usable)
        if not len(usable):
            return cls(alphas, coef, ())
        chosen = np.argsort(-np.abs(coef).max(axis=0), kind="stable")[:MOST_PATHS]
        return cls(alphas, coef[:, chosen], tuple(labels[j] for j in usable[chosen]))

    @staticmethod
    def line_class(k: int) -> str:
        """The style classes of line k: five colours, and the same five with dashes.

        Examples
        --------
        >>> CoefficientPath.line_class(7)
        'c2 dashed'
        """
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

    @classmethod
    def of(cls, final: Fit, labels: tuple[str, ...], rows: Moments) -> "Correlations":
        """Those of the strongest selected columns, and of the others most correlated with them.

        At most half of the `MOST_CORRELATIONS` columns are selected ones.
        """
        usable = np.flatnonzero(final.design.usable & (final.design.deviation > 0))
        gram = final.design.correlations(usable, rows)
        strength = np.abs(final.standardised[usable])
        chosen = np.argsort(-strength, kind="stable")[
            : min(MOST_CORRELATIONS // 2, np.sum(strength > 0))
        ]
        others = np.flatnonzero(strength == 0)
        likeness = np.abs(gram[np.ix_(others, chosen)]).max(axis=1, initial=0.0)
        rivals = others[np.argsort(-likeness, kind="stable")][: MOST_CORRELATIONS - len(chosen)]
        shown = np.concatenate([chosen, rivals])
        names = [labels[usable[j]] + ("" if strength[j] else " (not selected)") for j in shown]
        return cls(tuple(names), gram[np.ix_(shown, shown)])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What the report and the card are made from.

    Parameters
    ----------
    registered : Registered
    examined : Examined
    path : CoefficientPath
    correlations : Correlations
    left_out : sequence of (str, str)
        Columns of the data that are no features, and why.
    leading : sequence of FeatureOfRows
        The strongest features of a sample of the training rows.
    """

    registered: Registered
    examined: Examined
    path: CoefficientPath
    correlations: Correlations
    left_out: Sequence[tuple[str, str]]
    leading: Sequence[FeatureOfRows]

    @property
    def trained(self) -> str:
        """When the model was trained, to the minute."""
        at = self.registered.provenance.get("trained_at")
        return "–" if at is None else f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} UTC"


def report_facts(
    registered: Registered,
    selected: Selected,
    examined: Examined,
    left_out: Sequence[tuple[str, str]],
    *,
    data: TrainingData,
) -> ReportFacts:
    """Collect the facts.

    Parameters
    ----------
    registered : Registered
    selected : Selected
        The fits.
    examined : Examined
    left_out : sequence of (str, str)
        Columns that are no features, and why.
    data : TrainingData
    """
    model = registered.model
    curve = model.curve
    same = (curve.l1_ratios == model.l1_ratio) & (curve.gammas == model.gamma)
    return ReportFacts(
        registered=registered,
        examined=examined,
        path=CoefficientPath.of(selected.final, model.labels, curve.alphas[same]),
        correlations=Correlations.of(selected.final, model.labels, selected.rows),
        left_out=left_out,
        leading=leading_features(model, data.columns, data.sampled),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CoefficientRow:
    """A coefficient that is not zero, as a row of the report's table.

    Parameters
    ----------
    rank : int
        By the size of ``per_sd``, from 1.
    label : str
    per_sd, coef : float
        For a column of unit variance, and in original units.
    error : float or None
        Standard error of ``coef``.
    low, high : float or None
        The interval of ``coef``.
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
    low: float | None
    high: float | None
    frequency: float | None
    vif: float
    vif_of_all: float


def coefficient_rows(facts: ReportFacts) -> list[CoefficientRow]:
    """The coefficients that are not zero, the strongest first."""
    model, vif_of_selected = facts.registered.model, facts.examined.vif.tolist()
    stability = model.stability
    spread = None if stability is None else stability.bootstrap
    strength = np.abs(model.standardised)
    varying = [j for j in np.flatnonzero(strength).tolist() if j != model.predictor.offset_at]
    vif = dict(zip(varying, vif_of_selected, strict=True))
    order = [j for j in np.argsort(-strength, kind="stable").tolist() if model.predictor.coef[j]]
    return [
        CoefficientRow(
            rank=rank,
            label=model.labels[j],
            per_sd=float(model.standardised[j]),
            coef=float(model.predictor.coef[j]),
            error=None if stability is None else float(stability.standard_error[j]),
            low=None if spread is None else float(spread.low[j]),
            high=None if spread is None else float(spread.high[j]),
            frequency=None if stability is None else float(stability.frequency[j]),
            vif=vif.get(j, math.nan),
            vif_of_all=float(model.diagnostics.collinearity.vif[j]),
        )
        for rank, j in enumerate(order, 1)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow:
    """A feature in training, as a row of the report's table.

    Parameters
    ----------
    name : str
    nulls : float
        Share of the rows.
    mean, sd, low, high : float
        Of a number's values that are not null; NaN of a category's.
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


def feature_rows(model: Model) -> list[FeatureRow]:
    """The features with references, those with the most nulls first, then the strongest."""
    strength, places = np.abs(model.standardised), model.predictor.by_feature()
    category = {each.name: each for each in model.columns.categories}
    rows = [
        _feature_row(model, name, category.get(name))
        for name in model.columns.features
        if name in model.references
    ]
    return sorted(rows, key=lambda row: (-row.nulls, -strength[places[row.name]].max()))


def _feature_row(model: Model, name: str, category: Category | None = None) -> FeatureRow:
    known = model.references[name]
    n = None if category is None else len(category.levels)
    other = None
    if category is not None:
        other = float(known.shares[n]) if category.other else 0.0
    return FeatureRow(
        name=name,
        nulls=known.missing_share,
        mean=known.mean,
        sd=known.sd,
        low=known.low,
        high=known.high,
        levels=n,
        other=other,
    )
