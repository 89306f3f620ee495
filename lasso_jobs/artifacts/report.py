"""A trained model as one HTML page: its errors and checks first, then how they came about."""

import numpy as np

from lasso_jobs.artifacts import report_facts as f
from lasso_jobs.artifacts import report_pictures as pictures
from lasso_jobs.artifacts import residual_pictures, svg
from lasso_jobs.artifacts.model import Model
from lasso_jobs.artifacts.page import render
from lasso_jobs.artifacts.report_facts import ReportFacts
from lasso_jobs.core.periods import LEAST_PERIODS

MOST_COEFFICIENTS = 200
MOST_CORRELATIONS = 16
MOST_LISTED = 30


def report(facts: ReportFacts) -> str:
    """The page.

    Parameters
    ----------
    facts : ReportFacts

    Returns
    -------
    str
        HTML that needs no other file.
    """
    model, held, series = facts.model, facts.held, facts.series
    found, listed = f.coefficients(facts), f.features(model)
    strongest = abs(found[0].per_sd) if found else 0.0
    in_order = series is not None and series.ordered and len(series.keys) >= LEAST_PERIODS
    return render(
        "report.html",
        title=f"Training report of {facts.reference}",
        facts=facts,
        model=model,
        version=facts.reference.rpartition("@")[2],
        words=f.WORDS,
        lead=f.lead(model),
        verdict=f.verdict(facts.checks),
        of_holdout=f.of_holdout(model),
        of_folds=f.of_cross_validation(model),
        curve=pictures.cv_curve(model),
        path=pictures.paths(facts.path, model.alpha),
        learning=pictures.learning(model),
        coefficients=[
            (row, svg.signed_bar(row.per_sd, strongest)) for row in found[:MOST_COEFFICIENTS]
        ],
        n_selected=len(found),
        residuals=[] if held is None else residual_pictures.of_residuals(held, model.target),
        over_time=residual_pictures.over_time(series) if series is not None and in_order else [],
        partial=[] if held is None else residual_pictures.partial_residuals(held),
        n_held=0 if held is None else len(held.actual),
        correlations=correlations(model),
        certificate=f.certificate(model),
        data=f.data(facts),
        features=listed[:MOST_LISTED],
        n_features=len(listed),
    )


Heatmap = tuple[list[str], list[tuple[str, list[tuple[float, str]]]]]


def correlations(model: Model) -> Heatmap | None:
    """Correlations of the strongest selected columns and of their strongest rejected rivals.

    Returns
    -------
    tuple or None
        Column names, and rows of a name and its cells: the correlation and its shade's class.
    """
    matrix, strength = model.diagnostics.collinearity.correlation, np.abs(model.standardised)
    if matrix is None:
        return None
    selected = [int(j) for j in np.argsort(-strength, kind="stable") if strength[j] > 0]
    selected = selected[: MOST_CORRELATIONS // 2]
    others = [j for j in range(len(strength)) if strength[j] == 0 and not np.isnan(matrix[j, j])]
    rivals = sorted(others, key=lambda j: -max((abs(matrix[j, s]) for s in selected), default=0.0))
    shown = [*selected, *rivals[: MOST_CORRELATIONS - len(selected)]]
    if len(shown) < 2:
        return None
    names = [model.labels[j] + ("" if strength[j] else " (not selected)") for j in shown]
    rows = []
    for name, j in zip(names, shown, strict=True):
        cells = [(float(matrix[j, k]), _shade(float(matrix[j, k]))) for k in shown]
        rows.append((name, cells))
    return names, rows


def _shade(correlation: float) -> str:
    return ("m" if correlation < 0 else "d") + str(round(8 * abs(correlation)))
