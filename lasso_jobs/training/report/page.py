"""Makes the training report: one HTML page with a model's errors and checks, then their causes."""

from lasso_jobs.core.rows.periods import LEAST_PERIODS
from lasso_jobs.models.findings import features as features_of
from lasso_jobs.pages import svg
from lasso_jobs.pages.page import render
from lasso_jobs.training.report import (
    feature_pictures,
    order_pictures,
    pictures,
    residual_pictures,
    words,
)
from lasso_jobs.training.report.facts import (
    Correlations,
    ReportFacts,
    coefficient_rows,
    feature_rows,
)

MOST_COEFFICIENTS = 200
MOST_LISTED = 30


def report_page(facts: ReportFacts) -> str:
    """The page, as HTML that needs no other file."""
    model, held, periods = facts.registered.model, facts.examined.held, facts.examined.series
    coefficients, features = coefficient_rows(facts), feature_rows(model)
    curves = next((c.statistics for c in facts.examined.checks if c.name == "linearity"), {})
    importance = [
        (row, svg.signed_bar(row["strength"], known.strength[0]))
        for row in features_of(model)
        if (known := model.importance) is not None
    ]
    strongest = abs(coefficients[0].per_sd) if coefficients else 0.0
    ordered = periods is not None and periods.ordered and len(periods.keys) >= LEAST_PERIODS
    return render(
        "report.html",
        title=f"Training report of {facts.registered.reference}",
        facts=facts,
        model=model,
        tones=words.TONES,
        lead=words.lead(model),
        verdict=words.verdicts(facts.examined.checks),
        of_holdout=words.holdout_facts(model),
        of_folds=words.cross_validation_facts(model),
        curve=pictures.cv_curve(model),
        path=pictures.paths(facts.path, model.alpha),
        learning=pictures.learning(model),
        coefficients=[
            (row, svg.signed_bar(row.per_sd, strongest)) for row in coefficients[:MOST_COEFFICIENTS]
        ],
        n_selected=len(coefficients),
        importance=importance[:MOST_COEFFICIENTS],
        n_important=len(importance),
        scatters=feature_pictures.scatters(facts.leading, model.target),
        residuals=[] if held is None else residual_pictures.residuals(held, model.target),
        over_time=order_pictures.over_time(periods) if periods is not None and ordered else [],
        in_order=order_pictures.in_order(facts.examined.orders),
        partial=[] if held is None else residual_pictures.partial_residuals(held, curves),
        correlations=heatmap(facts.correlations),
        certificate=words.certificate_facts(model),
        data=words.data_facts(facts),
        features=features[:MOST_LISTED],
        n_features=len(model.columns.features),
    )


Heatmap = tuple[tuple[str, ...], list[tuple[str, list[tuple[float, str]]]]]


def heatmap(correlations: Correlations) -> Heatmap | None:
    """Column names, and rows of a name and its cells: a correlation and its shade's class."""
    names = correlations.labels
    if len(names) < 2:
        return None
    rows = []
    for name, values in zip(names, correlations.matrix.tolist(), strict=True):
        rows.append((name, [(value, _shade(value)) for value in values]))
    return names, rows


def _shade(correlation: float) -> str:
    return ("m" if correlation < 0 else "d") + str(round(8 * abs(correlation)))
