"""Puts a training into words for the report and the card: sentences, and facts as name and text."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lasso_jobs.core.inference.checks import Check, CheckVerdict
from lasso_jobs.core.inference.cohorts import Estimate
from lasso_jobs.models.alpha_grid_end import end_in_words
from lasso_jobs.models.findings import has_intercept, has_screened_levels, n_looked_at
from lasso_jobs.models.intervals import covers, why_none
from lasso_jobs.models.intervals import in_words as intervals_in_words
from lasso_jobs.models.model import INTERVAL_COVERAGE, Model
from lasso_jobs.pages.page import limit, number, share, whole
from lasso_jobs.training.report.facts import ReportFacts

TONES: dict[CheckVerdict, str] = {
    "fine": "ok",
    "needs a look": "watch",
    "violated": "alarm",
    "not checked": "unknown",
}
"""The marks and colours of checks on a page."""
Facts = list[tuple[str, str]]
"""Names and values."""


def lead(model: Model) -> str:
    """The errors and the size of a model in a sentence or two."""
    kept = model.predictor.n_nonzero
    size = (
        f"{kept:,} of {n_looked_at(model):,} coefficients are not zero, "
        f"at alpha {number(model.alpha)}."
    )
    held = model.holdout
    if held is None:
        return f"No rows are held out, so its error on new rows is that of cross-validation. {size}"
    if held.warning is not None:
        size += f" {held.warning[0].upper()}{held.warning[1:]}."
    within = f"{covers(held)} are within ±{number(held.interval)} of their prediction"
    return (
        f"On {held.n_rows:,} held-out rows: RMSE {number(held.rmse)}, MAE {number(held.mae)}; "
        f"{why_none(held) or within}. {size}"
    )


def verdicts(checks: Sequence[Check]) -> str:
    """How many of the checks have which verdict."""
    counts = Counter(check.verdict for check in checks)
    order: tuple[CheckVerdict, ...] = ("violated", "needs a look", "fine", "not checked")
    numbers = [f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict]]
    return f"Assumptions of a linear model: {', '.join(numbers)}."


def holdout_facts(model: Model) -> Facts:
    """The errors on held-out rows; none without them."""
    held = model.holdout
    if held is None:
        return []
    facts = [
        ("Rows", whole(held.n_rows)),
        ("R²", number(held.r2)),
        ("Mean squared error", number(held.mse)),
        ("RMSE", number(held.rmse)),
    ]
    if (known := held.expected) is None:
        return [*facts, ("MAE", number(held.mae))]
    facts[2] = ("Mean squared error", _with_error(known.squared_error))
    of = f" by {known.squared_error.n_cohorts:,} values of {held.cohort}" if held.cohort else ""
    within = f"Within the {INTERVAL_COVERAGE:.0%} interval"
    return [
        *facts,
        ("MAE", _with_error(known.absolute_error)),
        ("Bias (prediction less outcome)", _with_error(known.error)),
        *([] if known.covered is None else [(within, share(known.covered.mean))]),
        ("Interval", intervals_in_words(held)),
        ("± is a standard error", f"of {known.n_sampled:,} sampled rows{of}"),
    ]


def _with_error(estimate: Estimate) -> str:
    error = estimate.standard_error
    return number(estimate.mean) + ("" if error is None else f" ± {number(error, 3)}")


def cross_validation_facts(model: Model) -> Facts:
    """The errors of cross-validation at the chosen alpha, and how that was chosen."""
    curve, search = model.curve, model.job.get("search", {})
    same = (curve.l1_ratios == model.l1_ratio) & (curve.gammas == model.gamma)
    at = np.flatnonzero(same & (curve.alphas == model.alpha))
    facts = [
        ("Rule", str(search.get("rule", "–"))),
        ("Alpha of min", number(curve.alpha_min)),
        ("Alpha of 1se", number(curve.alpha_1se)),
        ("Chosen alpha", number(model.alpha)),
        ("L1 ratio", limit(model.l1_ratio)),
    ]
    if (end := end_in_words(model)) is not None:
        facts.append(("End of the grid", end[0].upper() + end[1:]))
    if model.gamma < 1:
        facts.append(("Gamma", limit(model.gamma)))
    if len(at):
        k = int(at[0])
        folds = np.sqrt(curve.fold_mse[:, k])
        facts += [
            ("Mean squared error", f"{number(curve.mse[k])} ± {number(curve.mse_se[k], 3)}"),
            ("RMSE", number(float(np.sqrt(curve.mse[k])))),
            ("RMSE of the folds", f"{number(folds.min())} to {number(folds.max())}"),
        ]
    n_folds = len(curve.fold_weight) // curve.repeats
    times = f", {curve.repeats} times" if curve.repeats > 1 else ""
    split = search.get("split") or {}
    by = [f"by {kind} {split[kind]}" for kind in ("group", "time", "fold") if split.get(kind)]
    by += [f"by whole values of {model.kept_together}"] if model.kept_together else []
    return [*facts, ("Folds", f"{n_folds}{times}, {by[0] if by else 'at random'}")]


def certificate_facts(model: Model) -> Facts:
    """How exact the fits are."""
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
        *([] if known.screening is None else [("Screening", known.screening.in_words())]),
    ]


def _n_numeric(model: Model) -> str:
    screening = model.certificate.screening
    if screening is None:
        return f"{len(model.columns.numeric) - (model.predictor.offset is not None):,}"
    return f"{screening.n_columns:,} (of which the working set has {screening.n_working_set:,})"


def _features(model: Model) -> str:
    """What the coefficients are of; levels that are screened are counted with the numbers."""
    numeric, categories = model.columns.numeric, model.columns.categories
    if has_screened_levels(model):
        own = f"of {len(numeric):,} numeric and {len(categories):,} categorical features"
        return f"{_n_numeric(model)} numbers and levels, {own}"
    n_levels = sum(len(category.levels) for category in categories)
    return f"{_n_numeric(model)} numeric, {len(categories)} categorical with {n_levels:,} levels"


def data_facts(facts: ReportFacts) -> Facts:
    """What a model was trained on."""
    model, known = facts.registered.model, facts.registered.provenance
    source = model.job.get("data", {})
    where = f", where {source['where']}" if source.get("where") else ""
    left_out = [f"{name} ({why})" for name, why in facts.left_out[:10]]
    more = len(facts.left_out) - len(left_out)
    return [
        ("Data", f"{source.get('path', '–')}{where}"),
        ("Files", whole(known.get("files"))),
        ("Rows trained on", whole(model.n_rows)),
        ("Rows left out by the filter", whole(known.get("rows_filtered"))),
        ("Rows without a target", whole(known.get("rows_without_target"))),
        ("Rows dropped for nulls", whole(known.get("rows_with_nulls"))),
        ("Target", model.target),
        ("Weight", str(model.job.get("weight") or "none")),
        ("Offset", model.predictor.offset or "none"),
        ("Intercept", "fitted" if has_intercept(model) else "none"),
        ("Features", f"{_features(model)}; {n_looked_at(model):,} coefficients"),
        ("Columns of no use", ", ".join([*left_out, *([f"{more} more"] if more > 0 else [])])
         or "none"),
        ("Trained", facts.trained),
        ("Digest of the files' identities", str(known.get("data_plan", "–"))),
        ("Digest of the model", facts.registered.digest),
    ]  # fmt: skip
