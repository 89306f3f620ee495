"""A trained model as one HTML page: its errors and checks first, then how they came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from lasso_jobs.artifacts import report_pictures as pictures
from lasso_jobs.artifacts import svg
from lasso_jobs.artifacts.model import INTERVAL_COVERAGE, Model
from lasso_jobs.artifacts.page import number, render, share, whole
from lasso_jobs.artifacts.report_pictures import CoefficientPath
from lasso_jobs.core.checks import Check
from lasso_jobs.core.residuals import Held

WORDS = {"ok": "OK", "watch": "Look", "alarm": "Violated", "unknown": "Not checked"}
MOST_COEFFICIENTS = 200
MOST_CORRELATIONS = 16


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the report is made from.

    Parameters
    ----------
    model : Model
    reference : str
        Such as ``flights@v3``.
    digest : str
    provenance : mapping
    checks : sequence of Check
    held : Held or None
    path : CoefficientPath
    """

    model: Model
    reference: str
    digest: str
    provenance: Mapping[str, Any]
    checks: Sequence[Check]
    held: Held | None
    path: CoefficientPath


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A line of the table of coefficients."""

    label: str
    bar: Markup
    per_sd: float
    coef: float
    error: float | None
    frequency: float | None
    vif: float


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
    model = facts.model
    found = _coefficients(model)
    return render(
        "report.html",
        title=f"Training report of {facts.reference}",
        facts=facts,
        model=model,
        version=facts.reference.rpartition("@")[2],
        words=WORDS,
        lead=_lead(model),
        curve=pictures.cv_curve(model),
        path=pictures.paths(facts.path, model.alpha),
        learning=pictures.learning(model),
        coefficients=found[:MOST_COEFFICIENTS],
        n_selected=len(found),
        residuals=[] if facts.held is None else pictures.of_residuals(facts.held, model.target),
        partial=[] if facts.held is None else pictures.partial_residuals(facts.held),
        n_held=0 if facts.held is None else len(facts.held.actual),
        correlations=correlations(model),
        certificate=_certificate(model),
        card=_card(facts),
    )


def _lead(model: Model) -> str:
    kept = int(np.count_nonzero(model.predictor.coef))
    size = (
        f"{kept} of {len(model.labels)} coefficients are not zero, at alpha {number(model.alpha)}."
    )
    held = model.holdout
    if held is None:
        return f"No rows are held out, so its error on new rows is that of cross-validation. {size}"
    return (
        f"On {held.n_rows:,} held-out rows: RMSE {number(held.rmse)}, MAE {number(held.mae)}; "
        f"{INTERVAL_COVERAGE:.0%} of the predictions of {model.target} are within "
        f"±{number(held.interval)}. {size}"
    )


def _coefficients(model: Model) -> list[Coefficient]:
    """Those that are not zero, the strongest first."""
    found, strength = model.stability, np.abs(model.standardised)
    order = [j for j in np.argsort(-strength, kind="stable") if model.predictor.coef[j] != 0]
    return [
        Coefficient(
            model.labels[j],
            svg.signed_bar(float(model.standardised[j]), float(strength.max())),
            float(model.standardised[j]),
            float(model.predictor.coef[j]),
            None if found is None else float(found.standard_error[j]),
            None if found is None else float(found.frequency[j]),
            float(model.diagnostics.collinearity.vif[j]),
        )
        for j in order
    ]


def _certificate(model: Model) -> list[tuple[str, str]]:
    known = model.certificate
    condition = known.condition_number
    return [
        ("Converged", "yes" if known.converged else "no"),
        ("Duality gap", number(known.dual_gap, 3)),
        ("KKT violation", number(known.kkt, 3)),
        ("Worst gap of any fit", number(known.worst_dual_gap, 3)),
        ("Worst violation of any fit", number(known.worst_kkt, 3)),
        ("Rounding of squared errors", number(known.sse_bound, 3)),
        ("Condition number", "infinite" if condition is None else number(condition)),
    ]


def _card(facts: ReportFacts) -> list[tuple[str, str]]:
    model, known = facts.model, facts.provenance
    nulls = {
        name: reference.missing_share
        for name, reference in model.references.items()
        if reference.missing_share > 0
    }
    most = max(nulls, key=lambda name: nulls[name], default=None)
    data = model.job.get("data", {})
    return [
        ("Data", f"{data.get('path', '–')}" + (f", {data['where']}" if data.get("where") else "")),
        ("Files", whole(known.get("files"))),
        ("Rows trained on", whole(model.n_rows)),
        ("Rows left out by the filter", whole(known.get("rows_filtered"))),
        ("Rows without a target", whole(known.get("rows_without_target"))),
        ("Target", model.target),
        ("Features", f"{len(model.columns.numeric)} numeric, {len(model.columns.categories)} "
         f"categorical with {sum(len(c.levels) for c in model.columns.categories)} levels"),
        ("Features with nulls", "none" if most is None
         else f"{len(nulls)}, the most {share(nulls[most])} of {most}"),
        ("Trained", str(known.get("trained_at", "–"))),
        ("Data plan", str(known.get("data_plan", "–"))),
        ("Digest of the model", facts.digest),
    ]  # fmt: skip


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
