"""What the training report and its checks need, from what the stages of a training leave."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lasso_jobs.artifacts.registry import Registered, Registry
from lasso_jobs.core import checks as c
from lasso_jobs.core import design as d
from lasso_jobs.core.columns import Block, block_of
from lasso_jobs.core.lasso import solve_path
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.predict import Predictor
from lasso_jobs.core.residuals import Held
from lasso_jobs.core.selection import Fit
from lasso_jobs.core.squared_error import evaluate
from lasso_jobs.data import storage
from lasso_jobs.data.staging import told

if TYPE_CHECKING:
    from lasso_jobs.artifacts.report_pictures import CoefficientPath
    from lasso_jobs.jobs.gather import Gathered
    from lasso_jobs.jobs.train_job import TrainJob

PAGE, CHECKS = "report.html", "checks.json"
MOST_FEATURES = 9
MOST_PATHS = 10


def held_rows(fit: Fit, predictor: Predictor, gathered: "Gathered") -> Held:
    """The sampled held-out rows, predicted by the fit to the others.

    Parameters
    ----------
    fit : Fit
        Without the held-out rows.
    predictor : Predictor
        The fit.
    gathered : Gathered
    """
    *_, target, weights, _, _ = gathered.held.values
    rows = np.flatnonzero(weights > 0)
    block = block_of(gathered.held.values[:, rows], gathered.columns, predictor.columns)
    if block is None:
        raise ValueError("the sample is not of the model's columns")
    n_numeric = len(predictor.columns.numeric)
    used = np.flatnonzero(fit.standardised[:n_numeric])
    used = used[np.argsort(-np.abs(fit.standardised[used]), kind="stable")][:MOST_FEATURES]
    numbers = [block.numeric[j] for j in used.tolist()]
    values = [
        np.where(np.isnan(x), predictor.fill[j], x) for x, j in zip(numbers, used, strict=True)
    ]
    before = range(gathered.folds.n_before_holdout)
    n = sum(gathered.moments.buckets[i].n for i in before)
    return Held(
        predictor.predict(block),
        target[rows],
        [predictor.columns.numeric[j] for j in used],
        np.array(values).reshape(len(used), len(rows)),
        fit.coef[used],
        _leverage(fit.design, np.flatnonzero(fit.standardised), predictor, block, n),
        (np.count_nonzero(fit.standardised) + 1) / n,
    )


def _leverage(
    design: d.Design, selected: Any, predictor: Predictor, block: Block, n: int
) -> Floats:
    gram = selected_gram(design, selected)
    columns = _columns(predictor, block, selected)
    z = (columns - design.location[design.position[selected], None]) / design.deviation[
        selected, None
    ]
    # Of dependent columns any solution gives the same leverage.
    weighed = np.linalg.lstsq(gram, z, rcond=None)[0]
    return np.asarray((1 + (z * weighed).sum(axis=0)) / n)


def _columns(predictor: Predictor, block: Block, selected: Any) -> Floats:
    """The selected coefficients' columns, shape (k, n), nulls filled."""
    spans = dict(predictor.columns.spans())
    starts = [spans[category.name].start for category in predictor.columns.categories]
    n_numeric, first = len(predictor.columns.numeric), predictor.columns.n_columns
    found = np.empty((len(selected), block.n_rows))
    for i, j in enumerate(selected.tolist()):
        if j < n_numeric:
            nulls = np.isnan(block.numeric[j])
            found[i] = np.where(nulls, predictor.fill[j], block.numeric[j])
        elif j >= first:
            found[i] = np.isnan(block.numeric[predictor.indicators[j - first]])
        else:
            k = int(np.searchsorted(starts, j, side="right")) - 1
            found[i] = block.codes[k] == j - starts[k]
    return found


def selected_gram(design: d.Design, selected: Any) -> Floats:
    """Correlations of the selected columns in training."""
    place = (np.cumsum(design.usable) - 1)[selected]
    return np.asarray(design.problem.gram[np.ix_(place, place)])


def checks(
    job: "TrainJob", labels: tuple[str, ...], final: Fit, gathered: "Gathered", held: Held | None
) -> tuple[c.Check, ...]:
    """All checks of the assumptions.

    Parameters
    ----------
    job : TrainJob
    labels : tuple of str
        Of the final fit's coefficients.
    final : Fit
        To all rows.
    gathered : Gathered
    held : Held or None
        None without held-out rows.
    """
    selected = np.flatnonzero(final.standardised)
    n = 0 if held is None else len(held.actual)
    on_held = (
        (c.linearity, "linearity"),
        (c.homoscedasticity, "homoscedasticity"),
        (c.outliers, "outliers and leverage"),
    )
    first, *others = (
        c.too_few(name, n) if held is None or n < c.MIN_ROWS else check(held)
        for check, name in on_held
    )
    together = c.multicollinearity(
        [labels[j] for j in selected], selected_gram(final.design, selected)
    )
    return (first, _independence(job, final, gathered), *others[:1], together, *others[1:])


def _independence(job: "TrainJob", final: Fit, gathered: "Gathered") -> c.Check:
    split = job.search.split
    kind = split.group or split.fold or split.time
    if kind is None:
        return c.independence(None, np.empty(0), np.empty(0), 0.0)
    buckets = gathered.moments.buckets[:-1]
    errors = [evaluate(final.design, final.coef[None], rows) for rows in buckets if rows.weight > 0]
    # Weights count as rows: their mean is taken for one.
    n = sum(rows.n for rows in buckets)
    weight = np.array([e.weight for e in errors])
    sse = float(sum(e.sse[0] for e in errors))
    total = float(weight.sum())
    return c.independence(
        kind, np.array([e.bias[0] for e in errors]), weight * n / total, sse / total
    )


def keep_report(
    registry: str,
    registered: Registered,
    final: Fit,
    checked: Sequence[c.Check],
    held: Held | None,
) -> None:
    """Write a version's report and keep it with it; if it has one, that is of the same model.

    Raises
    ------
    ModelError
    """
    from lasso_jobs.artifacts.report import ReportFacts, report

    model = registered.model
    curve = model.curve
    same = (curve.l1_ratios == model.l1_ratio) & (curve.gammas == model.gamma)
    facts = ReportFacts(
        model,
        registered.reference,
        registered.digest,
        registered.provenance,
        checked,
        held,
        path_of(final, model.labels, curve.alphas[same]),
    )
    kept, reference = Registry(registry), registered.reference
    kept.attach(reference, CHECKS, (json.dumps(of_checks(checked), indent=2) + "\n").encode())
    kept.attach(reference, PAGE, report(facts).encode())


def place_of_report(registry: str, reference: str) -> str:
    """Where a version's report is."""
    return Registry(registry).place_of(reference, PAGE)


@dataclass(frozen=True, slots=True)
class Stored:
    """A report that is kept with a version.

    Parameters
    ----------
    reference, place : str
    page : bytes
    checks : dict
        By name, as ``train --json`` prints them.
    """

    reference: str
    place: str
    page: bytes
    checks: dict[str, dict[str, Any]]

    @property
    def verdicts(self) -> dict[str, str]:
        """A line for each check."""
        return {
            name: f"{check['verdict']}. {check['finding']}" for name, check in self.checks.items()
        }


def stored(registry: str, reference: str) -> Stored:
    """The report of a version.

    Raises
    ------
    ModelError
        If there is no such version, or no report with it.
    """
    kept = Registry(registry)
    name, version = kept.resolve(reference)
    exact = f"{name}@v{version}"
    found = json.loads(kept.attached(exact, CHECKS))
    return Stored(exact, place_of_report(registry, exact), kept.attached(exact, PAGE), found)


def save(found: Stored, place: str) -> None:
    """Write a page to a file or URI.

    Raises
    ------
    OutputError
    """
    with told(place, "a place that can be written to", "Mend that, or name another"):
        storage.replace(place, found.page)


def path_of(final: Fit, labels: tuple[str, ...], alphas: Floats) -> "CoefficientPath":
    """The paths of the coefficients that grow largest, per standard deviation."""
    from lasso_jobs.artifacts.report_pictures import CoefficientPath

    found = solve_path(final.design.problem, alphas).coef
    usable = np.flatnonzero(final.design.usable)
    if not len(usable):
        return CoefficientPath(alphas, found, ())
    chosen = np.argsort(-np.abs(found).max(axis=0), kind="stable")[:MOST_PATHS]
    return CoefficientPath(alphas, found[:, chosen], tuple(labels[j] for j in usable[chosen]))


def of_checks(checked: Sequence[c.Check]) -> dict[str, dict[str, Any]]:
    """The checks by name, as ``train --json`` prints them."""
    found = {}
    for check in checked:
        values = dataclasses.asdict(check)
        found[values.pop("name")] = values
    return found
