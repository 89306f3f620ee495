"""Sums up the verdicts of a run's rows in one verdict, and says in words why it is that."""

from collections.abc import Iterable, Sequence

from lasso_jobs.core.drift.drift import Severity
from lasso_jobs.core.drift.verdicts import worst
from lasso_jobs.drift.references import PREDICTION
from lasso_jobs.drift.table import DriftRow

MOST_REASONS = 3


def verdict_of(rows: Iterable[DriftRow]) -> Severity:
    """The gravest verdict of a run's partitions.

    Rows that nothing judges (segments, features that the model does not use) do not count. A
    partition is unknown if none of its rows is judged, and so is a run without rows.
    """
    return worst([verdict_of_group(own) for own in _by_partition(rows).values()])


def verdict_of_group(rows: Iterable[DriftRow]) -> Severity:
    """The gravest verdict of a partition's rows that are judged; unknown if none is.

    A feature beyond its limit in a season that the training has not seen counts as unknown: its
    partition is not ok.
    """
    drifts = [row.drift for row in rows]
    return worst([d.verdict for d in drifts if d.verdict != "unknown" or d.unseen_season])


def because(rows: Sequence[DriftRow]) -> str:
    """Why the verdict is what it is, in words."""
    if not rows:
        return "not judged: nothing was compared with the training rows"
    groups = _by_partition(rows)
    verdict = worst([verdict_of_group(own) for own in groups.values()])
    if verdict == "ok":
        known = any(row.drift.acknowledged for own in groups.values() for row in own)
        return "no feature has drifted" + (", but as was acknowledged" if known else "")
    if verdict == "unknown":
        return _unknown(groups)
    several = len(groups) > 1
    raised = [row for own in groups.values() for row in own if row.drift.verdict == verdict]
    said = [
        f"{row.drift.feature}{f' in {row.partition}' if several else ''}: {row.drift.reason}"
        for row in raised[:MOST_REASONS]
    ]
    more = len(raised) - len(said)
    return "; ".join([*said, *([f"and {more} more"] if more else [])])


def _unknown(groups: dict[str, list[DriftRow]]) -> str:
    unjudged = {name: own for name, own in groups.items() if verdict_of_group(own) == "unknown"}
    name, rows = next(iter(unjudged.items()))
    prediction = [row for row in rows if row.drift.feature == PREDICTION]
    of_season = [row for row in rows if row.drift.unseen_season]
    reason = (of_season or prediction or rows)[0].drift.reason
    if len(groups) == 1:
        return reason
    return f"{len(unjudged)} of {len(groups)} partitions are not judged, such as {name}: {reason}"


def _by_partition(rows: Iterable[DriftRow]) -> dict[str, list[DriftRow]]:
    groups: dict[str, list[DriftRow]] = {}
    for row in rows:
        if not row.segment:
            groups.setdefault(row.partition, []).append(row)
    return groups
