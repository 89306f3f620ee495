"""The training report and the model card: made when a version is trained, and kept with it."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lasso_jobs.artifacts.registry import Registered, Registry
from lasso_jobs.core import checks as c
from lasso_jobs.core.lasso import solve_path
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.selection import Fit
from lasso_jobs.data import storage
from lasso_jobs.data.staging import told
from lasso_jobs.errors import ModelError

if TYPE_CHECKING:
    from lasso_jobs.artifacts.report_facts import CoefficientPath, Correlations
    from lasso_jobs.jobs.assumptions import Examined

PAGE, CHECKS, CARD = "report.html", "checks.json", "card.md"
MOST_PATHS = 10
MOST_CORRELATIONS = 16


def keep_report(
    registry: str,
    registered: Registered,
    final: Fit,
    examined: "Examined",
    left_out: Sequence[tuple[str, str]],
) -> None:
    """Write a version's report and card and keep them with it; what it has of them stays.

    Parameters
    ----------
    registry : str
    registered : Registered
    final : Fit
        To all rows.
    examined : Examined
    left_out : sequence of (str, str)
        Columns that are no features, and why.

    Raises
    ------
    ModelError
        If they cannot be written.
    """
    from lasso_jobs.artifacts.card import card
    from lasso_jobs.artifacts.report import report
    from lasso_jobs.artifacts.report_facts import ReportFacts

    model = registered.model
    curve = model.curve
    same = (curve.l1_ratios == model.l1_ratio) & (curve.gammas == model.gamma)
    facts = ReportFacts(
        model,
        registered.reference,
        registered.digest,
        registered.provenance,
        examined.checks,
        examined.held,
        examined.series,
        examined.vif,
        path_of(final, model.labels, curve.alphas[same]),
        correlations_of(final, model.labels),
        left_out,
    )
    kept, reference = Registry(registry), registered.reference
    checked = json.dumps(of_checks(examined.checks), indent=2) + "\n"
    for name, text in ((CHECKS, checked), (CARD, card(facts)), (PAGE, report(facts))):
        kept.attach(reference, name, text.encode())


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
        If there is no such version, or no report with it, or that is damaged.
    """
    kept = Registry(registry)
    name, version = kept.resolve(reference)
    exact = f"{name}@v{version}"
    try:
        found = json.loads(kept.attached(exact, CHECKS))
    except ValueError as error:
        raise ModelError(
            kept.place_of(exact, CHECKS),
            f"is damaged ({error})",
            "the checks of a training, as JSON",
            "Remove it, and train again with the same job: the version stays",
        ) from error
    return Stored(exact, place_of_report(registry, exact), kept.attached(exact, PAGE), found)


def stored_card(registry: str, reference: str) -> bytes:
    """The card of a version, in Markdown.

    Raises
    ------
    ModelError
        If there is no such version, or no card with it.
    """
    return Registry(registry).attached(reference, CARD)


def save(content: bytes, place: str) -> None:
    """Write a page or a card to a file or URI.

    Raises
    ------
    OutputError
    """
    with told(place, "a place that can be written to", "Mend that, or name another"):
        storage.replace(place, content)


def path_of(final: Fit, labels: tuple[str, ...], alphas: Floats) -> "CoefficientPath":
    """The paths of the coefficients that grow largest, per standard deviation."""
    from lasso_jobs.artifacts.report_facts import CoefficientPath

    found = solve_path(final.design.problem, alphas).coef
    usable = np.flatnonzero(final.design.usable)
    if not len(usable):
        return CoefficientPath(alphas, found, ())
    chosen = np.argsort(-np.abs(found).max(axis=0), kind="stable")[:MOST_PATHS]
    return CoefficientPath(alphas, found[:, chosen], tuple(labels[j] for j in usable[chosen]))


def correlations_of(final: Fit, labels: tuple[str, ...]) -> "Correlations":
    """Of the strongest selected columns, and of the columns not selected that are most like them.

    At most half of those shown are selected.
    """
    from lasso_jobs.artifacts.report_facts import Correlations

    gram, usable = final.design.problem.gram, np.flatnonzero(final.design.usable)
    strength = np.abs(final.standardised[usable])
    chosen = np.argsort(-strength, kind="stable")[
        : min(MOST_CORRELATIONS // 2, np.sum(strength > 0))
    ]
    others = np.flatnonzero(strength == 0)
    likeness = np.abs(gram[np.ix_(others, chosen)]).max(axis=1, initial=0.0)
    rivals = others[np.argsort(-likeness, kind="stable")][: MOST_CORRELATIONS - len(chosen)]
    shown = np.concatenate([chosen, rivals])
    names = [labels[usable[j]] + ("" if strength[j] else " (not selected)") for j in shown]
    return Correlations(tuple(names), gram[np.ix_(shown, shown)])


def of_checks(checked: Sequence[c.Check]) -> dict[str, dict[str, Any]]:
    """The checks by name, as ``train --json`` prints them."""
    found = {}
    for check in checked:
        values = dataclasses.asdict(check)
        found[values.pop("name")] = values
    return found
