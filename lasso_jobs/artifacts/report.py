"""A trained model as one HTML page: its errors and checks first, then how they came about."""

from lasso_jobs.artifacts import report_pictures as pictures
from lasso_jobs.artifacts import report_words as words
from lasso_jobs.artifacts import residual_pictures, svg
from lasso_jobs.artifacts.page import render
from lasso_jobs.artifacts.report_facts import Correlations, ReportFacts, coefficients, features
from lasso_jobs.core.periods import LEAST_PERIODS

MOST_COEFFICIENTS = 200
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
    found, listed = coefficients(facts), features(model)
    strongest = abs(found[0].per_sd) if found else 0.0
    in_order = series is not None and series.ordered and len(series.keys) >= LEAST_PERIODS
    return render(
        "report.html",
        title=f"Training report of {facts.reference}",
        facts=facts,
        model=model,
        version=facts.reference.rpartition("@")[2],
        words=words.WORDS,
        lead=words.lead(model),
        verdict=words.verdict(facts.checks),
        of_holdout=words.of_holdout(model),
        of_folds=words.of_cross_validation(model),
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
        correlations=heatmap(facts.correlations),
        certificate=words.certificate(model),
        data=words.data(facts),
        features=listed[:MOST_LISTED],
        n_features=len(listed),
    )


Heatmap = tuple[tuple[str, ...], list[tuple[str, list[tuple[float, str]]]]]


def heatmap(found: Correlations) -> Heatmap | None:
    """Column names, and rows of a name and its cells: a correlation and its shade's class."""
    names = found.labels
    if len(names) < 2:
        return None
    rows = []
    for name, values in zip(names, found.matrix.tolist(), strict=True):
        rows.append((name, [(value, _shade(value)) for value in values]))
    return names, rows


def _shade(correlation: float) -> str:
    return ("m" if correlation < 0 else "d") + str(round(8 * abs(correlation)))
