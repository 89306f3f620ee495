"""Writes the model card: the facts of a training in Markdown, for a code review or an audit.

Its sections are those of Mitchell et al. (2019), "Model cards for model reporting", as far as a
training knows them; what people decide, they fill in.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from lasso_jobs.core.inference.checks import Check
from lasso_jobs.escape import markdown
from lasso_jobs.models.findings import features as features_of
from lasso_jobs.models.findings import has_intercept
from lasso_jobs.pages.page import factor, number, share, signed, whole
from lasso_jobs.redact import redactor
from lasso_jobs.training.report import words
from lasso_jobs.training.report.facts import ReportFacts, coefficient_rows, feature_rows

MOST_LINES = 50
NOT_CHECKED = (
    "Causes. A coefficient says what goes with the target in these rows, not what changes it.",
    "Fairness. No group of people was compared with another.",
    "Rows unlike those of training: `lasso-jobs score` compares them, by its drift statistics.",
    "Whether the target was measured rightly, and whether the features are known in time.",
)


def card(facts: ReportFacts) -> str:
    """The card, in GitHub Flavored Markdown; names of columns and other values are escaped."""
    model, checks = facts.registered.model, facts.examined.checks
    parts = [
        f"# Model card: {markdown(facts.registered.reference)}",
        markdown(words.lead(model)),
        markdown(words.verdicts(checks)),
        "## Intended use",
        "*To be filled in: who uses the predictions, for what, and for what not; who answers for "
        "the model.*",
        "## Data",
        _table(("Fact", "Value"), words.data_facts(facts)),
        _features(facts),
        "## Metrics",
        "### Held-out rows",
        _table(("Measure", "Value"), words.holdout_facts(model)) or "No rows are held out.",
        "### Cross-validation",
        _table(("Measure", "Value"), words.cross_validation_facts(model)),
        "## Features by what they are worth",
        _importance(facts),
        "## Coefficients",
        _coefficients(facts),
        "## Checks",
        *map(_check, checks),
        "## Limits",
        _limits(facts),
        "## How to make it again",
        _again(facts),
    ]
    return "\n\n".join(parts) + "\n"


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    redact = redactor()  # a look at the environment for each cell took half of the card's time
    cells = ([markdown(text, redact) for text in row] for row in rows)
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    head = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return "\n".join([*head, *lines]) if lines else ""


def _first(n: int) -> str:
    return f"The first {MOST_LINES} of {n}.\n\n" if n > MOST_LINES else ""


def _features(facts: ReportFacts) -> str:
    names = ("Feature", "Nulls", "Mean", "SD", "Least", "Largest", "Levels", "In other levels")
    rows: list[Sequence[str]] = [
        (
            row.name,
            share(row.nulls),
            *(number(value) for value in (row.mean, row.sd, row.low, row.high)),
            whole(row.levels),
            share(row.other),
        )
        for row in feature_rows(facts.registered.model)
    ]
    n = len(facts.registered.model.columns.features)
    return "### Features\n\n" + _first(n) + _table(names, rows[:MOST_LINES])


def _importance(facts: ReportFacts) -> str:
    model = facts.registered.model
    found = features_of(model)
    if model.importance is None or not found:
        return "No feature has a coefficient."
    rows: list[Sequence[str]] = [
        (
            str(row["rank"]),
            row["feature"],
            "–" if row["rank_low"] is None else f"{row['rank_low']} to {row['rank_high']}",
            number(row["strength"]),
            signed(row["mse_rise"]),
        )
        for row in found
    ]
    lead = (
        "Strength: the standard deviation of what a feature, with all its levels, adds to the "
        "predictions. MSE without: by how much the mean squared error of "
        f"the {model.importance.judged_by} ({number(model.importance.mse)}) rises without it."
    )
    names = ("Rank", "Feature", "Ranks", "Strength", "MSE without")
    return f"{markdown(lead)}\n\n" + _first(len(rows)) + _table(names, rows[:MOST_LINES])


def _coefficients(facts: ReportFacts) -> str:
    names = (
        "Rank",
        "Column",
        "Per SD",
        "Per unit",
        "Std. error",
        "Low",
        "High",
        "Frequency",
        "VIF",
    )
    rows: list[Sequence[str]] = [
        (
            str(row.rank),
            row.label,
            signed(row.per_sd),
            signed(row.coef),
            number(row.error),
            signed(row.low),
            signed(row.high),
            share(row.frequency),
            factor(row.vif),
        )
        for row in coefficient_rows(facts)
    ]
    model, lead = facts.registered.model, "No intercept."
    if has_intercept(model):
        lead = f"Intercept {markdown(number(model.intercept))}, in units of the target."
    if model.predictor.offset is not None:
        lead += f" {markdown(model.predictor.offset)} is the offset: its coefficient is fixed."
    lead += "\n\n"
    return lead + _first(len(rows)) + _table(names, rows[:MOST_LINES])


def _check(check: Check) -> str:
    lines = [f"### {markdown(check.name.capitalize())}: {check.verdict}"]
    lines += [markdown(check.finding), f"How: {markdown(check.how)}"]
    return "\n\n".join([*lines, f"What to do: {markdown(check.remedy)}"] if check.remedy else lines)


def _limits(facts: ReportFacts) -> str:
    model = facts.registered.model
    left = [check for check in facts.examined.checks if check.verdict == "not checked"]
    known = [f"{check.name.capitalize()}: {check.finding}" for check in left]
    if not model.certificate.converged:
        known.append("The fit did not converge.")
    if model.holdout is not None and (warning := model.holdout.warning) is not None:
        known.append(f"{warning[0].upper()}{warning[1:]}.")
    known += [note[0].upper() + note[1:] + "." for note in model.diagnostics.notes]
    lines = [*(f"- {markdown(line)}" for line in known), *(f"- {line}" for line in NOT_CHECKED)]
    return "It was not checked, or is not known:\n\n" + "\n".join(lines)


def _again(facts: ReportFacts) -> str:
    """The command, the versions and the job; the same data and job give the same digest."""
    versions = facts.registered.provenance.get("versions", {})
    used = ", ".join(f"{name} {number}" for name, number in versions.items())
    text = _yaml(facts.registered.model.job)
    # A fence is longer than any in the text.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return (
        f"Save the job as `job.yaml` and run `lasso-jobs train job.yaml` on the same files: "
        f"the digest is the same. Trained with {markdown(used) or 'unknown versions'}.\n\n"
        f"{fence}yaml\n{text}{fence}"
    )


def _yaml(job: Mapping[str, Any]) -> str:
    """The job as YAML, whose escapes stand for characters that do not show."""
    text = yaml.safe_dump(dict(job), sort_keys=False, allow_unicode=True)
    if all(line.isprintable() for line in text.splitlines()):
        return text
    return yaml.safe_dump(dict(job), sort_keys=False)
