"""The model card: the facts of a training in Markdown, for a code review or an audit.

Its sections are those of Mitchell et al. (2019), "Model cards for model reporting", as far as a
training knows them; what people decide, they fill in.
"""

import re
from collections.abc import Iterable, Sequence

import yaml

from lasso_jobs.artifacts import report_words as words
from lasso_jobs.artifacts.page import factor, number, share, signed, whole
from lasso_jobs.artifacts.report_facts import ReportFacts, coefficients, features

MOST_LINES = 50
NOT_CHECKED = (
    "Causes. A coefficient says what goes with the target in these rows, not what changes it.",
    "Fairness. No group of people was compared with another.",
    "Rows unlike those of training: `lasso-jobs score` compares them, by its drift statistics.",
    "Whether the target was measured rightly, and whether the features are known in time.",
)
_SPECIAL = re.compile(r"([\\`*\[\]|~$<>&]|(?<![^\W_])_|_(?![^\W_]))")


def card(facts: ReportFacts) -> str:
    """The card.

    Parameters
    ----------
    facts : ReportFacts

    Returns
    -------
    str
        GitHub Flavored Markdown. Names of columns and other values of the data are escaped.
    """
    model = facts.model
    parts = [
        f"# Model card: {escaped(facts.reference)}",
        escaped(words.lead(model)),
        escaped(words.verdict(facts.checks)),
        "## Intended use",
        "*To be filled in: who uses the predictions, for what, and for what not; who answers for "
        "the model.*",
        "## Data",
        _table(("Fact", "Value"), words.data(facts)),
        _features(facts),
        "## Metrics",
        "### Held-out rows",
        _table(("Measure", "Value"), words.of_holdout(model)) or "No rows are held out.",
        "### Cross-validation",
        _table(("Measure", "Value"), words.of_cross_validation(model)),
        "## Coefficients",
        _coefficients(facts),
        "## Checks",
        *(_check(facts, i) for i in range(len(facts.checks))),
        "## Limits",
        _limits(facts),
        "## How to make it again",
        _again(facts),
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """A text as one line of Markdown that shows it, and is no markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(map(escaped, row)) + " |" for row in rows]
    head = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return "\n".join([*head, *lines]) if lines else ""


def _first(lines: list[Sequence[str]]) -> str:
    return f"The first {MOST_LINES} of {len(lines)}.\n\n" if len(lines) > MOST_LINES else ""


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
        for row in features(facts.model)
    ]
    return "### Features\n\n" + _first(rows) + _table(names, rows[:MOST_LINES])


def _coefficients(facts: ReportFacts) -> str:
    names = ("Rank", "Column", "Per SD", "Per unit", "Std. error", "Frequency", "VIF")
    rows: list[Sequence[str]] = [
        (
            str(row.rank),
            row.label,
            signed(row.per_sd),
            signed(row.coef),
            number(row.error),
            share(row.frequency),
            factor(row.vif),
        )
        for row in coefficients(facts)
    ]
    intercept = f"Intercept {escaped(number(facts.model.intercept))}, in units of the target."
    return f"{intercept}\n\n" + _first(rows) + _table(names, rows[:MOST_LINES])


def _check(facts: ReportFacts, i: int) -> str:
    check = facts.checks[i]
    lines = [f"### {escaped(check.name.capitalize())}: {words.WORDS[check.verdict].lower()}"]
    lines += [escaped(check.finding), f"How: {escaped(check.how)}"]
    return "\n\n".join([*lines, f"What to do: {escaped(check.remedy)}"] if check.remedy else lines)


def _limits(facts: ReportFacts) -> str:
    model = facts.model
    known = [f"{c.name.capitalize()}: {c.finding}" for c in facts.checks if c.verdict == "unknown"]
    if not model.certificate.converged:
        known.append("The fit did not converge.")
    known += [note[0].upper() + note[1:] + "." for note in model.diagnostics.notes]
    lines = [*(f"- {escaped(line)}" for line in known), *(f"- {line}" for line in NOT_CHECKED)]
    return "It was not checked, or is not known:\n\n" + "\n".join(lines)


def _again(facts: ReportFacts) -> str:
    """The command, the versions and the job; the same data and job give the same digest."""
    versions = facts.provenance.get("versions", {})
    used = ", ".join(f"{name} {number}" for name, number in versions.items())
    text = yaml.safe_dump(dict(facts.model.job), sort_keys=False, allow_unicode=True)
    # A fence is longer than any in the text.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return (
        f"Save the job as `job.yaml` and run `lasso-jobs train job.yaml` on the same files: "
        f"the digest is the same. Trained with {escaped(used) or 'unknown versions'}.\n\n"
        f"{fence}yaml\n{text}{fence}"
    )
